"""What the comparison of two runs says, as tables of text."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.claims import QUESTIONS
from pipeline.compare.differences import Compared, Value, pointing, scores
from pipeline.compare.sides import Side

NONE = "-"
"""Stands where a run has no such number."""


class Shown(NamedTuple):
    """A table: heading, columns, rows of text, and what is to be said under it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def compare(a: Side, b: Side) -> Iterator[Shown]:
    """Yield the tables of two runs: translators, verdicts, parameters, then the numbers of every common translator."""
    both = [name for name in a.translators if name in b.translators]
    yield _translators(a, b)
    yield verdicts(a, b)
    yield parameters(a, b)
    for name in both:
        yield _headline(a, b, name)
        yield _by_layer(f"{name}: share of linked words that attention points at", pointing(a, b, name), "links")
        yield _by_layer(f"{name}: mean mass on a dictionary link", scores(a, b, name))


def _translators(a: Side, b: Side) -> Shown:
    names = sorted({*a.translators, *b.translators})
    rows = [(name, *("yes" if name in side.translators else NONE for side in (a, b))) for name in names]
    note = f"A: {a.name}; B: {b.name}"
    if not {*a.translators} & {*b.translators}:
        note += "; no translator is in both, so no number is compared"
    return Shown("Translators", ("translator", "A", "B"), rows, note)


def verdicts(a: Side, b: Side) -> Shown:
    """Return the verdicts that differ, with their numbers, of translators and questions that both runs have."""
    one, other = ({_key(claim): claim for claim in side.claims} for side in (a, b))
    asked = {key[0] for key in one} & {key[0] for key in other}
    read = {*a.translators} & {*b.translators} | {""}
    keys = [key for key in dict.fromkeys([*one, *other]) if key[0] in asked and key[2] in read]
    changed = [key for key in keys if _verdict(one.get(key)) != _verdict(other.get(key))]
    rows = [(*key, _told(one.get(key)), _told(other.get(key))) for key in changed]
    notes = [
        f"{len(keys) - len(rows)} of {len(keys)} verdicts are the same" if keys else "no question is asked in both"
    ]
    for name, has, lacks in (("A", one, other), ("B", other, one)):
        alone = {key[0] for key in has} - {key[0] for key in lacks}
        if alone:
            notes.append(f"only {name} asks {', '.join(q for q in QUESTIONS if q in alone)}")
    return Shown("Verdicts that changed", ("question", "claim", "translator", "view", "A", "B"), rows, "; ".join(notes))


def _key(claim: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return claim["question"], claim["claim"], claim["translator"], claim["view"]


def _verdict(claim: Mapping[str, Any] | None) -> str:
    return NONE if claim is None else claim["verdict"]


def _told(claim: Mapping[str, Any] | None) -> str:
    """Return a verdict with the number that it rests on."""
    if claim is None:
        return NONE
    limit, verdict = claim["limit"], claim["verdict"]
    if limit:
        return f"{verdict}: {limit['value']} ({limit['rule'].split()[1]} {limit['threshold']})"
    ends = (claim["difference"], claim["low"], claim["high"])
    number = _number(Value(*(math.nan if end is None else end for end in ends)))
    at = "" if claim["layer"] is None else f", layer {claim['layer']}"
    return verdict if claim["difference"] is None else f"{verdict}: {number} {claim['unit']}{at}"


def parameters(a: Side, b: Side) -> Shown:
    """Return the keys of params.yaml whose values differ; a key that a run lacks is `-`."""
    if missing := [name for name, side in (("A", a), ("B", b)) if not side.params]:
        note = f"not compared: no params.yaml beside {' and '.join(missing)}"
        return Shown("Parameters that differ", ("key", "A", "B"), (), note)
    one, other = dict(_leaves(a.params)), dict(_leaves(b.params))
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key, NONE) != other.get(key, NONE)]
    rows = [(key, one.get(key, NONE), other.get(key, NONE)) for key in keys]
    same = sum(key in other and one[key] == other[key] for key in one)
    return Shown("Parameters that differ", ("key", "A", "B"), rows, f"{same} are the same")


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "null" if inner is None else str(inner)


def _headline(a: Side, b: Side, name: str) -> Shown:
    one, other = (dict(_numbers(side.headline(name))) for side in (a, b))
    rows = []
    for key in dict.fromkeys([*one, *other]):
        values = [side.get(key) for side in (one, other)]
        layers = [side.get(f"{key} layer") for side in (one, other)]
        if key.endswith(" layer"):
            continue
        told = [NONE if v is None else f"{v:g}" + ("" if at is None else f", layer {at:g}")
                for v, at in zip(values, layers, strict=True)]  # fmt: skip
        left, right = values
        rows.append((key, *told, NONE if left is None or right is None else f"{right - left:+.4g}"))
    return Shown(f"{name}: headline numbers", ("number", "A", "B", "B - A"), rows)


def _numbers(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield headline numbers by name, and the layer of one that has a layer as `NAME layer`."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _numbers(inner, f"{prefix}{key}.")
        elif isinstance(inner, (int, float)):
            name = f"{prefix}{key}".removesuffix(".value")
            yield (f"{prefix.removesuffix('.')} layer" if key == "layer" else name), float(inner)


def _by_layer(title: str, compared: Compared, *before: str) -> Shown:
    rows = [(*place, *map(_number, row)) for place, row in compared.rows.items()]
    return Shown(title, (*before, "view", "layer", "A", "B", "B - A"), rows, compared.how)


def _number(value: Value | None) -> str:
    if value is None:
        return NONE
    if math.isnan(value.low) or math.isnan(value.high):
        return f"{value.value:.4f}"
    return f"{value.value:.4f} [{value.low:.4f}, {value.high:.4f}]"
