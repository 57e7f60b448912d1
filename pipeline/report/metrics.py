"""The metrics of one translator as the stages before wrote them, checked for the columns that the page reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.conventions import Convention
from pipeline.errors import PipelineError
from pipeline.params import Corpus, Translator

COLUMNS = {
    "curves": ("control", "view", "layer", "score", "value", "low", "high", "n_pairs"),
    "matches": ("control", "states", "layer", "value", "low", "high", "n_pairs", "n_tied"),
    "plan_correlation": ("control", "view", "layer", "value", "low", "high", "n_pairs"),
    "paired": ("half", "view", "layer", "score", "against", "difference", "low", "high", "n_pairs", "p_holm"),
    "aer": ("source", "view", "layer", "method", "aer", "precision", "recall", "f1", "n_pairs", "aer_low", "aer_high"),
}
_DTYPES: dict[str, Any] = {"layer": "Int64", "view": "str"}
EXAMPLE_KEYS = ("attention", "cost_level", "links", "pair_id", "plan", "src_words", "tgt_words")
SUMMARY_KEYS = ("best", "dropped", "n_pairs", "n_transport_pairs", "other_side_mass", "signature", "special_mass")


@dataclass(frozen=True)
class TranslatorMetrics:
    """Everything that was measured of one translator.

    Attributes
    ----------
    name : str
        As in params.yaml.
    spec : Translator
        Its block of params.yaml.
    corpus : Corpus
        Where its sentences come from.
    curves, matches, plan_correlation, paired, aer : DataFrame
        Columns as in `COLUMNS`; aer has no rows without a gold set.
    example : dict
        The pair of Figure 1.
    summary : dict
        Counts, best layers and the signature.
    """

    name: str
    spec: Translator
    corpus: Corpus
    curves: pd.DataFrame
    matches: pd.DataFrame
    plan_correlation: pd.DataFrame
    paired: pd.DataFrame
    aer: pd.DataFrame
    example: dict
    summary: dict

    @property
    def views(self) -> list[str]:
        """Names of the views, the paper's first."""
        return list(dict.fromkeys(self.curves["view"]))

    @property
    def n_layers(self) -> int:
        """Number of attention layers."""
        return int(self.curves["layer"].max())

    @property
    def score(self) -> str:
        """The score that the convention calls correspondence."""
        return self.convention.score

    @property
    def convention(self) -> Convention:
        """How attention was pooled and scored."""
        return Convention(**self.summary["signature"]["convention"])

    @property
    def interval(self) -> str:
        """How intervals were made, in words."""
        return self.summary["signature"]["interval"]

    @property
    def dropped(self) -> dict[str, int]:
        """Pairs that were not measured, by reason."""
        return dict(sorted(self.summary["dropped"].items()))

    def best_layer(self, view: str) -> dict:
        """Return layer, value, low, high, n_pairs: chosen on one half of the sentences, reported on the other."""
        rows = self.summary["best"]["scores"]
        return next(row for row in rows if row["view"] == view and row["score"] == self.score)


def read_metrics(folder: Path, name: str, spec: Translator, corpus: Corpus) -> TranslatorMetrics:
    """Return the metrics of one translator.

    Raises
    ------
    PipelineError
        If a file is missing, or has other columns or keys.
    """
    tables = {table: _read_table(folder / f"{table}.csv", name, columns) for table, columns in COLUMNS.items()}
    example = read_json(folder / "example.json", EXAMPLE_KEYS, f"align@{name}")
    summary = read_json(folder / "summary.json", SUMMARY_KEYS, f"align@{name}")
    return TranslatorMetrics(name=name, spec=spec, corpus=corpus, **tables, example=example, summary=summary)


def _read_table(path: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    _check_there(path, f"align@{name}")
    frame = pd.read_csv(path, dtype=_DTYPES)
    _check_holds(path, columns, tuple(frame.columns), f"align@{name}")
    return frame.assign(view=frame["view"].fillna("")) if "view" in frame else frame


def read_json(path: Path, keys: tuple[str, ...], stage: str) -> dict:
    """Return the object in a file that a stage wrote.

    Raises
    ------
    PipelineError
        If it is missing, or lacks one of the keys.
    """
    _check_there(path, stage)
    value = json.loads(path.read_text(encoding="utf-8"))
    _check_holds(path, keys, tuple(value), stage)
    return value


def _check_there(path: Path, stage: str) -> None:
    if not path.is_file():
        message = f"metrics: {path.name} of stage {stage} is needed, but {path} is not there; run `dvc repro {stage}`"
        raise PipelineError(message)


def _check_holds(path: Path, needed: tuple[str, ...], there: tuple[str, ...], stage: str) -> None:
    missing = [name for name in needed if name not in there]
    if missing:
        message = (
            f"metrics: {path} must hold {', '.join(needed)}, but {missing[0]} is missing; "
            f"it is from another version: run `dvc repro --force {stage}`"
        )
        raise PipelineError(message)
