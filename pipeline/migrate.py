"""Parameter files of older versions: which shapes they have, and how each becomes today's.

A change of the schema that files in use would trip over is one more `Step` in `STEPS`, and a file in
tests/pipeline/data_old_params/ that has the old shape.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline._yaml import find, insert_inline, insert_lines, layout, parse, read_yaml, remove_key
from pipeline.errors import PipelineError

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One change of shape.

    Attributes
    ----------
    was, now : str
        The old shape and the new, as a user reads them.
    is_old : callable
        Whether what a file holds has the old shape.
    renew : callable
        From what a file holds to what it should hold afterwards.
    rewrite : callable
        The same for its text; what it does not mean stays as it is, comments too.
    """

    was: str
    now: str
    is_old: Callable[[Raw], bool]
    renew: Callable[[Raw], Raw]
    rewrite: Callable[[str], str]


def _moved_to_top(block: str, key: str) -> Step:
    """Return the step that takes a key out of its block and puts it first in the file."""

    def is_old(raw: Raw) -> bool:
        return isinstance(raw.get(block), dict) and key in raw[block]

    def renew(raw: Raw) -> Raw:
        new = deepcopy(dict(raw))
        value = new[block].pop(key)
        if new.get(key, value) != value:
            message = (
                f"{key}: must be said once, but it is {new[key]!r} and {block}.{key} is {value!r}; remove {block}.{key}"
            )
            raise PipelineError(message)
        return new | {key: value}

    def rewrite(text: str) -> str:
        root = layout(text)
        owner, item = find(root, (block,)), find(root, (block, key))
        if owner is None or owner.value is None or item is None:
            return text
        rest = remove_key(text, (block, key))
        if key in root.items:
            return rest
        if root.flow:
            return insert_inline(rest, (), {key: parse(text)[block][key]})
        line = f"{key}: {text[item.value_start : item.end]}"
        behind = text[item.end :].partition("\n")[0].rstrip()
        if behind and not owner.value.flow:
            line += " " * item.column + behind  # the comment keeps its column
        return insert_lines(rest, (), [line, ""], after=None)

    return Step(f"{block}.{key}", f"the top-level key {key}", is_old, renew, rewrite)


_DEMO_TEXT, _DEMO_PAIR = "data/demo/pairs.tsv", "en-fr"


def _gold_as_list() -> Step:
    """Return the step from one set of hand-made links to a list of them, each with a name and its own languages."""

    def is_old(raw: Raw) -> bool:
        return isinstance(raw.get("gold"), dict)

    def added(raw: Raw) -> dict[str, str]:
        corpus = raw.get("corpus")
        pair = corpus.get("pair", _DEMO_PAIR) if isinstance(corpus, dict) else _DEMO_PAIR
        return {"name": "demo" if raw["gold"].get("text", _DEMO_TEXT) == _DEMO_TEXT else "gold", "pair": pair}

    def renew(raw: Raw) -> Raw:
        return {key: [added(raw) | value] if key == "gold" else value for key, value in raw.items()}

    def rewrite(text: str) -> str:
        item = find(layout(text), ("gold",))
        if item is None or item.value is None or item.value.start < item.start:  # an alias stands elsewhere
            return text
        new, group = added(parse(text)), item.value
        if group.flow and text[group.start] != "{":  # an anchor stands before
            return text
        if group.flow:
            inner = text[group.start + 1 : group.end]
            head = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in new.items())
            return f"{text[: group.start]}[{{{head}{', ' if group.items else ''}{inner}]{text[group.end :]}"
        lines = text.splitlines(keepends=True)
        indent = " " * next(iter(group.items.values())).column
        newline = "\r\n" if "\r\n" in text else "\n"
        first = [f"{indent}- name: {new['name']}{newline}", f"{indent}  pair: {new['pair']}{newline}"]
        rest = [f"  {line}" if line.strip() else line for line in lines[item.line + 1 : item.last_line + 1]]
        return "".join([*lines[: item.line + 1], *first, *rest, *lines[item.last_line + 1 :]])

    return Step("gold (one set)", "a list of sets with a name and a pair each", is_old, renew, rewrite)


STEPS: tuple[Step, ...] = (_moved_to_top("align", "convention"), _gold_as_list())


def outdated(raw: Raw) -> list[Step]:
    """Return the steps that a file of an older version still needs, in order; none for a file of today."""
    return [step for step in STEPS if step.is_old(raw)]


def refuse_outdated(path: Path, raw: Raw) -> None:
    """Raise if a file has a shape of an older version.

    Raises
    ------
    PipelineError
        One line: what has changed, and the command that renews the file.
    """
    steps = outdated(raw)
    if steps:
        changes = ", ".join(f"{step.was} is now {step.now}" for step in steps)
        command = f"python -m pipeline migrate {shlex.quote(str(path))}"
        message = f"{path}: written for an older version ({changes}); run `{command}`"
        raise PipelineError(message)


def migrate(path: Path) -> list[Step]:
    """Rewrite a parameter file in today's shape and return the steps taken; a file of today is not touched.

    Parameters
    ----------
    path : Path
        A YAML file; its comments and everything that no step means stay byte for byte.

    Raises
    ------
    PipelineError
        If the file cannot be read, says one thing twice in different ways, or is written in a way (anchors, say)
        that a step cannot follow; the file is then as it was.
    """
    raw: Raw = read_yaml(path, blocks=["of params.yaml"])
    text = path.read_bytes().decode("utf-8")
    steps = outdated(raw)
    for step in steps:
        raw, text = step.renew(raw), step.rewrite(text)
        if json.dumps(parse(text), sort_keys=True, default=str) != json.dumps(raw, sort_keys=True, default=str):
            message = (
                f"{path}: {step.was} must stand as a key of its own to become {step.now}, but it is written in another "
                "way (an anchor or a merged key, say); change it by hand"
            )
            raise PipelineError(message)
    if steps:
        path.write_bytes(text.encode("utf-8"))
    return steps
