"""Is attention a plan, rather than similarity? Figures 1 and 9."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.columns import FIGURE1_ID
from pipeline.conventions import view_of
from pipeline.report.curves import Curves, all_layers, rests_on, short, with_columns
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Block, Picture, Section, Table, caption, csv, text
from pipeline.report.plots import Maps
from pipeline.report.sections.plan_test import fit_block, plan_block
from pipeline.report.style import draw
from pipeline.report.wording import count, number

TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def section(translators: Sequence[TranslatorMetrics]) -> Section:
    """Return the section: the test, what fits, one pair to look at, the correlation; by translator."""
    makers = (plan_block, fit_block, example_block, block)
    blocks: list[Block | Table] = [part for t in translators for make in makers if (part := make(t)) is not None]
    return Section("is_a_plan", lead=[text("plan", "lead")], parts=blocks)


def block(t: TranslatorMetrics) -> Block:
    """Return Figure 9 of a translator."""
    reads = t.example["cost_level"]["1"] == 0
    words = caption("plan", name=t.name, states="reads" if reads else "has written", level="l − 1" if reads else "l")
    floors = {"position": text("plan", "position")}
    words.append(rests_on(t, t.summary["n_transport_pairs"], t.plan_correlation, **floors))
    best = t.summary["best"]["plan_correlation"]
    tables = all_tables(t)
    first = next(row["layer"] for row in best if row["view"] == t.views[0])
    return Block(
        f"Figure 9 · {t.name}",
        picture(t),
        words,
        f"reports/metrics/translators/{t.name}/plan_correlation.csv",
        short(tables[0], first - 1),
        [("Every layer, both views", tables)],
    )


def picture(t: TranslatorMetrics) -> Picture:
    """Return the correlation of attention with the transport plan by layer."""
    rows = t.plan_correlation
    titles = {view: view_of(view).label for view in t.views}
    curves = Curves(
        {title: rows[rows["view"] == view] for view, title in titles.items()},
        "correlation of attention with the plan (Pearson, all word pairs)",
    )
    what = {title: f"{t.name}, {title}: correlation with the plan" for title in titles.values()}
    return curves.picture(f"figure9_{t.name}", what, rows)


def all_tables(t: TranslatorMetrics) -> list[Table]:
    """Return every layer's correlation with the plan, a table a view."""
    tables = []
    dropped = count(sum(t.dropped.values()))
    for view in t.views:
        frame = t.plan_correlation[t.plan_correlation["view"] == view]
        table = all_layers(frame, f"Correlation with the plan, {view_of(view).label}.")
        tables.append(with_columns(table, dropped=[dropped] * len(table.rows)))
    return tables


def example_block(t: TranslatorMetrics) -> Block:
    """Return Figure 1 of a translator."""
    view = view_of(t.views[0])
    words = caption("example", name=t.name, view=view.label, what=view.what)
    of_paper = t.example["pair_id"] == FIGURE1_ID
    words.append(text("example", "of_paper") if of_paper else text("example", "of_corpus", pair=t.example["pair_id"]))
    return Block(f"Figure 1 · {t.name}", example_picture(t), words, f"data/explorer/{t.name}/example.json")


def example_layers(n_layers: int) -> list[int]:
    """Return the first, the middle and the last layer, each once.

    Examples
    --------
    >>> example_layers(6), example_layers(2)
    ([1, 3, 6], [1, 2])
    """
    return sorted({1, (n_layers + 1) // 2, n_layers})


def example_picture(t: TranslatorMetrics) -> Picture:
    """Return attention of one pair at three layers beside its transport plan, in the first view, links ringed."""
    view, layers = t.views[0], example_layers(t.n_layers)
    blocks = {f"layer {layer}": np.array(t.example["attention"][view][str(layer)]) for layer in layers}
    level = t.example["cost_level"][str(layers[-1])]
    states = "embeddings" if level == 0 else f"states of layer {level}"
    blocks[f"plan, {states}"] = np.array(t.example["plan"][view][str(layers[-1])])
    links = np.array(t.example["links"], dtype=int).reshape(-1, 2)
    src, tgt = t.example["src_words"], t.example["tgt_words"]
    maps = Maps({"": blocks}, (2, 1), unit="mass", across=src, down=tgt, links=links, root=True, ticks=TICKS)
    finding = (
        f"Heat maps of {t.name}, {view_of(view).label}, for the sentence “{' '.join(src)}” and its translation. "
        f"{_on_links(blocks, links)}"
    )
    return Picture(draw(f"figure1_{t.name}", maps.draw, alt=finding), csv(_long(blocks, src, tgt, links)), finding)


def _on_links(blocks: Mapping[str, np.ndarray], links: np.ndarray) -> str:
    if not len(links):
        return "The dictionary links no words of it."
    means = [f"{number(float(block[links[:, 1], links[:, 0]].mean()), 2)} ({title})" for title, block in blocks.items()]
    return f"Mean over the {len(links)} dictionary links: {', '.join(means)}."


def _long(blocks: Mapping[str, np.ndarray], src: Sequence[str], tgt: Sequence[str], links: np.ndarray) -> pd.DataFrame:
    linked = {(int(i), int(j)) for i, j in links}
    rows = [
        (title, j, i, tgt_word, src_word, round(float(block[j, i]), 4), int((i, j) in linked))
        for title, block in blocks.items()
        for j, tgt_word in enumerate(tgt)
        for i, src_word in enumerate(src)
    ]
    return pd.DataFrame(rows, columns=["panel", "tgt", "src", "tgt_word", "src_word", "mass", "link"])
