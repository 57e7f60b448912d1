"""What is fast gives what is plain (`benchmarks/reference/`), and what is timed is what is compared."""

import numpy as np
import pytest

from benchmarks import bench_alignment as bench


def test_scores_and_pointing_are_those_of_the_loop():
    pairs = bench.draw_pairs(70, layers=3)
    pairs.blocks[0][:, 0] = 0.25  # words that tie
    for ours, plain in zip(bench.measured(pairs, chunk=32), bench.measured_plainly(pairs), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-12)


def test_intervals_are_those_of_the_loop():
    from pipeline.alignment.halves import HashedResampler

    values = np.random.default_rng(1).random((40, 3))

    def resampler():
        return HashedResampler(range(40), resamples=50, seed=3)

    plain = bench.interval_plainly(values, resampler)
    np.testing.assert_allclose(bench.interval(values, resampler), plain, rtol=1e-12)


@pytest.mark.parametrize(("kind", "within"), [("matching", 1e-12), ("exact", 1e-12), ("entropic", 1e-7)])
def test_plans_are_those_of_pot(kind, within):
    runs = bench.transport_runs(6)
    for ours, plain in zip(runs[kind](), runs[f"{kind}_plain"](), strict=True):
        np.testing.assert_allclose(ours, plain, atol=within)
