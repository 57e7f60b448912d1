"""A verdict follows from interval, correction and limit; a file of claims comes back as it was written."""

import doctest
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.claims
from pipeline._output import SCHEMA
from pipeline.claims import (
    CERTIFICATE,
    EVIDENCE,
    FEWEST,
    QUESTIONS,
    RULES,
    Claim,
    Correction,
    Estimate,
    Limit,
    decide,
    holm,
    untested,
    verdict_of,
)
from pipeline.claims_file import read_claims, write_claims
from pipeline.errors import PipelineError


def row(**changed):
    """Return a row that supports its claim."""
    names = {"id": "above_x", "claim": "above", "question": "is_a_plan", "statement": "It is above.", "translator": "t"}
    return Estimate(**(names | {"difference": 0.15, "low": 0.1, "high": 0.2, "n_pairs": 100, "p": 0.001} | changed))


def limit(value, threshold=1.0, *, at_least=False):
    held = {"value": value, "threshold": threshold, "rule": RULES[at_least], "reference": "ours", "seed": 0}
    return row(question="training", limit=Limit(**held, setting={"n": [2, 4]}), p=None)


@pytest.mark.parametrize(
    ("low", "high", "corrected", "verdict", "why"),
    [
        (0.01, 0.2, 0.001, "supported", ""),
        (0.01, 0.2, None, "supported", ""),
        (0.01, 0.2, 0.05, "supported", ""),
        (-0.2, -0.01, 0.001, "not supported", ""),
        (-0.2, -0.01, None, "not supported", ""),
        (-0.01, 0.2, 0.001, "undecided", "the interval holds 0"),
        (0.0, 0.2, 0.001, "undecided", "the interval holds 0"),
        (-0.2, 0.0, 0.001, "undecided", "the interval holds 0"),
        (0.01, 0.2, 0.06, "undecided", "it does not survive the correction for many tests"),
        (-0.2, -0.01, 0.06, "undecided", "it does not survive the correction for many tests"),
        (0.1, 0.1, 0.001, "undecided", "the interval has no width"),
        (0.0, 0.0, 1.0, "undecided", "the interval has no width"),
        (math.nan, 0.2, 0.001, "undecided", "there is no interval"),
        (0.1, math.inf, 0.001, "undecided", "there is no interval"),
        (None, None, None, "undecided", "there is no interval"),
    ],
)
def test_a_verdict_follows_from_interval_and_correction(low, high, corrected, verdict, why):
    assert verdict_of(row(low=low, high=high), corrected) == (verdict, why)


def test_the_level_is_that_of_the_intervals():
    assert verdict_of(row(), 0.06, level=0.9)[0] == "supported"
    assert verdict_of(row(), 0.06, level=0.95)[0] == "undecided"


@pytest.mark.parametrize(("low", "high", "verdict"), [(0.1, 0.2, "supported"), (-0.2, -0.1, "not supported")])
def test_a_handful_of_sentences_decides_nothing(low, high, verdict):
    assert verdict_of(row(low=low, high=high, n_pairs=FEWEST), 0.001) == (verdict, "")
    few = verdict_of(row(low=low, high=high, n_pairs=FEWEST - 1), 0.001)
    assert few == ("undecided", "too few sentences: 9, at least 10 are needed")


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [
        (0.5, False, "supported"),
        (1.0, False, "supported"),
        (1.5, False, "not supported"),
        (0.5, True, "not supported"),
        (1.0, True, "supported"),
        (1.5, True, "supported"),
        (math.nan, False, "not supported"),
        (math.nan, True, "not supported"),
        (math.inf, False, "not supported"),
    ],
)
def test_a_limit_is_kept_or_not(value, at_least, verdict):
    assert verdict_of(limit(value, at_least=at_least)) == (verdict, "")


def test_holm_by_hand():
    # Sorted .005 .01 .03 .04 .5, times 5 4 3 2 1: .025 .04 .09 .08 .5; none falls below the one before it.
    assert holm([0.01, 0.04, 0.03, None, 0.005, 0.5]) == pytest.approx([0.04, 0.09, 0.09, None, 0.025, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == [] and holm([None]) == [None]


@given(st.lists(st.floats(0, 1), max_size=20), st.randoms())
def test_holm_keeps_order_raises_all_and_no_more_than_bonferroni(p_values, random):
    corrected = holm(p_values)
    for p, after in zip(p_values, corrected, strict=True):
        assert p <= after <= min(1.0, p * len(p_values)) + 1e-12
    by_p = [after for _, after in sorted(zip(p_values, corrected, strict=True))]
    assert by_p == sorted(by_p)
    order = random.sample(range(len(p_values)), len(p_values))
    assert holm([p_values[k] for k in order]) == [corrected[k] for k in order]


def test_a_row_is_corrected_for_all_of_its_question_and_for_no_other():
    rows = [
        row(p=0.02),
        row(p=0.04, view="other", role="compared"),
        row(p=0.5, translator="u"),
        row(p=None, id="b", translator="v"),
        row(p=0.04, question="embeddings_match"),
    ]
    claims = decide(rows, level=0.95)
    assert [claim.correction for claim in claims] == [
        Correction("is_a_plan", 3, 0.02, 0.06), Correction("is_a_plan", 3, 0.5, 0.5), None,
        Correction("embeddings_match", 1, 0.04, 0.04),
    ]  # fmt: skip
    assert [claim.verdict for claim in claims] == ["undecided", "undecided", "supported", "supported"]


def test_more_tests_of_nothing_take_a_verdict_away():
    assert decide([row(p=0.02)], level=0.95)[0].verdict == "supported"
    crowd = [row(p=0.9, layer=layer, role="compared") for layer in range(5)]
    (claim,) = decide([row(p=0.02), *crowd], level=0.95)
    assert (claim.verdict, claim.why) == ("undecided", "it does not survive the correction for many tests")


def test_the_weakest_row_of_translator_and_view_decides():
    rows = [row(id="a"), row(id="b", low=-0.2, high=-0.1), row(id="c", low=0.05), row(id="d", low=None, view="v")]
    claims = decide(rows, level=0.95)
    assert [(claim.id, claim.role) for claim in claims] == [
        ("b", "decides"), ("d", "decides"), ("c", "beside"), ("a", "beside"),
    ]  # fmt: skip
    assert claims[0].verdict == "not supported"


def test_a_row_without_a_number_decides_where_all_must_hold():
    claims = decide([row(id="a"), row(id="b", low=None, high=None)], level=0.95)
    assert [(claim.id, claim.verdict) for claim in claims] == [("b", "undecided"), ("a", "supported")]


def test_a_row_beside_has_a_verdict_and_decides_nothing():
    claims = decide([row(id="a"), row(id="b", low=-0.2, high=-0.1, role="beside")], level=0.95)
    assert [(claim.id, claim.role, claim.verdict) for claim in claims] == [
        ("a", "decides", "supported"), ("b", "beside", "not supported"),
    ]  # fmt: skip
    assert [claim.role for claim in decide([row(role="beside")], level=0.95)] == ["beside"]


def test_claims_stand_in_the_order_of_their_questions():
    rows = [row(question=question, claim=name) for question in reversed(QUESTIONS) for name in ("b", "a")]
    rows = [one for one in rows if one.question != "construction"]
    claims = decide(rows, level=0.95)
    wanted = [(question, name) for question in QUESTIONS if question != "construction" for name in ("b", "a")]
    assert [(claim.question, claim.claim) for claim in claims] == wanted


def some_claims():
    numbers = {"value": 1e-16, "threshold": "inf", "rule": RULES[0], "seed": None}
    held = Limit(**numbers, reference="Theorem 3.2", setting={"n": [2, 4], "deep": {"a": 0.25}})
    theorem = Claim(id="x", claim="x", question="construction", statement="X.", verdict="vacuous", limit=held)
    nothing = untested("translator_uses_it", "x", "It is used.", why="no stage asks")
    return [*decide([row(), row(role="beside", p=None), limit(0.5)], level=0.95), theorem, nothing]


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "claims.json"
    write_claims(path, some_claims())
    assert read_claims(path) == some_claims()
    first = path.read_bytes()
    write_claims(path, read_claims(path))
    assert path.read_bytes() == first


def test_a_file_says_its_schema_and_holds_flat_records(tmp_path):
    path = tmp_path / "claims.json"
    write_claims(path, [*decide([row(difference=1 / 3, low=math.nan)], level=0.95), *some_claims()])
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["schema"] == SCHEMA
    one = found["claims"][0]
    assert (one["difference"], one["low"], one["verdict"]) == (0.333333, None, "undecided")
    assert one["correction"] == {"family": "is_a_plan", "n_tests": 1, "p": 0.001, "corrected": 0.001}
    assert {
        "id", "question", "statement", "translator", "view", "layer", "difference", "unit", "low", "high", "control",
        "correction", "power", "verdict", "why", "figure", "n_pairs",
    } <= set(one)  # fmt: skip


def test_a_limit_that_is_no_number_is_text(tmp_path):
    path = tmp_path / "claims.json"
    write_claims(path, decide([limit(math.inf), limit(1 / 3)], level=0.95))
    values = [claim.limit.value for claim in read_claims(path)]
    assert sorted(values, key=str) == [0.3333333333, "inf"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            '{"schema": 1, "claims": []}',
            r"claims\.json: must say schema: \d, but it says 1.*`dvc repro --force claims`",
        ),
        ('[{"id": "a"}]', r"claims\.json: must say schema: \d, but it says None.*`dvc repro --force claims`"),
        (
            f'{{"schema": {SCHEMA}, "claims": [{{"id": "a"}}]}}',
            r"every claim of .*claims\.json must have bound, claim, .*, but it is otherwise with bound; run `dvc repro --force claims`",
        ),
    ],
)
def test_a_file_of_another_schema_is_refused(tmp_path, content, text):
    (tmp_path / "claims.json").write_text(content, encoding="utf-8")
    with pytest.raises(PipelineError, match=text):
        read_claims(tmp_path / "claims.json")


def test_a_missing_file_is_named(tmp_path):
    text = r"metrics: claims\.json of stage claims is needed, but .* is not there; run `dvc repro claims`"
    with pytest.raises(PipelineError, match=text):
        read_claims(tmp_path / "claims.json")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: row(question="is_it_good"), r"question must be one of finds_translations, .*, but is 'is_it_good'; "),
        (lambda: row(role="main"), r"role must be one of decides, beside, compared, but is 'main'; correct the claim"),
        (lambda: Claim(**vars(row()), verdict="holds"), r"verdict must be one of supported, .*, but is 'holds'"),
        (
            lambda: Claim(**vars(limit(1.0)) | {"question": "construction"}, verdict="supported"),
            r"verdict must be one of holds, fails, vacuous, but is 'supported'",
        ),
    ],
)
def test_unknown_words_are_refused(make, text):
    with pytest.raises(PipelineError, match=text):
        make()


def test_an_unknown_question_in_a_file_is_refused(tmp_path):
    path = tmp_path / "claims.json"
    write_claims(path, some_claims())
    path.write_text(path.read_text(encoding="utf-8").replace('"training"', '"teaching"'), encoding="utf-8")
    with pytest.raises(PipelineError, match=r"'teaching'; correct the claim, or run `dvc repro --force claims`"):
        read_claims(path)


def test_every_word_of_evidence_may_be_a_verdict():
    assert [Claim(**vars(row()), verdict=word).verdict for word in EVIDENCE] == list(EVIDENCE)
    assert not set(EVIDENCE) & set(CERTIFICATE)


def test_examples_in_the_docstrings_run():
    failed, tried = doctest.testmod(pipeline.claims)
    assert failed == 0 and tried > 0


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.003, 0.01, "supported"), (0.001, 0.01, "undecided"), (-0.01, 0.001, "not supported")],
)
def test_a_difference_must_exceed_its_bound(low, high, verdict):
    found, why = verdict_of(row(low=low, high=high, bound=0.002), 0.001)
    assert found == verdict and (why == "the interval holds 0.002") == (verdict == "undecided")


def test_a_rule_decides_from_all_rows_of_a_translator_and_view_together():
    def rule(rows, alpha):
        return ("partly", f"{len(rows)} rows at {alpha:g}")

    rows = [row(id="a"), row(id="b", low=-0.2, high=-0.1), row(id="c", role="beside"), row(id="d", translator="u")]
    claims = decide(rows, level=0.95, rules={"above": rule})
    assert [(claim.id, claim.role, claim.verdict, claim.why) for claim in claims] == [
        ("a", "decides", "partly", "2 rows at 0.05"),
        ("d", "decides", "partly", "1 rows at 0.05"),
        ("b", "beside", "not supported", ""),
        ("c", "beside", "supported", ""),
    ]
    few = decide([row(id="a"), row(id="b", n_pairs=9)], level=0.95, rules={"above": rule})
    assert few[0].verdict == "undecided" and few[0].why.startswith("too few sentences: 9")
    assert [claim.role for claim in decide([row(role="beside")], level=0.95, rules={"above": rule})] == ["beside"]
