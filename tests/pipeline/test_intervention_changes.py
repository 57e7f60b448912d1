"""What replacements keep, what they reach, and that decoders see no word to come."""

import numpy as np
import pytest
import torch

from otcore.dual import Duals
from otcore.plans.sweeps import Entropic


@pytest.fixture
def case():
    """Shares of two pairs, 7 rows on 5 columns and 6 on 4, three heads."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 7, 6, generator=generator, dtype=torch.float64) * 3
    columns = torch.tensor([[True] * 5 + [False], [True] * 4 + [False] * 2])
    rows = torch.tensor([[True] * 7, [True] * 6 + [False]])
    share = scores.masked_fill(~columns[:, None, None], -torch.inf).softmax(-1) * rows[:, None, :, None]
    return share, rows, columns


def test_shares_are_what_lies_on_the_source(case):
    from pipeline.intervention import changes

    share, _, columns = case
    own = changes.within(share * 0.3, columns)
    torch.testing.assert_close(own[0], share[0])
    torch.testing.assert_close(own[1, :, 6, :4], torch.full((3, 4), 0.25, dtype=torch.float64))


def test_sweeps_bring_columns_to_equal_sums(case):
    from pipeline.intervention import changes

    share, rows, _ = case
    plan = changes.balanced(share, rows, sweeps=500, causal=False)
    torch.testing.assert_close(plan[0].sum(-1), torch.ones(3, 7, dtype=torch.float64))
    torch.testing.assert_close(plan[0, :, :, :5].sum(1), torch.full((3, 5), 7 / 5, dtype=torch.float64))
    torch.testing.assert_close(plan[1, :, :6, :4].sum(1), torch.full((3, 4), 6 / 4, dtype=torch.float64))


@pytest.mark.parametrize("sweeps", [1, 2, 5])
def test_sweeps_are_those_of_sinkhorn(case, sweeps):
    """The sweeps of `otcore` on the scores, with columns first, give the same rows."""
    from pipeline.intervention import changes

    share, rows, _ = case
    plan = changes.balanced(share, rows, sweeps=sweeps, causal=False)[0, :, :, :5].numpy()
    cost = -np.log(share[0, :, :, :5].numpy()).transpose(0, 2, 1)  # columns are swept first there
    masses = np.full((3, 5), 1 / 5), np.full((3, 7), 1 / 7)
    problem = Entropic(cost, *masses, reg=1.0)
    duals = Duals(np.zeros((3, 5)), np.zeros((3, 7)))
    for _ in range(sweeps):
        duals = problem.sweep(duals, np.ones((3, 1)))
    np.testing.assert_allclose(plan, 7 * problem.plan(duals).transpose(0, 2, 1), rtol=1e-9)


def test_a_decoder_s_row_is_the_last_of_the_plan_of_the_rows_so_far(case):
    from pipeline.intervention import changes

    share, rows, _ = case
    found = changes.balanced(share, rows, sweeps=20, causal=True)
    for row in range(7):
        so_far = changes.balanced(share[:1, :, : row + 1], rows[:1, : row + 1], sweeps=20, causal=False)
        torch.testing.assert_close(found[0, :, row], so_far[0, :, -1])
    torch.testing.assert_close(found[0].sum(-1), torch.ones(3, 7, dtype=torch.float64))
    assert (found[1, :, 6] == 0).all()


def test_a_decoder_s_rows_know_nothing_of_rows_to_come(case):
    from pipeline.intervention import changes

    share, rows, columns = case
    plan = changes.balanced(share, rows, sweeps=20, causal=True)
    later = share.clone()
    later[:, :, 4:] *= torch.rand(2, 3, 3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    changed = changes.balanced(changes.within(later, columns) * rows[:, None, :, None], rows, sweeps=20, causal=True)
    torch.testing.assert_close(plan[:, :, :4], changed[:, :, :4])
    assert (plan[:, :, 4:] - changed[:, :, 4:]).abs().max() > 0.01
    shorter = changes.balanced(share[:, :, :4], rows[:, :4], sweeps=20, causal=True)
    torch.testing.assert_close(plan[:, :, :4], shorter)  # not even how many there will be


def test_a_temperature_has_the_mean_entropy_asked_for_and_keeps_the_order_of_words(case):
    from pipeline.intervention import changes

    share, rows, _ = case
    target = changes.mean_entropy(changes.balanced(share, rows, sweeps=20, causal=False), rows)
    soft = changes.tempered(share, rows, target)
    torch.testing.assert_close(changes.mean_entropy(soft, rows), target, atol=1e-8, rtol=0)
    assert (soft[0].argsort(-1) == share[0].argsort(-1)).all()
    ratio = (soft[0, 0, :, 1:5] / soft[0, 0, :, :4]).log() / (share[0, 0, :, 1:5] / share[0, 0, :, :4]).log()
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))  # one temperature for all rows
    torch.testing.assert_close(changes.tempered(share, rows, changes.mean_entropy(share, rows)), share)


def test_masked_words_stay_masked(case):
    from pipeline.intervention import changes

    share, rows, columns = case
    share[..., 2] = 0
    share = changes.within(share, columns) * rows[:, None, :, None]
    for changed in (
        changes.balanced(share, rows, sweeps=5, causal=True),
        changes.tempered(share, rows, torch.full((2, 3), 1.0, dtype=torch.float64)),
    ):
        assert changed.isfinite().all() and (changed[..., 2] == 0).all()
        torch.testing.assert_close(changed.sum(-1), rows[:, None].double().expand(2, 3, 7))


def test_a_temperature_for_each_row_gives_each_its_entropy(case):
    from pipeline.intervention import changes

    share, rows, _ = case
    target = changes.entropy(changes.balanced(share, rows, sweeps=20, causal=True))
    soft = changes.tempered_by_row(share, target) * rows[:, None, :, None]
    torch.testing.assert_close(changes.entropy(soft), target, atol=2e-3, rtol=0)  # uniform rows: the flattest there is
    torch.testing.assert_close(changes.entropy(soft)[:, :, 1:], target[:, :, 1:], atol=1e-8, rtol=0)
