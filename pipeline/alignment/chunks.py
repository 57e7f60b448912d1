"""Blocks of some pairs at a time, padded: what is computed for many pairs at once, with bounded memory."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.collect import watched
from pipeline.alignment.position import Geometry
from pipeline.attention.store import PairBlocks
from pipeline.conventions import Side, View
from pipeline.corpus.pharaoh import SomeLinks

CHUNK = 64
"""Pairs a step: bounds the memory."""


class Chunk(NamedTuple):
    """Blocks of some pairs, padded with 0 behind the words of either side.

    Attributes
    ----------
    rows : int array, shape (pair,)
        Place of each pair among all.
    blocks : float array, shape (pair, ..., tgt, src)
        Attention summed over the tokens of a key word: axes view, layer; or view, layer, head.
    seen : bool array, shape (pair, ...)
        Where a layer sees all words of a pair; elsewhere the block is 0 and means nothing.
    n_src, n_tgt : int array, shape (pair,)
        Words of either side.
    tokens : dict of float arrays, shape (pair, word)
        Sub-word tokens of each word, by side.
    """

    rows: Int[np.ndarray, " pair"]
    blocks: Float[np.ndarray, "pair *lead tgt src"]
    seen: Bool[np.ndarray, "pair *lead"]
    n_src: Int[np.ndarray, " pair"]
    n_tgt: Int[np.ndarray, " pair"]
    tokens: dict[str, Float[np.ndarray, "pair _word"]]

    @property
    def shape(self) -> tuple[int, int]:
        """Return the size of the padded blocks, (tgt, src)."""
        return self.blocks.shape[-2], self.blocks.shape[-1]

    def geometry(self, view: View) -> Geometry:
        """Return the sizes, and which side looks in a view."""
        return Geometry(self.n_src, self.n_tgt, view.query_side)

    def key_tokens(self, view: View) -> Float[np.ndarray, "pair key"]:
        """Return the tokens of the words that a view sees."""
        return self.tokens[view.key_side]

    def linked(self, links: Mapping[int, SomeLinks]) -> Bool[np.ndarray, "pair tgt src"]:
        """Return the links of each pair, given by its place among all, as masks."""
        out = np.zeros((len(self.rows), *self.shape), dtype=bool)
        for at, row in enumerate(self.rows.tolist()):
            own = links.get(row)
            if own is not None and len(own):
                out[at, own[:, 1], own[:, 0]] = True
        return out


def chunks(
    blocks: Iterable[PairBlocks],
    place: Mapping[int, int],
    label: str,
    *,
    heads: bool = False,
    size: int = CHUNK,
    n_blocks: int | None = None,
) -> Iterator[Chunk]:
    """Yield the blocks of the pairs that have a place, in their order, `size` at a time.

    Parameters
    ----------
    blocks : iterable of PairBlocks
        Of one split.
    place : mapping of pair_id to int
        Which pairs, and where each stands among all.
    label : str
        Of the progress bar.
    heads : bool
        Whether to give the blocks of every head; pairs without them are passed over.
    size : int
        Pairs of a chunk.
    n_blocks : int, optional
        How many blocks there are, for the progress bar.
    """
    waiting: list[PairBlocks] = []
    for block in watched(blocks, label, n_blocks):
        if block.pair_id in place and (block.heads is not None or not heads):
            waiting.append(block)
        if len(waiting) == size:
            yield _padded(waiting, place, heads=heads)
            waiting = []
    if waiting:
        yield _padded(waiting, place, heads=heads)


def _padded(group: list[PairBlocks], place: Mapping[int, int], *, heads: bool) -> Chunk:
    arrays = [block.heads if heads and block.heads is not None else block.attention for block in group]
    n_tgt, n_src = (np.array([array.shape[axis] for array in arrays], dtype=np.int64) for axis in (-2, -1))
    out = np.zeros((len(group), *arrays[0].shape[:-2], int(n_tgt.max()), int(n_src.max())), dtype=np.float32)
    for row, array in enumerate(arrays):
        out[row, ..., : n_tgt[row], : n_src[row]] = array
    seen: np.ndarray = np.asarray(~np.isnan(out).any((-1, -2)))
    sides: tuple[Side, Side] = ("src", "tgt")
    return Chunk(
        rows=np.array([place[block.pair_id] for block in group], dtype=np.int64),
        blocks=np.where(seen[..., None, None], out, np.float32(0)),
        seen=seen,
        n_src=n_src,
        n_tgt=n_tgt,
        tokens={side: pad_words([getattr(block, f"{side}_pieces") for block in group]) for side in sides},
    )


def pad_words(values: list[Float[np.ndarray, " _word"]]) -> Float[np.ndarray, "pair word"]:
    """Return one row a pair, 0 behind its words."""
    out = np.zeros((len(values), max(map(len, values))))
    for row, own in enumerate(values):
        out[row, : len(own)] = own
    return out
