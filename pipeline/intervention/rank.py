"""How well each head aligns on half A, and the means that heads give out when they are off."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor

from pipeline.alignment.pointing import link_block, pointing
from pipeline.alignment.position import normalised_rows, row_entropy
from pipeline.attention.engine import batches
from pipeline.intervention.items import Item
from pipeline.intervention.observers import Head, Record
from pipeline.intervention.scorer import Batch, Scorer


@dataclass(frozen=True)
class Ranking:
    """What half A says about the heads.

    Attributes
    ----------
    pointing : float array, shape (view, layer, head)
        Pointing of target words on dictionary links (`pipeline.alignment.pointing`), mean over pairs, in [0, 1].
    entropy : float array, shape (layer, head)
        Mean row entropy over source tokens, mean over pairs, in nats.
    means : dict from layer to float tensor, shape (head, dim)
        Mean output of each head over the rows; layers may differ in width.
    n_pairs : int
    """

    pointing: Float[np.ndarray, "view layer head"]
    entropy: Float[np.ndarray, "layer head"]
    means: dict[int, Float[Tensor, "head _dim"]]
    n_pairs: int

    @property
    def views(self) -> Int[np.ndarray, "layer head"]:
        """Return the view in which each head points better, the first of equals."""
        return self.pointing.argmax(0)

    @property
    def best(self) -> Float[np.ndarray, "layer head"]:
        """Return the pointing of each head in its better view."""
        return self.pointing.max(0)

    def ordered(self) -> list[Head]:
        """Return all heads, the best aligning first; of equals the lower layer and head."""
        n_heads = self.best.shape[1]
        order = np.argsort(-self.best.ravel(), kind="stable")
        return [(int(i) // n_heads + 1, int(i) % n_heads) for i in order]


ON_PROCESSOR = 1024
"""Most tokens that are run at once without a card: more of them only bring padding."""


def in_batches(scorer: Scorer, items: Sequence[Item], tokens_per_batch: int) -> Iterator[Batch]:
    """Yield the items as batches by length."""
    if scorer.translator.device.type == "cpu":
        tokens_per_batch = min(tokens_per_batch, ON_PROCESSOR)
    by_pair = {item.pair_id: item for item in items}
    for part in batches([item.example for item in items], tokens_per_batch):
        yield scorer.batch([by_pair[example.pair_id] for example in part])


def blocks_of(record: Record, items: Sequence[Item]) -> list[Float[np.ndarray, "layer head row column"]]:
    """Return what every pair of a batch attends to, in single precision, padding removed."""
    stacked = torch.stack([record.blocks[layer] for layer in sorted(record.blocks)], 1).float().cpu().numpy()
    return [
        block[..., : len(item.rows), : len(item.columns)].copy() for item, block in zip(items, stacked, strict=True)
    ]


def rank_heads(scorer: Scorer, items: Sequence[Item], tokens_per_batch: int) -> Ranking:
    """Return pointing, entropies and mean outputs over the pairs given, one pass; their order changes nothing."""
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    sums: list[dict[int, Tensor]] = []
    for batch in in_batches(scorer, items, tokens_per_batch):
        record = Record(scorer.layers, batch.place)
        scorer.losses(batch, record)
        sums.append(record.sums)
        for item, block in zip(batch.items, blocks_of(record, batch.items), strict=True):
            entropy = row_entropy(normalised_rows(block, "tgt"), np.full(len(block), len(item.rows)))
            found[item.pair_id] = _pointing(item, block), entropy
    pointings, entropies = zip(*(found[pair_id] for pair_id in sorted(found)), strict=True)
    n_rows = sum(len(item.rows) for item in items)
    means = {layer: torch.stack([part[layer] for part in sums]).sum(0) / n_rows for layer in sorted(sums[0])}
    return Ranking(np.mean(pointings, axis=0), np.mean(entropies, axis=0), means, len(found))


def _pointing(item: Item, block: Float[np.ndarray, "layer head row column"]) -> Float[np.ndarray, "view layer head"]:
    queries, keys = item.queries[:, :, item.rows], item.keys[:, item.columns]
    words = np.einsum("vwr,lhrc,sc->vlhws", queries, block.astype(np.float64), keys, optimize=True)
    return pointing(words, link_block(item.links, n_src=len(keys), n_tgt=queries.shape[1]), query="tgt")


def rank_correlation(
    x: Float[np.ndarray, "layer head"], y: Float[np.ndarray, "*draw layer head"], *, within_layer: bool
) -> Float[np.ndarray, "*draw"]:
    """Return Spearman's correlation over heads; 0 where all are equal.

    `within_layer` ranks the heads of each layer among themselves: differences between layers do not enter.
    """

    def ranks(values: np.ndarray) -> np.ndarray:
        lead = values.shape[:-2]
        values = values if within_layer else values.reshape(*lead, -1)
        centred = rankdata(values, axis=-1)
        return (centred - centred.mean(-1, keepdims=True)).reshape(*lead, -1)

    a, b = ranks(x), ranks(y)
    norms = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return np.divide((a * b).sum(-1), norms, out=np.zeros_like(norms), where=norms > 0)
