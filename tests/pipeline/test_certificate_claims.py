"""Claims, verdicts and what is written: one file of claims in four groups, and the tables."""

import doctest
import importlib
import json
import math
import re

import pandas as pd
import pytest
import torch

from otcore import squared_cost
from pipeline.errors import PipelineError
from pipeline.params import Certify
from pipeline.report.mathematics import FORMULA, with_math
from pipeline.synthetic.certify import certify, write_certificate
from pipeline.synthetic.claims import GROUPS, Finding, claim, gaussian_clouds, merge, spread, stable, write
from tests.pipeline.certificate_factory import small  # noqa: F401

GROUP_OF = {
    "follows": {
        "best_step_ratio_is_2", "depth_twice_sinkhorn", "rate_is_geometric", "rate_matches_spectrum",
        "sorting_general_annealed", "theorem_d1_useful_depth",
    },
    "errata": {
        "equation_21_hessian", "equation_21_hessian_with_reg", "free_row_sums_uniform", "free_row_sums_unit",
        "lemma_d6_any_unit", "lemma_d6_step_any_n", "memory_row_settles_uniform", "memory_row_settles_unit",
        "rate_formula_beyond_2", "rate_formula_with_swing", "sorting_printed_4", "sorting_printed_8",
        "sorting_printed_setting_4", "sorting_printed_setting_8", "sorting_printed_setting_error_4",
        "sorting_printed_setting_error_8", "table_2_printed_sign", "theorem_3_1_free", "theorem_3_1_free_first_layer",
        "theorem_d1_two_radii",
    },
    "software": {
        "positive_matrix_contracts", "precision_bfloat16", "precision_float32", "scalings_near_optimum",
        "scaling_quadratic_largest_tensor", "scaling_quadratic_products", "sums_bound_distance",
    },
}  # fmt: skip


def one(name="x", **kwargs):
    return claim(
        name,
        "It holds.",
        **({"reference": "ours", "setting": {}, "value": 1.0, "threshold": 1.0, "group": "paper"} | kwargs),
    )


@pytest.mark.parametrize(
    ("value", "at_least", "vacuous", "verdict"),
    [
        (1.0, False, False, "holds"),
        (1.1, False, False, "fails"),
        (1.1, True, False, "holds"),
        (0.9, True, False, "fails"),
        (math.nan, False, False, "fails"),
        (math.nan, True, False, "fails"),
        (1.1, False, True, "vacuous"),
        (0.9, False, True, "vacuous"),
    ],
)
def test_the_verdict_follows_from_the_numbers(value, at_least, vacuous, verdict):
    found = one(value=value, at_least=at_least, vacuous=vacuous)
    assert found.verdict == verdict
    assert found.setting["rule"] == f"value {'>=' if at_least else '<='} threshold"


def test_only_digits_that_mean_something_are_kept():
    assert [stable(value) for value in (0.0, -3.2e-17, 1e-12, 2.0 / 3.0)] == [0.0, -1e-16, 1e-12, 0.6666666667]
    assert math.isinf(stable(math.inf))
    assert spread(torch.tensor([3.0, 1.0, math.inf], dtype=torch.float64))["median"] == 3.0
    assert math.isnan(spread(torch.tensor([3.0, 1.0, math.inf], dtype=torch.float64))["high"])


def test_what_is_written_is_json_and_the_same_each_time(tmp_path):
    finding = Finding(
        [one(setting={"deep": {"values": (1 / 3, math.inf)}}, seed=3)], {"t": pd.DataFrame({"a": [1 / 3, math.nan]})}
    )
    write(finding, tmp_path / "a")
    write(finding, tmp_path / "b")
    (entry,) = json.loads((tmp_path / "a" / "certificate.json").read_text())["claims"]
    assert entry["setting"]["deep"]["values"] == [0.3333333333, "inf"]
    assert (entry["group"], entry["seed"]) == ("paper", 3)
    for name in ("certificate.json", "certificate_t.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "certificate_t.csv").read_text() == 'a\n0.3333333333\n""\n'


def test_two_claims_of_one_id_and_claims_without_a_group_are_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"claims: each id at most once, but 'x' is there twice; rename one"):
        write(merge([Finding([one()], {}), Finding([one()], {})]), tmp_path)
    with pytest.raises(
        PipelineError, match=r"claims: each in one of paper, follows, errata, software, but 'x' is in none; pass"
    ):
        write(Finding([one(group=None)], {}), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reg", [0.004, 0.6])
def test_a_reg_that_cannot_be_measured_is_refused(reg):
    with pytest.raises(
        PipelineError, match=rf"certify.reg: between 0.005 and 0.5, .* but it is {reg}; 0.05 is the default"
    ):
        certify(Certify(reg=reg))


def test_random_problems_are_those_of_their_seeds():
    x, y = gaussian_clouds(5, dim=2, seeds=range(2, 4))
    alone, _ = gaussian_clouds(5, dim=2, seeds=range(3, 4))
    assert torch.equal(x[1:], alone)
    torch.testing.assert_close(squared_cost(x, y).amax((1, 2)), torch.ones(2, dtype=torch.float64))


def test_the_whole_certificate_in_small(small, tmp_path, project):
    """Every claim of the published one, in its group, and every table."""
    write_certificate(Certify(reg=0.2, depth=40, seeds=2), tmp_path)
    entries = {entry["id"]: entry for entry in json.loads((tmp_path / "certificate.json").read_text())["claims"]}
    assert {
        group: {name for name, entry in entries.items() if entry["group"] == group} for group in GROUPS[1:]
    } == GROUP_OF
    published = project / "reports" / "metrics"
    assert set(entries) == {entry["id"] for entry in json.loads((published / "certificate.json").read_text())["claims"]}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in published.glob("certificate*")}
    for entry in entries.values():
        assert entry["verdict"] in ("holds", "fails", "vacuous")
        assert entry["statement"].endswith((".", ")"))
        for text in (entry["statement"], entry["reference"]):
            shown = with_math(text)
            assert not re.search(r"[\\$]|merror", shown), f"a formula that is not set: {shown}"
            assert not re.search(r"<=|\b(eps|lambda|gamma|sqrt|log10|exp)\b", FORMULA.sub("", text)), text


@pytest.mark.parametrize("name", ["appendix", "bound", "claims", "errata", "maps", "ordering", "rates", "theorems"])
def test_examples_run(name):
    failed, _ = doctest.testmod(importlib.import_module(f"pipeline.synthetic.{name}"))
    assert failed == 0
