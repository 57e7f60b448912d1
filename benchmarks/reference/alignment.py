"""Scores, pointing and resampled means, a layer, a link and a resample at a time."""

import math

import numpy as np


def score_pair(attention: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Return mass, mean mass, cosine and excess (`pipeline.alignment.scores`) by layer, shape (layer, 4), float64.

    Parameters
    ----------
    attention : float array, shape (layer, tgt, src)
    links : int array, shape (link, 2)
        Source word, target word; at least one.
    """
    rows = []
    n_links = len(links)
    for block in attention:
        mass = square = 0.0
        for row, (_, tgt) in enumerate(links):
            for column, (src, _) in enumerate(links):
                value = float(block[tgt, src])
                square += value * value
                if row == column:
                    mass += value
        cosine = mass / (math.sqrt(square) * math.sqrt(n_links)) if square else 0.0
        rows.append([mass, mass / n_links, cosine, cosine - 1 / math.sqrt(n_links)])
    return np.array(rows)


def pointing_pair(attention: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Return the share of linked target words that look most at a word linked with them, by layer, float64.

    Of words that tie for the most, each counts its share.
    """
    linked: dict[int, set[int]] = {}
    for src, tgt in links.tolist():
        linked.setdefault(tgt, set()).add(src)
    out = []
    for block in attention:
        hits = 0.0
        for tgt, sources in linked.items():
            row = block[tgt].tolist()
            top = [src for src, value in enumerate(row) if value == max(row)]
            hits += sum(src in sources for src in top) / len(top)
        out.append(hits / len(linked))
    return np.array(out)


def resampled_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over the pairs of each resample, shape (resample, layer), float64.

    Parameters
    ----------
    values : float array, shape (pair, layer)
    counts : int array, shape (resample, pair)
        How often each pair is drawn.
    """
    out = np.empty((len(counts), values.shape[1]))
    for resample, times in enumerate(counts):
        drawn = np.repeat(np.arange(len(values)), times)
        for layer in range(values.shape[1]):
            out[resample, layer] = values[drawn, layer].mean()
    return out
