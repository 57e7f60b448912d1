"""How many layers: solvers against those of otcore, the formula, and faults that turn the verdicts."""

import json
import math

import numpy as np
import pytest
import torch

from otcore import entropic_plan, gradient_descent, sinkhorn, squared_cost
from otcore.hilbert import distance_to
from pipeline.synthetic import errata, rates
from pipeline.synthetic.claims import gaussian_clouds
from pipeline.synthetic.rates import (
    Curves,
    Solvers,
    depth_study,
    descend,
    fit_decay,
    scaled_problems,
    settled_ratio,
    sinkhorn_sweeps,
    spectral_rate,
)
from tests.pipeline.certificate_factory import small, verdicts  # noqa: F401

SEEDS = range(3)
REG = 0.2
TRUE = Solvers(descend, sinkhorn_sweeps, spectral_rate)
HOLDS = dict.fromkeys(
    ("rate_is_geometric", "rate_matches_spectrum", "best_step_ratio_is_2", "depth_twice_sinkhorn"), "holds"
)


def distances(iterates):
    """Return the Hilbert distance of iterates in cost units to the optimum, shape (layer, problem)."""
    cost = squared_cost(*gaussian_clouds(6, dim=3, seeds=SEEDS))
    optimum = entropic_plan(cost, reg=REG, threshold=1e-13, max_sweeps=20_000).potentials
    return torch.stack([distance_to(duals, optimum, reg=REG) for duals in iterates(cost)])


def test_descend_is_gradient_descent():
    ratios, depth = (0.5, 2.0, 2.5), 12
    curves = descend(scaled_problems(6, REG, SEEDS), ratios, depth)
    for k, ratio in enumerate(ratios):
        expected = distances(
            lambda cost, ratio=ratio: gradient_descent(cost, reg=REG, step_size=ratio * REG, depth=depth)
        )
        torch.testing.assert_close(curves.distance[:, k], expected, atol=1e-10, rtol=1e-8)


def test_sinkhorn_sweeps_are_those_of_sinkhorn():
    depth = 200
    expected = distances(lambda cost: sinkhorn(cost, reg=REG, depth=depth))
    solved = torch.tensor([1 + int((column >= rates.TOLERANCE).nonzero()[-1]) for column in expected.T]) + 1.0
    problems = scaled_problems(6, REG, SEEDS)
    assert torch.equal(sinkhorn_sweeps(problems, depth), solved.double())
    assert 3 < solved.min() < solved.max() < depth
    assert torch.equal(sinkhorn_sweeps(problems, 3), torch.full((3,), math.inf, dtype=torch.float64))


def test_layers_are_counted_from_where_the_distance_stays_below():
    """The second problem comes back above the tolerance once; the third never gets there."""
    below, above = 0.5 * rates.TOLERANCE, 2.0 * rates.TOLERANCE
    distance = torch.tensor([[above, below, above], [below, above, above], [below, below, above]], dtype=torch.float64)
    assert rates._solved_at(distance).tolist() == [2.0, 3.0, math.inf]
    at_tolerance = torch.full((1, 1), rates.TOLERANCE, dtype=torch.float64)
    assert rates._solved_at(at_tolerance).tolist() == [math.inf]
    assert rates._solved_at(0.5 * at_tolerance).tolist() == [1.0]


def test_a_ratio_that_has_solved_all_problems_rests():
    problems = scaled_problems(6, 1.0, SEEDS)
    curves = descend(problems, (0.25, 2.0), 400)
    fast, slow = curves.distance[:, 1], curves.distance[:, 0]
    done = int((fast < rates.FIT_RANGE[0]).all(1).nonzero()[0])
    assert torch.equal(fast[done:], fast[done].expand_as(fast[done:]))
    assert (slow[done] > rates.FIT_RANGE[0]).all()
    assert done < len(curves.distance) < 400
    assert curves.solved_at.shape == (2, 3)
    assert (curves.solved_at[1] < curves.solved_at[0]).all()


def test_factor_a_layer_by_hand():
    """The plan [[.9, .1], [.1, .9]] has the second singular value .8."""
    plan = torch.tensor([[[0.9, 0.1], [0.1, 0.9]]], dtype=torch.float64)
    for ratio, factor in ((0.5, 0.95), (1.0, 0.9), (2.0, 0.8), (2.2, 0.98)):
        assert spectral_rate(plan, ratio).item() == pytest.approx(factor)


def test_factor_beyond_a_ratio_of_two_as_measured_outside():
    """Second singular value .772: the formula says 1.038 at 2.3 and 1.215 at 2.5; measured are .830 and .859."""
    share = (1.0 + 0.772) / 2.0
    plan = torch.tensor([[[share, 1.0 - share], [1.0 - share, share]]], dtype=torch.float64)
    for ratio, formula, measured in ((2.3, 1.038, 0.830), (2.5, 1.215, 0.859)):
        assert spectral_rate(plan, ratio).item() == pytest.approx(formula, abs=6e-4)
        assert spectral_rate(plan, settled_ratio(ratio)).item() == pytest.approx(measured, abs=6e-4)


@pytest.mark.parametrize("ratio", [2.1, 2.3, 3.0])
def test_beyond_two_the_mass_swings_and_leaves_the_settled_ratio(ratio):
    """One point a side and no cost: log M itself takes the step of the total mass."""
    cost = torch.zeros(1, 1, 1, dtype=torch.float64)
    *_, before, last = gradient_descent(cost, reg=1.0, step_size=ratio, depth=2000)
    log_mass = [float(duals.src + duals.tgt - 1.0) for duals in (before, last)]
    assert log_mass[0] == pytest.approx(-log_mass[1])
    half = abs(log_mass[0]) / 2.0
    assert settled_ratio(ratio) == pytest.approx(ratio / math.cosh(half) ** 2)
    assert settled_ratio(2.0) == 2.0
    assert settled_ratio(ratio) < 2.0


@pytest.mark.parametrize("factor", [0.5, 0.9])
def test_a_geometric_decay_fits_a_line(factor):
    layer = np.arange(1.0, 41.0)
    geometric, sqrt, found = fit_decay(layer, 3.0 * factor**layer)
    assert geometric == pytest.approx(0.0, abs=1e-10)
    assert sqrt > 0.3
    assert found == pytest.approx(factor)


def test_a_decay_as_one_over_the_root_fits_the_other():
    layer = np.arange(1.0, 41.0)
    geometric, sqrt, found = fit_decay(layer, 3.0 / np.sqrt(layer))
    assert sqrt == pytest.approx(0.0, abs=1e-10)
    assert geometric > 0.05
    assert 0.97 < found < 1.0


def test_the_factor_is_that_of_the_late_half_and_residuals_are_root_mean_squares():
    layer = np.arange(1.0, 11.0)
    distance = np.where(layer <= 5, 0.5**layer, 0.5**5 * 0.8 ** (layer - 5))
    geometric, sqrt, found = fit_decay(layer, distance)
    assert found == pytest.approx(0.8)
    line = np.polyval(np.polyfit(layer, np.log10(distance), 1), layer)
    assert geometric == pytest.approx(np.sqrt(np.mean((np.log10(distance) - line) ** 2)))
    shifted = np.log10(distance * np.sqrt(layer))
    assert sqrt == pytest.approx(np.sqrt(np.mean((shifted - shifted.mean()) ** 2)))


def study(solvers, depth=600):
    return depth_study(0.1, step_ratio=2.0, depth=depth, seeds=SEEDS, solvers=solvers)


def _half_steps(problems, ratios, depth):
    return descend(problems, tuple(ratio / 2.0 for ratio in ratios), depth)


def _as_one_over_root(problems, ratios, depth):
    layer = torch.arange(1, depth + 1, dtype=torch.float64)[:, None, None]
    distance = 0.09 / layer.sqrt() * torch.ones(1, len(ratios), len(SEEDS), dtype=torch.float64)
    return Curves(distance, descend(problems, ratios, depth).solved_at)


FAULTS = {
    "half steps": (TRUE._replace(descend=_half_steps), {"rate_matches_spectrum", "best_step_ratio_is_2", "depth_twice_sinkhorn"}),
    "1/sqrt(l)": (TRUE._replace(descend=_as_one_over_root), {"rate_is_geometric", "rate_matches_spectrum"}),
    "half sweeps": (TRUE._replace(sweeps=lambda problems, depth: sinkhorn_sweeps(problems, depth) / 2.0), {"depth_twice_sinkhorn"}),
    "gamma, not gamma/2": (TRUE._replace(rate=lambda plan, ratio: spectral_rate(plan, 0.5 * ratio)), {"rate_matches_spectrum"}),
}  # fmt: skip


def test_verdicts_of_the_study(small):
    assert verdicts(study(TRUE)) == verdicts(study(None)) == HOLDS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_turns_the_verdict(small, fault):
    solvers, turned = FAULTS[fault]
    assert {name for name, verdict in verdicts(study(solvers)).items() if verdict != "holds"} == turned


def test_tables_of_the_study(small):
    """A row for each problem and method, empty where the depth was not enough; fits only up to a ratio of 2."""
    depth = 40
    tables = study(None, depth=depth).tables
    problems, summary, fits = tables["depth_problems"], tables["depth"], tables["rates"]
    n_methods = len(rates.RATIOS) + 1
    assert len(problems) == 2 * n_methods * len(SEEDS)
    assert len(summary) == 2 * n_methods
    for (n, reg), group in summary.groupby(["n", "reg"]):
        curves = descend(scaled_problems(n, reg, SEEDS), rates.RATIOS, depth)
        rows = group[group["method"] == "gradient"]
        assert rows["step_ratio"].tolist() == list(rates.RATIOS)
        assert rows["solved"].tolist() == torch.isfinite(curves.solved_at).sum(1).tolist()
        for ratio, counts in zip(rates.RATIOS, curves.solved_at, strict=True):
            mine = problems[(problems["reg"] == reg) & (problems["step_ratio"] == ratio)]
            assert mine["seed"].tolist() == list(SEEDS)
            np.testing.assert_array_equal(mine["layers"].fillna(math.inf), counts)
        assert group[group["method"] == "sinkhorn"]["problems"].tolist() == [len(SEEDS)]
        assert group["median"].isna().any() and group["median"].notna().any()
    assert list(fits.columns) == rates.FIT_COLUMNS
    assert fits["step_ratio"].max() == 2.0
    for row in fits.itertuples():
        plan = scaled_problems(row.n, row.reg, range(row.seed, row.seed + 1)).plan
        assert row.factor_predicted == pytest.approx(spectral_rate(plan, row.step_ratio).item())


def test_the_published_study_is_of_the_sizes_of_today(project):
    text = (project / "reports" / "metrics" / "certificate.json").read_text(encoding="utf-8")
    (published,) = (entry for entry in json.loads(text)["claims"] if entry["id"] == "rate_is_geometric")
    assert published["setting"]["n_reg"] == [[n, pytest.approx(0.05 * share)] for n, share in rates.STUDIED]


def test_the_formula_for_ratios_up_to_two_is_an_erratum_beyond_and_the_swing_mends_it():
    true = verdicts(errata.rate_beyond_two(0.05, depth=600, seeds=SEEDS))
    assert true == {"rate_formula_beyond_2": "fails", "rate_formula_with_swing": "holds"}
    kept = verdicts(errata.rate_beyond_two(0.05, depth=600, seeds=SEEDS, settled=lambda ratio: ratio))
    assert kept["rate_formula_with_swing"] == "fails"
    assert verdicts(errata.rate_beyond_two(0.05, depth=3, seeds=SEEDS))["rate_formula_with_swing"] == "fails"  # no fit
