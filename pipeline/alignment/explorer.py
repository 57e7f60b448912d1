"""What a page may show of single sentences: words, maps, plans and scores; an artefact of its own, never in git."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from pipeline._output import SCHEMA, replacing, whole_file, write_json
from pipeline.alignment.collect import Pass, attention_by_convention, heads_by_convention
from pipeline.alignment.inputs import Figure1, Split
from pipeline.alignment.results import Metrics, Places, example_of, plain, write_metrics
from pipeline.attention.store import PairBlocks
from pipeline.conventions import Convention
from pipeline.corpus.gold import GoldPair
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.packing import packed

Words = tuple[tuple[str, ...], tuple[str, ...]]
FINE, COARSE = 255, 85
"""Steps of the root of a mass: of maps, and of the many maps of single heads. The first is a multiple of the second."""


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
    figure1 : Figure1 or None
        The sentence that stands before them, where there is one.
    """

    pairs: Sequence[SentencePair]
    n_selected: int
    links: Mapping[int, SomeLinks]
    gold: Mapping[Words, GoldLinks]
    figure1: Figure1 | None = None

    def with_figure1(self, trained: Split) -> "tuple[Wanted, Iterable[PairBlocks]]":
        """Return all that is wanted as pairs, and the blocks in their order, with every head's where they are kept."""
        if self.figure1 is None:
            return self, trained.with_heads
        own = self.figure1
        links = {**self.links, own.pair.pair_id: own.links}
        blocks = chain(own.split.with_heads, trained.with_heads)
        return replace(self, pairs=[own.pair, *self.pairs], links=links, figure1=None), blocks

    @classmethod
    def of(
        cls,
        pairs: Sequence[SentencePair],
        n_shown: int,
        links: Mapping[int, SomeLinks],
        gold: Iterable[GoldPair],
        figure1: Figure1 | None = None,
    ) -> "Wanted":
        """Return the first of the pairs, with dictionary links, and hand-made ones where the words are those of a set."""
        by_words = {(item.pair.src_words, item.pair.tgt_words): item.links for item in gold}
        return cls(pairs[:n_shown], len(pairs), links, by_words, figure1)


def pack(mass: Float[np.ndarray, "*lead tgt src"], steps: int = FINE) -> UInt8[np.ndarray, "*lead tgt src"]:
    """Return masses in [0, 1] as their square root in steps, rounded: wrong by at most 1 / steps, less where small.

    Examples
    --------
    >>> pack(np.array([0.0, 0.01, 0.25, 1.0]).reshape(1, 1, 2, 2)).ravel().tolist()
    [0, 26, 128, 255]
    """
    return np.rint(steps * np.sqrt(np.clip(mass, 0.0, 1.0))).astype(np.uint8)


def explore(wanted: Wanted, trained: Split, scores: pd.DataFrame, convention: Convention) -> dict:
    """Return the content of explorer.json of one translator.

    `pairs` holds the words and links of every sentence; `maps` one entry beside each, or None where the translator did
    not read it: `blocks` (`packed` bytes of `pack`; axes attention or plan, view, layer, tgt, src), `heads` (the same with
    `COARSE` steps; axes view, layer, head, tgt, src; None where they are not kept) and the convention's `score` by view
    and layer (None without links).

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
    walk = _walk(trained, convention)
    wanted, blocks = wanted.with_figure1(trained)
    by_pair = dict(iter(scores.groupby("pair_id")[convention.score]))
    ids = {pair.pair_id for pair in wanted.pairs}
    maps: dict[int, dict] = {}
    n_heads = 0
    for block in blocks if ids else ():
        if block.pair_id in ids:
            maps[block.pair_id] = _map(block, by_pair.get(block.pair_id), walk)
            n_heads = n_heads if block.heads is None else block.heads.shape[2]
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
        "heads": n_heads,
        "n_selected": wanted.n_selected,
        "pairs": [_entry(pair, wanted) for pair in wanted.pairs],
        "maps": [maps.get(pair.pair_id) for pair in wanted.pairs],
    }


def figure1_example(figure1: Figure1, convention: Convention) -> dict:
    """Return the sentence of the paper's Figure 1 as `results.example_of` does a pair of the corpus."""
    (block,) = figure1.split.blocks
    walk = _walk(figure1.split, convention)
    pooled = replace(block, attention=attention_by_convention(block, walk.views, convention))
    return example_of(pooled, figure1.pair, figure1.links, walk)


def with_figure1(metrics: Metrics, figure1: Figure1 | None, pair: int | None, convention: Convention) -> Metrics:
    """Return the metrics with that sentence for Figure 1, where there is one and `report.pair` names no other."""
    if figure1 is None or pair is not None:
        return metrics
    return replace(metrics, example=figure1_example(figure1, convention))


def _walk(split: Split, convention: Convention) -> Pass:
    return Pass(split.views, split.manifest["n_layers"], split.manifest["levels"], convention, seed=0)


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
    heads = heads_by_convention(block, walk.views, walk.convention)
    shape = len(walk.views), walk.n_layers
    return {
        "blocks": packed(pack(np.stack([attention, walk.plans(block.cost)])).tobytes()),
        "heads": None if heads is None else packed(pack(heads, COARSE).tobytes()),
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
