"""Layer norm and causal mask of the layers, against the library's own and a loop."""

import pytest
import torch

from otcore import TransportError, TransportTransformer, constructed_weights, engineered_prompt
from otcore.transformer import Habits
from tests.otcore.problems import clouds

WEIGHTS = constructed_weights(2, reg=0.2, step_size=0.3)
PROMPT = engineered_prompt(*clouds(4, 2, seed=0))


def _run(depth=1, **habits):
    return TransportTransformer.constructed(WEIGHTS, depth=depth, habits=Habits(**habits))(PROMPT).state


def _loop(*, norm="none", causal=False):
    """Return one layer with a frozen memory row, token by token."""
    norms = torch.nn.LayerNorm(PROMPT.shape[-1], elementwise_affine=False).double()
    read = norms(PROMPT) if norm == "before" else PROMPT
    state = PROMPT.clone()
    last = PROMPT.shape[1] - 1
    for batch in range(len(PROMPT)):
        for query in range(last):
            keys = [*range(query + 1), last] if causal else list(range(last + 1))
            for score, value in ((WEIGHTS.P1, WEIGHTS.V1), (WEIGHTS.P2, WEIGHTS.V2)):
                seen = read[batch, keys]
                weight = torch.softmax(seen @ (score.T @ read[batch, query]), 0)
                state[batch, query] += WEIGHTS.steps[0] * weight @ seen @ value
        if norm == "after":
            state[batch, :last] = norms(state[batch, :last])
    return state


@pytest.mark.parametrize("norm", ["none", "before", "after"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_layer_is_the_loop_over_tokens(norm, causal):
    torch.testing.assert_close(_run(norm=norm, causal=causal), _loop(norm=norm, causal=causal))


def test_a_causal_point_does_not_depend_on_later_ones():
    model = TransportTransformer.constructed(WEIGHTS, depth=5, habits=Habits(causal=True))
    changed = PROMPT.clone()
    changed[:, 2] += 1.0
    first, second = model(PROMPT).state, model(changed).state
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 3], second[:, 3])


def test_without_habits_nothing_changes():
    plain = TransportTransformer.constructed(WEIGHTS, depth=7)(PROMPT).state
    assert torch.equal(plain, _run(depth=7))


def test_an_unknown_norm_is_refused():
    with pytest.raises(TransportError, match=r"norm: must be one of 'none', 'before', 'after'; got 'both'. Choose"):
        Habits.__post_init__(_Both())


class _Both:
    norm = "both"
