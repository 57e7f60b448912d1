"""How well each head aligns on half A, and the means that heads give out when they are off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor

from pipeline.intervention import changes
from pipeline.intervention.inputs import Item, batches
from pipeline.intervention.observers import Head, Record
from pipeline.intervention.scorer import Scorer


@dataclass(frozen=True)
class Ranking:
    """What half A says about the heads.

    Attributes
    ----------
    pointing : float array, shape (view, layer, head)
        Share of linked target words whose largest attention is on a linked word, mean over pairs, in [0, 1].
    entropy : float array, shape (layer, head)
        Mean row entropy over source tokens, in nats.
    means : float tensor, shape (layer, head, dim)
        Mean output of each head over the positions that may be changed.
    n_pairs : int
    """

    pointing: Float[np.ndarray, "view layer head"]
    entropy: Float[np.ndarray, "layer head"]
    means: Float[Tensor, "layer head dim"]
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


def rank_heads(scorer: Scorer, items: Sequence[Item], tokens_per_batch: int) -> Ranking:
    """Return pointing, entropies and mean outputs over the pairs given, one pass."""
    pointing, entropies = [], []
    totals: Float[Tensor, "layer head dim"] | float = 0.0
    n_rows = 0
    for part in batches(items, tokens_per_batch):
        record = Record(scorer.layers)
        batch, _ = scorer.prepare(part, record)
        order = sorted(record.weights)
        rows = batch.rows
        outputs = torch.stack([record.outputs[layer].double() for layer in order])
        totals = totals + torch.einsum("lbhqd,bq->lhd", outputs, rows.double())
        n_rows += int(rows.sum())
        weights = torch.stack([record.weights[layer] for layer in order], 1)
        for item, maps, free, keys in zip(part, weights, rows, batch.keys, strict=True):
            share = changes.within(maps[:, :, free], keys.expand(len(maps), -1))
            entropies.append(changes.entropy(share).mean(-1).cpu().numpy())
            pointing.append(_pointing(item, maps.double().cpu().numpy()))
    means = totals / n_rows
    return Ranking(np.mean(pointing, axis=0), np.mean(entropies, axis=0), torch.as_tensor(means), len(pointing))


def _pointing(item: Item, weights: Float[np.ndarray, "layer head query key"]) -> Float[np.ndarray, "view layer head"]:
    n_queries, n_keys = len(item.labels), item.keys.shape[1]
    block = np.einsum("vwq,lhqk,sk->vlhws", item.queries, weights[:, :, :n_queries, :n_keys], item.keys, optimize=True)
    linked = np.zeros(block.shape[-2:], dtype=bool)
    linked[item.links[:, 1], item.links[:, 0]] = True
    has_link = linked.any(1)
    top = block == block.max(-1, keepdims=True)
    hits = (top & linked).sum(-1) / top.sum(-1)
    return hits[..., has_link].mean(-1)


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
