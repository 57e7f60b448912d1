"""What a measurement leaves: tables, the pair of Figure 1, summary, headline; the same bytes each time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline._output import SCHEMA, replacing, whole_file, write_json, write_text
from pipeline.alignment.collect import Pass
from pipeline.alignment.scores import SCORES
from pipeline.alignment.transport import level_of
from pipeline.attention.store import PairBlocks
from pipeline.columns import TRANSLATOR
from pipeline.conventions import View
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import SomeLinks
from pipeline.failures import Failure, leave_mark, write_failure

DIGITS = 6


@dataclass(frozen=True)
class Metrics:
    """All metrics of one translator.

    Attributes
    ----------
    tables : dict of DataFrame
        By the names and with the columns of `pipeline.columns.TRANSLATOR`.
    example : dict
        The pair of Figure 1.
    scores : DataFrame
        Columns pair_id, view, layer and those of `SCORES`: the trained translator, every pair that was measured.
    summary : dict
        Counts, best layers, special mass and the signature: every choice that the numbers depend on.
    """

    tables: dict[str, pd.DataFrame]
    example: dict = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    summary: dict = field(repr=False)


class Places(NamedTuple):
    """Where what is known of one translator goes: folder of metrics, file of scores, folder of what the page shows."""

    metrics: Path
    scores: Path
    shown: Path

    @classmethod
    def of(cls, name: str) -> "Places":
        """Return the places of a translator by its name, seen from the project's folder."""
        metrics, data = Path("reports/metrics/translators"), Path("data")
        return cls(metrics / name, data / "scores" / f"{name}.parquet", data / "explorer" / name)


def write_metrics(metrics: Metrics, folder: Path | str) -> None:
    """Write one CSV a table, `summary.json` and `headline.json`, all or none of them; no text of a sentence.

    Six digits, sorted keys, no clock and no path: the same metrics give the same bytes.
    """
    with replacing(folder) as part:
        for name, columns in TRANSLATOR.items():
            text = metrics.tables[name][list(columns)].to_csv(
                index=False, float_format=f"%.{DIGITS}f", lineterminator="\n"
            )
            (part / f"{name}.csv").write_text(text, encoding="utf-8", newline="\n")
        write_json(part / "summary.json", plain({"schema": SCHEMA, **metrics.summary}))
        write_json(part / "headline.json", plain(headline(metrics.summary)))


def write_failed(failure: Failure, places: Places) -> None:
    """Write all files without a number: tables without a row, and `summary.json`, which says why."""
    leave_mark(places.shown, failure)
    places.scores.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(places.scores) as part:
        pd.DataFrame(columns=["pair_id", "view", "layer", *SCORES]).to_parquet(part, index=False)
    with replacing(places.metrics) as part:
        for name, columns in TRANSLATOR.items():
            write_text(part / f"{name}.csv", f"{','.join(columns)}\n")
        write_failure(part / "summary.json", failure)
        write_json(part / "headline.json", {})


def told(metrics: Metrics) -> str:
    """Return on one line the layer of each view that points at most translations, and how many."""
    found = headline(metrics.summary)
    views = [
        f"{view.replace('_', ' ')} {row['value']:.0%} in layer {row['layer']}"
        for view, row in found["pointing"].items()
        if row["value"] is not None and math.isfinite(row["value"])
    ]
    return f"{found['n_pairs']} pairs; linked words that attention points at: {', '.join(views) or 'none'}"


def headline(summary: dict) -> dict:
    """Return the few numbers that runs are compared by: best layers, chosen on one half, values on the other.

    `pointing` decides whether attention finds translations; `correspondence` is the convention's score, by view; `match`
    and `plan_correlation` are those of Figures 7 and 9; `aer` is there with a gold set, `aer_of_set` with further ones.
    Layer numbers stand beside the values.
    """
    best, score = summary["best"], summary["signature"]["convention"]["score"]

    def short(row: dict) -> dict:
        return {"layer": row["layer"], "value": row["value"]}

    numbers = {
        "n_pairs": summary["n_pairs"],
        "pointing": {row["view"]: short(row) for row in best["pointing"]},
        "correspondence": {row["view"]: short(row) for row in best["scores"] if row["score"] == score},
        "match": {"states": best["match"][0]["states"], **short(best["match"][0])},
        "plan_correlation": {row["view"]: short(row) for row in best["plan_correlation"]},
    }
    if "aer" in best:
        numbers["aer"] = {source: row["aer"] for source, row in best["aer"].items()}
    if more := summary.get("more_gold"):
        numbers["aer_of_set"] = {
            gold["set"]: {source: row["aer"] for source, row in gold["best"].items()} for gold in more
        }
    return numbers


def example_of(
    blocks: PairBlocks, pair: SentencePair, links: SomeLinks, walk: Pass, *, position: int | None = None
) -> dict:
    """Return the pair of Figure 1 as plain numbers: blocks by view and layer, and the plan beside each layer.

    Matrices are (tgt, src). `position` is the pair's place among the selected pairs, None for a sentence that is not
    of the corpus; `cost_level` the level of the cost that the plan of a layer is made from, in the states of the
    view's own step.
    """
    layers = range(1, walk.n_layers + 1)
    return {
        "pair_id": pair.pair_id,
        "position": position,
        "src_text": pair.src_text,
        "tgt_text": pair.tgt_text,
        "src_words": list(pair.src_words),
        "tgt_words": list(pair.tgt_words),
        "links": links.tolist(),
        "attention": _by_view(blocks.attention, walk.views, layers),
        "plan": _by_view(walk.plans(blocks.cost), walk.views, layers),
        "cost_level": {str(layer): level_of(layer) for layer in layers},
    }


def _by_view(array: np.ndarray, views: Sequence[View], layers: Iterable[int]) -> dict[str, dict[str, list]]:
    return {
        view.name: {str(layer): array[v, row].tolist() for row, layer in enumerate(layers)}
        for v, view in enumerate(views)
    }


def plain(value: object) -> object:
    """Return a value for JSON: floats rounded, no NaN."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
