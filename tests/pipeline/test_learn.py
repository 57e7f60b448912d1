"""The stage learn: runs that may be killed, seeds that diverge, and everything that a run writes."""

import doctest
import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline._output import SCHEMA
from pipeline.errors import PipelineError
from pipeline.params import Params
from pipeline.report.sections.made import parameters_yaml
from tests.pipeline.learn_factory import learned, quiet, small  # noqa: F401 - a fixture


class Killed(Exception):
    """Raised in the middle of a run."""


def killed_at(step):
    """Return a progress bar under which a run dies before the state of a step is seen."""

    def pass_on(states):
        for state in states:
            if state.step == step:
                raise Killed
            yield state

    return pass_on


def counted(steps):
    """Return a progress bar that writes down the steps that pass."""

    def pass_on(states):
        for state in states:
            steps.append(state.step)
            yield state

    return pass_on


@pytest.fixture
def often(monkeypatch):
    """Write a checkpoint every five steps."""
    monkeypatch.setattr("pipeline.synthetic.learn_run.CHECKPOINT_EVERY", 5)


def learn_in(folder: Path, params, **kwargs):
    from pipeline.synthetic.learn import forget, learn

    found = learn(params, "engineered", work=folder / "work", live=folder / "live", **({"say": quiet} | kwargs))
    forget(params, "engineered", work=folder / "work")
    return found


def die(folder: Path, params):
    with pytest.raises(Killed):
        learn_in(folder, params, track=killed_at(13))


def test_a_checkpoint_gives_back_the_run(tmp_path):
    from otcore.learning import start
    from pipeline.synthetic.learn import settings_of
    from pipeline.synthetic.learn_run import Run

    run = Run(start(settings_of(small(), "engineered")), {0: [0.1, 9.0, 0.2], 5: [1 / 3, math.nan, 1e-9]})
    run.state.diverged_at[1] = 3
    run.save(tmp_path / "checkpoint.kept")
    found = Run.load(tmp_path / "checkpoint.kept")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.kept"]
    np.testing.assert_equal(found.curve, run.curve)
    for name, array in run.state.arrays().items():
        assert found.state.arrays()[name].dtype == array.dtype, name
        assert found.state.arrays()[name].tobytes() == array.tobytes(), name


def test_a_run_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(tmp_path):
    from otcore.learning import train
    from pipeline.synthetic.learn import settings_of
    from pipeline.synthetic.learn_run import Run

    settings = settings_of(small(), "engineered")
    *_, whole = train(settings)
    halfway = next(state for state in train(settings) if state.step == 7)
    Run(halfway, {}).save(tmp_path / "checkpoint.kept")
    *_, end = train(settings, Run.load(tmp_path / "checkpoint.kept").state)
    assert {name: array.tobytes() for name, array in end.arrays().items()} == {
        name: array.tobytes() for name, array in whole.arrays().items()
    }


def test_a_killed_run_goes_on_where_it_was_and_writes_the_same_bytes(tmp_path, often, learned):
    die(tmp_path, small())
    (folder,) = (tmp_path / "work").iterdir()
    assert [path.name for path in folder.iterdir()] == ["checkpoint.kept"]
    steps = []
    found = learn_in(tmp_path, small(), track=counted(steps))
    assert steps == list(range(11, 21))
    assert json.dumps(found) == json.dumps(learned.whole)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_run_killed_while_it_is_measured_does_not_train_again(tmp_path, monkeypatch, learned):
    from pipeline.synthetic import learn

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learn, "_metrics", killed)
        with pytest.raises(KeyboardInterrupt):
            learn_in(tmp_path, small())
    steps = []
    assert json.dumps(learn_in(tmp_path, small(), track=counted(steps))) == json.dumps(learned.whole)
    assert steps == []
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("other", [{"rate": 1e-3}, {"seed": 7}, {"log_every": 4}, {"steps": 15}])
def test_another_setting_does_not_go_on_from_that_checkpoint(tmp_path, often, other):
    die(tmp_path, small())
    kept, steps = list((tmp_path / "work").iterdir()), []
    learn_in(tmp_path, small(**other), track=counted(steps))
    assert steps[0] == 1
    assert list((tmp_path / "work").iterdir()) == kept


def test_other_code_does_not_go_on_from_a_checkpoint_but_other_measures_do(tmp_path, project, monkeypatch):
    import otcore
    from pipeline.synthetic.learn import settings_of
    from pipeline.synthetic.learn_run import fingerprint

    def name(**changed):
        return fingerprint(settings_of(small(**changed), "engineered"), small(**changed))

    before = name()
    assert fingerprint(settings_of(small(), "engineered"), small(device="cuda")) != before
    assert name(test_sizes=(5,), test_problems=4, reg=0.1) == before
    for path in [*(project / "otcore").glob("*.py"), *(project / "otcore" / "learning").glob("*.py")]:
        copy = tmp_path / path.relative_to(project)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(otcore, "__file__", str(tmp_path / "otcore" / "__init__.py"))
    assert name() == before
    with (tmp_path / "otcore" / "learning" / "kernel.py").open("a") as file:
        file.write("# changed\n")
    assert name() != before


def test_progress_is_there_for_dvclive(tmp_path):
    learn_in(tmp_path, small())
    progress = json.loads((tmp_path / "live" / "metrics.json").read_text(encoding="utf-8"))
    assert progress["step"] == 19 and progress["loss"].keys() == {"seed2026", "seed2027", "seed2028"}
    assert progress["steps_per_second"] > 0


def test_progress_of_a_killed_run_has_every_logged_step_once(tmp_path, often):
    die(tmp_path, small(log_every=2))
    learn_in(tmp_path, small(log_every=2))
    metrics, _ = learn_in(tmp_path / "whole", small(log_every=2))
    for seed in ("seed2026", "seed2028"):
        rows = (
            (tmp_path / "live" / "plots" / "metrics" / "loss" / f"{seed}.tsv").read_text(encoding="utf-8").split()[2:]
        )
        assert rows[::2] == ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18", "19"]
        expected = {entry["seed"]: entry["loss"] for entry in metrics["seeds"]}[int(seed[4:])]
        np.testing.assert_allclose([float(loss) for loss in rows[1::2]], list(expected.values()), rtol=1e-5)


def test_a_diverged_seed_is_counted_and_the_others_learn_as_without_it(learned):
    metrics, maps = learned.partial
    whole, _ = learned.whole
    assert learned.said == ["learn: engineered: 1 of 3 seeds diverged, at steps [1]"]
    dead = [seed for seed in metrics["seeds"] if seed["diverged_at"] is not None]
    assert metrics["n_diverged"] == 1 and whole["n_diverged"] == 0
    assert (dead[0]["diverged_at"], dead[0]["steps"], dead[0]["trained"], dead[0]["untrained"]) == (1, 1, None, None)
    assert [step for step, loss in dead[0]["loss"].items() if loss is not None] == ["0"]
    living = [seed for seed in metrics["seeds"] if seed["diverged_at"] is None]
    assert living == [seed for seed in whole["seeds"] if seed["seed"] != dead[0]["seed"]]
    assert maps["seed"] == living[0]["seed"]


@pytest.mark.parametrize(("rate", "said"), [(1e3, "1000"), (None, "0.0005")])
def test_a_run_of_which_nothing_lives_is_refused(tmp_path, rate, said):
    above = 10.0 if rate else 1e-3
    text = rf"learn\.rate: small enough that at least one seed lives, but all 3 diverged at {said} with the engineered "
    with pytest.raises(PipelineError, match=text + r"prompt; lower it, or set it to null for the preset's"):
        learn_in(tmp_path, small(rate=rate, diverged_above=above))


@pytest.mark.parametrize("damage", ["garbage", "cut short", "flipped byte", "empty"])
def test_a_damaged_checkpoint_is_not_gone_on_from(tmp_path, often, learned, damage):
    die(tmp_path, small())
    (checkpoint,) = (tmp_path / "work").glob("*/checkpoint.kept")
    content = checkpoint.read_bytes()
    flipped = bytes([content[-100] ^ 1])  # among the losses: a number that could be
    changed = {
        "garbage": b"garbage",
        "cut short": content[:-7],
        "flipped byte": content[:-100] + flipped + content[-99:],
        "empty": b"",
    }
    checkpoint.write_bytes(changed[damage])
    steps = []
    found = learn_in(tmp_path, small(), track=counted(steps))
    assert steps == list(range(1, 21)), "from the start"
    assert json.dumps(found) == json.dumps(learned.whole)


def test_a_seed_that_only_the_last_step_throws_off_is_counted(tmp_path, monkeypatch, learned):
    from pipeline.synthetic import learn

    def thrown_off(settings, params, **kwargs):
        run = train(settings, params, **kwargs)
        run.state.weights[1] *= 1e30
        return run

    train, said = learn.train_to_the_end, []
    monkeypatch.setattr(learn, "train_to_the_end", thrown_off)
    metrics, maps = learn_in(tmp_path, small(), say=said.append)
    assert said == ["learn: engineered: 1 of 3 seeds diverged, at steps [20]"]
    assert [one["diverged_at"] for one in metrics["seeds"]] == [None, 20, None]
    assert [metrics["seeds"][k] for k in (0, 2)] == [learned.whole[0]["seeds"][k] for k in (0, 2)]
    assert maps == learned.whole[1]


def test_a_gpu_that_is_not_there_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    text = r"learn\.device: 'cuda' needs a CUDA device, and there is none; set it to 'cpu'"
    with pytest.raises(PipelineError, match=text):
        learn_in(tmp_path, small(device="cuda"), track=counted([]))
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n": 51}, r"learn: n: must be at most 50, the distinct numbers of the notebook; got 51. Use preset paper"),
        ({"test_sizes": (7, 60)}, r"learn\.test_sizes: n: must be at most 50.*; got 60"),
        ({"preset": "preprint", "dim": 2}, r"learn: dim: must be 1 under preset preprint.*; got 2. Use preset paper"),
    ],
)
def test_impossible_sizes_are_refused_before_training(tmp_path, params, text):
    with pytest.raises(PipelineError, match=text):
        learn_in(tmp_path, small(**params), track=counted([]))
    assert not (tmp_path / "work").exists()


def test_metrics_hold_every_size_level_and_layer(learned):
    metrics, maps = learned.whole
    for seed in metrics["seeds"]:
        assert list(seed["loss"]) == ["0", "5", "10", "15", "19"]
        for when in ("trained", "untrained"):
            assert seed[when]["sizes"].keys() == {"3", "4", "9"}  # 4 is that of the training
            assert {name: len(levels) for name, levels in seed[when]["distance"].items()} == {"exact": 3, "entropic": 3}
            assert len(seed[when]["descent"]) == len(seed[when]["weight_cosine"]) == 2
    assert metrics["controls"].keys() == {"chance", "mean", "copy", "constructed", "annealed", "sinkhorn"}
    assert all(control["sizes"].keys() == {"3", "4", "9"} for control in metrics["controls"].values())
    assert maps["sizes"].keys() == {"7", "8", "9", "15"}


def test_distances_maps_and_scores_of_other_x_are_those_of_the_trained_seeds(learned):
    """Trained once more: what stands in the files is measured on these states, with the reg of the parameters."""
    from otcore.learning import blind, distances, evaluate, layer_maps, train
    from pipeline.synthetic.learn import settings_of

    settings = settings_of(small(), "engineered")
    *_, state = train(settings)
    maps, problems = layer_maps(settings, state, 4, batch=small().test_problems)
    for name, levels in distances(maps, problems, reg=small().reg).items():
        written = [seed["trained"]["distance"][name] for seed in learned.whole[0]["seeds"]]
        np.testing.assert_allclose(written, levels, rtol=1e-5)
    other = {"batch": small().test_problems, "points": "uniform"}
    written = [seed["trained"]["uniform_x"]["loss"] for seed in learned.whole[0]["seeds"]]
    assert written == pytest.approx([score.loss for score in evaluate(settings, state, 4, **other)], rel=1e-5)
    for name, score in blind(settings, 4, **other).items():
        assert learned.whole[0]["controls"][name]["uniform_x"]["loss"] == pytest.approx(score.loss, rel=1e-5)
    for n, found in learned.whole[1]["sizes"].items():
        first = layer_maps(settings, state, int(n), batch=1)[0][0, :, 0]
        np.testing.assert_allclose([found["levels"][level] for level in "012"], first, atol=6e-5)


def test_the_plain_prompt_has_no_memory_to_measure(learned):
    metrics, _ = learned.plain
    assert metrics["prompt"] == "plain"
    assert all(seed["trained"].keys() == {"sizes", "uniform_x", "distance"} for seed in metrics["seeds"])


def test_training_lowers_the_loss_on_fresh_problems(learned):
    for seed in learned.whole[0]["seeds"]:
        assert seed["trained"]["sizes"]["4"]["loss"] < seed["untrained"]["sizes"]["4"]["loss"]
        assert seed["loss"]["19"] < seed["loss"]["0"]


def test_maps_are_attention_beside_a_permutation(learned):
    for n, found in learned.whole[1]["sizes"].items():
        for level in found["levels"].values():
            np.testing.assert_allclose(np.sum(level, axis=1), 1.0, atol=1e-3)
        assert sorted(np.argmax(found["plan"], axis=1)) == list(range(int(n)))
        assert np.sum(found["plan"]) == int(n)


@pytest.mark.parametrize("n_levels", [2, 3, 4, 5, 6, 20, 21])
def test_first_and_last_level_are_shown_and_three_between_where_there_are_as_many(n_levels):
    from pipeline.synthetic.learn import shown_levels

    shown = shown_levels(n_levels)
    assert (shown[0], shown[-1], len(shown)) == (0, n_levels - 1, min(n_levels, 5))
    assert shown == sorted(set(shown))


def test_the_stage_writes_what_it_promises(tmp_path, monkeypatch, capsys, learned):
    from pipeline.stages.learn import main

    monkeypatch.chdir(tmp_path)
    params = Params(learn=small())
    (tmp_path / "params.yaml").write_text(parameters_yaml(params), encoding="utf-8")
    main("engineered")
    assert capsys.readouterr().err == "learn: engineered: 3 of 3 seeds trained\n"
    folder = tmp_path / "reports" / "metrics" / "learn"
    written = [json.loads((folder / f"engineered{end}.json").read_text(encoding="utf-8")) for end in ("", "_maps")]
    assert [found.pop("schema") for found in written] == [SCHEMA, SCHEMA]
    assert written == json.loads(json.dumps(learned.whole))
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["dvclive"]


def test_what_cannot_be_written_is_not_trained_again(tmp_path, monkeypatch, learned):
    from pipeline.stages import learn as stage

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(parameters_yaml(Params(learn=small())), encoding="utf-8")
    (tmp_path / "reports").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="reports"):
        stage.main("engineered")
    (tmp_path / "reports").unlink()
    steps = []
    monkeypatch.setattr(stage, "track", lambda *_: counted(steps))
    stage.main("engineered")
    written = tmp_path / "reports" / "metrics" / "learn" / "engineered.json"
    expected = {"schema": SCHEMA, **json.loads(json.dumps(learned.whole[0]))}
    assert steps == [] and json.loads(written.read_text(encoding="utf-8")) == expected


def test_numbers_that_are_none_are_null(tmp_path, learned):
    from pipeline.synthetic.learn import rounded, write_learned

    assert rounded({"a": [math.inf, math.nan, (0.12345678,)], "b": True}) == {"a": [None, None, [0.123457]], "b": True}
    write_learned(*learned.partial, tmp_path)
    assert "NaN" not in (tmp_path / "engineered.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["synthetic.learn", "verdicts.training"])
def test_examples_in_the_docstrings_run(name):
    failed, tried = doctest.testmod(importlib.import_module(f"pipeline.{name}"))
    assert failed == 0 and tried > 0
