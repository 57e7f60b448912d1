"""What replacements keep, what they reach, and that decoders see no word to come."""

import pytest
import torch


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 7, 6, generator=generator) * 2
    keys = torch.tensor([[True] * 5 + [False], [True] * 4 + [False] * 2])
    rows = torch.tensor([[True] * 7, [True] * 6 + [False]])
    return scores, rows, keys


def test_a_replacement_keeps_the_mass_on_the_source_and_everything_else(case):
    from pipeline.intervention import changes

    scores, rows, keys = case
    weights = scores.softmax(-1)
    new = changes.substitute(weights, changes.uniform(keys), rows[:, None], keys)
    torch.testing.assert_close(new.sum(-1), weights.sum(-1))
    torch.testing.assert_close(new * ~keys[:, None, None], weights * ~keys[:, None, None])
    torch.testing.assert_close(new[1, :, 6], weights[1, :, 6])
    assert new[0, 0, 0, :5].std() < 1e-6
    same = changes.substitute(weights, changes.within(weights, keys), rows[:, None], keys)
    torch.testing.assert_close(same, weights)


def test_a_cut_leaves_nothing_on_the_source(case):
    from pipeline.intervention import changes

    scores, rows, keys = case
    new = changes.cut(scores.softmax(-1), rows, keys)
    assert (new[0, :, :, :5] == 0).all()
    torch.testing.assert_close(new.sum(-1), torch.ones(2, 3, 7))


def test_controls_have_the_entropy_asked_for(case):
    from pipeline.intervention import changes

    scores, rows, keys = case
    target = changes.entropy(changes.balanced(scores, rows, keys, sweeps=20, causal=False))
    soft = changes.entropy(changes.tempered(scores, keys, target))
    torch.testing.assert_close(soft[0], target[0], atol=1e-6, rtol=0)
    places = ((torch.arange(7) + 0.5) / 7).double().expand(2, 3, 7)
    key_places = torch.stack([(torch.arange(6) + 0.5) / n for n in (5, 4)]).double()
    wanted = torch.tensor([[0.3, 0.8, 1.2]] * 2, dtype=torch.float64)
    found = changes.entropy(changes.near(places, key_places, keys, wanted, rows))
    mean = (found * rows[:, None]).sum(-1) / rows.sum(-1)[:, None]
    torch.testing.assert_close(mean, wanted, atol=1e-6, rtol=0)


def test_sweeps_bring_columns_to_equal_sums(case):
    from pipeline.intervention import changes

    scores, rows, keys = case
    plan = changes.balanced(scores, rows, keys, sweeps=500, causal=False)
    torch.testing.assert_close(plan[0].sum(-1), torch.ones(3, 7, dtype=torch.float64))
    torch.testing.assert_close(plan[0, :, :, :5].sum(1), torch.full((3, 5), 7 / 5, dtype=torch.float64))
    torch.testing.assert_close(plan[1, :, :6, :4].sum(1), torch.full((3, 4), 6 / 4, dtype=torch.float64))


def test_a_decoder_s_rows_know_nothing_of_rows_to_come(case):
    from pipeline.intervention import changes

    scores, rows, keys = case
    scores = scores * 3
    plan = changes.balanced(scores, rows, keys, sweeps=20, causal=True)
    later = scores.clone()
    later[:, :, 4:] += torch.randn(2, 3, 3, 6, generator=torch.Generator().manual_seed(1)) * 5
    changed = changes.balanced(later, rows, keys, sweeps=20, causal=True)
    torch.testing.assert_close(plan[:, :, :4], changed[:, :, :4])
    assert (plan[:, :, 4:] - changed[:, :, 4:]).abs().max() > 0.01
    torch.testing.assert_close(plan[0].sum(-1), torch.ones(3, 7, dtype=torch.float64))
    first = changes.within(scores.masked_fill(~keys[:, None, None], -torch.inf).softmax(-1), keys)[0, :, 0]
    assert (plan[0, :, 0] - first).abs().max() < 1e-6  # one row alone is within any column's share
