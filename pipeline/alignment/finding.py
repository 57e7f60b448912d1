"""Claim 1, pair by pair: where the largest attention points, what lies on links, and what position alone would do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.chunks import Chunk, chunks
from pipeline.alignment.gap import gap
from pipeline.alignment.pointing import by_query, pointing, position_distance, position_pointing, word_mask
from pipeline.alignment.position import (
    Geometry,
    best_width,
    gaussian_rows,
    mass_on_links,
    matched_position,
    normalised_rows,
    uniform_rows,
)
from pipeline.attention.store import PairBlocks
from pipeline.conventions import View
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import SomeLinks

MAX_FITTED = 1500
"""Pairs of half A that the best width is fitted on."""
Sizes = tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]
LinkSets = Mapping[str, Mapping[int, SomeLinks]]
"""Links by kind (dictionary, mispaired, sure, ...) and by a pair's place among all."""


def has_content(words: Sequence[str]) -> Bool[np.ndarray, " word"]:
    """Return which words carry content: those with a letter or a digit.

    Examples
    --------
    >>> has_content(["l'", "an", "2020", ",", "..."]).tolist()
    [True, True, True, False, False]
    """
    return np.array([any(char.isalnum() for char in word) for word in words], dtype=bool)


@dataclass(frozen=True)
class Content:
    """Which words carry content, by a pair's place (`has_content`)."""

    src: Mapping[int, Bool[np.ndarray, " _word"]]
    tgt: Mapping[int, Bool[np.ndarray, " _word"]]

    @classmethod
    def of(cls, pairs: Sequence[SentencePair]) -> "Content":
        """Return that of some pairs, by their place among them."""
        return cls(
            {row: has_content(pair.src_words) for row, pair in enumerate(pairs)},
            {row: has_content(pair.tgt_words) for row, pair in enumerate(pairs)},
        )

    def mask(self, chunk: Chunk) -> Bool[np.ndarray, "pair tgt src"]:
        """Return which entries of a chunk's blocks are between content words."""
        sides = []
        for of, width in ((self.tgt, chunk.shape[0]), (self.src, chunk.shape[1])):
            side = np.zeros((len(chunk.rows), width), dtype=bool)
            for at, row in enumerate(chunk.rows.tolist()):
                side[at, : len(of[row])] = of[row]
            sides.append(side)
        return sides[0][:, :, None] & sides[1][:, None, :]


@dataclass
class Found:
    """Scores of every pair, NaN where a pair has no link of a kind, or was not read.

    Attributes
    ----------
    pointing, content : float array, shape (kind, pair, view, layer)
        Share of linked query words whose largest attention is on a linked word; over content words only.
    mass : float array, shape (kind, pair, view, layer)
        Share of a linked query word's attention on its links, rows normalised over the words of the other side.
    matched : float array, shape (kind, pair, view, layer)
        Mass of the Gaussian on relative position that is as flat as the attention.
    position, position_content, uniform : float array, shape (kind, pair, view)
        Pointing of the nearest relative position; mass of attention that is uniform over tokens.
    out_of_reach : bool array, shape (pair, view, layer)
        Where no Gaussian is as flat as the attention, and the nearest was taken.
    gap : float array, shape (pair, view, layer)
        Distance of the columns' shares from equal ones (`gap.gap`).
    """

    kinds: tuple[str, ...]
    pointing: Float[np.ndarray, "kind pair view layer"]
    content: Float[np.ndarray, "kind pair view layer"]
    mass: Float[np.ndarray, "kind pair view layer"]
    matched: Float[np.ndarray, "kind pair view layer"]
    position: Float[np.ndarray, "kind pair view"]
    position_content: Float[np.ndarray, "kind pair view"]
    uniform: Float[np.ndarray, "kind pair view"]
    gap: Float[np.ndarray, "pair view layer"]
    out_of_reach: Bool[np.ndarray, "pair view layer"] = field(repr=False)

    @classmethod
    def empty(cls, kinds: tuple[str, ...], n_pairs: int, n_views: int, n_layers: int) -> "Found":
        """Return arrays without a single pair in them."""

        def unknown(*shape: int) -> np.ndarray:
            return np.full(shape, np.nan)

        whole = len(kinds), n_pairs, n_views, n_layers
        arrays = {name: unknown(*whole) for name in SCORES.values()} | {name: unknown(*whole[:3]) for name in FLOORS}
        return cls(kinds, **arrays, gap=unknown(*whole[1:]), out_of_reach=np.zeros(whole[1:], dtype=bool))


SCORES = {"pointing": "pointing", "pointing_content": "content", "row_mass": "mass", "position_matched": "matched"}
"""What tables call the values that have a layer, and where `Found` keeps each."""
FLOORS = ("position", "position_content", "uniform")


def find(
    blocks: Iterable[PairBlocks],
    links: LinkSets,
    content: Content,
    place: Mapping[int, int],
    *,
    views: tuple[View, ...],
    n_layers: int,
    label: str = "",
    n_blocks: int | None = None,
) -> Found:
    """Return the scores of every pair that has a place.

    Parameters
    ----------
    blocks : iterable of PairBlocks
        Of one split.
    links : mapping of kind to mapping of place to links
        What attention is scored against.
    content : Content
        Of all pairs.
    place : mapping of pair_id to int
        Where each pair stands among all.
    views, n_layers : tuple of View, int
        Of the blocks.
    label, n_blocks : str, int
        Of the progress bar.
    """
    out = Found.empty(tuple(links), len(place), len(views), n_layers)
    for chunk in chunks(blocks, place, label, n_blocks=n_blocks):
        linked = {kind: chunk.linked(own) for kind, own in links.items()}
        both = content.mask(chunk)
        for v, view in enumerate(views):
            _add_rows(out, chunk, linked, v, view)
            _add_pointing(out, chunk, linked, v, view, content=both)
    return out


def _add_pointing(
    out: Found, chunk: Chunk, linked: Mapping[str, np.ndarray], v: int, view: View, *, content: np.ndarray
) -> None:
    query, seen, sizes = view.query_side, chunk.seen[:, v], (chunk.n_src, chunk.n_tgt)
    words = word_mask(*sizes, shape=chunk.shape)
    # Exact ties of fractions (two words equally near) would otherwise be broken by rounding.
    near = -np.round(position_distance(*sizes, shape=chunk.shape), 9)
    for kind, links in enumerate(linked.values()):
        own = links & content
        for target, found, among in ((out.pointing, links, words), (out.content, own, words & content)):
            value = pointing(chunk.blocks[:, v], found[:, None], query=query, words=among[:, None])
            target[kind, chunk.rows, v] = np.where(seen, value, np.nan)
        out.position[kind, chunk.rows, v] = position_pointing(links, *sizes, query=query)
        out.position_content[kind, chunk.rows, v] = pointing(near, own, query=query, words=words & content)


def _add_rows(out: Found, chunk: Chunk, linked: Mapping[str, np.ndarray], v: int, view: View) -> None:
    geometry, seen = chunk.geometry(view), chunk.seen[:, v]
    rows = normalised_rows(chunk.blocks[:, v], view.query_side)
    gaussian, missed = matched_position(rows, geometry, shape=chunk.shape)
    flat = uniform_rows(chunk.key_tokens(view), geometry, shape=chunk.shape)
    out.out_of_reach[chunk.rows, v] = missed & seen
    out.gap[chunk.rows, v] = np.where(seen, gap(rows, geometry.words(chunk.shape)), np.nan)
    for kind, links in enumerate(linked.values()):
        own = by_query(links, view.query_side)
        out.mass[kind, chunk.rows, v] = np.where(seen, mass_on_links(rows, own), np.nan)
        out.matched[kind, chunk.rows, v] = np.where(seen, mass_on_links(gaussian, own), np.nan)
        out.uniform[kind, chunk.rows, v] = mass_on_links(flat, own)


def fitted_width(
    links: Mapping[int, SomeLinks],
    sizes: Sizes,
    first_half: Int[np.ndarray, " first"],
    view: View,
) -> float:
    """Return the width, in words seen, whose Gaussian has most mass on the links of half A.

    Parameters
    ----------
    links : mapping of place to links
        Of one kind.
    sizes : (n_src, n_tgt)
        Words of every pair.
    first_half : int array
        Places of half A, the first `MAX_FITTED` of which are fitted on.
    view : View
        Whose words look.
    """
    return best_width(*_masks(links, sizes, first_half[:MAX_FITTED], view))


def width_mass(links: Mapping[int, SomeLinks], sizes: Sizes, view: View, sd: float) -> Float[np.ndarray, " pair"]:
    """Return the mass on every pair's links of the Gaussian of a width; parameters as in `fitted_width`."""
    linked, geometry = _masks(links, sizes, np.arange(len(sizes[0])), view)
    shape = int(geometry.n_tgt.max()), int(geometry.n_src.max())
    return mass_on_links(gaussian_rows(np.full(len(sizes[0]), sd), geometry, shape=shape), linked)


def _masks(
    links: Mapping[int, SomeLinks], sizes: Sizes, rows: Int[np.ndarray, " row"], view: View
) -> tuple[Bool[np.ndarray, "row query key"], Geometry]:
    n_src, n_tgt = (part[rows] for part in sizes)
    geometry = Geometry(n_src, n_tgt, view.query_side)
    shape = int(n_tgt.max()), int(n_src.max())
    part = Chunk(rows, np.zeros((len(rows), *shape)), np.ones(len(rows), bool), n_src, n_tgt, {})
    return by_query(part.linked(links), view.query_side), geometry
