"""The paper's open questions, answered by experiment: every study that has run, drawn from what it wrote."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from textwrap import wrap
from typing import get_args

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pipeline.claims import RULES, Claim
from pipeline.params import StudyName
from pipeline.report.matrix import tally
from pipeline.report.page import Block, Picture, Section, Table, csv, text
from pipeline.report.plots import grid, label_right
from pipeline.report.style import INK, QUIET, RANDOM, TRAINED, Layout, draw
from pipeline.report.wording import marked, reason, with_interval
from pipeline.study_file import Chart, Line, Panel, StudyResult

COLOURS = (TRAINED, RANDOM, "#009E73", "#8A63C9", "#B8860B", "#CC79A7", "#3A8FB7", "#7A7A00")
"""Each seen on light and on dark paper."""
DASHED = (0, (4, 1.5))
ROOM = 0.06
"""Between the ends of lines and their names, as a share of the axis."""
ORDER = get_args(StudyName)
COUNTED = ("supported", "partly", "not supported", "undecided", "not testable here")
HEAD = ["study", "claim", "verdict", "measured", "unit", "must be", "why"]


def section(studies: Sequence[StudyResult]) -> Section:
    """Return the section; it says so where no study has run."""
    title = text("open_questions", "title")
    if not studies:
        return Section("open_questions", title, text("open_questions", "missing"))
    studies = sorted(
        studies, key=lambda study: (study.name not in ORDER, study.name in ORDER and ORDER.index(study.name))
    )
    deciding = [claim for study in studies for claim in study.claims if claim.role == "decides"]
    finding = f"Of {len(deciding)} statements that were written down beforehand {tally(deciding)}."
    blocks = [_block(study, chart) for study in studies for chart in study.charts]
    more = [("Every claim", [_claims_table(studies, "decides")]), ("Every finding", [_findings_table(studies)])]
    more += [("Compared beside", [_claims_table(studies, "beside")])] if _rows(studies, "beside") else []
    more += [(f"What was run: {reason(study.name)}", [_settings_table(study)]) for study in studies]
    lead = [text("open_questions", "lead")]
    return Section("open_questions", title, finding, lead=lead, parts=[_summary_table(studies), *blocks], more=more)


def _summary_table(studies: Sequence[StudyResult]) -> Table:
    """Return a row a study: its question, and how many claims were decided how."""
    found = [Counter(claim.verdict for claim in study.claims if claim.role == "decides") for study in studies]
    verdicts = [verdict for verdict in COUNTED if any(counts[verdict] for counts in found)]
    rows = []
    for study, counts in zip(studies, found, strict=True):
        size = "" if study.size == "long" else f" ({text('open_questions', 'demo')})"
        rows.append([study.question + size, *(str(counts[verdict]) for verdict in verdicts), str(study.seeds)])
    head = ["question", *map(marked, verdicts), "seeds"]
    return Table(head, rows, caption=text("open_questions", "decides"), wraps=True)


def _findings_table(studies: Sequence[StudyResult]) -> Table:
    rows = [[reason(study.name), told] for study in studies for told in study.findings]
    return Table(["study", "found"], rows, n_labels=2, wraps=True)


def _rows(studies: Sequence[StudyResult], role: str) -> list[list[str]]:
    return [_row(study, claim) for study in studies for claim in study.claims if claim.role == role]


def _claims_table(studies: Sequence[StudyResult], role: str) -> Table:
    return Table(HEAD, _rows(studies, role), n_labels=len(HEAD), caption=text("open_questions", role), wraps=True)


def _row(study: StudyResult, claim: Claim) -> list[str]:
    ends = [float("nan") if value is None else value for value in (claim.difference, claim.low, claim.high)]
    measured, bound = with_interval(*ends, decimals=None), f"above {claim.bound:.3g}"
    if claim.limit is not None:
        rule = "at most" if claim.limit.rule == RULES[0] else "at least"
        measured, bound = f"{float(claim.limit.value):.3g}", f"{rule} {float(claim.limit.threshold):.3g}"
    return [reason(study.name), _stated(claim), marked(claim.verdict), measured, claim.unit, bound, claim.why or "–"]


def _stated(claim: Claim) -> str:
    return claim.statement + (f" ({claim.comparison})" if claim.comparison else "")


def _settings_table(study: StudyResult) -> Table:
    rows = [["size", study.size], ["seeds", str(study.seeds)]]
    rows += [[reason(key), _plain(value)] for key, value in sorted(study.settings.items())]
    return Table(["setting", "value"], rows, n_labels=2, wraps=True)


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{reason(str(key))}: {_plain(part)}" for key, part in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _block(study: StudyResult, chart: Chart) -> Block:
    files = f"reports/results/studies/{study.name}.json"
    verdicts = [
        f"{marked(c.verdict)}: {_stated(c)}" for c in study.claims if (c.figure, c.role) == (chart.stem, "decides")
    ]
    return Block(chart.title, picture(chart), list(chart.caption), files, verdicts=verdicts)


def picture(chart: Chart) -> Picture:
    """Return the figure of a chart, its numbers as CSV and its finding."""

    def make(layout: Layout) -> Figure:
        return _ranking(chart, layout) if chart.kind == "ranking" else _lines(chart, layout)

    return Picture(draw(chart.stem, make, alt=chart.finding), csv(_frame(chart)), chart.finding)


def _frame(chart: Chart) -> pd.DataFrame:
    def rows() -> Iterator[dict[str, object]]:
        for panel in chart.panels:
            for line in panel.lines:
                for k, value in enumerate(line.y):
                    ends = (line.low[k], line.high[k]) if line.low else (None, None)
                    x = line.x[k] if line.x else None
                    yield {
                        "panel": panel.title, "line": line.name, "x": x, "value": value, "low": ends[0], "high": ends[1],
                    }  # fmt: skip

    return pd.DataFrame(rows()).dropna(axis="columns", how="all")


def _lines(chart: Chart, layout: Layout) -> Figure:
    titled = any(panel.title for panel in chart.panels)
    figure, axes = grid(layout, len(chart.panels), chart.y, titled=titled)
    for axis, panel in zip(axes, chart.panels, strict=True):
        axis.set_title(panel.title)
        axis.set(xlabel=chart.x, ylabel="")
        axis.set_xscale("log" if chart.logs[0] else "linear")
        axis.set_yscale("log" if chart.logs[1] else "linear")
        if chart.mark is not None:
            axis.axhline(chart.mark, color=QUIET, linewidth=0.8)
        ends = [_draw_line(axis, line, colour) for line, colour in _coloured(panel)]
        if chart.logs[0]:
            _plain_ticks(axis, panel)
        last = max(end[0] for end in ends)
        left = axis.get_xlim()[0]
        axis.set_xlim(right=last * (last / left) ** ROOM if chart.logs[0] else last + ROOM * (last - left))
        figure.canvas.draw_idle()
        label_right(axis, [end[1:] for end in ends], x=last, font=layout.font)
    return figure


def _coloured(panel: Panel) -> Iterator[tuple[Line, str]]:
    colours = cycle(COLOURS)
    for line in panel.lines:
        yield line, QUIET if line.floor else next(colours)


def _draw_line(axis: Axes, line: Line, colour: str) -> tuple[float, float, str, str]:
    """Draw one line with its range and return where it ends: x, y, name, colour."""
    style = (
        {"linestyle": DASHED, "linewidth": 1.0} if line.floor else {"marker": "o", "markersize": 3, "linewidth": 1.2}
    )
    axis.plot(line.x, line.y, color=colour, label=line.name, **style)  # type: ignore[arg-type]
    if line.low:
        axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
    return float(line.x[-1]), float(line.y[-1]), line.name, colour


def _plain_ticks(axis: Axes, panel: Panel) -> None:
    """Write the places that were measured along a logarithmic axis, at most eight."""
    places = sorted({float(x) for line in panel.lines for x in line.x})
    step = -(-len(places) // 8)
    axis.set_xticks(places[::step], [f"{place:g}" for place in places[::step]])
    axis.xaxis.set_minor_formatter(NullFormatter())


def _ranking(chart: Chart, layout: Layout) -> Figure:
    """Draw rows of one value each with its interval, the first at the top."""
    (panel,) = chart.panels
    rows, letter = len(panel.lines), 0.075 * layout.font / 8
    # Long names go over several lines, so that half of a narrow figure is left for the values.
    names = [wrap(line.name, int(0.5 * layout.width / letter)) for line in panel.lines]
    left = letter * max(len(part) for name in names for part in name)
    height = 0.75 + 0.19 * rows * max(map(len, names))
    figure = Figure(figsize=(layout.width, height))
    place = (left / layout.width, 0.42 / height, (layout.width - left - 0.15) / layout.width, (height - 0.5) / height)
    axis = figure.add_axes(place)
    for place_down, (line, colour) in enumerate(_coloured_rows(panel)):
        axis.plot(line.y, [-place_down], "o", color=colour, markersize=4)
        if line.low:
            axis.plot([line.low[0], line.high[0]], [-place_down] * 2, color=colour, linewidth=1.4)
    axis.set_yticks([-k for k in range(rows)], ["\n".join(name) for name in names])
    axis.set_xscale("log" if chart.logs[1] else "linear")
    axis.set(xlabel=chart.y, ylim=(-rows + 0.5, 0.5))
    if chart.mark is not None:
        axis.axvline(chart.mark, color=INK, linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _coloured_rows(panel: Panel) -> Iterator[tuple[Line, str]]:
    for line in panel.lines:
        yield line, QUIET if line.floor else TRAINED
