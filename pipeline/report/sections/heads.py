"""Single heads: a map of all, and the best of them judged where they were not chosen."""

from pipeline.conventions import view_of
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Block, Picture, Table, caption, csv, text
from pipeline.report.plots import Maps
from pipeline.report.sections.plan_test import CASES
from pipeline.report.style import draw
from pipeline.report.wording import count, number, with_interval

SHOWN_HEADS = 3
"""Of the best heads of a view."""


def heads_block(t: TranslatorMetrics) -> Block | None:
    """Return pointing of every head as a map of layers and heads; None where no pair's heads were kept."""
    rows = t.evidence["heads"]
    own = rows[(rows["quantity"] == "pointing") & (rows["links"] == "dictionary")]
    if own.empty:
        return None
    maps, told = {}, []
    for view in t.views:
        part = own[own["view"] == view]
        maps[view_of(view).label] = part.pivot(index="layer", columns="head", values="value").to_numpy(dtype=float)
        best = part.sort_values("value", kind="stable").iloc[-1]
        told.append(
            f"{view_of(view).label}: layer {int(best['layer'])}, head {int(best['head'])} points most, "
            f"at {number(float(best['value']), 2)}"
        )
    finding = f"{t.name}, pointing of single heads. {'; '.join(told)}."
    n_layers, n_heads = next(iter(maps.values())).shape
    across, down = ([str(k + start) for k in range(n)] for n, start in ((n_heads, 0), (n_layers, 1)))
    names = ("head, from 0", "layer, from 1")
    drawn = Maps({"": maps}, (2, 1), unit="pointing", across=across, down=down, names=names)
    return Block(
        f"Heads · {t.name}",
        Picture(draw(f"heads_{t.name}", drawn.draw, alt=finding), csv(own), finding),
        caption("heads", name=t.name, n=count(t.summary["evidence"]["heads"]["n_pairs"]["dictionary"])),
        f"reports/metrics/translators/{t.name}/heads.csv",
        _chosen_table(t),
        [("Best heads as plans", [_head_plans(t)])],
    )


def _chosen_table(t: TranslatorMetrics) -> Table:
    """Return the best heads of every view by pointing and by alignment error, judged on the other half."""
    chosen = t.evidence["heads_chosen"]
    rows = []
    for row in chosen[chosen["rank"] <= SHOWN_HEADS].to_dict("records"):
        if row["links"] == "dictionary" or row["by"] != "pointing":
            error = row["by"] != "pointing"
            value, low, high = (100 * row[key] if error else row[key] for key in ("value", "low", "high"))
            view = view_of(row["view"]).label if row["view"] in t.views else "both views"
            name = row["by"].replace("aer_", "AER %, ").replace("_", " ")
            rows.append(
                [name, view, f"{row['layer']}.{row['head']}", with_interval(value, low, high), count(row["n_pairs"])]
            )
    rows.sort(key=lambda cells: (cells[0] != "pointing", cells[0]))
    return Table(["by", "view", "layer.head", "value", "n"], rows, n_labels=3, caption=text("heads", "table"))


def _head_plans(t: TranslatorMetrics) -> Table:
    rows = []
    found = t.evidence["heads_plan"]
    for row in found[found["quantity"] == "plan_minus_similarity"].to_dict("records"):
        cells = [view_of(row["view"]).label, f"{row['layer']}.{row['head']}", CASES[row["tokens"], False]]
        rows.append([*cells, with_interval(row["value"], row["low"], row["high"], sign=True), count(row["n_pairs"])])
    fitted, total = (t.summary["evidence"]["heads"][name] for name in ("n_fitted", "n_heads"))
    note = text("heads", "plans", fitted=fitted, untested=total - fitted)
    return Table(["view", "layer.head", "read as", "D − A, nats", "n"], rows, n_labels=3, caption=note)
