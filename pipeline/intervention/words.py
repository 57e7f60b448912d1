"""Arrays of one pair that replacements are made of: links as token distributions, places, another pair's attention."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.attention.word_map import mean_rows
from pipeline.intervention.inputs import Item


def linked_share(item: Item, *, permuted_by: int | None = None) -> Float[np.ndarray, "view query key"]:
    """Return each query token's distribution over the tokens of the words linked with its own; 0 without a link.

    Parameters
    ----------
    permuted_by : int, optional
        Seed of a permutation of the pair's source words without a fixed point: every link points to a wrong word.
    """
    n_src, n_tgt = len(item.keys), item.queries.shape[1]
    linked = np.zeros((n_tgt, n_src))
    linked[item.links[:, 1], item.links[:, 0]] = 1
    if permuted_by is not None:
        linked = linked[:, _derangement(n_src, np.random.default_rng([permuted_by, item.pair_id]))]
    share = np.einsum("vwq,ws,sk->vqk", (item.queries > 0).astype(float), linked, mean_rows(item.keys))
    total = share.sum(-1, keepdims=True)
    return np.divide(share, total, out=np.zeros_like(share), where=total > 0)


def _derangement(n: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return a permutation that is one cycle: nothing stays in place if n is 2 or more."""
    order = rng.permutation(n)
    out = np.empty(n, dtype=np.int64)
    out[order] = np.roll(order, 1)
    return out


def query_places(item: Item) -> Float[np.ndarray, "view query"]:
    """Return the relative place (i + 1/2) / n in the target of the token that each query stands for, by view."""
    counted = np.cumsum(item.free) - 1
    n = sum(item.free)
    # In the second view a position stands for the token that it reads, the one before.
    places = np.stack([counted - view for view in range(len(item.queries))])
    return (places.clip(0) + 0.5) / n


def key_places(item: Item) -> Float[np.ndarray, " key"]:
    """Return the relative place (i + 1/2) / n of each key token among those of the source words."""
    of_words = item.keys.sum(0) > 0
    return (np.cumsum(of_words) - 0.5) / of_words.sum()


def partners(items: Sequence[Item]) -> list[int]:
    """Return for each item the place of another one, the next in length, so that each is taken once."""
    order = sorted(range(len(items)), key=lambda i: (items[i].n_tokens, len(items[i].labels), items[i].pair_id))
    return [order[(order.index(i) + 1) % len(order)] for i in range(len(items))]


def stretched(
    weights: Float[np.ndarray, "layer head query key"],
    lent: tuple[Bool[np.ndarray, " query"], Bool[np.ndarray, " key"]],
    own: tuple[Bool[np.ndarray, " own_query"], Bool[np.ndarray, " own_key"]],
) -> Float[np.ndarray, "layer head own_query own_key"]:
    """Return another pair's attention at the same relative places, as distributions over the own source tokens.

    Parameters
    ----------
    weights : array, shape (layer, head, query, key)
        Of the other pair.
    lent, own : (queries, keys)
        Which tokens of the other and of the own pair stand for target and source words.
    """
    (lent_rows, lent_keys), (own_rows, own_keys) = (map(np.flatnonzero, pair) for pair in (lent, own))
    block = weights[:, :, lent_rows[_nearest(len(own_rows), len(lent_rows))]]
    block = block[..., lent_keys[_nearest(len(own_keys), len(lent_keys))]].astype(np.float64)
    total = block.sum(-1, keepdims=True)
    block = np.divide(block, total, out=np.full_like(block, 1 / len(own_keys)), where=total > 0)
    out = np.zeros((*weights.shape[:2], len(own[0]), len(own[1])))
    out[:, :, own_rows[:, None], own_keys] = block
    return out


def _nearest(n: int, of: int) -> Int[np.ndarray, " n"]:
    return np.minimum(((np.arange(n) + 0.5) / n * of).astype(np.int64), of - 1)
