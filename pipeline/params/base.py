"""What the blocks of params.yaml are made of: types of a value, and how a block refuses."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.errors import PipelineError

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def as_tuple(value: object) -> object:
    """Return a tuple for a YAML list, and for one value that stands alone."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(as_tuple), Field(min_length=1)]


def refuse(message: str) -> None:
    """Raise one problem of a block, which `explain` completes with its key.

    Raises
    ------
    PipelineError
        Always.
    """
    raise PipelineError(message)


def only_for(block: BaseModel, keys: tuple[str, ...], rule: str) -> None:
    """Refuse the keys that are set although the rest of the block has no use for them."""
    given = [key for key in keys if getattr(block, key) is not None]
    if given:
        refuse(f"{given[0]}: {rule}, but it is {getattr(block, given[0])!r}; set it to null or leave it out")


def unique(name: str, values: tuple[str | int, ...]) -> None:
    """Refuse a list that holds a value twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        refuse(f"{name}: each value at most once, but {twice[0]!r} is there twice; remove one")


class Block(BaseModel):
    """What all blocks share: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
