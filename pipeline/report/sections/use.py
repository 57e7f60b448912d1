"""Does the translator use its alignment? What its loss becomes where heads are off or look elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pipeline._output import read_object
from pipeline.report.matrix import Answer
from pipeline.report.page import Section, Table, text
from pipeline.report.sections import asked
from pipeline.report.wording import count, number, reason, with_interval

SETS = {"all": "all heads", "layer": "a whole layer", "top": "best heads"}


def section(answer: Answer, metrics: Path, translators: Sequence[str]) -> Section:
    """Return the section: the claims, then the table of every translator whose attention was changed.

    Parameters
    ----------
    answer : Answer
        To the question.
    metrics : Path
        Holds `intervene/NAME`.
    translators : sequence of str
        Their names.

    Raises
    ------
    PipelineError
        If a summary is missing or of another edition.
    """
    own = asked.section(answer)
    tables: list[Table] = []
    for name in translators:
        folder = metrics / "intervene" / name
        summary = read_object(folder / "summary.json", ("status",), f"intervene@{name}")
        if summary["status"] == "tested":
            tables += [_off(folder, name, summary), _elsewhere(folder, name)]
    return replace(own, parts=[*own.parts, *tables])


def _off(folder: Path, name: str, summary: dict) -> Table:
    """Return the loss without sets of heads, beside as many others of the same layers."""
    rows = []
    for row in pd.read_csv(folder / "sets.csv").to_dict("records"):
        drawn = number(row["draws_effect"], 3, sign=True) if row["set"] == "top" else "–"
        rows.append(
            [SETS[row["set"]], str(row["heads"]) if row["set"] == "top" else _where(row), count(row["k"]),
             with_interval(row["effect"], row["low"], row["high"], sign=True), drawn]
        )  # fmt: skip
    head = ["off", "which (layer.head)", "heads", "effect, nats a word", "as many others"]
    n_pairs = summary["n_pairs"]
    note = text("translator_uses_it", "off", name=name, chosen=n_pairs["half_a"], judged=n_pairs["half_b"])
    return Table(head, rows, n_labels=2, caption=note)


def _where(row: dict) -> str:
    return "all" if row["set"] == "all" else f"layer {int(row['layer'])}"


def _elsewhere(folder: Path, name: str) -> Table:
    """Return the loss where heads look elsewhere."""
    rows = []
    for row in pd.read_csv(folder / "replacements.csv").to_dict("records"):
        what = reason(row["replacement"]).replace("balanced", "Sinkhorn")
        sweeps = "–" if pd.isna(row["sweeps"]) else count(row["sweeps"])
        shown = with_interval(row["effect"], row["low"], row["high"], sign=True)
        rows.append([f"{row['target']} heads", what, sweeps, shown])
    note = text("translator_uses_it", "elsewhere", name=name)
    return Table(["of", "in their place", "sweeps", "effect, nats a word"], rows, n_labels=3, caption=note)
