"""Metrics as other stages wrote them, checked for what is read."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline._output import check_holds, check_there, read_object
from pipeline.columns import TRANSLATOR

TABLES = ("above", "trend", "plan_test")
"""The tables of evidence that are read."""
SUMMARY = ("best", "other_side_mass", "reads", "signature")
CERTIFICATE = ("id", "statement", "reference", "setting", "value", "threshold", "verdict", "seed", "group")


@dataclass(frozen=True)
class Paired:
    """One row of paired.csv.

    Attributes
    ----------
    half : {"all", "second"}
        Which sentences: the layer of the second half was chosen on the first.
    view, score, against : str
        What is compared; view is empty where there is none.
    layer : int
    difference, low, high, p : float or None
        None is no number.
    n_pairs : int
        Sentences.
    """

    half: str
    view: str
    layer: int
    score: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    n_pairs: int
    p: float | None


@dataclass(frozen=True)
class Measured:
    """What the claims read of one translator.

    Attributes
    ----------
    name : str
        As in params.yaml.
    paired : list of Paired
        Every difference.
    summary : dict
        Best layers and the signature.
    tables : mapping of name to list of rows
        Of `TABLES`, as text by column.
    """

    name: str
    paired: list[Paired]
    summary: dict[str, Any]
    tables: Mapping[str, list[dict[str, str]]]

    @property
    def views(self) -> list[str]:
        """Names of the views, the paper's first."""
        return list(dict.fromkeys(row["view"] for row in self.summary["best"]["scores"]))

    @property
    def n_layers(self) -> int:
        """Number of attention layers."""
        return len(next(iter(self.summary["other_side_mass"]["trained"].values())))

    def best_layer(self, view: str) -> int:
        """Return the layer with most pointing, chosen on half A of the sentences."""
        return next(row["layer"] for row in self.summary["best"]["pointing"] if row["view"] == view)


def read_translator(folder: Path, name: str) -> Measured:
    """Return what the stage align wrote of one translator.

    Raises
    ------
    PipelineError
        If a file is missing, or has other columns or keys.
    """
    stage = f"align@{name}"
    rows = read_table(folder / "paired.csv", TRANSLATOR["paired"], stage)
    tables = {table: read_table(folder / f"{table}.csv", TRANSLATOR[table], stage) for table in TABLES}
    return Measured(name, [_paired(row) for row in rows], read_object(folder / "summary.json", SUMMARY, stage), tables)


def _paired(row: dict[str, str]) -> Paired:
    difference, low, high, p = (number(row[key]) for key in ("difference", "low", "high", "p"))
    return Paired(
        half=row["half"],
        view=row["view"],
        layer=int(row["layer"]),
        score=row["score"],
        against=row["against"],
        difference=difference,
        low=low,
        high=high,
        n_pairs=int(row["n_pairs"]),
        p=p,
    )


def number(value: object) -> float | None:
    """Return a number; None for what is missing or none."""
    if value is None or value == "":
        return None
    found = float(str(value))
    return found if math.isfinite(found) else None


def read_table(path: Path, columns: Sequence[str], stage: str) -> list[dict[str, str]]:
    """Return the rows of a table as text by column.

    Raises
    ------
    PipelineError
        If it is missing, or lacks one of the columns.
    """
    check_there(path, stage)
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        check_holds(path, columns, table.fieldnames or (), stage)
        return list(table)
