"""Does attention find translations? Figures 5 and 6, and links made by hand."""

from collections.abc import Sequence

import pandas as pd

from pipeline.conventions import OUTPUT_STEP, SRC_TO_TGT, label_of, view_of
from pipeline.report.curves import (
    PUBLISHED,
    Curves,
    all_layers,
    cell,
    cells_of,
    controls_of,
    decimals_of,
    n_of,
    published_values,
    rests_on,
    with_published,
)
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Block, Picture, Section, Table, caption, text
from pipeline.report.sections.depth import pointing_block
from pipeline.report.sections.heads import heads_block
from pipeline.report.wording import CONTROLS, SCORES, count, listed, number, reason, with_interval

SOURCES = {"attention": "attention", "embedding": "word vectors", "baseline": "baseline"}
# The rows of the notebook's maps: for mBERT they are English words, which look at French ones.
PUBLISHED_VIEW = {"figure5": OUTPUT_STEP.name, "figure6": SRC_TO_TGT.name}


def section(translators: Sequence[TranslatorMetrics]) -> Section:
    """Return the section: a figure a translator, and the alignment error where links were made by hand."""
    errors = best_error_table(translators)
    return Section(
        "finds_translations",
        lead=[text("translations", "lead"), text("translations", "by_hand" if errors.rows else "no_gold")],
        parts=[
            *(part for t in translators for part in (pointing_block(t), block(t), heads_block(t)) if part is not None),
            *([errors] if errors.rows else []),
        ],
        more=[("Alignment error of every method", [error_table(t) for t in translators if len(t.aer)])]
        if errors.rows
        else [],
    )


def block(t: TranslatorMetrics) -> Block:
    """Return Figure 5 or 6 of a translator."""
    figure = _figure(t)
    views = listed([f"{view_of(view).label} ({view_of(view).what})" for view in t.views])
    words = caption("correspondence", name=t.name, views=views, score=SCORES[t.score].what)
    words.append(rests_on(t, t.summary["n_pairs"], t.curves))
    if published_values(t, figure):
        words.append(f"Open circles: {PUBLISHED['source']}")
    return Block(
        f"{figure.replace('figure', 'Figure ')} · {t.name}",
        picture(t),
        words,
        f"reports/metrics/translators/{t.name}/curves.csv",
        table(t),
        [
            ("Every layer, both views", all_tables(t)),
            ("Attention on the other side, and on special tokens", mass_tables(t)),
        ],
    )


def _figure(t: TranslatorMetrics) -> str:
    return "figure6" if t.spec.reads == "joint" else "figure5"


def picture(t: TranslatorMetrics) -> Picture:
    """Return attention on translations by layer, both views."""
    rows = t.curves[t.curves["score"] == t.score]
    figure = _figure(t)
    published, beside = published_values(t, figure), PUBLISHED_VIEW[figure]
    titles = {view: view_of(view).label for view in t.views}
    curves = Curves(
        {title: rows[rows["view"] == view] for view, title in titles.items()},
        SCORES[t.score].axis,
        floor=None if t.score == "excess" else 0.0,
        published={titles[beside]: published} if published else {},
    )
    what = {title: f"{t.name}, {title}: {SCORES[t.score].name}" for title in titles.values()}
    return curves.picture(f"{figure}_{t.name}", what, with_published(rows, published, beside))


def table(t: TranslatorMetrics) -> Table:
    """Return first, best and last layer of every view with all controls, n and dropped pairs."""
    frame = t.curves[t.curves["score"] == t.score]
    controls = controls_of(frame)
    dropped = count(sum(t.dropped.values()))
    rows = []
    for view in t.views:
        cells, best = cells_of(frame[frame["view"] == view]), t.best_layer(view)
        places = {name: decimals_of(cells, name) for name in ("trained", *controls)}
        values = {
            str(layer): (
                cell(cells, layer, "trained", places["trained"]),
                [cell(cells, layer, name, places[name], brackets=False) for name in controls],
                n_of(cells, layer),
            )
            for layer in sorted({1, t.n_layers})
        }
        at_best = with_interval(best["value"], best["low"], best["high"], decimals=places["trained"])
        floors_at_best = [number(best["controls"][name], places[name]) for name in controls]
        values[f"{best['layer']} (best*)"] = at_best, floors_at_best, count(best["n_pairs"])
        for layer, (value, floors, n) in values.items():
            rows.append([view_of(view).label, layer, value, *floors, n, dropped])
    head = ["view", "layer", "trained", *(CONTROLS[name] for name in controls), "n", "dropped"]
    name = SCORES[t.score].name
    note = text("correspondence", "table", score=f"{name[:1].upper()}{name[1:]}")
    return Table(head, rows, n_labels=2, caption=note)


def all_tables(t: TranslatorMetrics) -> list[Table]:
    """Return a table of all layers for every view; the other scores are in curves.csv."""
    tables = []
    for view in t.views:
        frame = t.curves[(t.curves["score"] == t.score) & (t.curves["view"] == view)]
        tables.append(all_layers(frame, f"{SCORES[t.score].name}, {view_of(view).label}: {SCORES[t.score].what}"))
    return tables


def best_error_table(translators: Sequence[TranslatorMetrics]) -> Table:
    """Return the alignment error of the best setting of every source and set beside the baselines, in per cent."""
    rows, doubtful = [], []
    for t in translators:
        for gold, settings in t.gold_sets:
            for source in ("attention", "embedding"):
                best = settings[source]
                where = f"layer {best['layer']}" + (f", {label_of(best['view'])}" if best["view"] else "")
                found = [SOURCES[source], where, reason(best["method"]), _error(best), count(best["n_pairs"])]
                rows.append([t.name, gold["set"], *found])
            baselines = t.aer[(t.aer["source"] == "baseline") & (t.aer["set"] == gold["set"])]
            for _, row in baselines.sort_values("aer", kind="stable").head(1).iterrows():
                found = ["best baseline", "–", reason(row["method"]), _error(row), count(row["n_pairs"])]
                rows.append([t.name, gold["set"], *found])
            if gold.get("doubt"):
                doubtful.append(f"Doubtful: {t.name}, {gold['set']}: {gold['doubt']['says']}")
    head = ["translator", "set", "from", "layer", "method", "AER %", "n"]
    return Table(head, rows, n_labels=5, caption=" ".join([text("translations", "errors"), *doubtful]))


def _error(row: dict | pd.Series) -> str:
    return with_interval(*(100 * float(row[key]) for key in ("aer", "aer_low", "aer_high")))


def error_table(t: TranslatorMetrics) -> Table:
    """Return the alignment error of every source, view and method, in the layer that the first half chooses."""
    of_layers = t.aer.sort_values("aer_first_half", kind="stable")
    best = of_layers.drop_duplicates(["set", "source", "view", "method"]).sort_index()
    rows = []
    for _, row in best.iterrows():
        layer = "–" if pd.isna(row["layer"]) else str(row["layer"])
        view = label_of(row["view"]) if row["view"] else "–"
        shares = [number(100 * float(row[key]), 1) for key in ("precision", "recall", "f1", "unaligned_f1")]
        found = [SOURCES[row["source"]], view, layer, reason(row["method"]), _error(row), *shares]
        rows.append([row["set"], *found, count(row["n_pairs"])])
    head = ["set", "from", "view", "layer", "method", "AER %", "precision %", "recall %", "F1 %", "unaligned F1 %", "n"]
    return Table(head, rows, n_labels=5, caption=text("translations", "all_errors", name=t.name))


def mass_tables(t: TranslatorMetrics) -> list[Table]:
    """Return the attention on the other side, which the scores share out, and on special tokens, by layer."""
    tables = []
    for key in ("other_side_mass", "special_mass"):
        masses = t.summary[key]
        head = ["layer"] + [f"{CONTROLS[name]}, {view_of(view).label}" for name in masses for view in t.views]
        rows = [
            [str(layer + 1)] + [number(masses[name][view][layer], 3) for name in masses for view in t.views]
            for layer in range(t.n_layers)
        ]
        tables.append(Table(head, rows, caption=text("correspondence", key)))
    return tables
