"""What is claimed of translators: which rows of paired.csv answer which question, as data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.claims import CONTROLS, Claim, Estimate, untested
from pipeline.verdicts.reading import Measured, Paired, number

HEADLINE = "headline"
"""Stands for the score that a translator's convention calls correspondence."""
UNITS = {
    "mass": "attention on links",
    "mean_mass": "share of attention",
    "cosine": "cosine",
    "excess": "cosine",
    "match": "share of linked words",
    "plan_correlation": "correlation",
    "aer": "alignment error rate",
}
FIGURES = {
    HEADLINE: {"cross": "figure5", "joint": "figure6", "prompt": "figure5"},
    "match": dict.fromkeys(("cross", "joint", "prompt"), "figure7"),
    "plan_correlation": dict.fromkeys(("cross", "joint", "prompt"), "figure9"),
}
"""Figure by score and by how a translator reads."""


@dataclass(frozen=True)
class Comparison:
    """Rows of paired.csv that belong to a claim: those of one score, at one layer, against some controls.

    Attributes
    ----------
    id, text : str
        Name and statement of each row, with {control}.
    score : str
        As in paired.csv, or `HEADLINE`.
    against : tuple of str
        Controls.
    layer : {"last", "best"}
        The last layer, on all sentences; or the one chosen on the first half of them, on the second half.
    role : {"decides", "beside"}
        As in `Estimate`.
    """

    id: str
    text: str
    score: str
    against: tuple[str, ...]
    layer: Literal["last", "best"] = "best"
    role: Literal["decides", "beside"] = "decides"


@dataclass(frozen=True)
class Asked:
    """A claim about translators.

    Attributes
    ----------
    claim, question, statement : str
        As in `Estimate`.
    comparisons : tuple of Comparison
        Its rows.
    missing : str
        Why there may be none.
    """

    claim: str
    question: str
    statement: str
    comparisons: tuple[Comparison, ...]
    missing: str = "no control was run"


ASKED = (
    Asked(
        "above_controls",
        "finds_translations",
        "In its best layer it is above every control: random weights, uniform, word position, mispaired sentences.",
        (
            Comparison(
                "attention_above_{control}",
                "Attention on translations is above the control {name}.",
                HEADLINE,
                ("random_init", "uniform", "position", "mispaired"),
            ),
        ),
    ),
    Asked(
        "grows_with_depth",
        "grows_with_depth",
        "Attention on translations is larger in the last layer than in the first.",
        (
            Comparison(
                "last_layer_above_first",
                "The last layer has more attention on translations than the first.",
                HEADLINE,
                ("first_layer",),
                "last",
            ),
            Comparison(
                "best_layer_above_first",
                "The best layer has more attention on translations than the first.",
                HEADLINE,
                ("first_layer",),
                role="beside",
            ),
        ),
        "a translator of one layer has no first and last",
    ),
    Asked(
        "attention_is_plan",
        "is_a_plan",
        "Attention correlates with the transport plan more than word position and random weights do.",
        (
            Comparison(
                "plan_correlation_above_{control}",
                "Attention correlates with the transport plan more than {name} does.",
                "plan_correlation",
                ("position", "random_init"),
            ),
        ),
    ),
    Asked(
        "embeddings_match",
        "embeddings_match",
        "Transport between word embeddings finds more translations than word order alone, or random weights.",
        (
            Comparison(
                "match_above_{control}",
                "Transport between word embeddings matches more linked words than {name}.",
                "match",
                ("position", "random_init", "chance"),
            ),
        ),
    ),
)
GOLD = {"attention": "finds_translations", "embedding": "embeddings_match"}
"""Which question links from attention and from word vectors answer."""
GOLD_CLAIM = "below_position_error"
GOLD_STATEMENT = "Against hand-made links, attention and word vectors err less than pairing words by position."
NO_GOLD = "the parameters name no hand-made links (gold: null)"


def translator_estimates(translators: Sequence[Measured]) -> list[Estimate]:
    """Return every row that a claim about translators compares: all layers, views and translators."""
    rows = [row for asked in ASKED for t in translators for row in _rows(t, asked)]
    return [*rows, *(row for t in translators for row in _gold(t))]


def unmeasured(estimates: Sequence[Estimate]) -> list[Claim]:
    """Return the claims about translators that no row answers, as untested."""
    there = {(row.question, row.claim) for row in estimates if row.role != "compared"}
    known = [(asked.question, asked.claim, asked.statement, asked.missing) for asked in ASKED]
    known += [(question, GOLD_CLAIM, GOLD_STATEMENT, NO_GOLD) for question in GOLD.values()]
    return [
        untested(question, claim, statement, why=why)
        for question, claim, statement, why in known
        if (question, claim) not in there
    ]


def _rows(t: Measured, asked: Asked) -> Iterator[Estimate]:
    for compared in asked.comparisons:
        score = t.score if compared.score == HEADLINE else compared.score
        half = "all" if compared.layer == "last" else "second"
        for view in [t.best_states] if score == "match" else t.views:
            chosen = t.n_layers if compared.layer == "last" else t.best_layer(score, view)
            for row in t.paired:
                if (row.half, row.view, row.score) == (half, view, score) and row.against in compared.against:
                    estimate = _estimate(t, asked, compared, row)
                    yield estimate if row.layer == chosen else replace(estimate, role="compared")


def _estimate(t: Measured, asked: Asked, compared: Comparison, row: Paired) -> Estimate:
    name = CONTROLS.get(row.against, "layer 1")
    return Estimate(
        id=compared.id.format(control=row.against),
        claim=asked.claim,
        question=asked.question,
        statement=asked.statement,
        comparison=compared.text.format(name=name),
        translator=t.name,
        view=row.view,
        layer=row.layer,
        control=row.against,
        where=f"layer {row.layer} over {name}",
        difference=row.difference,
        low=row.low,
        high=row.high,
        unit=UNITS[row.score],
        n_pairs=row.n_pairs,
        p=row.p,
        figure=f"{FIGURES[compared.score][t.summary['reads']]}_{t.name}",
        role=compared.role,
    )


def _gold(t: Measured) -> Iterator[Estimate]:
    """Yield how much lower the alignment error is than that of the position baseline, for attention and embeddings.

    The setting is chosen on one half of the hand-aligned sentences; the difference is that of the other half.
    """
    for source, question in GOLD.items() if t.summary.get("gold") is not None else ():
        best = t.summary["best"]["aer"][source]
        gain = best["below_position"]
        yield Estimate(
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
            unit=UNITS["aer"],
            n_pairs=best["n_pairs"],
        )
