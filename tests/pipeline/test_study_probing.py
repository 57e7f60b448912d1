"""Study 5: planted dual variables are found, absent ones are not, and the rule says so."""

import numpy as np
import pytest
import torch

from otcore import entropic_plan, squared_cost
from otcore.learning import Problems, Settings, draw_problems, start
from pipeline.errors import PipelineError
from pipeline.study_file import read_study, write_study
from pipeline.synthetic.studies import StudySettings, decided, duals, duals_points
from pipeline.synthetic.studies.duals_points import (
    constructed_model,
    dual_targets,
    task_of,
    token_types,
    trained_models,
)
from pipeline.synthetic.studies.probing import (
    CHOOSE,
    FIT,
    JUDGE,
    Evidence,
    Interval,
    Rows,
    best_level,
    centred,
    estimates,
    measure,
    one_hot,
    probed,
    rule,
    verdict,
)

SETTINGS = Settings(seeds=1, batch=8, steps=1)


@pytest.fixture(scope="module")
def task():
    """Return a small task and its prompts."""
    with torch.no_grad():
        return task_of(SETTINGS, sizes=(200, 50, 50))


def test_the_construction_holds_the_dual_variables_and_more_than_the_answer(task):
    with torch.no_grad():
        model = constructed_model(SETTINGS, task[1], depth=200)
    _, evidence = measure([model], task[0])
    for one in evidence:
        found = one.intervals(seed=0, resamples=200)
        assert found["gain"].low > 0.99
        assert verdict(found, n_problems=50) == ("supported", "")


def test_fresh_weights_do_not(task):
    (model,) = trained_models(SETTINGS, start(SETTINGS), task[1])
    _, evidence = measure([model], task[0])
    for one in evidence:
        found = one.intervals(seed=0, resamples=200)
        assert found["gain"].value < 0.2
        assert found["over_untrained"].value == 0.0
        assert verdict(found, n_problems=50)[0] in ("undecided", "not supported")


def test_targets_are_the_potentials_that_scale_the_plan(task):
    rng = np.random.default_rng(0)

    problems = draw_problems(rng, "notebook", batch=3, n=5)
    targets = dual_targets(problems, [0.1])
    np.testing.assert_allclose(targets.mean(1), 0.0, atol=1e-12)
    cost = squared_cost(problems.x, problems.y)
    log_kernel = (targets[:, :, None, 0] + targets[:, None, :, 1] - cost) / 0.1
    kernel = np.exp(log_kernel - log_kernel.max((1, 2), keepdims=True))
    plan = 5 * kernel / kernel.sum((1, 2), keepdims=True)
    np.testing.assert_allclose(plan, entropic_plan(cost, reg=0.1).plan, atol=1e-6)


def test_types_name_the_own_number_and_the_match():

    problems = Problems(np.array([[[0.4], [0.1]]]), np.array([[[0.0], [0.5]]]), np.array([[1, 0]]))
    own, answer = token_types(problems)
    assert [kind.tolist() for kind in own] == [[20, 5], [0, 1]]
    assert [kind.tolist() for kind in answer] == [[20 * 2 + 1, 5 * 2 + 0], [5 * 2 + 0, 20 * 2 + 1]]


def test_a_constant_of_each_problem_costs_nothing():
    rng = np.random.default_rng(1)
    problem = np.arange(90).repeat(4)
    part = np.repeat((FIT, CHOOSE, JUDGE), 120)
    targets = centred(rng.standard_normal((360, 1)), problem)
    shifted = targets + rng.standard_normal(90)[problem][:, None]
    assert probed(shifted, Rows(targets, problem, part)).judge.sum() < 1e-10


def test_errors_are_added_up_within_problems_in_any_order_of_rows():
    problem, part = np.array([7, 3, 7, 3, 9]), np.array([JUDGE] * 4 + [FIT])
    rows = Rows(np.zeros((5, 2)), problem, part)
    estimate = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 1.0], [4.0, 1.0]])
    assert rows.errors(estimate, JUDGE).tolist() == [[20.0, 10.0], [1.0, 1.0]]
    np.testing.assert_allclose(centred(estimate, problem[:4])[:, 0], [-1.0, -1.0, 1.0, 1.0])


def test_one_hot_has_a_column_for_every_type():
    assert one_hot(np.array([4, 2, 4])).tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]


def test_levels_are_chosen_on_problems_that_do_not_judge():
    rng = np.random.default_rng(2)
    problem, part = np.arange(300).repeat(3), np.repeat((FIT, CHOOSE, JUDGE), 300)
    targets = centred(rng.standard_normal((900, 1)), problem)
    rows = Rows(targets, problem, part)
    misleading = np.where(part[:, None] == JUDGE, targets, rng.standard_normal((900, 1)))
    levels = [probed(states, rows) for states in (misleading, targets + 0.1 * rng.standard_normal((900, 1)))]
    assert best_level(levels).tolist() == [1]


def test_intervals_of_evidence_by_hand():
    ones = np.ones((1, 4))
    found = Evidence(0.2 * ones, 0.8 * ones, ones, 0.9 * ones, ones, answer=0.4 * ones).intervals(seed=0)
    values = {name: round(one.value, 12) for name, one in found.items()}
    assert values == {"gain": 0.8, "over_untrained": 0.6, "over_control": 0.7, "beyond_answer": 0.5}
    assert all(one.low == pytest.approx(one.value) == pytest.approx(one.high) for one in found.values())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "supported"),
        ({"gain": (0.6, 0.4, 0.8)}, "partly"),
        ({"beyond_answer": (0.1, -0.1, 0.2)}, "partly"),
        ({"beyond_answer": (-0.3, -0.4, -0.2)}, "partly"),
        ({"over_untrained": (0.1, -0.1, 0.2)}, "undecided"),
        ({"over_control": (-0.3, -0.4, -0.2)}, "not supported"),
        ({"gain": (-0.3, -0.4, -0.2)}, "not supported"),
    ],
)
def test_the_rule(change, expected):
    good = dict.fromkeys(("gain", "over_untrained", "over_control", "beyond_answer"), (0.9, 0.8, 0.95))
    intervals = {name: Interval(*values) for name, values in (good | change).items()}
    assert verdict(intervals, n_problems=50)[0] == expected
    assert verdict(intervals, n_problems=49) == ("not testable here", "49 problems judge, 50 are needed")
    rows = estimates("a", "A.", intervals, n_problems=50, figure="f")
    front, *others = decided(rows, "long", {"a": rule})
    assert (front.verdict, front.control, len(others)) == (expected, "beyond the own token", 3)


def test_a_preset_without_a_grid_is_refused():
    with pytest.raises(PipelineError, match=r"need the preset notebook.*'paper'; set it"):
        task_of(Settings(preset="paper"), sizes=(2, 2, 2))


def test_plans_that_do_not_converge_are_refused(task, monkeypatch):

    monkeypatch.setattr(
        duals_points, "entropic_plan", lambda cost, **given: entropic_plan(cost, reg=1e-4, max_sweeps=1)
    )
    with pytest.raises(PipelineError, match=r"every plan must converge, but 2 of reg 0.1 have not; raise reg"):
        dual_targets(draw_problems(np.random.default_rng(0), "notebook", batch=2, n=5), [0.1])


@pytest.mark.slow
def test_a_demo_of_the_study_runs_to_its_end_with_the_demo_translators(tmp_path):
    found = duals.run(StudySettings("demo", 2, 3, tmp_path, say=lambda line: None))
    write_study(found, tmp_path)
    again = read_study(tmp_path / "duals.json")
    assert {claim.verdict for claim in again.claims} == {"not testable here"}
    assert [chart.stem for chart in again.charts] == ["study_duals_points", "study_duals_text"]
    levels = found.tables["levels"]
    assert {"mini-marian", "mini-mbert", "trained, plain prompt", "constructed, 200 layers"} <= set(levels["model"])
    # The own token is the floor: an encoder-decoder's level 0 explains nothing beyond itself.
    floor = levels[(levels["model"] == "mini-marian") & (levels["level"] == 0) & (levels["weights"] == "trained")]
    assert floor["gain"].abs().max() == 0.0
