"""The claims on sorting, each beside a fault that turns its verdict."""

import pytest
import torch

from otcore import sort, sorting_plan
from pipeline.synthetic import ordering
from tests.pipeline.certificate_factory import small, verdicts  # noqa: F401

TRUE = {
    "sorting_printed_4": "holds",
    "sorting_printed_setting_4": "fails",
    "sorting_printed_setting_error_4": "holds",
    "sorting_printed_8": "holds",
    "sorting_printed_setting_8": "fails",
    "sorting_printed_setting_error_8": "holds",
    "sorting_1024": "holds",
    "sorting_general_constant": "fails",
    "sorting_general_annealed": "holds",
}
PRINTED = {name for name in TRUE if "printed" in name}


def _unsorted(x, **kwargs):
    return x


def _exact(x, **kwargs):
    return x.sort().values


def _sharper(x, y, *, reg, **kwargs):
    """A lambda that would print other digits."""
    return sorting_plan(x, y, reg=0.8 * reg, **kwargs)


def _as_printed(x, y, *, reg, step_size, **kwargs):
    """Whatever the setting, the plan of lambda = 0.1 with y = 0..n-1."""
    n = x.shape[-1]
    return sorting_plan(x, torch.arange(n, dtype=x.dtype)[None], reg=0.1, step_size=0.05, **kwargs)


def _uniform(x, y, **kwargs):
    return torch.full((1, x.shape[-1], x.shape[-1]), 1.0 / x.shape[-1], dtype=x.dtype)


@pytest.mark.parametrize(
    ("sorter", "plan", "turned"),
    [
        (sort, sorting_plan, set()),
        (_unsorted, sorting_plan, {"sorting_1024", "sorting_general_annealed"}),
        (_exact, sorting_plan, {"sorting_general_constant"}),
        (sort, _sharper, {"sorting_printed_4", "sorting_printed_8"}),
        (sort, _as_printed, {name for name in PRINTED if "setting_" in name and "error" not in name}),
        (sort, _uniform, PRINTED - {"sorting_printed_setting_4", "sorting_printed_setting_8"}),
    ],
)
def test_verdicts_on_sorting(small, sorter, plan, turned):
    found = verdicts(ordering.sorting(sorter=sorter, plan=plan))
    assert {name for name, verdict in found.items() if verdict != TRUE[name]} == turned
    assert set(found) == set(TRUE)


def test_digits_are_cut_and_not_rounded():
    values = torch.tensor([0.249, 0.25, 0.2599], dtype=torch.float64)
    assert ordering._differs(values, [0.24, 0.25, 0.25], [2, 2, 2]) == 0
    assert ordering._differs(values, [0.25, 0.25, 0.26], [2, 2, 2]) == 2
    assert ordering._differs(values, [0.249, 0.25, 0.259], [3, 2, 3]) == 0


def test_table_of_sorting(small):
    table = ordering.sorting(sorter=_unsorted).tables["sorting"]
    x = ordering.numbers_of("uniform", 16)
    row = table[(table["numbers"] == "uniform") & (table["schedule"] == "annealed") & (table["reg"] == 1e-5)].iloc[0]
    truth = x.sort().values
    assert row["right"] == pytest.approx(float((x == truth).double().mean()))
    assert row["error"] == pytest.approx(float((x - truth).abs().max() / (truth[-1] - truth[0])))
    assert table["depth"].tolist()[-1] == ordering.LARGE_DEPTH
    assert set(table[table["n"] == 8]["numbers"]) == {"ties"}


@pytest.mark.parametrize("kind", ordering.KINDS)
def test_numbers_are_of_their_kind(kind):
    x = ordering.numbers_of(kind, 64)
    assert x.shape == (64,)
    assert torch.equal(x, ordering.numbers_of(kind, 64))
    assert (len(set(x.tolist())) < 64) == (kind == "ties")
    assert bool((x < 0).any()) == (kind in ("normal", "ties"))
    assert torch.equal(x.sort().values, torch.arange(64, dtype=x.dtype) / 64) == (kind == "permutation")
