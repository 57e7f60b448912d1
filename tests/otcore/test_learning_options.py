"""Options of training that the studies need: points, sizes, parts of the prompt, learned prompts, one layer for all."""

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otcore import TransportError, engineered_prompt, plain_prompt
from otcore.learning import PARTS, PRESETS, Shape, blind, draw_problems, evaluate, looped, start, train
from otcore.learning.engine import pack
from otcore.learning.evaluation import fresh, model_prompts, model_weights
from otcore.learning.forward import TorchEngine, states
from otcore.learning.parts import add_learned, dropped_columns, learnable, learned_gradient, without_parts
from otcore.learning.presets import WIDTHS, check_parts
from otcore.learning.training import draw_training_batch, effective_weights, engine_of
from tests.otcore.learning_factory import settings


def last(run, *args, **kwargs):
    *_, state = train(run, *args, **kwargs)
    return state


class TestPoints:
    def test_intervals_lie_in_the_unit_interval_and_copying_y_is_wrong(self, rng):
        found = draw_problems(rng, "notebook", batch=4000, n=7, points="interval")
        assert found.x.min() >= 0.0 and found.x.max() <= 1.0
        assert np.array_equal(found.target, np.sort(found.x, axis=1))
        spread = np.ptp(found.x[..., 0], axis=1)
        assert spread.max() <= WIDTHS[1]
        assert spread.mean() == pytest.approx(np.mean(WIDTHS) * 6 / 8, rel=0.02), "(n-1)/(n+1) of the width"

    def test_without_a_look_at_x_intervals_leave_less_than_the_unit_interval(self):
        floors = {
            points: max(one.points for one in blind(settings("notebook"), 7, batch=4000, points=points).values())
            for points in ("uniform", "interval")
        }
        assert floors["interval"] < 0.75 * floors["uniform"]

    def test_other_points_have_no_largest_size(self):
        run = settings("notebook", points="uniform")
        assert fresh(run, 60, 2)[1].x.shape == (2, 60, 1)
        with pytest.raises(TransportError, match=r"n: must be at most 50.*got 60. Use preset paper, or points uniform"):
            settings("notebook", n=60)

    def test_training_and_evaluation_draw_the_same_kind(self):
        run = settings("notebook", points="interval")
        assert all(np.ptp(found.x, axis=1).max() <= WIDTHS[1] for found in (fresh(run, 7, 200)[1],))
        prompt = draw_training_batch(run, 0).prompt[:, 0, :4, :5]
        assert np.ptp(prompt, axis=1).max() <= WIDTHS[1]


class TestSizes:
    def test_sizes_take_turns_and_each_step_is_that_of_its_size(self):
        run = settings("notebook", sizes=(4, 3), redraw_every=1, steps=3)
        assert [draw_training_batch(run, step).target.shape[2] for step in range(4)] == [4, 3, 4, 3]
        mixed = [state.loss.copy() for state in train(run, threads=1)]
        alone = [state.loss.copy() for state in train(replace(run, sizes=(), steps=1), threads=1)]
        assert np.array_equal(mixed[0], alone[0])

    def test_a_run_is_continued_at_the_size_where_it_stopped(self):
        run = settings("notebook", sizes=(4, 3), redraw_every=1, steps=4)
        states_of = train(run, threads=1)
        half = [next(states_of), next(states_of)][-1]
        saved = type(half).from_arrays({name: array.copy() for name, array in half.arrays().items()})
        assert np.array_equal(last(run, saved, threads=1).weights, last(run, threads=1).weights)


class TestParts:
    @given(st.sets(st.sampled_from(PARTS)), st.integers(1, 3))
    def test_what_is_left_is_what_the_whole_prompt_has_there(self, gone, dim):
        x, y = torch.rand(2, 2, 3, dim, dtype=torch.float64)
        whole, without = engineered_prompt(x, y), tuple(gone)
        found = without_parts(whole, dim, without)
        shape = Shape(n=3, dim=dim, without=without)
        assert found.shape == (2, shape.tokens, shape.width)
        left = [c for c in range(whole.shape[2]) if c not in dropped_columns(dim, without)]
        assert torch.equal(found, whole[:, : shape.tokens, left])

    def test_without_everything_it_is_the_plain_prompt(self, rng):
        run = settings("notebook", without=PARTS[:-1])
        prompt, problems = fresh(run, 4, 5)
        assert torch.equal(prompt, plain_prompt(torch.from_numpy(problems.x), torch.from_numpy(problems.y)))
        plain = settings("notebook", "plain")
        assert (run.shape.width, run.shape.tokens) == (plain.shape.width, plain.shape.tokens)

    def test_every_part_is_some_columns_or_the_row(self):
        assert sorted(c for part in PARTS for c in dropped_columns(2, [part])) == list(range(4, 13))
        assert Shape(n=4, without=("row",)).tokens == 4 and Shape(n=4).tokens == 5

    @pytest.mark.parametrize(
        ("preset", "prompt", "without", "match"),
        [
            ("notebook", "engineered", ("ones",), r"without: must be one of 'src_norm'.*got 'ones'"),
            ("notebook", "engineered", ("row", "row"), r"without: must be each part at most once.*Remove one"),
            ("notebook", "plain", ("row",), r"without: must be empty unless the prompt is engineered.*Use prompt"),
            ("preprint", "engineered", ("output",), r"without: must be no output under a preset that reads it"),
        ],
    )
    def test_refusals(self, preset, prompt, without, match):
        with pytest.raises(TransportError, match=match):
            inspect.unwrap(check_parts)(PRESETS[preset], SimpleNamespace(prompt=prompt, without=without))


class TestLearnedPrompt:
    def run(self, **kwargs):
        return settings("notebook", "learned", **({"steps": 3, "redraw_every": 1} | kwargs))

    def test_each_model_has_its_own_numbers_beside_the_problems_x_and_y(self):
        run = self.run()
        state = start(run)
        prompt, problems = fresh(run, 4, 6)
        found = model_prompts(state, prompt)
        assert found.shape == (2, 6, 5, 11) and state.learned.shape == (2, 2, 11)
        assert torch.equal(found[0, :, :4, :1], torch.from_numpy(problems.x))
        for seed in range(2):
            shared = torch.from_numpy(state.learned[seed]).double()
            assert torch.equal(found[seed, :, :4, 2:], shared[0, 2:].expand(6, 4, -1))
            assert torch.equal(found[seed, :, 4], shared[1].expand(6, -1))
        assert not torch.equal(found[0, 0, 4], found[1, 0, 4])

    def test_packed_prompts_are_those_of_the_evaluation(self):
        run = self.run()
        state, (prompt, problems) = start(run), fresh(run, 4, 6)
        batch = pack([prompt, prompt], [problems.target] * 2, dtype=np.float64)
        filled = add_learned(batch.prompt, state.learned[batch.seed])
        wanted = model_prompts(state, prompt).numpy()
        for seed in range(2):
            np.testing.assert_array_equal(np.moveaxis(filled[seed], 2, 0)[:6].swapaxes(1, 2), wanted[seed])

    def test_the_gradient_is_the_slope_of_the_loss(self, rng):
        run = self.run()
        state, (prompt, problems) = start(run), fresh(run, 4, 6)
        batch = pack([prompt, prompt], [problems.target] * 2, dtype=np.float64)
        weights = effective_weights(state.weights, state.mixing).astype(np.float64)
        engine, learned = engine_of(run, threads=1), state.learned.astype(np.float64)
        direction = rng.standard_normal(learned.shape) * learnable(1)

        def at(step):
            moved = add_learned(batch.prompt, (learned + step * direction)[batch.seed])
            return engine.evaluate(weights, replace(batch, prompt=moved))

        slope = (learned_gradient(at(0.0).by_prompt) * direction).sum((1, 2))
        np.testing.assert_allclose((at(1e-6).loss - at(-1e-6).loss) / 2e-6, slope, rtol=1e-6)

    def test_kernel_and_torch_train_the_same(self, monkeypatch):
        run = self.run()
        kernel = last(run, threads=1)
        monkeypatch.setattr(
            "otcore.learning.training.engine_of", lambda *_, **__: TorchEngine(reads=True, first_column=0)
        )
        assert np.abs(kernel.learned - last(run).learned).max() < 1e-5
        assert (kernel.learned[:, 0, :2] == 0.0).all(), "x and y stay those of the problem"
        assert (np.abs(kernel.learned - start(run).learned)[:, 1] > 0.0).all()

    def test_no_other_prompt_has_learned_numbers(self):
        assert start(settings("notebook")).learned.size == 0


class TestTied:
    def test_layers_stay_one_and_differ_from_untied_ones(self):
        run = settings("notebook", depth=4, tied=True, steps=3)
        tied = last(run, threads=1)
        assert (tied.weights[:, :3] == tied.weights[:, :1]).all()
        assert not (tied.weights[:, :1] == start(run).weights[:, :1]).all()
        untied = last(replace(run, tied=False), threads=1)
        assert not (untied.weights[:, :3] == untied.weights[:, :1]).all()

    def test_the_gradient_of_the_one_layer_is_the_slope_of_the_loss(self, rng):
        run = settings("notebook", depth=4, tied=True)
        state, (prompt, problems) = start(run), fresh(run, 4, 6)
        batch = pack([prompt, prompt], [problems.target] * 2, dtype=np.float64)
        weights = effective_weights(state.weights, state.mixing).astype(np.float64)
        engine, direction = engine_of(run, threads=1), rng.standard_normal(weights[:, :1].shape)
        up, down = (
            engine.evaluate(np.concatenate([weights[:, :3] + step * direction, weights[:, 3:]], 1), batch).loss
            for step in (1e-6, -1e-6)
        )
        slope = (engine.evaluate(weights, batch).gradient[:, :3].sum(1, keepdims=True) * direction).sum((1, 2, 3))
        np.testing.assert_allclose((up - down) / 2e-6, slope, rtol=1e-5)

    def test_looping_is_running_the_layer_again(self):
        run = settings("notebook", depth=4, tied=True, steps=2)
        state = last(run, threads=1)
        assert evaluate(run, looped(state, 3), 4, batch=8) == evaluate(run, state, 4, batch=8)
        prompt, _ = fresh(run, 4, 8)
        prompts = prompt.expand(2, *prompt.shape)
        three = list(states(prompts, model_weights(state), reads=True))
        five = list(states(prompts, model_weights(looped(state, 5)), reads=True))
        assert len(five) == 6 and all(torch.equal(one, other) for one, other in zip(three, five, strict=False))
        again = list(states(five[3], model_weights(looped(state, 2)), reads=True))
        assert torch.allclose(again[-1], five[-1], rtol=1e-12)

    def test_layers_that_differ_are_not_looped(self):
        with pytest.raises(TransportError, match=r"state: must be of a tied run; got residual layers that differ"):
            looped(start(settings("notebook")), 5)
        with pytest.raises(TransportError, match=r"loops: must be .*at least 1"):
            looped(start(settings("notebook", tied=True)), 0)
