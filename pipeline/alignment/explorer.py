"""What a page may show of single sentences: words, maps, plans and scores; an artefact of its own, never in git."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from pipeline._output import SCHEMA, replacing, whole_file, write_json
from pipeline.alignment.collect import Pass, attention_by_convention
from pipeline.alignment.inputs import Split
from pipeline.alignment.results import Metrics, Places, plain, write_metrics
from pipeline.attention.store import PairBlocks
from pipeline.conventions import Convention
from pipeline.corpus.gold import GoldPair
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks

Words = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Wanted:
    """Which sentences are shown, and what is known of them beside the blocks.

    Attributes
    ----------
    pairs : sequence of SentencePair
        The first of the corpus, in its order.
    n_selected : int
        How many there are in the corpus.
    links : mapping of pair_id to int array, shape (link, 2)
        Dictionary links.
    gold : mapping of (source words, target words) to GoldLinks
        Hand-made links by words: the text that is shown need not be the gold set.
    """

    pairs: Sequence[SentencePair]
    n_selected: int
    links: Mapping[int, SomeLinks]
    gold: Mapping[Words, GoldLinks]

    @classmethod
    def of(
        cls, pairs: Sequence[SentencePair], n_shown: int, links: Mapping[int, SomeLinks], gold: Iterable[GoldPair]
    ) -> "Wanted":
        """Return the first of the pairs, with dictionary links, and hand-made ones where the words are those of a set."""
        by_words = {(item.pair.src_words, item.pair.tgt_words): item.links for item in gold}
        return cls(pairs[:n_shown], len(pairs), links, by_words)


def pack(attention: Float[np.ndarray, "*lead tgt src"]) -> UInt8[np.ndarray, "*lead tgt src"]:
    """Return masses in [0, 1] as 255 times their square root, rounded: wrong by at most 0.004, and less where small.

    Examples
    --------
    >>> pack(np.array([0.0, 0.01, 0.25, 1.0]).reshape(1, 1, 2, 2)).ravel().tolist()
    [0, 26, 128, 255]
    """
    return np.rint(255 * np.sqrt(np.clip(attention, 0.0, 1.0))).astype(np.uint8)


def sparse(plan: Float[np.ndarray, "view layer tgt src"]) -> list[list[list[list[int | float]]]]:
    """Return the entries of every plan that hold mass, `[view][layer][[tgt, src, mass], ...]`, to four decimals."""
    return [
        [[[*map(int, at), round(float(block[tuple(at)]), 4)] for at in np.argwhere(block > 0)] for block in layers]
        for layers in plan
    ]


def explore(wanted: Wanted, trained: Split, scores: pd.DataFrame, convention: Convention) -> dict:
    """Return the content of explorer.json of one translator.

    `pairs` holds the words and links of every sentence; `maps` one entry beside each: attention (base64 of `pack`,
    axes view, layer, tgt, src), the plan (`sparse`) and the convention's score by view and layer (None without links),
    or None where the translator did not read the pair.

    Parameters
    ----------
    wanted : Wanted
        The sentences.
    trained : Split
        Blocks of the translator, in the order of the corpus.
    scores : DataFrame
        `Metrics.scores`.
    convention : Convention
        How blocks are pooled, and which score is told.
    """
    walk = Pass(trained.views, trained.manifest["n_layers"], trained.manifest["levels"], convention, seed=0)
    by_pair = dict(iter(scores.groupby("pair_id")[convention.score]))
    ids = {pair.pair_id for pair in wanted.pairs}
    maps: dict[int, dict] = {}
    for block in trained.blocks if ids else ():
        if block.pair_id in ids:
            maps[block.pair_id] = _map(block, by_pair.get(block.pair_id), walk)
        # Blocks come in the order of the pairs: nothing is read beyond the last one wanted.
        if block.pair_id == wanted.pairs[-1].pair_id or len(maps) == len(ids):
            break
    return {
        "schema": SCHEMA,
        "views": [
            {"id": view.name, "name": view.label, "looks": view.what, "query_side": view.query_side}
            for view in trained.views
        ],
        "layers": trained.manifest["n_layers"],
        "n_selected": wanted.n_selected,
        "pairs": [_entry(pair, wanted) for pair in wanted.pairs],
        "maps": [maps.get(pair.pair_id) for pair in wanted.pairs],
    }


def _entry(pair: SentencePair, wanted: Wanted) -> dict:
    by_hand = wanted.gold.get((pair.src_words, pair.tgt_words))
    dictionary = wanted.links.get(pair.pair_id, np.empty((0, 2), dtype=np.int64))
    return {
        "id": pair.pair_id,
        "src": list(pair.src_words),
        "tgt": list(pair.tgt_words),
        "links": dictionary.tolist(),
        "gold": None if by_hand is None else {"sure": by_hand.sure.tolist(), "possible": by_hand.possible.tolist()},
    }


def _map(block: PairBlocks, scores: pd.Series | None, walk: Pass) -> dict:
    attention = attention_by_convention(block, walk.views, walk.convention)
    shape = len(walk.views), walk.n_layers
    return {
        "attention": base64.b64encode(pack(attention).tobytes()).decode("ascii"),
        "plan": sparse(walk.plans(block.cost)),
        "score": None if scores is None else scores.to_numpy().reshape(shape).round(4).tolist(),
    }


def write_all(metrics: Metrics, explorer: Mapping, places: Places) -> None:
    """Write what the page shows of single pairs, the scores and the metrics."""
    write_shown(explorer, metrics.example, places.shown)
    write_scores(metrics.scores, places.scores)
    write_metrics(metrics, places.metrics)


def write_shown(explorer: Mapping, example: Mapping, folder: Path | str) -> None:
    """Write `explorer.json` and `example.json` (the pair of Figure 1), both or none of them."""
    with replacing(folder) as part:
        write_json(part / "explorer.json", explorer)
        write_json(part / "example.json", plain({"schema": SCHEMA, **example}))


def write_scores(scores: pd.DataFrame, path: Path | str) -> None:
    """Write the scores of every pair, by view and layer, as a Parquet file; the same scores give the same bytes."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        scores.to_parquet(part, index=False, compression="zstd")
