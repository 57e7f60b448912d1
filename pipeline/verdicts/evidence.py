"""What the tests decided in advance claim: rows of above.csv, trend.csv and plan_test.csv, and the rules that read them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.claims import CONTROLS, Claim, Estimate, Rule
from pipeline.methods import PLAN_MARGIN
from pipeline.verdicts.decisions import (
    CONVENTIONS,
    Interval,
    PlanEvidence,
    finds_translations,
    grows_with_depth,
    is_a_plan,
)
from pipeline.verdicts.reading import Measured, number

POINTS = "points_at_translations"
RISES = {"all": "rises", "1-5": "rises_1_5", "7-12": "rises_7_12"}
"""Name of the claim by the range of layers."""
PLAN = "plan_beyond_similarity"
STATEMENTS = {
    POINTS: "In its best layer, the word that a word looks at most is its translation more often than the word at the "
    "same place in the sentence is.",
    "rises": "Attention points at more translations from layer to layer.",
    "rises_1_5": "Attention points at more translations from layer to layer, from 1 to 5.",
    "rises_7_12": "Attention points at more translations from layer to layer, from 7 to 12.",
    PLAN: "Attention becomes a transport plan, beyond what a similarity between words explains.",
}
MISSING = {
    POINTS: ("finds_translations", "no layer could be scored"),
    "rises": ("grows_with_depth", "a trend needs three layers or more"),
    PLAN: ("is_a_plan", "there are too few sentences to fit anything"),
}
"""Question of a claim that every translator should answer, and why none may."""
BESIDE = {
    "pointing": ("random_init", "weight_shuffled", "mispaired", "shuffled_lexicon"),
    "pointing_content": ("position",),
    "row_mass": ("position_matched", "uniform"),
}
"""What stands beside pointing over position at the same layer: other controls, content words only, mass on links."""
NAMES = {
    "position_matched": "a Gaussian on position that is as flat",
}
SCORES = {
    "pointing": "Attention points at translations more often than",
    "pointing_content": "Among content words, attention points at translations more often than",
    "row_mass": "Attention has more mass on translations than",
}
LINKS = {"dictionary": "dictionary links", "gold_sure": "sure hand-made links"}


def evidence_estimates(translators: Sequence[Measured]) -> Iterator[Estimate]:
    """Yield every row that the tests of pointing, depth and plan compare."""
    for t in translators:
        yield from _pointing(t)
    for t in translators:
        yield from _depth(t)
    for t in translators:
        yield from _plan(t)


def _ends(row: Mapping[str, str], value: str) -> dict[str, Any]:
    ends = {"difference": number(row[value]), "low": number(row["low"]), "high": number(row["high"])}
    return {**ends, "n_pairs": int(row["n_pairs"]), "p": number(row["p"])}


def _pointing(t: Measured) -> Iterator[Estimate]:
    """Yield pointing over position on dictionary and sure links at the layer of half A, then what stands beside."""
    rows = [row for row in t.tables["above"] if row["half"] == "second" and row["links"] in LINKS]
    for view in t.views:
        chosen = t.best_layer(view)
        own = [row for row in rows if row["view"] == view]
        deciding = [row for row in own if (row["score"], row["against"]) == ("pointing", "position")]
        beside = [
            row
            for row in own
            if row["against"].rstrip("_0123456789") in BESIDE.get(row["score"], ()) and int(row["layer"]) == chosen
        ]
        for row in sorted(deciding, key=lambda row: list(LINKS).index(row["links"])):
            yield _pointing_row(t, row, "decides" if int(row["layer"]) == chosen else "compared")
        for row in beside:
            yield _pointing_row(t, row, "beside")


def _pointing_row(t: Measured, row: Mapping[str, str], role: str) -> Estimate:
    against, links = row["against"], LINKS[row["links"]]
    name = NAMES.get(against) or CONTROLS.get(against) or against.replace("_", " ")
    return Estimate(
        id=f"{row['score']}_above_{against}_{row['links']}",
        claim=POINTS,
        question="finds_translations",
        statement=STATEMENTS[POINTS],
        comparison=f"{SCORES[row['score']]} {name}, on {links}.",
        translator=t.name,
        view=row["view"],
        layer=int(row["layer"]),
        control=against,
        where=f"layer {row['layer']} over {name}, {links}",
        **_ends(row, "difference"),
        unit="share of attention" if row["score"] == "row_mass" else "share of linked words",
        figure=f"pointing_{t.name}",
        role=role,
    )


def _depth(t: Measured) -> Iterator[Estimate]:
    """Yield the trend over each range of layers, the rank correlation first; hand-made links stand beside."""
    for row in t.tables["trend"]:
        if row["links"] not in LINKS:
            continue
        step, claim, layer = row["quantity"] == "step", RISES[row["range"]], int(row["layer"])
        what = (
            f"Layer {layer} points at more translations than layer {layer - 1}" if step else "Pointing rises with depth"
        )
        yield Estimate(
            id=f"{claim}_{row['links']}_{f'step_{layer}' if step else 'rank_correlation'}",
            claim=claim,
            question="grows_with_depth",
            statement=STATEMENTS[claim],
            comparison=f"{what}, on {LINKS[row['links']]}.",
            translator=t.name,
            view=row["view"],
            layer=layer,
            control=f"layer {layer - 1}" if step else "",
            where=f"layer {layer} over layer {layer - 1}" if step else f"layers {_range(t, row['range'])}",
            **_ends(row, "value"),
            unit="share of linked words" if step else "rank correlation",
            figure=f"pointing_{t.name}",
            role="decides" if row["links"] == "dictionary" else "beside",
        )


def _range(t: Measured, name: str) -> str:
    return f"1-{t.n_layers}" if name == "all" else name


class PlanCase(NamedTuple):
    """One comparison of plan and similarity: a view's layer, read by tokens, with position or without."""

    view: str
    layer: int
    tokens: str
    position: bool


def _plan(t: Measured) -> Iterator[Estimate]:
    """Yield the four comparisons of every layer: nats that the plan fits better, and how far it could be told apart."""
    rows: dict[PlanCase, dict[str, Mapping[str, str]]] = {}
    for row in t.tables["plan_test"]:
        if (row["split"], row["base"]) == ("trained", "words"):
            case = PlanCase(row["view"], int(row["layer"]), row["tokens"], row["position"] == "True")
            rows.setdefault(case, {})[row["quantity"]] = row
    for view in t.views:
        own = [case for case in rows if case.view == view]
        worst: dict[int, tuple[bool, float]] = {}
        for case in own:
            flat = (number(rows[case]["power"]["value"]) or 0.0) < PLAN_MARGIN
            worst[case.layer] = max(worst.get(case.layer, (False, -math.inf)), (flat, _loss(rows[case])))
        # The layer that is most like a plan in its worst comparison stands in front, with that comparison; one that
        # cannot be told from a similarity only where no other can.
        best = min(worst, key=lambda layer: worst[layer], default=0)
        for case in sorted(own, key=lambda case: (case.layer != best, case.layer, -_loss(rows[case]))):
            yield _plan_row(t, case, rows[case])


def _loss(row: Mapping[str, Mapping[str, str]]) -> float:
    """Return by how many nats the plan may fit worse: the upper end of the interval."""
    high = number(row["plan_minus_similarity"]["high"])
    return math.inf if high is None else high


def _plan_row(t: Measured, case: PlanCase, row: Mapping[str, Mapping[str, str]]) -> Estimate:
    ends = _ends(row["plan_minus_similarity"], "value")
    flipped = {"difference": ends["difference"], "low": ends["high"], "high": ends["low"]}
    how = f"{'sums' if case.tokens == 'sum' else 'means'} over tokens{', position beside' if case.position else ''}"
    return Estimate(
        id=f"plan_{case.layer}_{case.tokens}{'_position' if case.position else ''}",
        claim=PLAN,
        question="is_a_plan",
        statement=STATEMENTS[PLAN],
        comparison="A transport plan fits attention better than a similarity that is as free.",
        translator=t.name,
        view=case.view,
        layer=case.layer,
        control="similarity",
        where=f"layer {case.layer}, {how}",
        **ends | {name: None if value is None else -value for name, value in flipped.items()},
        unit="nats",
        power=number(row["power"]["value"]),
        bound=PLAN_MARGIN,
        figure=f"plan_test_{t.name}",
    )


def _interval(claim: Claim, sign: int = 1) -> Interval:
    """Return the interval of a row with its corrected p-value; one that is no number holds every bound."""
    low, high = (math.nan if end is None else sign * end for end in (claim.low, claim.high))
    ends = (low, high) if sign > 0 else (high, low)
    return Interval(*ends, claim.correction.corrected if claim.correction else 0.0)


def decide_pointing(rows: Sequence[Claim], alpha: float) -> tuple[str, str]:
    """Return the verdict on claim 1 from its rows on dictionary links and, where there are some, on sure links."""
    by_links = {row.id.removeprefix("pointing_above_position_"): row for row in rows}
    gold = by_links.get("gold_sure")
    verdict = finds_translations(
        _interval(by_links["dictionary"]), None if gold is None else _interval(gold), alpha=alpha
    )
    if gold is None:
        return verdict, "there are no hand-made links: a dictionary alone supports it partly at most"
    if verdict in ("partly", "undecided"):
        sides = [f"{row.verdict} on {LINKS[links]}" for links, row in by_links.items()]
        return verdict, ", ".join(sides)
    return verdict, ""


def decide_depth(rows: Sequence[Claim], alpha: float) -> tuple[str, str]:
    """Return the verdict on claim 2 from the rank correlation and every step; the falling ones are named."""
    (rho,), steps = [row for row in rows if not row.control], [row for row in rows if row.control]
    verdict, falling = grows_with_depth(_interval(rho), [_interval(step) for step in steps], alpha=alpha)
    named = ", ".join(f"from layer {steps[at].control.split()[-1]} to {steps[at].layer}" for at in falling)
    if verdict == "undecided":
        return verdict, "the rank correlation is not told from 0" + (f"; it falls {named}" if named else "")
    return verdict, f"it falls {named}" if named else ""


def decide_plan(rows: Sequence[Claim], alpha: float) -> tuple[str, str]:
    """Return the verdict on claim 3 for a view: that of its layers, of which those that could be told apart count.

    Supported where every layer that can be tested is a plan, partly where some are, untested where none can be.
    """
    by_layer: dict[int | None, dict[bool, dict[str, PlanEvidence]]] = {}
    for row in rows:
        tokens = next(name for name in CONVENTIONS if f"_{name}" in row.id)
        cases = by_layer.setdefault(row.layer, {False: {}, True: {}})
        power = math.nan if row.power is None else row.power
        cases[row.id.endswith("_position")][tokens] = PlanEvidence(_interval(row, -1), power)
    verdicts = {
        layer: is_a_plan(cases[False], cases[True], alpha=alpha) for layer, cases in sorted(by_layer.items(), key=str)
    }
    found = {
        word: sorted(layer or 0 for layer, own in verdicts.items() if own == word) for word in set(verdicts.values())
    }
    told = "; ".join(
        f"{word} in layer{'s' if len(at) > 1 else ''} {', '.join(map(str, at))}" for word, at in sorted(found.items())
    )
    supported, tested = len(found.get("supported", [])), len(verdicts) - len(found.get("untested", []))
    if not tested:
        return "untested", "plan and similarity cannot be told apart in any layer"
    if supported == tested:
        return "supported", told if "untested" in found else ""
    return ("partly" if supported else "not supported"), told


RULES: Mapping[str, Rule] = {
    POINTS: decide_pointing,
    **dict.fromkeys(RISES.values(), decide_depth),
    PLAN: decide_plan,
}
"""The claims that several rows decide together."""
