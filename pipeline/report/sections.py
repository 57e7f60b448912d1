"""Sections 1 to 3: what stands in each figure's caption, and the tables under it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from pipeline.conventions import label_of, view_of
from pipeline.report import figures
from pipeline.report.heatmaps import example_figure
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.style import Drawing
from pipeline.report.tables import (
    Table,
    correspondence_table,
    curves_tables,
    mass_tables,
    matches_tables,
    plan_tables,
    states_of,
)
from pipeline.report.wording import CONTROL_NOTES, CONTROLS, SCORES, count, listed, reason


@dataclass(frozen=True)
class Block:
    """A figure as it stands on the page.

    Attributes
    ----------
    title : str
        Such as `Figure 5 · mini-marian`.
    drawing : Drawing
        The figure.
    caption : list of str
        What it shows; how to read it; n, interval and floors.
    data : str
        CSV of what is drawn.
    files : str
        The metrics that it was drawn from.
    table : Table or None
        The small table under it.
    more : list of (str, list of Table)
        Behind a click.
    verdicts : list of str
        What was claimed and measured, one sentence each.
    """

    title: str
    drawing: Drawing
    caption: list[str]
    data: str
    files: str
    table: Table | None = None
    more: list[tuple[str, list[Table]]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)


def csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV with six decimals."""
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def correspondence_block(t: TranslatorMetrics) -> Block:
    """Return Figure 5 or 6 of a translator."""
    drawing, data, _ = figures.correspondence(t)
    number = 6 if t.spec.reads == "joint" else 5
    views = listed([f"{view_of(view).label} ({view_of(view).what})" for view in t.views])
    caption = [
        f"Attention of {t.name} on dictionary translations, layer by layer, seen in two ways: {views}.",
        f"A point is the mean over sentences of the {SCORES[t.score].what}; a translator that aligns words rises above the grey lines.",
        f"{_counts(t, t.summary['n_pairs'])} {_floors(t.curves)}",
    ]
    if figures.published_values(t, f"figure{number}"):
        caption.append(f"Open circles: {figures.PUBLISHED['source']}")
    more = [
        ("Every layer, view and score", curves_tables(t)),
        ("Attention on the other side, and on special tokens", mass_tables(t)),
    ]
    files = f"reports/metrics/translators/{t.name}/curves.csv"
    return Block(f"Figure {number} · {t.name}", drawing, caption, csv(data), files, correspondence_table(t), more)


def matches_block(t: TranslatorMetrics) -> Block:
    """Return Figure 7 of a translator."""
    drawing, data, _ = figures.embedding_matches(t)
    caption = [
        f"Share of linked words that optimal transport between the word vectors of {t.name} pairs with their translation, layer by layer.",
        "A point is the mean over sentences; words are matched one to one by the exact plan over squared distances (eq. 1) among the "
        "linked words.",
        f"{_counts(t, t.summary['n_transport_pairs'])} {_floors(t.matches, position='the same words paired by their order alone')}",
    ]
    if figures.published_values(t, "figure7"):
        caption.append(f"Open circles: {figures.PUBLISHED['source']}")
    extraction = t.summary["signature"].get("extraction", {})
    if "cost" in extraction:
        caption.append(f"Costs: {extraction['cost']}.")
    caption += [
        f"Vectors {label_of(kind)}: {extraction[f'states_{kind}']}."
        for kind in states_of(t)
        if f"states_{kind}" in extraction
    ]
    tables = matches_tables(t)
    return Block(
        f"Figure 7 · {t.name}",
        drawing,
        caption,
        csv(data),
        f"reports/metrics/translators/{t.name}/matches.csv",
        tables[0],
        [("Word vectors taken elsewhere", tables[1:])],
    )


def plan_block(t: TranslatorMetrics) -> Block:
    """Return Figure 9 of a translator."""
    drawing, data, _ = figures.plan_correlation(t)
    reads = t.example["cost_level"]["1"] == 0
    states = "reads" if reads else "has written"
    caption = [
        f"Correlation of the attention of {t.name} with the transport plan of the word vectors, layer by layer.",
        "A point is Pearson’s correlation over all word pairs of all sentences; 1 would mean that attention is the plan. "
        f"Layer l stands beside the exact plan of the states that it {states} at the view’s own step (level {'l − 1' if reads else 'l'}; level 0 enters layer 1), "
        "scaled so that every word that looks has mass 1.",
        f"{_counts(t, t.summary['n_transport_pairs'])} "
        f"{_floors(t.plan_correlation, position='a Gaussian on the same relative position; knows only the order of words')}",
    ]
    files = f"reports/metrics/translators/{t.name}/plan_correlation.csv"
    tables = plan_tables(t)
    return Block(
        f"Figure 9 · {t.name}", drawing, caption, csv(data), files, tables[0], [("The other view", tables[1:])]
    )


def example_block(t: TranslatorMetrics) -> Block:
    """Return Figure 1 of a translator."""
    drawing, data, _ = example_figure(t)
    view = view_of(t.views[0])
    caption = [
        f"Attention of {t.name} ({view.label}: {view.what}) between the words of one sentence pair, and the transport plan beside it.",
        "A row is a target word, a column a source word; rings mark dictionary links. All panels share one colour scale, "
        "stretched at its lower end (square root), and a word that looks has at most mass 1.",
        f"Pair {t.example['pair_id']} of the corpus, chosen by report.pair in the parameters; one pair shows nothing by itself.",
    ]
    return Block(f"Figure 1 · {t.name}", drawing, caption, csv(data), f"data/explorer/{t.name}/example.json")


def _counts(t: TranslatorMetrics, n: int) -> str:
    dropped = ", ".join(f"{count(number)} {reason(name)}" for name, number in t.dropped.items() if number)
    return f"n = {count(n)} sentences ({f'dropped: {dropped}' if dropped else 'none dropped'}); bands and brackets: {t.interval}."


def _floors(frame: pd.DataFrame, **instead: str) -> str:
    there = set(frame["control"])
    notes = {**CONTROL_NOTES, **instead}
    return " ".join(f"{CONTROLS[name].capitalize()}: {note}." for name, note in notes.items() if name in there)


def blocks_of(translators: Sequence[TranslatorMetrics]) -> dict[str, list[Block]]:
    """Return the figures of the sections 1, 2 and 3 by the name of the section."""
    return {
        "alignment": [correspondence_block(t) for t in translators],
        "embeddings": [matches_block(t) for t in translators],
        "plan": [make(t) for t in translators for make in (example_block, plan_block)],
    }
