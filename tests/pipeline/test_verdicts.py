"""What is claimed of translators follows from their paired differences, and one stage writes all verdicts."""

import csv
import json

import pandas as pd
import pytest

from pipeline.claims import CERTIFICATE, QUESTIONS, decide, read_claims, read_questions
from pipeline.conventions import VIEWS
from pipeline.errors import PipelineError
from pipeline.report.matrix import answers, sentence
from pipeline.verdicts.join import tally, write_verdicts
from pipeline.verdicts.questions import ASKED_OF_ALL
from pipeline.verdicts.reading import PAIRED, Measured, Paired, read_translator
from pipeline.verdicts.training import learning_estimates, merge_learn
from pipeline.verdicts.translators import FIGURES, translator_estimates, unmeasured
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture

ABOVE, BELOW, AROUND = (0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2)
NAMES = ["mini-marian", "mini-mbert"]
CONTROLS = {
    "mean_mass": ("random_init", "uniform", "position", "mispaired", "first_layer"),
    "match": ("position", "random_init", "chance"),
    "plan_correlation": ("position", "random_init"),
}
BEST = 2


def planted(*, changed=(), gold=None, n_layers=3, n_pairs=100, p=1e-6):
    """Return a translator of one view whose every difference is above 0, but for `changed`: interval by score, control, half."""
    intervals = dict(changed)
    rows = [
        Paired(
            half,
            "encoder" if score == "match" else "output_step",
            layer,
            score,
            against,
            low + 0.05,
            low,
            high,
            n_pairs,
            p,
        )
        for half in ("all", "second")
        for score, controls in CONTROLS.items()
        for against in controls
        for layer in range(1 + (against == "first_layer"), n_layers + 1)
        for low, high in [intervals.get((score, against, half), intervals.get((score, against), ABOVE))]
    ]
    best = {
        "scores": [{"view": "output_step", "score": "mean_mass", "layer": BEST}],
        "match": [{"states": "encoder", "layer": BEST}],
        "plan_correlation": [{"view": "output_step", "layer": BEST}],
    }
    if gold:
        best["aer"] = {source: _error(source, *interval) for source, interval in gold.items()}
    signature = {"convention": {"score": "mean_mass"}}
    reach = {"trained": {"output_step": [1.0] * n_layers}}
    summary = {"best": best, "other_side_mass": reach, "reads": "cross", "signature": signature, "gold": gold and {}}
    return Measured("planted", rows, summary)


def _error(source, low, high):
    view = "output_step" if source == "attention" else None
    gain = {"value": (low + high) / 2, "low": low, "high": high}
    return {"view": view, "layer": 2, "method": "argmax_tgt", "n_pairs": 50, "below_position": gain}


def decided(translator):
    """Return the deciding claim by the name of the claim, and all of them."""
    claims = decide(translator_estimates([translator]), level=0.95)
    return {(claim.claim, claim.id): claim for claim in claims if claim.role == "decides"}, claims


@pytest.mark.parametrize(
    ("claim", "score", "against"),
    [
        *[("above_controls", "mean_mass", control) for control in CONTROLS["mean_mass"][:4]],
        ("grows_with_depth", "mean_mass", "first_layer"),
        *[("embeddings_match", "match", control) for control in CONTROLS["match"]],
        *[("attention_is_plan", "plan_correlation", control) for control in CONTROLS["plan_correlation"]],
    ],
)
@pytest.mark.parametrize(("interval", "verdict"), [(BELOW, "not supported"), (AROUND, "undecided")])
def test_a_claim_falls_with_any_of_its_controls_and_no_other_claim_does(claim, score, against, interval, verdict):
    supported, _ = decided(planted())
    assert {found.verdict for found in supported.values()} == {"supported"} and len(supported) == 4
    found, _ = decided(planted(changed={(score, against): interval}))
    fallen = [(one.claim, one.control, one.verdict) for one in found.values() if one.verdict != "supported"]
    assert fallen == [(claim, against, verdict)]


@pytest.mark.parametrize(
    ("interval", "verdict"), [(ABOVE, "supported"), (BELOW, "not supported"), (AROUND, "undecided")]
)
@pytest.mark.parametrize(
    ("source", "question"), [("attention", "finds_translations"), ("embedding", "embeddings_match")]
)
def test_errors_against_hand_made_links_are_held_against_position(source, question, interval, verdict):
    gold = {"attention": ABOVE, "embedding": ABOVE} | {source: interval}
    found, _ = decided(planted(gold=gold))
    claim = found["below_position_error", f"aer_{source}_below_position"]
    assert (claim.verdict, claim.question, claim.unit) == (verdict, question, "alignment error rate")
    assert claim.where == f"{source}, layer 2, argmax tgt" and claim.correction is None
    others = [one.verdict for one in found.values() if one is not claim]
    assert set(others) == {"supported"}


def test_growth_is_decided_by_the_last_layer_on_all_sentences():
    found, claims = decided(planted(changed={("mean_mass", "first_layer", "all"): BELOW}))
    last = found["grows_with_depth", "last_layer_above_first"]
    assert (last.verdict, last.layer, last.where) == ("not supported", 3, "layer 3 over layer 1")
    (best,) = [claim for claim in claims if claim.id == "best_layer_above_first"]
    assert (best.verdict, best.layer, best.role) == ("supported", BEST, "beside")
    found, _ = decided(planted(changed={("mean_mass", "first_layer", "second"): BELOW}))
    assert found["grows_with_depth", "last_layer_above_first"].verdict == "supported"


def test_best_layers_are_judged_on_the_sentences_on_which_they_were_not_chosen():
    found, _ = decided(planted(changed={("match", "position", "all"): BELOW}))
    assert found["embeddings_match", "match_above_position"].verdict == "supported"
    found, _ = decided(planted(changed={("match", "position", "second"): BELOW}))
    claim = found["embeddings_match", "match_above_position"]
    assert (claim.verdict, claim.layer, claim.view, claim.figure) == (
        "not supported",
        BEST,
        "encoder",
        "figure7_planted",
    )


def test_every_layer_control_view_and_translator_is_corrected_for():
    one = planted()
    two = Measured("other", one.paired, one.summary)
    corrections = {claim.question: claim.correction for claim in decide(translator_estimates([one, two]), level=0.95)}
    n_tests = {"finds_translations": 2 * 4 * 3, "grows_with_depth": 2 * (2 + 2), "is_a_plan": 2 * 2 * 3}
    assert {question: found.n_tests for question, found in corrections.items()} == n_tests | {
        "embeddings_match": 2 * 3 * 3
    }


def test_what_survives_alone_need_not_survive_among_all():
    found, _ = decided(planted(p=0.04 / 12))  # of 12, 6, 4 and 9 tests
    assert {claim.verdict for claim in found.values()} == {"supported"}
    found, _ = decided(planted(p=0.04))
    assert {claim.why for claim in found.values()} == {"it does not survive the correction for many tests"}


def test_few_sentences_decide_nothing():
    found, _ = decided(planted(n_pairs=9))
    assert {(claim.verdict, claim.why[:18]) for claim in found.values()} == {("undecided", "too few sentences:")}


def test_what_no_row_answers_is_untested_and_says_why():
    bare = Measured("planted", [], planted().summary)
    claims = unmeasured(translator_estimates([bare]))
    assert {claim.verdict for claim in claims} == {"untested"}
    why = {(claim.claim, claim.question): claim.why for claim in claims}
    assert why["grows_with_depth", "grows_with_depth"] == "a translator of one layer has no first and last"
    assert why["above_controls", "finds_translations"] == "no control was run"
    assert "gold: null" in why["below_position_error", "embeddings_match"]
    found = answers(claims, ASKED_OF_ALL, ["planted"])
    assert found[1].finding == "Not measured: a translator of one layer has no first and last."
    assert sentence(found, ["planted"], demo=False).startswith("Nothing is known, for planted: whether attention")
    gold = dict.fromkeys(("attention", "embedding"), ABOVE)
    assert unmeasured(translator_estimates([planted(gold=gold)])) == []


def answered(measured):
    """Return what answers each question, by its id."""
    path = measured.project.metrics / "claims.json"
    return {found.question.id: found for found in answers(read_claims(path), read_questions(path), NAMES)}


def test_questions_are_answered_for_every_translator_and_view(measured):
    claims = read_claims(measured.project.metrics / "claims.json")
    found = answered(measured)
    assert list(found) == list(QUESTIONS)
    assert [len(answer.measured) for answer in found.values()][:5] == [6, 4, 4, 0, 4]
    for answer in found.values():
        names = [claim.translator for claim in answer.measured]
        assert names == sorted(names)
    keys = [(claim.id, claim.translator, claim.view) for claim in claims]
    assert len(keys) == len(set(keys))


def test_different_verdicts_are_told_apart(measured):
    # The made-up attention rises with depth in the first view and falls in the second.
    found = answered(measured)
    assert [claim.verdict for claim in found["grows_with_depth"].measured[:2]] == ["supported", "not supported"]
    finding = found["grows_with_depth"].finding
    assert "in the first: supported in 2 of 4, by +" in finding and "not supported: mini-marian, input step" in finding
    told = sentence(list(found.values()), NAMES, demo=True)
    assert told.startswith("In part, for the demo translators mini-marian and mini-mbert: ")
    assert "only in part, " in told and "this grows with depth (2 of 4)" in told
    assert "whether the translator uses it" in told and told.endswith("not measured.")


def test_a_claim_has_the_numbers_of_its_row(measured):
    claim = answered(measured)["grows_with_depth"].measured[0]
    found = read_translator(measured.project.metrics / "translators" / "mini-marian", "mini-marian")
    wanted = ("all", claim.view, claim.layer, found.score, "first_layer")
    (row,) = [row for row in found.paired if (row.half, row.view, row.layer, row.score, row.against) == wanted]
    assert (claim.difference, claim.low, claim.high, claim.p) == (row.difference, row.low, row.high, row.p)
    assert claim.layer == measured.translators[0].n_layers


@pytest.fixture
def metrics(measured, tmp_path):
    """Return a copy of the metrics of two translators."""
    for path in (measured.project.metrics / "translators").rglob("*.*"):
        target = tmp_path / path.relative_to(measured.project.metrics)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def test_a_question_that_nothing_answers_is_untested(metrics):
    claims = write_verdicts(metrics, NAMES, level=0.95)
    assert list(dict.fromkeys(claim.question for claim in claims)) == list(QUESTIONS)
    why = {claim.question: claim.why for claim in claims if claim.verdict == "untested"}
    assert why["construction"] == "the stage certify has not run"
    assert why.keys() == {"translator_uses_it", "construction", "training"}
    assert json.loads((metrics / "learn.json").read_text(encoding="utf-8"))["prompts"] == {}


def test_every_way_of_reading_has_its_figures():
    assert all(set(figures) == set(VIEWS) for figures in FIGURES.values())


def test_the_certificate_is_passed_on(metrics, project):
    written = (project / "reports" / "metrics" / "certificate.json").read_text(encoding="utf-8")
    (metrics / "certificate.json").write_text(written, encoding="utf-8")
    claims = write_verdicts(metrics, NAMES, level=0.95)
    passed = [claim for claim in claims if claim.question == "construction"]
    found = json.loads(written)["claims"]
    assert [(claim.id, claim.verdict, claim.limit.value) for claim in passed] == [
        (one["id"], one["verdict"], one["value"]) for one in found
    ]
    assert {claim.verdict for claim in passed} == set(CERTIFICATE)
    assert [claim.limit.rule for claim in passed] == [one["setting"]["rule"] for one in found]
    assert all("rule" not in claim.limit.setting for claim in passed)
    assert {claim.id for claim in passed if claim.figure == "certificate_depth"} == {
        "best_step_ratio_is_2", "depth_twice_sinkhorn",
    }  # fmt: skip


def test_training_is_decided_from_what_the_seeds_left(metrics, project):
    (metrics / "learn").mkdir()
    for path in (project / "reports" / "metrics" / "learn").glob("*.json"):
        (metrics / "learn" / path.name).write_bytes(path.read_bytes())
    claims = [claim for claim in write_verdicts(metrics, NAMES, level=0.95) if claim.question == "training"]
    rows = learning_estimates(merge_learn((metrics / "learn").glob("*.json"))["prompts"])
    assert [claim.id for claim in claims] == [row.id for row in rows] and len(rows) == 7
    for claim in claims:
        kept = claim.limit.value >= claim.limit.threshold
        assert (claim.verdict == "supported") == (kept if ">=" in claim.limit.rule else not kept)


def test_errors_of_all_translators_stand_in_one_table(metrics):
    write_verdicts(metrics, NAMES, level=0.95)
    table = pd.read_csv(metrics / "aer.csv")
    parts = [pd.read_csv(metrics / "translators" / name / "aer.csv").assign(translator=name) for name in NAMES]
    pd.testing.assert_frame_equal(table, pd.concat(parts, ignore_index=True)[table.columns])
    assert list(table.columns[:5]) == ["translator", "source", "view", "layer", "method"]


def test_the_same_metrics_give_the_same_bytes(metrics):
    def written():
        write_verdicts(metrics, NAMES, level=0.95)
        return [(metrics / name).read_bytes() for name in ("claims.json", "learn.json", "aer.csv")]

    assert written() == written()


@pytest.mark.parametrize("name", ["paired.csv", "summary.json", "aer.csv"])
def test_missing_metrics_are_named(metrics, name):
    (metrics / "translators" / "mini-mbert" / name).unlink()
    text = (
        rf"metrics: {name} of stage align@mini-mbert is needed, but .* is not there; run `dvc repro align@mini-mbert`"
    )
    with pytest.raises(PipelineError, match=text):
        write_verdicts(metrics, NAMES, level=0.95)
    assert not (metrics / "claims.json").exists()


@pytest.mark.parametrize(
    ("path", "content", "missing"),
    [
        ("translators/mini-mbert/paired.csv", ",".join(PAIRED[:-1]) + ",p_holm\n", "p"),
        ("translators/mini-mbert/summary.json", '{"schema": 2, "best": {}}', "other_side_mass"),
        ("translators/mini-mbert/aer.csv", "source,view\n", "layer"),
        ("certificate.json", '{"schema": 2, "claims": [{"id": "theorem_x"}]}', "statement"),
    ],
)
def test_metrics_of_another_version_are_refused(metrics, path, content, missing):
    (metrics / path).write_text(content, encoding="utf-8")
    stage = "align@mini-mbert" if "mbert" in path else "certify"
    text = rf"{path.split('/')[-1]} must hold .*, but {missing} is missing; .* run `dvc repro --force {stage}`"
    with pytest.raises(PipelineError, match=text):
        write_verdicts(metrics, NAMES, level=0.95)


def test_a_difference_that_is_no_number_is_undecided_and_null(metrics):
    path = metrics / "translators" / "mini-marian" / "paired.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row | dict.fromkeys(("difference", "low", "high", "p"), "") for row in csv.DictReader(file)]
    pd.DataFrame(rows).to_csv(path, index=False)
    write_verdicts(metrics, NAMES, level=0.95)
    claims = [claim for claim in read_claims(metrics / "claims.json") if claim.translator == "mini-marian"]
    claims = [claim for claim in claims if claim.claim != "below_position_error"]
    assert {(claim.verdict, claim.difference, claim.low) for claim in claims} == {("undecided", None, None)}
    assert "there is no interval" in {claim.why for claim in claims}
    assert {claim.correction for claim in claims} == {None}


def test_a_tally_counts_what_decides(metrics):
    lines = tally(write_verdicts(metrics, NAMES, level=0.95))
    assert lines[1] == "grows with depth: 2 supported, 2 not supported"
    assert lines[3] == "translator uses it: 1 untested"


def test_the_stage_writes_what_it_promises(metrics, project, tmp_path, monkeypatch, capsys):
    from pipeline.stages import claims

    (tmp_path / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(claims, "METRICS", metrics)
    claims.main()
    assert "claims: construction: 1 untested" in capsys.readouterr().err
    for made in ("aer.csv", "claims.json", "learn.json"):
        assert (metrics / made).is_file(), made
