"""Verdict rules both ways, draws of other heads, halves, and the settings that are refused."""

import numpy as np
import pytest
from pydantic import ValidationError

UP, DOWN, OPEN = (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.1, -0.1, 0.3)


@pytest.mark.parametrize(
    ("off", "over", "reached", "rivals", "verdict"),
    [
        (UP, UP, 0.0, [UP, UP, UP], "supported"),
        (UP, UP, 0.05, [UP, UP, UP], "supported"),
        (UP, UP, 0.2, [UP, UP, UP], "undecided"),
        (OPEN, UP, 0.0, [UP, UP, UP], "undecided"),
        (UP, OPEN, 0.0, [UP, UP, UP], "undecided"),
        (UP, UP, 0.0, [UP, OPEN, UP], "undecided"),
        (DOWN, UP, 0.0, [UP, UP, UP], "not supported"),
        (UP, DOWN, 0.0, [UP, UP, UP], "not supported"),
        (UP, UP, 0.0, [DOWN, UP, UP], "not supported"),
        (UP, (np.nan,) * 3, np.nan, [UP, UP, UP], "undecided"),
    ],
)
def test_use_of_alignment_needs_every_comparison(off, over, reached, rivals, verdict):
    from pipeline.intervention.decisions import Interval, uses_alignment

    found = uses_alignment(Interval(*off), Interval(*over), reached, [Interval(*r) for r in rivals], level=0.95)
    assert found == verdict


@pytest.mark.parametrize(("difference", "verdict"), [(DOWN, "supported"), (UP, "not supported"), (OPEN, "undecided")])
def test_a_plan_matters_if_balancing_lowers_the_loss(difference, verdict):
    from pipeline.intervention.decisions import Interval, plan_matters

    assert plan_matters(Interval(*difference)) == verdict


def test_draws_have_the_same_counts_by_layer_and_none_of_the_best():
    from pipeline.intervention.plan import top_set

    ordered = [(layer, head) for head in range(6) for layer in (1, 2, 3)]
    few = top_set(ordered, 4, n_draws=10, seed=1)
    assert not few.complete and not few.short and len(set(few.draws)) == len(few.draws) == 10
    for heads in few.draws:
        assert sorted(layer for layer, _ in heads) == [1, 1, 2, 3] and not set(heads) & set(few.heads)
    every = top_set(ordered, 1, n_draws=10, seed=1)
    assert every.complete and len(every.draws) == 5
    short = top_set([(1, head) for head in range(6)], 4, n_draws=10, seed=1)
    assert short.short == (1,) and short.draws == [((1, 4), (1, 5))]


def test_halves_depend_on_seed_and_pair_alone():
    from pipeline.intervention.halves import in_first_half

    first = [in_first_half(pair, 1) for pair in range(2000)]
    assert 900 < sum(first) < 1100
    assert first != [in_first_half(pair, 2) for pair in range(2000)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ks": (1, 2)}, "ks: must hold 4, which decides"),
        ({"ks": (4, 4)}, "ks: each value at most once"),
        ({"sweeps": (5, 5)}, "sweeps: each value at most once"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    from pipeline.errors import PipelineError
    from pipeline.params import Intervene

    with pytest.raises((PipelineError, ValidationError), match=message):
        Intervene(**settings)
