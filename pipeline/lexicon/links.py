"""The links of all pairs on disk (`data/links/links.parquet`) and what is to be said about them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.parquet import read_checked
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.errors import PipelineError
from pipeline.lexicon.files import Lexicon
from pipeline.lexicon.policies import LookUp, count_ambiguous, find_hits, link_words

SCHEMA = pa.schema(
    [
        ("pair_id", pa.int64()),
        ("src", pa.list_(pa.int32())),
        ("tgt", pa.list_(pa.int32())),
        ("n_ambiguous", pa.int32()),
    ]
)
CONTENT_LETTERS = 4  # a word of at least so many letters counts as a content word


@dataclass(frozen=True, eq=False)
class PairLinks:
    """The dictionary links of one sentence pair."""

    pair_id: int
    links: Int[np.ndarray, "link 2"]
    """Ascending; `[:, 0]` source word, `[:, 1]` target word, from 0."""
    n_ambiguous: int
    """Source words with a hit that the policy could not settle."""
    n_content: int
    """Source words of at least `CONTENT_LETTERS` letters."""
    n_content_hit: int
    """Those of them that have a hit."""
    n_content_linked: int
    """Those of them that are linked."""


def link_pairs(
    pairs: Sequence[SentencePair],
    look_up: LookUp,
    *,
    policy: str,
    track: Callable[[Iterable[SentencePair]], Iterable[SentencePair]] = iter,
    needed: bool = True,
) -> list[PairLinks]:
    """Return the links of every pair, in the order given; a pair without links has none of them.

    Parameters
    ----------
    pairs, look_up : sequence of SentencePair, LookUp
        Sentences, and the dictionary with its lemmas.
    policy : str
        As `lexicon.policy` of params.yaml.
    track : callable
        Wraps the pairs in a progress bar.
    needed : bool
        Whether it is an error if no word of any pair has a hit; a shuffled dictionary may have none.

    Raises
    ------
    PipelineError
        If the dictionary has not one hit in all pairs and is needed.
    """
    linked = [_link_pair(pair, look_up, policy) for pair in track(pairs)]
    if needed and not any(len(item.links) or item.n_ambiguous for item in linked):
        message = (
            f"lexicon: must translate some word of the text, but has no hit in {len(pairs)} sentence pairs; "
            "check the languages of the dictionary, their order and corpus.pair"
        )
        raise PipelineError(message)
    return linked


def _link_pair(pair: SentencePair, look_up: LookUp, policy: str) -> PairLinks:
    hits = find_hits(pair.src_words, pair.tgt_words, look_up)
    links = link_words(hits, policy)
    content = {i for i, word in enumerate(pair.src_words) if _is_content(word)}
    return PairLinks(
        pair_id=pair.pair_id,
        links=links,
        n_ambiguous=count_ambiguous(hits, policy),
        n_content=len(content),
        n_content_hit=len(content & hits.hit_places),
        n_content_linked=len(content & set(links[:, 0].tolist())),
    )


def _is_content(word: str) -> bool:
    return sum(map(str.isalpha, word)) >= CONTENT_LETTERS


def write_links(path: str | Path, linked: Sequence[PairLinks], *, policy: str, lemmas: str) -> None:
    """Write the links as a Parquet file with policy and lemmas in its metadata."""
    columns = {
        "pair_id": [item.pair_id for item in linked],
        "src": [item.links[:, 0].tolist() for item in linked],
        "tgt": [item.links[:, 1].tolist() for item in linked],
        "n_ambiguous": [item.n_ambiguous for item in linked],
    }
    schema = SCHEMA.with_metadata({"lemmas": lemmas, "policy": policy})
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")


def read_links(path: str | Path) -> dict[int, Int[np.ndarray, "link 2"]]:
    """Return the links of each pair by `pair_id`, those with fewer than `sample.min_links` among them.

    Each is an int64 array, shape (link, 2): `[:, 0]` source word, `[:, 1]` target word, from 0, ascending.

    Raises
    ------
    PipelineError
        If the file is not there or holds something else.
    """
    table = read_checked(path, SCHEMA, what="links", stage="links")
    columns = (table[name].to_pylist() for name in ("pair_id", "src", "tgt"))
    return {
        pair_id: np.array([src, tgt], dtype=np.int64).T.reshape(-1, 2)
        for pair_id, src, tgt in zip(*columns, strict=True)
    }


def summarise(
    linked: Sequence[PairLinks], lexicon: Lexicon, *, policy: str, lemmas: str, min_links: int
) -> dict[str, Any]:
    """Return what is to be said about the links.

    `content_words` are source words of at least four letters: how many there are, how many have a
    translation opposite by the dictionary, how many are linked.

    Raises
    ------
    PipelineError
        If no pair has `min_links` links.
    """
    counts = np.array([len(item.links) for item in linked])
    n_used = int((counts >= min_links).sum())
    if n_used == 0:
        message = (
            f"sample.min_links: some pair must have as many links, but it is {min_links} and the most is "
            f"{counts.max()} in {len(counts)} pairs; lower it, or take a larger dictionary"
        )
        raise PipelineError(message)
    levels = (0, 25, 50, 75, 100)
    return {
        "lexicon": {
            "source": lexicon.source,
            "entries": lexicon.n_entries,
            "entries_of_several_words": lexicon.n_several_words,
            "licence": lexicon.licence,
            "sha256": lexicon.sha256,
        },
        "policy": policy,
        "lemmas": lemmas,
        "min_links": min_links,
        "n_pairs": len(linked),
        "n_pairs_used": n_used,
        "dropped": {"too_few_links": len(linked) - n_used},
        "n_links": int(counts.sum()),
        "n_ambiguous": sum(item.n_ambiguous for item in linked),
        "links_a_pair": {f"{q}%": float(np.percentile(counts, q)) for q in levels},
        "content_words": {
            "n": sum(item.n_content for item in linked),
            "with_hit": sum(item.n_content_hit for item in linked),
            "linked": sum(item.n_content_linked for item in linked),
        },
    }


def compare_with_gold(linked: Sequence[PairLinks], gold: Mapping[int, GoldLinks]) -> dict[str, float | int]:
    """Return how much of the dictionary's links hand-made ones confirm: the label noise of every curve.

    Parameters
    ----------
    linked : sequence of PairLinks
        Dictionary links of gold sentence pairs.
    gold : mapping of int to GoldLinks
        The hand-made links of each of them, by `pair_id`.

    Returns
    -------
    dict
        `n_pairs`, `n_links`, and the shares of these links that are `sure` and `sure_or_possible`, in [0, 1]
        (0 without links).
    """
    found = [(item.pair_id, *link) for item in linked for link in item.links.tolist()]
    sure = {(item.pair_id, *link) for item in linked for link in gold[item.pair_id].sure.tolist()}
    both = sure | {(item.pair_id, *link) for item in linked for link in gold[item.pair_id].possible.tolist()}
    return {
        "n_pairs": len(linked),
        "n_links": len(found),
        "sure": sum(link in sure for link in found) / max(1, len(found)),
        "sure_or_possible": sum(link in both for link in found) / max(1, len(found)),
    }
