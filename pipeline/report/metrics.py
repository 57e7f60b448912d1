"""The metrics of one translator as the stages before wrote them, checked for the columns that the page reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline._output import check_holds, check_there, read_object
from pipeline.columns import EVIDENCE, TRANSLATOR
from pipeline.conventions import Convention
from pipeline.params import Corpus, Translator

_DTYPES: dict[str, Any] = {"layer": "Int64", "view": "str"}
EXAMPLE_KEYS = ("attention", "cost_level", "links", "pair_id", "plan", "src_words", "tgt_words")
SUMMARY_KEYS = (
    "best",
    "dropped",
    "evidence",
    "extraction",
    "n_pairs",
    "n_transport_pairs",
    "other_side_mass",
    "signature",
    "special_mass",
)


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
    curves, matches, plan_correlation, aer : DataFrame
        Columns as in `pipeline.columns.TRANSLATOR`; aer has no rows without a gold set.
    example : dict
        The pair of Figure 1.
    summary : dict
        Counts, best layers and the signature.
    evidence : mapping of str to DataFrame
        The tables of `pipeline.columns.EVIDENCE`; one may have no rows.
    """

    name: str
    spec: Translator
    corpus: Corpus
    curves: pd.DataFrame
    matches: pd.DataFrame
    plan_correlation: pd.DataFrame
    aer: pd.DataFrame
    example: dict
    summary: dict
    evidence: Mapping[str, pd.DataFrame]

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
    def extraction(self) -> dict:
        """The manifest of its blocks: model, revision, sizes, conventions, what was skipped."""
        return self.summary["extraction"]

    @property
    def gold_sets(self) -> list[tuple[dict, dict]]:
        """Return the summary of each set of hand-made links, and its best settings by source, the first set first."""
        first = self.summary.get("gold")
        of_first = [] if first is None else [(first, self.summary["best"]["aer"])]
        return of_first + [(gold, gold["best"]) for gold in self.summary.get("more_gold", ())]

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


def read_metrics(folder: Path, shown: Path, name: str, spec: Translator, corpus: Corpus) -> TranslatorMetrics:
    """Return the metrics of one translator, in `folder`, with the pair of Figure 1 from `shown`.

    Raises
    ------
    PipelineError
        If a file is missing, or has other columns or keys.
    """
    tables = {
        table: _read_table(folder / f"{table}.csv", name) for table in ("curves", "matches", "plan_correlation", "aer")
    }
    example = read_object(shown / "example.json", EXAMPLE_KEYS, f"align@{name}")
    summary = read_object(folder / "summary.json", SUMMARY_KEYS, f"align@{name}")
    evidence = {table: _read_table(folder / f"{table}.csv", name) for table in EVIDENCE}
    return TranslatorMetrics(
        name=name, spec=spec, corpus=corpus, **tables, example=example, summary=summary, evidence=evidence
    )


def _read_table(path: Path, name: str) -> pd.DataFrame:
    check_there(path, f"align@{name}")
    frame = pd.read_csv(path, dtype=_DTYPES)
    check_holds(path, TRANSLATOR[path.stem], tuple(frame.columns), f"align@{name}")
    return frame.assign(view=frame["view"].fillna("")) if "view" in frame else frame
