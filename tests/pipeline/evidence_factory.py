"""Padded batches of sentence pairs with planted attention, for the tests of what counts as evidence."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Sizes, links and relative positions of padded pairs."""

    n_src: np.ndarray
    n_tgt: np.ndarray
    linked: np.ndarray
    words: np.ndarray

    @property
    def shape(self):
        """Size (tgt, src) of the padded blocks."""
        return self.linked.shape[1:]


def random_batch(n_pairs, *, seed=0, low=4, high=9, pad=0):
    """Return pairs in which some words are linked one to one, in shuffled order."""
    rng = np.random.default_rng(seed)
    n_src, n_tgt = rng.integers(low, high + 1, n_pairs), rng.integers(low, high + 1, n_pairs)
    linked = np.zeros((n_pairs, high + pad, high + pad), dtype=bool)
    for pair, (n, m) in enumerate(zip(n_src, n_tgt, strict=True)):
        n_links = min(n, m) - 1
        linked[pair, rng.permutation(m)[:n_links], rng.permutation(n)[:n_links]] = True
    words = (np.arange(high + pad) < n_tgt[:, None])[:, :, None] & (np.arange(high + pad) < n_src[:, None])[:, None]
    return Batch(n_src, n_tgt, linked, words)


def attention_on(batch, scores):
    """Return softmax rows of scores (pair, tgt, src) over the words of each pair, 0 in the padding."""
    logits = np.where(batch.words, scores, -np.inf)
    top = logits.max(-1, keepdims=True)
    weights = np.exp(logits - np.where(np.isfinite(top), top, 0))
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def position_scores(batch, *, sd=1.0):
    """Return scores that follow relative position only."""
    width = batch.shape[0]
    tgt, src = (np.arange(width) + 0.5) / batch.n_tgt[:, None], (np.arange(width) + 0.5) / batch.n_src[:, None]
    apart = np.round(np.abs(tgt[:, :, None] - src[:, None, :]), 9)  # equally near words tie exactly
    return -0.5 * np.square(apart * batch.n_src[:, None, None] / sd)


def cost_layer(n_pairs, *, seed=0, low=5, high=9, pad=0):
    """Return a `planlike.Layer` with squared distances of random words of either side and uniform attention.

    Half of the words of a sentence have a partner on the other side; some words are near to everything.
    """
    from pipeline.alignment.planlike import Layer
    from pipeline.alignment.position import Geometry

    batch, rng = random_batch(n_pairs, seed=seed, low=low, high=high, pad=pad), np.random.default_rng(seed)
    width = batch.shape[0]
    tgt, src = rng.normal(size=(n_pairs, width, 6)), rng.normal(size=(n_pairs, width, 6))
    pair, row, column = np.nonzero(batch.linked)
    tgt[pair, row] = src[pair, column] + 0.4 * rng.normal(size=(len(pair), 6))
    src *= rng.uniform(0.4, 1.3, (n_pairs, width, 1))
    cost = np.square(tgt[:, :, None] - src[:, None]).sum(-1)
    tokens = rng.integers(1, 4, (n_pairs, width)) * batch.words.any(1).astype(float)
    return Layer.of(batch.words.astype(float), cost, Geometry(batch.n_src, batch.n_tgt, "tgt"), tokens)
