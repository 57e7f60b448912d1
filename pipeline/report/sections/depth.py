"""Pointing by layer, and whether it grows: the tests of claims 1 and 2 as they stand on the page."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.conventions import view_of
from pipeline.report.curves import Curves, all_layers, rests_on
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Block, Section, Table, caption, text
from pipeline.report.wording import count, with_interval

LINKS = {"dictionary": "dictionary links", "gold_sure": "sure hand-made links"}
"""What is shown; pointing.csv holds sure and possible links together too."""
SCORES = {
    "pointing": "Pointing",
    "pointing_content": "Pointing among words with a letter or a digit",
    "row_mass": "Mass on links, rows normalised over the other side",
}


def pointing_block(t: TranslatorMetrics) -> Block:
    """Return how often the largest attention is on a translation, by layer, beside its controls."""
    rows = t.evidence["pointing"]
    own = rows[rows["score"] == "pointing"]
    panels = {
        f"{view_of(view).label}, {LINKS[links]}": own[(own["view"] == view) & (own["links"] == links)]
        for view in t.views
        for links in ("dictionary", "gold_sure")
        if ((own["view"] == view) & (own["links"] == links)).any()
    }
    curves = Curves(panels, "pointing: share of linked words whose largest attention is on a translation")
    what = {title: f"{t.name}, {title}: pointing" for title in panels}
    notes = {"position": "the nearest word of the same relative place"}
    words = [*caption("pointing", name=t.name), rests_on(t, t.summary["n_pairs"], own, **notes)]
    return Block(
        f"Pointing · {t.name}",
        curves.picture(f"pointing_{t.name}", what, own[own["links"].isin(list(LINKS))]),
        words,
        f"reports/metrics/translators/{t.name}/pointing.csv",
        more=[("Every layer and kind of links", _pointing_tables(t))],
    )


def _pointing_tables(t: TranslatorMetrics) -> list[Table]:
    rows = t.evidence["pointing"]
    return [
        all_layers(part, f"{SCORES['pointing']}, {LINKS[links]}, {view_of(view).label}.")
        for links in LINKS
        for view in t.views
        if not (part := rows[(rows["links"] == links) & (rows["score"] == "pointing") & (rows["view"] == view)]).empty
    ]


def section(own: Section, translators: Sequence[TranslatorMetrics]) -> Section:
    """Return the section of the claims with the table of all steps in it."""
    table = depth_table(translators)
    return replace(own, parts=[*own.parts, *([table] if table.rows else [])])


def depth_table(translators: Sequence[TranslatorMetrics]) -> Table:
    """Return the trend of pointing over layers, and every step from one layer to the next."""
    rows = []
    for t in translators:
        for row in t.evidence["trend"].to_dict("records"):
            step = row["quantity"] == "step"
            what = f"layer {row['layer'] - 1} to {row['layer']}" if step else f"trend, layers {_range(t, row['range'])}"
            shown = with_interval(row["value"], row["low"], row["high"], sign=True)
            unit = "" if step else " (rank correlation)"
            where = [t.name, view_of(row["view"]).label, LINKS[row["links"]], what]
            rows.append([*where, f"{shown}{unit}", count(row["n_pairs"])])
    head = ["translator", "view", "links", "of", "difference", "n"]
    return Table(head, rows, n_labels=4, caption=text("grows_with_depth", "steps"))


def _range(t: TranslatorMetrics, name: str) -> str:
    return f"1-{t.n_layers}" if name == "all" else name
