"""What the numbers of interventions decide, each rule both ways."""

import pytest

from pipeline.claims import decide
from pipeline.errors import PipelineError
from pipeline.verdicts.intervention import use_claims
from tests.pipeline.intervened_factory import write_intervened

BELOW, AROUND = (-0.2, -0.3, -0.1, 1e-6), (0.1, -0.1, 0.3, 0.3)
USES = [
    ("best_heads_off", ("sets", 4, "")),
    ("best_heads_off_above_draws", ("sets", 4, "above_")),
    *[(f"own_above_{rival}", ("replacements", "top", rival)) for rival in ("position", "mispaired", "permuted")],
]
PLAN = ("plan_above_tempered", ("replacements", "all", "balanced_minus_tempered"))


def decided(folder, **made):
    write_intervened(folder, "planted", **made)
    rows, settled = use_claims(folder, "planted")
    claims = [*decide(rows, level=0.95), *settled]
    return {claim.claim: claim for claim in claims if claim.role == "decides"}, claims


def test_everything_in_favour_supports_both(tmp_path):
    found, claims = decided(tmp_path)
    assert {claim.verdict for claim in found.values()} == {"supported"} and len(found) == 2
    assert {claim.translator for claim in claims} == {"planted"} and {claim.unit for claim in claims} == {"nats a word"}
    assert len([claim for claim in claims if claim.claim == "uses_alignment"]) == 5
    (beside,) = [claim for claim in claims if claim.id == "plan_above_tempered_by_row"]
    assert beside.role == "beside"
    # 2 rows of either k, 3 rivals of either target, 2 temperatures of either target and number of sweeps.
    assert {claim.correction.n_tests for claim in claims} == {2 * 2 + 3 * 2 + 2 * 2 * 2}


@pytest.mark.parametrize(("interval", "verdict"), [(BELOW, "not supported"), (AROUND, "undecided")])
@pytest.mark.parametrize(("row", "key"), USES)
def test_use_of_alignment_falls_with_any_comparison(row, key, interval, verdict, tmp_path):
    found, _ = decided(tmp_path, changed={key: interval})
    assert (found["uses_alignment"].id, found["uses_alignment"].verdict) == (row, verdict)
    assert found["plan_matters"].verdict == "supported"


@pytest.mark.parametrize(("interval", "verdict"), [(BELOW, "not supported"), (AROUND, "undecided")])
def test_a_plan_matters_by_sinkhorn_against_a_temperature_alone(interval, verdict, tmp_path):
    found, _ = decided(tmp_path, changed={PLAN[1]: interval})
    assert (found["plan_matters"].id, found["plan_matters"].verdict) == (PLAN[0], verdict)
    assert found["plan_matters"].where == "all heads, 20 sweeps"
    assert found["uses_alignment"].verdict == "supported"
    others = {
        ("replacements", "all", "balanced"): interval,
        ("replacements", "top", "balanced_minus_tempered"): interval,
    }
    assert decided(tmp_path, changed=others)[0]["plan_matters"].verdict == "supported"


def test_other_numbers_of_heads_decide_nothing(tmp_path):
    found, claims = decided(tmp_path, changed={("sets", 1, ""): BELOW, ("replacements", "all", "position"): BELOW})
    assert found["uses_alignment"].verdict == "supported"
    assert all(claim.verdict == "supported" for claim in claims)


def test_all_comparisons_are_corrected_for(tmp_path):
    weak = dict.fromkeys([key for _, key in USES], (0.2, 0.1, 0.3, 0.02))
    found, _ = decided(tmp_path, changed=weak)
    assert found["uses_alignment"].verdict == "undecided"
    assert found["uses_alignment"].why == "it does not survive the correction for many tests"


@pytest.mark.parametrize("status", ["not testable here", "untested"])
def test_what_was_not_run_says_why(status, tmp_path):
    found, claims = decided(tmp_path, status=status, why="there is no head")
    assert len(claims) == 2 and set(found) == {"uses_alignment", "plan_matters"}
    assert {(claim.verdict, claim.why) for claim in claims} == {(status, "there is no head")}


def test_missing_tables_are_named(tmp_path):
    write_intervened(tmp_path, "planted")
    (tmp_path / "sets.csv").unlink()
    with pytest.raises(PipelineError, match=r"sets.csv of stage intervene@planted is needed, .* `dvc repro intervene@"):
        use_claims(tmp_path, "planted")
