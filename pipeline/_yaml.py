"""Parameter files: read as DVC reads them, edited as text, so that what is not meant stays byte for byte.

A round trip through a YAML library keeps comments but writes `null` as nothing and indents lists its own way; here the
library says where a key stands, and only the lines of that key change.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import PipelineError


def read_yaml(path: Path, *, blocks: Iterable[str]) -> dict[str, Any]:
    """Return the mapping that a parameter file holds.

    Parameters
    ----------
    path : Path
    blocks : iterable of str
        What it should hold, for the message.

    Raises
    ------
    PipelineError
        If the file is missing, is not YAML in UTF-8 (with the line), or is no mapping.
    """
    # DVC reads YAML 1.2 with this same library: `1e-3` is a number, `no` a word, a key given twice an error.
    from ruamel.yaml import YAMLError

    try:
        raw = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = f"{path}: no such parameter file; run in the project's folder, or copy one from params/"
        raise PipelineError(message) from None
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        message = f"{where}: not valid YAML in UTF-8: {getattr(error, 'problem', None) or error}; correct it"
        raise PipelineError(message) from None
    if not isinstance(raw, dict):
        message = f"{path}: must hold the blocks {', '.join(blocks)}, but is {type(raw).__name__}; write them, or copy a file of params/ over it"
        raise PipelineError(message)
    return raw


def parse(text: str) -> Any:
    """Return what a YAML text holds."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


class Item(NamedTuple):
    """One entry of a mapping or list, by its places in the text: numbers of characters and lines from 0."""

    start: int
    """Where the key begins (in a list, the value)."""
    value_start: int
    end: int
    """Where the value ends; the comment behind it comes after."""
    line: int
    last_line: int
    column: int
    value: "Group | None"
    """The entries of the value, None for a single value."""


class Group(NamedTuple):
    """A mapping, or a list with its numbers as keys."""

    start: int
    end: int
    items: dict[str, Item]
    flow: bool
    """Whether it is written in braces or brackets."""
    is_list: bool


@lru_cache(maxsize=8)
def layout(text: str) -> Group:
    """Return where everything in a YAML text stands; the text is a mapping that `parse` can read."""
    from ruamel.yaml import YAML

    group = _group(YAML(typ="safe", pure=True).compose(text))
    assert group is not None
    return group


def _group(node: Any) -> Group | None:
    from ruamel.yaml import MappingNode, SequenceNode

    if isinstance(node, MappingNode):
        items = {str(key.value): _item(key, value) for key, value in node.value}
    elif isinstance(node, SequenceNode):
        items = {str(number): _item(value, value) for number, value in enumerate(node.value)}
    else:
        return None
    return Group(
        node.start_mark.index, node.end_mark.index, items, bool(node.flow_style), isinstance(node, SequenceNode)
    )


def _item(key: Any, value: Any) -> Item:
    inner = _group(value)
    # A block ends where the next one begins, comments in between included: its last entry knows better.
    last = [*inner.items.values()][-1] if inner and inner.items and not inner.flow else None
    end, last_line = (last.end, last.last_line) if last else (value.end_mark.index, value.end_mark.line)
    begin = key.start_mark
    return Item(begin.index, value.start_mark.index, end, begin.line, last_line, begin.column, inner)


def find(group: Group | None, keys: Sequence[str]) -> Item | None:
    """Return the entry at a path of keys, None where there is none."""
    item = None
    for key in keys:
        item = group.items.get(key) if group else None
        group = item.value if item else None
    return item


def block_at(text: str, keys: Sequence[str]) -> tuple[Item | None, Group]:
    """Return the entry whose value is the block at a path of keys (none for the whole file), and the block."""
    root = layout(text)
    owner = find(root, keys)
    group = owner.value if owner else root
    assert group is not None
    return owner, group


def remove_key(text: str, keys: Sequence[str]) -> str:
    """Return the text without one key and its comment; a block that held nothing else becomes `{}`."""
    owner, group = block_at(text, keys[:-1])
    item = group.items[keys[-1]]
    order = [*group.items]
    place = order.index(keys[-1])
    if group.flow:
        if place + 1 < len(order):
            return text[: item.start] + text[group.items[order[place + 1]].start :]
        start = group.items[order[place - 1]].end if place else item.start
        return text[:start] + text[item.end :]
    lines = text.splitlines(keepends=True)
    if len(order) == 1 and owner:
        head = lines[owner.line]
        colon = head.index(":", owner.column + len(keys[-2])) + 1
        lines[owner.line] = f"{head[:colon]} {{}}{head[colon:]}"
    return "".join(lines[: item.line] + lines[item.last_line + 1 :])


def insert_lines(text: str, keys: Sequence[str], new: Sequence[str], *, after: str | None) -> str:
    """Return the text with whole lines put into the block at a path of keys.

    Parameters
    ----------
    text : str
    keys : sequence of str
        Path of the block, empty for the whole file; it is not written in braces and not empty.
    new : sequence of str
        Lines without their ends, indented for a block at column 0.
    after : str or None
        The key behind which they go; None puts them before the first.
    """
    _, group = block_at(text, keys)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    column = next(iter(group.items.values())).column
    if after is None:
        place = _place_before(lines, group)
    else:
        ends = column > 0 and after == [*group.items][-1]
        place = _place_after(lines, group.items[after].last_line, column if ends else column + 1)
    if place and not lines[place - 1].endswith("\n"):
        lines[place - 1] += newline
    indented = [" " * column + line if line else "" for line in new]
    return "".join([*lines[:place], *(line + newline for line in indented), *lines[place:]])


def _place_before(lines: list[str], group: Group) -> int:
    """Return the line of the first key, or of the comment right above it if that is not the head of the file."""
    first = place = next(iter(group.items.values())).line
    while place and lines[place - 1].lstrip().startswith("#"):
        place -= 1
    return place if place and not lines[place - 1].strip() else first


def _place_after(lines: list[str], last: int, column: int) -> int:
    """Return the line behind an entry and the comments that follow it, if they start at a column or deeper."""
    place = last + 1
    while place < len(lines):
        bare = lines[place].lstrip()
        if not bare.startswith("#") or len(lines[place]) - len(bare) < column:
            break
        place += 1
    return place


def insert_inline(text: str, keys: Sequence[str], new: Mapping[str, Any]) -> str:
    """Return the text with more keys at the end of a mapping in braces; comments have no place there."""
    _, group = block_at(text, keys)
    added = ", ".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in new.items())
    end = max((item.end for item in group.items.values()), default=group.start + 1)
    return f"{text[:end]}{', ' if group.items else ''}{added}{text[end:]}"


def replace_value(text: str, keys: Sequence[str], value: Any) -> str:
    """Return the text with another value for one key; its comment stays in its column where there is room.

    Parameters
    ----------
    text : str
    keys : sequence of str
        Path of the key, in lists with numbers; what it holds stands on one line, or is a list a line each.
    value : str, int, float, bool, None or list of these
    """
    item = find(layout(text), keys)
    assert item is not None
    after = text[item.end :].partition("\n")[0]
    bare = after.lstrip()
    new = _inline(value)
    if bare.startswith("#"):
        column = item.end + len(after) - len(bare) - (text.rfind("\n", 0, item.value_start) + 1)
        width = item.value_start - (text.rfind("\n", 0, item.value_start) + 1) + len(new)
        new += " " * max(3 if width + 3 > column else column - width, 1)
        return text[: item.value_start] + new + text[item.end + len(after) - len(bare) :]
    return text[: item.value_start] + new + text[item.end :]


def _inline(value: Any) -> str:
    """Return a value as YAML on one line; text without quotes where it reads back as itself."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inline(one) for one in value)}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and parse(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


_PLAIN = re.compile(r"[\w./~][\w./~+-]*")
