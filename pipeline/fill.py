"""A short parameter file made whole: the keys that it leaves out, as params/demo.yaml writes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from pipeline._yaml import Group, block_at, find, insert_inline, insert_lines, layout, parse
from pipeline.errors import PipelineError
from pipeline.params import Params, load_params

TEMPLATE = Path(__file__).resolve().parents[1] / "params" / "demo.yaml"
"""Every key with its default and its comment (a test compares it with the schema)."""


class Gap(NamedTuple):
    """A key that a file leaves out."""

    block: tuple[str, ...]
    """Path of the block that lacks it."""
    key: str
    source: tuple[str, ...]
    """Path of the key in the template."""
    after: str | None
    """The key of the file behind which it belongs, None for the first place."""

    @property
    def name(self) -> str:
        """Return the key as messages write it."""
        return ".".join((*self.block, self.key))


def gaps(text: str, template: str) -> list[Gap]:
    """Return the keys of a template that a text leaves out, in the template's order; of a missing block, the block.

    Lists, and the mapping `translators`, hold as many entries as the user likes: those of a list, and the first
    translator, are held against the first entry of the template.
    """
    return list(_gaps(layout(text), layout(template)))


def _gaps(group: Group, template: Group, block: tuple[str, ...] = (), source: tuple[str, ...] = ()) -> Iterator[Gap]:
    if not template.items:  # an empty list shows no entry to hold others against
        return
    if template.is_list or source == ("translators",):
        if not template.items:  # an empty list shows no key
            return
        name, first = next(iter(template.items.items()))
        # Of the translators the first shows every key, the others only those that they set.
        for number, own in list(group.items.items())[: None if template.is_list else 1]:
            if own.value and first.value:
                yield from _gaps(own.value, first.value, (*block, number), (*source, name))
        return
    after = None
    for key, entry in template.items.items():
        mine = group.items.get(key)
        if mine is None:
            yield Gap(block, key, (*source, key), after)
            continue
        after = key
        if mine.value and entry.value and mine.value.is_list == entry.value.is_list:
            yield from _gaps(mine.value, entry.value, (*block, key), (*source, key))


def filled(text: str, template: str) -> str:
    """Return a text with every key of a template; what is there stays byte for byte.

    Parameters
    ----------
    text, template : str
        YAML mappings; the template is written without braces.
    """
    source = layout(template)
    lines = template.splitlines()
    while missing := gaps(text, template):
        gap = missing[0]
        entry = find(source, gap.source)
        assert entry is not None
        _, group = block_at(text, gap.block)
        if group.flow:
            value = parse(template)
            for key in gap.source:
                value = value[int(key)] if isinstance(value, list) else value[key]
            text = insert_inline(text, gap.block, {gap.key: value})
            continue
        new = [line[entry.column :] for line in lines[entry.line : entry.last_line + 1]]
        if not gap.block:
            new = [*new, ""] if gap.after is None else ["", *new]
        text = insert_lines(text, gap.block, new, after=gap.after)
    return text


def left_out(path: Path) -> list[str]:
    """Return the keys and blocks that a parameter file leaves out, as `block.key`."""
    text = path.read_bytes().decode("utf-8")
    return [gap.name for gap in gaps(text, TEMPLATE.read_text(encoding="utf-8"))]


def _says(text: str, params: Params) -> bool:
    try:
        return Params.model_validate(parse(text)) == params
    except ValidationError:
        return False


def fill(path: Path) -> list[str]:
    """Complete a parameter file in place and return the keys added; a complete file is not touched.

    Parameters
    ----------
    path : Path
        What it holds must be right (`load_params`), so that a misspelt key is not filled beside the right one.

    Raises
    ------
    PipelineError
        If what the file holds breaks a rule, or it is written in a way (merged keys, say) that cannot be
        completed; the file is then as it was.
    """
    before = load_params(path, check_paths=False, complete=False)
    names = left_out(path)
    if not names:
        return []
    whole = filled(path.read_bytes().decode("utf-8"), TEMPLATE.read_text(encoding="utf-8"))
    if not _says(whole, before):
        message = (
            f"{path}: every key must stand on its own to be completed, but {', '.join(names)} would change what the "
            "file says (an anchor or a merged key?); add them by hand from params/demo.yaml"
        )
        raise PipelineError(message)
    path.write_bytes(whole.encode("utf-8"))
    return names
