"""Studies 4 and 6: errors by hand, planted tables in both directions, and demos that run to their end."""

import pandas as pd
import pytest
import torch

from otcore import TransportTransformer, constructed_weights, engineered_prompt, read_plan
from otcore.transformer import Habits
from pipeline.study_file import read_study, write_study
from pipeline.synthetic.studies import StudySettings, costs, decided, robustness
from pipeline.synthetic.studies.plan_errors import layers_plan, plan_error, scaled_clouds, true_plan
from tests.otcore.problems import F64


def test_the_error_of_a_plan_is_its_mass_in_the_wrong_place():
    true = torch.eye(4, dtype=F64)[None]
    swapped = true[:, [1, 0, 2, 3]]
    assert plan_error(swapped, true).tolist() == [0.5]
    assert plan_error(true, true).tolist() == [0.0]
    assert plan_error(true * torch.nan, true).tolist() == [1.0]


@pytest.mark.parametrize("name", costs.EXACT)
def test_costs_that_are_called_exact_are(name):
    features, cost = costs.EXACT[name]
    x, y = scaled_clouds(0, n=4, dim=2, batch=3)
    reg = 0.3 * float((cost(x, y).amax((1, 2)) - cost(x, y).amin((1, 2))).max())
    found = layers_plan(*features(x, y), reg=reg, depth=400)
    assert plan_error(found, true_plan(cost(x, y), reg)).max() < 1e-6


def _tables(exact, rate, grid, between):
    """Return the tables of study 4 with planted errors, for two seeds."""
    rows = {"exact": [], "random": [], "relu": []}
    for seed in (1, 2):
        rows["exact"].append({"cost": "cosine", "seed": seed, "features": 2, "error": exact, "worst": exact})
        for n in (10, 100, 1000):
            error = n ** -(rate + 0.001 * seed)
            rows["random"].append({"cost": "Gaussian", "seed": seed, "features": n, "error": error, "worst": error})
        rows["relu"].append({"cost": "random numbers", "seed": seed, "knots": 50, "error": grid, "worst": grid})
        rows["relu"].append({"cost": "|x - y|", "seed": seed, "knots": 64, "error": between, "worst": between})
    return {name: pd.DataFrame(found) for name, found in rows.items()}


@pytest.mark.parametrize(
    ("planted", "expected"),
    [((1e-8, 0.5, 1e-8, 0.01), "supported"), ((1e-3, 0.2, 1e-3, 0.2), "not supported")],
)
def test_claims_on_costs_follow_what_was_planted(planted, expected):
    sizes = costs.RUN["long"]
    claims = decided(list(costs.estimates(_tables(*planted), sizes, 1)), "long")
    assert [claim.claim for claim in claims] == ["costs_exact", "costs_random", "costs_grid", "costs_between"]
    assert {claim.verdict for claim in claims} == {expected}


def test_claims_on_changes_follow_what_was_planted():
    rows = [
        {"change": "ties", "size": 0.0, "seed": 1, "error": 1e-9, "worst": 1e-5},  # held to the worst problem
        {"change": "causal", "size": 0.0, "seed": 1, "error": 0.04, "worst": 0.2},  # held to the mean
        {"change": "positions", "size": 0.1, "seed": 1, "error": 0.2, "worst": 0.2},
        {"change": "positions", "size": 0.001, "seed": 1, "error": 0.0, "worst": 0.0},  # does not decide
    ]
    estimates = robustness.estimates(pd.DataFrame(rows), robustness.RUN["long"], 1)
    verdicts = {claim.claim: claim.verdict for claim in decided(list(estimates), "long")}
    assert verdicts == {
        "robustness_ties": "not supported",
        "robustness_causal": "supported",
        "robustness_positions": "not supported",
    }


@pytest.mark.parametrize("norm", ["before", "after"])
def test_mirrored_tokens_withstand_layer_norm_the_better_the_larger_the_mirror(norm):
    x, y = scaled_clouds(1, n=4, dim=2, batch=2)
    weights = constructed_weights(2, reg=0.2, step_size=0.4)
    plain = TransportTransformer.constructed(weights, depth=40)(engineered_prompt(x, y)).state
    best, errors = read_plan(plain, weights.score[0])[:, 0], []
    for size in (30.0, 300.0):
        prompt, mirrored = robustness.mirror(engineered_prompt(x, y), weights, size=size, norm=norm)
        state = TransportTransformer.constructed(mirrored, depth=40, habits=Habits(norm=norm))(prompt).state
        if norm == "before":
            state = torch.nn.functional.layer_norm(state, state.shape[-1:])
        errors.append(float((read_plan(state, mirrored.score[0])[:, 0] - best).abs().max()))
    assert errors[0] < 0.02
    assert errors[0] / errors[1] > 50


@pytest.mark.parametrize("study", [costs, robustness])
def test_a_demo_runs_to_its_end_and_decides_nothing(study, tmp_path):
    found = study.run(StudySettings("demo", 2, 3, tmp_path, say=lambda line: None))
    write_study(found, tmp_path)
    again = read_study(tmp_path / f"{study.NAME}.json")
    assert {claim.verdict for claim in again.claims} == {"not testable here"}
    assert [chart.stem for chart in again.charts] == [chart.stem for chart in found.charts]
    for table in found.tables.values():
        assert table["error"].between(0, 1).all()
