"""What is claimed of translators: the tests decided in advance, word vectors matched by transport, and hand-made links."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.claims import CONTROLS, Claim, Estimate, untested
from pipeline.verdicts.evidence import MISSING, STATEMENTS, evidence_estimates
from pipeline.verdicts.reading import Measured, Paired, number

MATCH = "embeddings_match"
MATCH_STATEMENT = "Transport between word embeddings finds more translations than word order alone, or random weights."
MATCH_CONTROLS = ("position", "random_init", "chance")
GOLD = {"attention": "finds_translations", "embedding": "embeddings_match"}
"""Which question links from attention and from word vectors answer."""
GOLD_CLAIM = "below_position_error"
GOLD_STATEMENT = "Against hand-made links, attention and word vectors err less than pairing words by position."
NO_GOLD = "the parameters name no hand-made links (gold: [])"


def translator_estimates(translators: Sequence[Measured]) -> list[Estimate]:
    """Return every row that a claim about translators compares: all layers, views and translators."""
    matches = (row for t in translators for row in _matches(t))
    errors = (row for t in translators for row in _gold(t))
    return [*evidence_estimates(translators), *matches, *errors]


def unmeasured(estimates: Sequence[Estimate]) -> list[Claim]:
    """Return the claims about translators that no row answers, as untested."""
    there = {(row.question, row.claim) for row in estimates if row.role != "compared"}
    asked = [*_asked(), *((question, GOLD_CLAIM, GOLD_STATEMENT, NO_GOLD) for question in GOLD.values())]
    return [
        untested(question, claim, statement, why=why)
        for question, claim, statement, why in asked
        if (question, claim) not in there
    ]


def unread(name: str, why: str) -> list[Claim]:
    """Return the claims about one translator of which nothing could be measured, as untested."""
    return [
        replace(untested(question, claim, statement, why=why), translator=name)
        for question, claim, statement, _ in _asked()
    ]


def _asked() -> list[tuple[str, str, str, str]]:
    """Return question, claim, statement, and why no row may answer it, of what every translator is asked."""
    known = [(question, claim, STATEMENTS[claim], why) for claim, (question, why) in MISSING.items()]
    return [*known, (MATCH, MATCH, MATCH_STATEMENT, "no control was run")]


def _matches(t: Measured) -> Iterator[Estimate]:
    """Yield the match rate over its controls, on the half of the sentences on which states and level were not chosen."""
    chosen = t.summary["best"]["match"][0]
    for row in t.paired:
        if (row.half, row.score, row.view) == ("second", "match", chosen["states"]) and row.against in MATCH_CONTROLS:
            estimate = _match(t, row)
            yield estimate if row.layer == chosen["layer"] else replace(estimate, role="compared")


def _match(t: Measured, row: Paired) -> Estimate:
    name = CONTROLS[row.against]
    return Estimate(
        id=f"match_above_{row.against}",
        claim=MATCH,
        question="embeddings_match",
        statement=MATCH_STATEMENT,
        comparison=f"Transport between word embeddings matches more linked words than {name}.",
        translator=t.name,
        view=row.view,
        layer=row.layer,
        control=row.against,
        where=f"layer {row.layer} over {name}",
        difference=row.difference,
        low=row.low,
        high=row.high,
        unit="share of linked words",
        n_pairs=row.n_pairs,
        p=row.p,
        figure=f"figure7_{t.name}",
    )


def _gold(t: Measured) -> Iterator[Estimate]:
    """Yield how much lower the alignment error is than that of the position baseline, for attention and embeddings.

    The setting is chosen on one half of the hand-aligned sentences; the difference is that of the other half. The
    first set decides, those of further sets stand beside.
    """
    if t.summary.get("gold") is None:
        return
    for source, question in GOLD.items():
        first = _of_set(t, source, question, t.summary["best"]["aer"][source])
        yield first
        for gold in t.summary.get("more_gold", ()):
            other = _of_set(t, source, question, gold["best"][source])
            yield replace(
                other,
                id=f"{other.id}_{gold['set']}",
                comparison=f"{other.comparison.removesuffix('.')}, on the set {gold['set']}.",
                where=f"{gold['set']}: {other.where}",
                role="beside",
            )


def _of_set(t: Measured, source: str, question: str, best: Mapping[str, Any]) -> Estimate:
    gain = best["below_position"]
    return Estimate(
        id=f"aer_{source}_below_position",
        claim=GOLD_CLAIM,
        question=question,
        statement=GOLD_STATEMENT,
        comparison=f"Links from {source} have a lower alignment error rate than those from position.",
        translator=t.name,
        view=best["view"] or "",
        layer=best["layer"],
        control="position",
        where=f"{source}, layer {best['layer']}, {best['method'].replace('_', ' ')}",
        difference=number(gain["value"]),
        low=number(gain["low"]),
        high=number(gain["high"]),
        unit="alignment error rate",
        n_pairs=best["n_pairs"],
    )
