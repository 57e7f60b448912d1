"""One line for each complaint about a parameter file, with the nearest key or value that is right."""

import difflib
import typing
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic_core import ErrorDetails


def explain(details: ErrorDetails, schema: type[BaseModel]) -> str:
    """Return one line for one complaint of pydantic.

    Parameters
    ----------
    details : ErrorDetails
        One entry of `ValidationError.errors()`.
    schema : type of BaseModel
        The model that was validated; its keys are searched for the nearest one.
    """
    loc = [str(part) for part in details["loc"] if part != "[key]"]
    where, got, kind = ".".join(loc), details["input"], details["type"]
    if kind == "extra_forbidden":
        return _unknown_key(loc, schema)
    if kind == "value_error":  # our own: a PipelineError that starts with the key
        return ".".join([*loc, str(details["ctx"]["error"])])
    if kind == "missing":
        return f"{where}: this key is missing; add it"
    if kind == "string_pattern_mismatch":
        return f"{where}: must look like {details['ctx']['pattern']}, but it is {got!r}; rename it"
    rule = details["msg"].removeprefix("Input ")
    line = f"{where}: {rule[:1].lower()}{rule[1:]}, but it is {got!r}"
    near = difflib.get_close_matches(str(got), _choices(details), n=1) if kind == "literal_error" else []
    return f"{line}; did you mean {near[0]}?" if near else f"{line}; correct it"


def _choices(details: ErrorDetails) -> list[str]:
    return details["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation such as `dict[str, Model]` or `Model | None` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)


def _place(name: str, annotation: object) -> str:
    """Return how the keys of a block are reached: of many blocks, those of the first, or of one with a name."""
    held = {typing.get_origin(inner) for inner in (annotation, *typing.get_args(annotation))}
    return f"{name}.NAME" if dict in held else f"{name}.0" if tuple in held else name


def _unknown_key(loc: list[str], schema: type[BaseModel]) -> str:
    """Return the complaint about a key, with the block that has it or the nearest one of its own block."""
    blocks = {
        _place(name, field.annotation): model
        for name, field in schema.model_fields.items()
        for model in _models(field.annotation)
    }
    key, block, named = loc[-1], schema, False
    for part in loc[:-1]:
        if named:  # a name of the user's, of a translator, or a number in a list
            named = False
            continue
        annotation = block.model_fields[part].annotation
        block, named = next(_models(annotation)), _place("", annotation) != ""
    known = list(block.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    elsewhere = [f"{name}.{key}" for name, block in blocks.items() if key in block.model_fields]
    found = elsewhere or near
    hint = f"did you mean {found[0]}?" if found else f"known keys: {', '.join(known)}"
    return f"{'.'.join(loc)}: no such key; {hint}"
