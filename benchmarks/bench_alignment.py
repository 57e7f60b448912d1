"""How fast pairs are scored, resampled and transported, against plain loops over the same numbers.

`alignment`: scores and pointing of 10,000 pairs x 12 layers and the intervals of their means, against a loop over pairs,
layers and links and one over resamples and layers (`benchmarks/reference/`). `transport`: plans of 13 levels x 1,000
pairs, one batch a pair as the stage `align` solves them, against `ot.solve` a problem at a time. One JSON object each.

    python benchmarks/bench_alignment.py [--pairs 10000] [--plans 1000] [--turns 3]
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.reference.alignment import pointing_pair, resampled_means, score_pair
from benchmarks.reference.transport import solve_each
from benchmarks.turns import ratio, take_turns
from otcore.plans import entropic_plan, exact_plan, pad_costs
from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.halves import HashedResampler
from pipeline.alignment.pointing import pointing, word_mask
from pipeline.alignment.scores import score_links

LAYERS, LEVELS, RESAMPLES, SEED, CHUNK, REG = 12, 13, 2000, 2026, 64, 0.1


class Pairs(NamedTuple):
    """Random pairs of the lengths of real ones: attention by layer, and links."""

    blocks: list[np.ndarray]
    links: list[np.ndarray]


def draw_pairs(n: int, *, layers: int = LAYERS, seed: int = SEED) -> Pairs:
    """Return `n` pairs of 5 to 40 words a side, attention float32 (layer, tgt, src) with rows of sum 1, and links."""
    rng = np.random.default_rng(seed)
    blocks, links = [], []
    for _ in range(n):
        n_src, n_tgt = (int(size) for size in rng.integers(5, 41, 2))
        block = rng.random((layers, n_tgt, n_src), dtype=np.float32) ** 8
        blocks.append(block / block.sum(-1, keepdims=True))
        n_links = int(rng.integers(3, min(n_src, n_tgt) + 1))
        links.append(np.stack([rng.permutation(n_src)[:n_links], rng.permutation(n_tgt)[:n_links]], axis=1))
    return Pairs(blocks, links)


def measured(pairs: Pairs, *, chunk: int = CHUNK) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (pair, layer, 4) and pointing (pair, layer) as the stage `align` computes them."""
    scores = np.stack([score_links(*pair) for pair in zip(*pairs, strict=True)])
    pointed = [
        _pointed(pairs.blocks[at : at + chunk], pairs.links[at : at + chunk]) for at in range(0, len(scores), chunk)
    ]
    return scores, np.concatenate(pointed)


def _pointed(blocks: list[np.ndarray], links: list[np.ndarray]) -> np.ndarray:
    n_tgt, n_src = (np.array([block.shape[axis] for block in blocks]) for axis in (1, 2))
    shape = int(n_tgt.max()), int(n_src.max())
    padded = np.zeros((len(blocks), blocks[0].shape[0], *shape), dtype=np.float32)
    linked = np.zeros((len(blocks), 1, *shape), dtype=bool)
    for row, (block, own) in enumerate(zip(blocks, links, strict=True)):
        padded[row, :, : n_tgt[row], : n_src[row]] = block
        linked[row, 0, own[:, 1], own[:, 0]] = True
    return pointing(padded, linked, query="tgt", words=word_mask(n_src, n_tgt, shape=shape)[:, None])


def measured_plainly(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the same by loops."""
    both = list(zip(*pairs, strict=True))
    return np.stack([score_pair(*pair) for pair in both]), np.stack([pointing_pair(*pair) for pair in both])


def interval(pointed: np.ndarray, resampler: Callable[[], HashedResampler]) -> np.ndarray:
    """Return the ends of the intervals of the means by layer, the resamples drawn anew."""
    estimate = resampler().estimate_mean(pointed, IntervalRule("percentile", 0.95))
    return np.stack([estimate.low, estimate.high])


def interval_plainly(pointed: np.ndarray, resampler: Callable[[], HashedResampler]) -> np.ndarray:
    """Return the same by a loop; drawing is the same, as the plain way of it is not slower."""
    return np.quantile(resampled_means(pointed, resampler().counts), [0.025, 0.975], axis=0)


def alignment(n: int, turns: int) -> dict[str, object]:
    """Return how the scores of `n` pairs and their intervals compare."""
    pairs = draw_pairs(n)
    resampler = partial(HashedResampler, list(range(n)), resamples=RESAMPLES, seed=SEED)
    pointed = measured(pairs)[1]
    runs = {
        "scores": partial(measured, pairs),
        "scores_plain": partial(measured_plainly, pairs),
        "intervals": partial(interval, pointed, resampler),
        "intervals_plain": partial(interval_plainly, pointed, resampler),
    }
    seconds = take_turns(runs, turns)
    ours, plain = (
        [sum(one) for one in zip(seconds[f"scores{kind}"], seconds[f"intervals{kind}"], strict=True)]
        for kind in ("", "_plain")
    )
    return {
        "benchmark": "alignment",
        "n_pairs": n,
        "layers": LAYERS,
        "resamples": RESAMPLES,
        "seconds": {name: round(median(times), 3) for name, times in seconds.items()},
        "plain_over_ours": {
            "scores": ratio(seconds["scores_plain"], seconds["scores"]),
            "intervals": ratio(seconds["intervals_plain"], seconds["intervals"]),
            "both": ratio(plain, ours),
        },
        "largest_difference": float(np.abs(interval(pointed, resampler) - interval_plainly(pointed, resampler)).max()),
    }


def draw_costs(n: int, *, levels: int = LEVELS, seed: int = SEED) -> list[np.ndarray]:
    """Return costs (level, src, tgt), 1 minus the cosine of random vectors, for `n` pairs of 5 to 40 words a side."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        n_src, n_tgt = (int(size) for size in rng.integers(5, 41, 2))
        src, tgt = (rng.standard_normal((levels, size, 16)) for size in (n_src, n_tgt))
        src, tgt = (side / np.linalg.norm(side, axis=-1, keepdims=True) for side in (src, tgt))
        out.append(1.0 - src @ tgt.swapaxes(1, 2))
    return out


def entropic_batches(problems: list[np.ndarray], *, batch: int = 512) -> list[np.ndarray]:
    """Return the entropic plan of each problem, solved in batches of like sizes."""
    order = sorted(range(len(problems)), key=lambda at: problems[at].shape)
    plans: list[np.ndarray] = [np.empty(0)] * len(problems)
    for at in range(0, len(order), batch):
        rows = order[at : at + batch]
        solved = entropic_plan(pad_costs([problems[row] for row in rows]), reg=REG, marginals="uniform").plan
        for row, plan in zip(rows, solved, strict=True):
            n_src, n_tgt = problems[row].shape
            plans[row] = plan[:n_src, :n_tgt]
    return plans


def squares(costs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the leading square of each pair's costs: as many words a side, as the linked words of Figure 7 are."""
    sizes = [min(levels.shape[1:]) for levels in costs]
    return [levels[:, :size, :size] for levels, size in zip(costs, sizes, strict=True)]


def transport_runs(n: int) -> dict[str, Callable[[], list[np.ndarray]]]:
    """Return what is timed: matchings of equally many words, plans of any sizes, and entropic plans."""
    costs = draw_costs(n)
    square = squares(costs)
    problems, matchings = ([cost for levels in some for cost in levels] for some in (costs, square))
    return {
        "matching": lambda: [plan for levels in square for plan in exact_plan(levels, marginals="uniform").plan],
        "matching_plain": partial(solve_each, matchings),
        "exact": lambda: [plan for levels in costs for plan in exact_plan(levels, marginals="uniform").plan],
        "exact_plain": partial(solve_each, problems),
        "entropic": partial(entropic_batches, problems),
        "entropic_plain": partial(solve_each, problems, reg=REG),
    }


def transport(n: int, turns: int) -> dict[str, object]:
    """Return how the plans of `n` pairs at every level compare."""
    for run in transport_runs(1).values():
        run()
    seconds = take_turns(transport_runs(n), turns)
    return {
        "benchmark": "transport",
        "n_pairs": n,
        "levels": LEVELS,
        "reg": REG,
        "seconds": {name: round(median(times), 3) for name, times in seconds.items()},
        "plain_over_ours": {
            kind: ratio(seconds[f"{kind}_plain"], seconds[kind]) for kind in ("matching", "exact", "entropic")
        },
    }


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--plans", type=int, default=1_000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(alignment(options.pairs, options.turns), sort_keys=True), flush=True)
    print(json.dumps(transport(options.plans, options.turns), sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
