"""The claims about the construction, each beside a planted fault that turns its verdict."""

import pytest
import torch

from pipeline.synthetic import maps, theorems
from pipeline.synthetic.construction import PAPERS
from tests.pipeline.certificate_factory import FAULTS, small, verdicts  # noqa: F401

SEEDS = range(3)

FINDINGS = {
    "theorem_3_1": lambda construction: theorems.theorem_3_1(
        0.05, step_ratio=2.0, depth=300, construction=construction
    ),
    "theorem_3_2": lambda construction: theorems.theorem_3_2(
        0.2, step_ratio=2.0, depth=300, seeds=SEEDS, construction=construction
    ),
    "precision": lambda construction: theorems.precision(0.1, step_ratio=2.0, seeds=SEEDS, construction=construction),
    "same_weights": lambda construction: maps.same_weights(0.3, step_ratio=2.0, construction=construction),
    "rank": lambda construction: maps.rank_over_depth(0.25, depth=200, seeds=SEEDS, construction=construction),
    "dimension": lambda construction: maps.higher_dimension(0.1, seeds=SEEDS, construction=construction),
}

TRUE = {
    "theorem_3_1": {
        "theorem_3_1_frozen": "holds",
        "theorem_3_1_free": "fails",
        "theorem_3_1_free_first_layer": "holds",
        "memory_row_settles_unit": "holds",
        "free_row_sums_unit": "holds",
        "memory_row_settles_uniform": "holds",
        "free_row_sums_uniform": "holds",
    },
    "theorem_3_2": {"theorem_3_2_limit": "holds", "table_2_printed_sign": "fails"},
    "precision": {"precision_float32": "holds", "precision_bfloat16": "holds"},
    "same_weights": {
        "same_weights_any_n": "holds",
        "scaling_quadratic_products": "holds",
        "scaling_quadratic_largest_tensor": "holds",
    },
    "rank": {"rank_kept": "holds"},
    "dimension": {"higher_dimension": "holds", "higher_dimension_exact": "holds"},
}


@pytest.mark.parametrize("finding", FINDINGS)
def test_verdicts_of_the_paper_s_construction(small, finding):
    with torch.no_grad():
        assert verdicts(FINDINGS[finding](PAPERS)) == TRUE[finding]


@pytest.mark.parametrize(
    ("finding", "fault", "turned"),
    [
        ("theorem_3_1", "other sign", {"theorem_3_1_frozen", "theorem_3_1_free_first_layer", "free_row_sums_unit"}),
        ("theorem_3_1", "half step", {"theorem_3_1_frozen", "theorem_3_1_free_first_layer"}),
        ("theorem_3_1", "other product", {"theorem_3_1_frozen", "theorem_3_1_free_first_layer"}),
        ("theorem_3_1", "swapped norms", {"theorem_3_1_frozen", "theorem_3_1_free_first_layer"}),
        ("theorem_3_1", "half mass", {"theorem_3_1_frozen", "memory_row_settles_unit", "memory_row_settles_uniform"}),
        ("theorem_3_1", "always frozen", {"theorem_3_1_free", "memory_row_settles_unit", "free_row_sums_unit"}),
        ("theorem_3_1", "always frozen", {"memory_row_settles_uniform", "free_row_sums_uniform"}),
        ("theorem_3_2", "other sign", {"theorem_3_2_limit", "table_2_printed_sign"}),
        ("theorem_3_2", "never climbs", {"table_2_printed_sign"}),
        ("theorem_3_2", "other product", {"theorem_3_2_limit"}),
        ("theorem_3_2", "one layer", {"theorem_3_2_limit"}),
        ("precision", "coarse", {"precision_float32", "precision_bfloat16"}),
        ("same_weights", "other product", {"same_weights_any_n"}),
        ("same_weights", "one layer", {"same_weights_any_n"}),
        ("rank", "flat", {"rank_kept"}),
        ("rank", "one layer", {"rank_kept"}),
        ("dimension", "other product", {"higher_dimension"}),
        ("dimension", "one layer", {"higher_dimension", "higher_dimension_exact"}),
    ],
)
def test_a_fault_turns_the_verdict(small, finding, fault, turned):
    with torch.no_grad():
        found = verdicts(FINDINGS[finding](FAULTS[fault]))
    assert turned <= {name for name, verdict in found.items() if verdict != TRUE[finding][name]}


def test_a_layer_whose_work_grows_otherwise_is_noticed(small):
    found = verdicts(
        maps.same_weights(0.3, step_ratio=2.0, count=lambda model, prompt: (prompt.shape[1], prompt.shape[1] ** 3))
    )
    assert found["scaling_quadratic_products"] == found["scaling_quadratic_largest_tensor"] == "fails"


def test_work_is_counted_by_hand():
    """n + 1 tokens of width w, one layer, 2 heads: Z P, (Z P) Z^T, Z V and A (Z V), each twice its multiply-adds."""
    n, width = 4, 11
    tokens = n + 1
    weights = PAPERS.weights(1, reg=0.1, step_size=0.1)
    prompt = PAPERS.prompt(torch.zeros(1, n, 1, dtype=torch.float64), torch.ones(1, n, 1, dtype=torch.float64))
    products, largest = maps.count_work(PAPERS.model(weights, depth=1), prompt)
    assert products == 2 * 2 * (2 * tokens * width * width + 2 * tokens * tokens * width)
    assert largest == 2 * width * width  # at this size the weights; tokens^2 where n is large


def test_effective_rank_of_a_known_spectrum():
    spectrum = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    assert maps.effective_rank(torch.diag_embed(3.0 * spectrum)).item() == pytest.approx(2.0**1.5)
    assert maps.effective_rank(torch.ones(1, 4, 4, dtype=torch.float64)).item() == pytest.approx(1.0)


@pytest.mark.parametrize(("fault", "near"), [(None, True), ("other product", False), ("one layer", False)])
def test_figures_end_at_the_plan(fault, near):
    with torch.no_grad():
        tables = maps.figures_3_and_4(0.5, construction=FAULTS[fault] if fault else PAPERS).tables
    assert {name: sorted(set(table["n"])) for name, table in tables.items()} == {"figure3": [16], "figure4": [4, 8]}
    for table in tables.values():
        cells = table.set_index(["n", "src", "tgt"])
        last, plan = (cells.loc[cells["layer"] == layer, "share"] for layer in ("600", "plan"))
        assert ((last - plan).abs().max() < 0.02) == near
        diagonal = table[(table["layer"] == "plan") & (table["src"] == table["tgt"])]
        assert (
            diagonal.groupby("n")["share"].sum() > 2.0
        ).all()  # a plan that knows nothing has 1: ordered so that the cheapest matching is the diagonal
