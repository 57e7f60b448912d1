"""Small tables under the figures, and the whole ones behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from pipeline.conventions import STATES_IN_WORDS, label_of, view_of
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.wording import CONTROLS, SCORES, count, digits, number, reason, with_interval

SOURCES = {"attention": "attention", "embedding": "word vectors", "baseline": "baseline"}


@dataclass(frozen=True)
class Table:
    """A table in print.

    Attributes
    ----------
    head : list of str
        Names of the columns.
    rows : list of list of str
        As many cells as columns.
    n_labels : int
        How many columns from the left are words; the others are numbers.
    caption : str
        What the table shows; may be empty.
    wraps : bool
        Whether cells are sentences that may be broken.
    """

    head: list[str]
    rows: list[list[str]]
    n_labels: int = 1
    caption: str = ""
    wraps: bool = False


Cells = dict[tuple[int, str], tuple[float, float, float, int]]


def cells_of(frame: pd.DataFrame) -> Cells:
    """Return value, low, high and n by layer and control."""
    columns = (frame[name].tolist() for name in ("layer", "control", "value", "low", "high", "n_pairs"))
    return {
        (int(layer), control): (float(v), float(low), float(high), int(n))
        for layer, control, v, low, high, n in zip(*columns, strict=True)
    }


def _decimals(cells: Cells, control: str) -> int:
    """Return the decimals of a column: those that its median interval supports."""
    return digits(
        0.0, median([high - low for (_, name), (_, low, high, _) in cells.items() if name == control] or [0.0])
    )


def _cell(cells: Cells, layer: int, control: str, decimals: int, *, brackets: bool = True) -> str:
    if (layer, control) not in cells:
        return "–"
    value, low, high, _ = cells[layer, control]
    return with_interval(value, low, high, decimals=decimals) if brackets else number(value, decimals)


def _controls(frame: pd.DataFrame) -> list[str]:
    there = set(frame["control"])
    return [name for name in CONTROLS if name in there and name != "trained"]


def _n(cells: Cells, layer: int) -> str:
    return count(cells[layer, "trained"][3]) if (layer, "trained") in cells else "–"


def correspondence_table(t: TranslatorMetrics) -> Table:
    """Return first, best and last layer of every view with all controls, n and dropped pairs."""
    frame = t.curves[t.curves["score"] == t.score]
    controls = _controls(frame)
    dropped = count(sum(t.dropped.values()))
    rows = []
    for view in t.views:
        cells, best = cells_of(frame[frame["view"] == view]), t.best_layer(view)
        places = {name: _decimals(cells, name) for name in ("trained", *controls)}
        values = {
            str(layer): (
                _cell(cells, layer, "trained", places["trained"]),
                [_cell(cells, layer, name, places[name], brackets=False) for name in controls],
                _n(cells, layer),
            )
            for layer in sorted({1, t.n_layers})
        }
        at_best = with_interval(best["value"], best["low"], best["high"], decimals=places["trained"])
        floors_at_best = [number(best["controls"][name], places[name]) for name in controls]
        values[f"{best['layer']} (best*)"] = at_best, floors_at_best, count(best["n_pairs"])
        for layer, (value, floors, n) in values.items():
            rows.append([view_of(view).label, layer, value, *floors, n, dropped])
    head = ["view", "layer", "trained", *(CONTROLS[name] for name in controls), "n", "dropped"]
    note = (
        f"{SCORES[t.score].name[:1].upper()}{SCORES[t.score].name[1:]}, with the interval over sentences (those of the controls: see every layer). "
        "* The layer is chosen on one half of the sentences; its row is that of the other half."
    )
    return Table(head, rows, n_labels=2, caption=note)


def curves_tables(t: TranslatorMetrics) -> list[Table]:
    """Return a table of all layers for every score and view."""
    tables = []
    for score in (t.score, *(name for name in SCORES if name != t.score)):
        for view in t.views:
            frame = t.curves[(t.curves["score"] == score) & (t.curves["view"] == view)]
            tables.append(_all_layers(frame, f"{SCORES[score].name}, {view_of(view).label}: {SCORES[score].what}"))
    return tables


def _all_layers(frame: pd.DataFrame, caption: str) -> Table:
    controls, cells = ["trained", *_controls(frame)], cells_of(frame)
    places = {name: _decimals(cells, name) for name in controls}
    rows = [
        [str(layer), *(_cell(cells, layer, name, places[name]) for name in controls), _n(cells, layer)]
        for layer in sorted({layer for layer, _ in cells})
    ]
    return Table(["layer", *(CONTROLS[name] for name in controls), "n"], rows, caption=caption)


def matches_tables(t: TranslatorMetrics) -> list[Table]:
    """Return every level's share of matched words with floors, ties and n, a table a kind of states."""
    return [_matches_table(t, t.matches[t.matches["states"] == kind], kind) for kind in states_of(t)]


def states_of(t: TranslatorMetrics) -> list[str]:
    """Return the kinds of states that were matched, in the order in which they are shown."""
    there = set(t.matches["states"])
    return [kind for kind in STATES_IN_WORDS if kind in there]


def _matches_table(t: TranslatorMetrics, frame: pd.DataFrame, kind: str) -> Table:
    what = f"Share of linked words that transport matches, word vectors {label_of(kind)}, with the interval over sentences."
    table = _all_layers(frame, what)
    trained = frame[frame["control"] == "trained"].sort_values("layer")
    dropped = count(sum(t.dropped.values()))
    for row, n_tied in zip(table.rows, trained["n_tied"], strict=True):
        row += [count(n_tied), dropped]
    return Table([*table.head, "tied", "dropped"], table.rows, caption=table.caption)


def plan_tables(t: TranslatorMetrics) -> list[Table]:
    """Return every layer's correlation with the plan, a table a view."""
    tables = []
    dropped = count(sum(t.dropped.values()))
    for view in t.views:
        table = _all_layers(
            t.plan_correlation[t.plan_correlation["view"] == view], f"Correlation with the plan, {view_of(view).label}."
        )
        rows = [[*row, dropped] for row in table.rows]
        tables.append(Table([*table.head, "dropped"], rows, caption=table.caption))
    return tables


def best_error_table(translators: Sequence[TranslatorMetrics]) -> Table:
    """Return the alignment error of the best setting of every source beside the baselines, in per cent."""
    rows = []
    for t in translators:
        if t.summary.get("gold") is None:
            continue
        for source in ("attention", "embedding"):
            best = t.summary["best"]["aer"][source]
            where = f"layer {best['layer']}" + (f", {label_of(best['view'])}" if best["view"] else "")
            rows.append([t.name, SOURCES[source], where, reason(best["method"]), _error(best), count(best["n_pairs"])])
        for _, row in t.aer[t.aer["source"] == "baseline"].iterrows():
            rows.append([t.name, "baseline", "–", reason(row["method"]), _error(row), count(row["n_pairs"])])
    caption = (
        "Alignment error rate in per cent, lower is better, with the interval over sentences. For attention and word vectors "
        "layer and method are chosen on one half of the sentences and reported on the other; baselines are reported on all."
    )
    return Table(["translator", "from", "layer", "method", "AER %", "n"], rows, n_labels=4, caption=caption)


def _error(row: dict | pd.Series) -> str:
    return with_interval(*(100 * float(row[key]) for key in ("aer", "aer_low", "aer_high")))


def error_table(t: TranslatorMetrics) -> Table:
    """Return the alignment error of every source, view, layer and method."""
    rows = []
    for _, row in t.aer.iterrows():
        layer = "–" if pd.isna(row["layer"]) else str(row["layer"])
        view = label_of(row["view"]) if row["view"] else "–"
        shares = [number(100 * float(row[key]), 1) for key in ("precision", "recall", "f1")]
        rows.append(
            [SOURCES[row["source"]], view, layer, reason(row["method"]), _error(row), *shares, count(row["n_pairs"])]
        )
    head = ["from", "view", "layer", "method", "AER %", "precision %", "recall %", "F1 %", "n"]
    return Table(head, rows, n_labels=4, caption=f"{t.name}: every setting, on all hand-aligned sentences.")


def mass_tables(t: TranslatorMetrics) -> list[Table]:
    """Return the attention on the other side, which the scores share out, and on special tokens, by layer."""
    captions = {
        "other_side_mass": "Share of attention on the words of the other side, mean over the words that look; uniform and position have the trained one.",
        "special_mass": "Share of attention on special tokens, mean over the words that look.",
    }
    tables = []
    for key, caption in captions.items():
        masses = t.summary[key]
        head = ["layer"] + [f"{CONTROLS[name]}, {view_of(view).label}" for name in masses for view in t.views]
        rows = [
            [str(layer + 1)] + [number(masses[name][view][layer], 3) for name in masses for view in t.views]
            for layer in range(t.n_layers)
        ]
        tables.append(Table(head, rows, caption=caption))
    return tables
