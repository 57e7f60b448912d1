"""Draws of other heads, and the settings that are refused."""

import pytest
from pydantic import ValidationError


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
