"""The one reader and writer of what a study found: its charts, claims and findings in one JSON file, its tables beside it.

The file carries all that the page shows, so that the page needs neither the study's code nor its models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from pipeline._output import SCHEMA, read_object, replacing, rounded, write_json
from pipeline.claims import Claim
from pipeline.claims_file import claim_of, claim_record

KEYS = ("charts", "claims", "findings", "name", "question", "seeds", "settings", "size")
Size = Literal["demo", "long"]


@dataclass(frozen=True)
class Line:
    """One line of a chart, or one row of a ranking.

    Attributes
    ----------
    name : str
        As it stands beside the line.
    x : sequence of float
        Places along the x axis; empty in a ranking, whose rows have one value.
    y, low, high : sequence of float
        The value, usually the mean or median over seeds, and its range or interval; without a range, `low` and `high`
        are empty.
    floor : bool
        Whether it is a control (a blind answer, guessing, a solver): drawn in grey, dashed.
    """

    name: str
    x: Sequence[float | int]
    y: Sequence[float | int]
    low: Sequence[float | int] = ()
    high: Sequence[float | int] = ()
    floor: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines that share axes; `title` may be empty where there is one."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure of the page, as data.

    Attributes
    ----------
    stem : str
        File name of the figure: ``study_<study>_<what>``.
    title : str
        Above it.
    x, y : str
        Names of the axes with their units; of a ranking only `y`, the name of what is ranked.
    panels : sequence of Panel
        At least one; they share the y axis.
    caption : sequence of str
        What it shows, how to read it, on what it rests.
    finding : str
        What it shows, with numbers, computed.
    kind : {"lines", "ranking"}
        A ranking has one panel, whose lines are rows of one value, the largest effect first.
    logs : (bool, bool)
        Whether x and y are logarithmic.
    mark : float or None
        A value of y that is drawn as a thin line: no effect, a limit.
    """

    stem: str
    title: str
    x: str = ""
    y: str
    panels: Sequence[Panel]
    caption: Sequence[str]
    finding: str
    kind: Literal["lines", "ranking"] = "lines"
    logs: tuple[bool, bool] = (False, False)
    mark: float | None = None


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What one study found.

    Attributes
    ----------
    name : str
        As in `params.yaml` and in the name of the stage.
    question : str
        What was asked.
    size : {"demo", "long"}
        A demo shows that the code runs and decides nothing.
    seeds : int
        Runs behind every interval.
    settings : mapping
        What was run: every number that a reader needs to do it again.
    charts : sequence of Chart
    claims : sequence of Claim
        Decided by rules that were written down before the long run.
    findings : sequence of str
        What else was found, in sentences with numbers, computed.
    tables : mapping of str to DataFrame
        Every number behind the charts: `<table>.csv`; empty once read back.
    """

    name: str
    question: str
    size: Size
    seeds: int
    settings: Mapping[str, Any]
    charts: Sequence[Chart]
    claims: Sequence[Claim]
    findings: Sequence[str]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def write_study(result: StudyResult, folder: Path) -> None:
    """Write ``NAME.json`` and the folder ``NAME`` of tables, each whole or not at all; six significant digits."""
    record = {key: getattr(result, key) for key in ("name", "question", "size", "seeds", "findings", "settings")}
    charts = [asdict(chart) for chart in result.charts]
    claims = [claim_record(claim) for claim in result.claims]
    with replacing(folder / result.name) as part:
        for name, table in result.tables.items():
            table.to_csv(part / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    content = rounded({**record, "charts": charts}) | {"schema": SCHEMA, "claims": claims}
    write_json(folder / f"{result.name}.json", content)


def read_study(path: Path) -> StudyResult:
    """Return a study without its tables.

    Raises
    ------
    PipelineError
        If it is missing, of another edition, or lacks a key.
    """
    stage = f"study@{path.stem}"
    found = read_object(path, KEYS, stage)
    charts = [
        Chart(**chart | {"panels": [_panel(panel) for panel in chart["panels"]], "logs": tuple(chart["logs"])})
        for chart in found["charts"]
    ]
    claims = [claim_of(record, path, stage=stage) for record in found["claims"]]
    plain = {key: found[key] for key in ("name", "question", "size", "seeds", "findings", "settings")}
    return StudyResult(**plain, charts=charts, claims=claims)


def _panel(record: Mapping[str, Any]) -> Panel:
    return Panel(record["title"], [Line(**line) for line in record["lines"]])


def read_studies(folder: Path) -> list[StudyResult]:
    """Return the studies of a folder, by name; none if there is no folder."""
    return [read_study(path) for path in sorted(folder.glob("*.json"))]
