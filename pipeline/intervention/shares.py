"""Where heads look instead: position, another pair's attention, links, links to wrong words."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.alignment.pointing import link_block
from pipeline.alignment.position import Geometry, entropy_matched_widths, gaussian_rows, normalised_rows, row_entropy
from pipeline.attention.word_map import mean_rows
from pipeline.intervention import changes
from pipeline.intervention.items import Item
from pipeline.intervention.observers import Kind
from pipeline.intervention.scorer import Batch

PERMUTED = 1
"""Sets the draws of permuted links apart from those of masked words."""
Blocks = Float[np.ndarray, "layer head row column"]


class RecordedShares:
    """Distributions for a batch that follow from its pairs and from attention as it was recorded.

    Parameters
    ----------
    batch : Batch
    blocks : mapping from pair_id to float array, shape (layer, head, row, column)
        What every pair of half B attends to while nothing is changed.
    partners : mapping from pair_id to Item
        Whose attention each pair is lent.
    views : int array, shape (layer, head)
        In which view each head aligns better: whose words its rows stand for.
    seed : int
        Of the permuted links.
    """

    def __init__(
        self,
        batch: Batch,
        blocks: Mapping[int, Blocks],
        partners: Mapping[int, Item],
        *,
        views: Int[np.ndarray, "layer head"],
        seed: int,
    ) -> None:
        self._batch, self._blocks, self._partners = batch, blocks, partners
        self._views = views
        self._links = [linked_share(item) for item in batch.items]
        self._permuted = [linked_share(item, permuted_by=seed) for item in batch.items]

    def of(self, kind: Kind, layer: int, heads: list[int]) -> Float[Tensor, "batch #some #row column"]:
        """Return a distribution over the columns for each row, float64; rows of 0 keep their own attention."""
        views = self._views[layer - 1, heads]
        if kind == "uniform":
            return changes.uniform(self._batch.place.column_mask)
        if kind == "mispaired":
            return self._stacked([self._lent(item, layer, heads) for item in self._batch.items])
        if kind == "position":
            return self._stacked(self._position(layer, heads))
        return self._stacked([share[views] for share in (self._links if kind == "links" else self._permuted)])

    def _lent(self, item: Item, layer: int, heads: list[int]) -> Float[np.ndarray, "some row column"]:
        partner = self._partners[item.pair_id]
        return stretched(self._blocks[partner.pair_id][layer - 1, heads], (len(item.rows), len(item.columns)))

    def _position(self, layer: int, heads: list[int]) -> list[Float[np.ndarray, "some row column"]]:
        """Return Gaussians on relative position as flat as each head's own attention (`pipeline.alignment.position`).

        Tokens take the place of words: those that a view's rows stand for, and those of the source.
        """
        views, items = self._views[layer - 1, heads], self._batch.items
        own = [self._of_view(item, layer, heads) for item in items]
        geometry = Geometry(
            np.array([block.shape[2] for block in own]), np.array([block.shape[1] for block in own]), "tgt"
        )
        shape = int(geometry.n_tgt.max()), int(geometry.n_src.max())
        entropy = row_entropy(normalised_rows(_padded(own, shape), "tgt"), geometry.n_query)
        widths = entropy_matched_widths(entropy, geometry, shape=shape)
        gaussians = gaussian_rows(widths.sd, geometry, shape=shape)
        out = []
        for item, rows in zip(items, gaussians, strict=True):
            # A row beside those of a view (it reads the start, or predicts the end) takes the place of the nearest.
            token = (np.cumsum(item.of_view[:, item.rows], axis=1) - 1).clip(0)[views]
            out.append(np.take_along_axis(rows[:, :, : len(item.columns)], token[:, :, None], axis=1))
        return out

    def _of_view(self, item: Item, layer: int, heads: list[int]) -> Float[np.ndarray, "some token column"]:
        """Return what each head attends to in the rows of its view."""
        of_view, views = item.of_view[:, item.rows], self._views[layer - 1, heads]
        block = self._blocks[item.pair_id][layer - 1, heads]
        return np.stack([rows[of_view[view]] for rows, view in zip(block, views, strict=True)])

    def _stacked(self, arrays: Sequence[np.ndarray]) -> Float[Tensor, "batch some row column"]:
        place = self._batch.place
        padded = _padded(arrays, (place.rows.shape[1], place.columns.shape[1]))
        return torch.from_numpy(padded).to(place.rows.device)


def _padded(arrays: Sequence[np.ndarray], shape: tuple[int, int]) -> Float[np.ndarray, "pair some row column"]:
    out = np.zeros((len(arrays), len(arrays[0]), *shape))
    for padded, array in zip(out, arrays, strict=True):
        padded[:, : array.shape[1], : array.shape[2]] = array
    return out


def linked_share(item: Item, *, permuted_by: int | None = None) -> Float[np.ndarray, "view row column"]:
    """Return each row's distribution over the tokens of the words that its own are linked with; 0 without a link.

    Parameters
    ----------
    item : Item
    permuted_by : int, optional
        Seed of a permutation of the pair's source words without a fixed point: every link points to a wrong word.
    """
    n_src, n_tgt = len(item.keys), item.queries.shape[1]
    linked = link_block(item.links, n_src=n_src, n_tgt=n_tgt).astype(float)
    if permuted_by is not None:
        linked = linked[:, _derangement(n_src, np.random.default_rng([permuted_by, item.pair_id, PERMUTED]))]
    queries = (item.queries[:, :, item.rows] > 0).astype(float)
    share = np.einsum("vwr,ws,sc->vrc", queries, linked, mean_rows(item.keys)[:, item.columns])
    total = share.sum(-1, keepdims=True)
    return np.divide(share, total, out=np.zeros_like(share), where=total > 0)


def _derangement(n: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return a permutation that is one cycle: nothing stays in place if n is 2 or more."""
    order = rng.permutation(n)
    out = np.empty(n, dtype=np.int64)
    out[order] = np.roll(order, 1)
    return out


def partners(items: Sequence[Item]) -> dict[int, Item]:
    """Return for each pair, by its number, another one, the next in length, so that each is lent once."""
    ordered = sorted(items, key=lambda item: (len(item.rows), len(item.columns), item.pair_id))
    return {item.pair_id: ordered[(place + 1) % len(ordered)] for place, item in enumerate(ordered)}


def stretched(
    block: Float[np.ndarray, "head row column"], shape: tuple[int, int]
) -> Float[np.ndarray, "head own_row own_column"]:
    """Return another pair's attention at the same relative places, rows summing to 1.

    Parameters
    ----------
    block : float array, shape (head, row, column)
        Of the other pair.
    shape : (int, int)
        Rows and columns of the own pair.
    """
    rows, columns = (_nearest(own, of) for own, of in zip(shape, block.shape[1:], strict=True))
    lent = block[:, rows[:, None], columns].astype(np.float64)
    total = lent.sum(-1, keepdims=True)
    return np.divide(lent, total, out=np.full_like(lent, 1 / shape[1]), where=total > 0)


def _nearest(n: int, of: int) -> Int[np.ndarray, " n"]:
    return np.minimum(((np.arange(n) + 0.5) / n * of).astype(np.int64), of - 1)
