"""What is claimed of translators follows from their paired differences, and one stage writes all verdicts."""

import csv
import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from pipeline.claims import CERTIFICATE, QUESTIONS, decide
from pipeline.claims_file import read_claims, read_questions
from pipeline.columns import TRANSLATOR
from pipeline.errors import PipelineError
from pipeline.report.matrix import answers, sentence
from pipeline.verdicts.evidence import PLAN, POINTS, RULES
from pipeline.verdicts.join import tally, write_verdicts
from pipeline.verdicts.questions import ASKED_OF_ALL
from pipeline.verdicts.reading import Measured, Paired, read_translator
from pipeline.verdicts.training import learning_estimates, merge_learn
from pipeline.verdicts.translators import GOLD_CLAIM, translator_estimates, unmeasured
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture

ABOVE, BELOW, AROUND = (0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2)
NAMES = ["mini-marian", "mini-mbert"]
MATCH_CONTROLS = ("position", "random_init", "chance")
BEST = 2


def cells(low, high, *, name="difference", n_pairs=100, p=1e-6):
    """Return the cells of an interval as tables hold them."""
    return {name: str(low + 0.05), "low": str(low), "high": str(high), "n_pairs": str(n_pairs), "p": str(p)}


def planted(*, changed=(), gold=None, n_layers=3, n_pairs=100, p=1e-6, power=0.01):
    """Return a translator of one view for which all claims hold, but for `changed`: intervals by row of a table.

    A row is named by (score, against), (score, against, half) or (table, layer, ...), see below; plan rows are nats by
    which the plan fits better.
    """
    intervals = dict(changed)

    def ends(*keys):
        return next((intervals[key] for key in keys if key in intervals), ABOVE)

    halves, layers = ("all", "second"), range(1, n_layers + 1)
    paired = [
        Paired(half, "encoder", layer, "match", against, low + 0.05, low, high, n_pairs, p)
        for half in halves
        for against in MATCH_CONTROLS
        for layer in layers
        for low, high in [ends(("match", against, half), ("match", against))]
    ]
    more = {"n_pairs": n_pairs, "p": p}
    about = {"view": "output_step"}
    above = [
        {**about, "half": half, "links": links, "score": "pointing", "layer": str(layer), "against": against,
         **cells(*ends(("pointing", links, half), ("pointing", links)), **more)}
        for half in halves for links in ("dictionary", "gold_sure") if gold or links == "dictionary"
        for against in ("position", "random_init") for layer in layers
    ]  # fmt: skip
    trend = [
        {**about, "links": "dictionary", "range": "all", "quantity": quantity, "layer": str(layer),
         **cells(*ends(("trend", quantity, layer)), name="value", **more)}
        for quantity, layer in [("rank_correlation", n_layers), *(("step", layer) for layer in layers[1:])]
    ]  # fmt: skip
    plan = [
        {**about, "split": "trained", "layer": str(layer), "tokens": tokens, "base": "words", "position": str(position),
         "quantity": quantity, **cells(*found, name="value", **more)}
        for layer in layers for tokens in ("sum", "mean") for position in (False, True)
        for low, high in [ends(("plan", layer, tokens, position), ("plan", layer))]
        for quantity, found in (("plan_minus_similarity", (-high, -low)), ("power", (power - 0.05, power)))
    ]  # fmt: skip
    best = {
        "scores": [{"view": "output_step", "score": "mean_mass", "layer": BEST}],
        "match": [{"states": "encoder", "layer": BEST}],
        "pointing": [{"view": "output_step", "layer": BEST}],
    }
    if gold:
        best["aer"] = {source: _error(source, *interval) for source, interval in gold.items()}
    signature = {"convention": {"score": "mean_mass"}}
    reach = {"trained": {"output_step": [1.0] * n_layers}}
    summary = {"best": best, "other_side_mass": reach, "reads": "cross", "signature": signature, "gold": gold and {}}
    return Measured("planted", paired, summary, {"above": above, "trend": trend, "plan_test": plan})


GOLD = dict.fromkeys(("attention", "embedding"), ABOVE)


def _error(source, low, high):
    view = "output_step" if source == "attention" else None
    gain = {"value": (low + high) / 2, "low": low, "high": high}
    return {"view": view, "layer": 2, "method": "argmax_tgt", "n_pairs": 50, "below_position": gain}


def decided(translator):
    """Return the deciding claim by its name, and all of them."""
    claims = decide(translator_estimates([translator]), level=0.95, rules=RULES)
    return {claim.claim: claim for claim in claims if claim.role == "decides" and claim.claim != GOLD_CLAIM}, claims


@pytest.mark.parametrize(
    ("claim", "row", "verdicts"),
    [
        (POINTS, ("pointing", "dictionary"), ("partly", "partly")),
        (POINTS, ("pointing", "gold_sure"), ("partly", "partly")),
        ("rises", ("trend", "rank_correlation", 3), ("not supported", "undecided")),
        ("rises", ("trend", "step", 3), ("partly", "supported")),
        *[(PLAN, ("plan", layer), ("partly", "partly")) for layer in (1, 3)],
        *[("embeddings_match", ("match", control), ("not supported", "undecided")) for control in MATCH_CONTROLS],
    ],
)
def test_a_claim_falls_with_its_rows_and_no_other_claim_does(claim, row, verdicts):
    supported, _ = decided(planted(gold=GOLD))
    assert {found.verdict for found in supported.values()} == {"supported"} and len(supported) == 4
    for interval, verdict in zip((BELOW, AROUND), verdicts, strict=True):
        found, _ = decided(planted(gold=GOLD, changed={row: interval}))
        assert {one.claim: one.verdict for one in found.values() if one.verdict != "supported"} == (
            {} if verdict == "supported" else {claim: verdict}
        )


@pytest.mark.parametrize("row", [("sum", False), ("mean", False), ("sum", True), ("mean", True)])
def test_a_layer_is_no_plan_unless_it_is_in_every_comparison(row):
    found, claims = decided(planted(n_layers=1, changed={("plan", 1, *row): AROUND}))
    claim = found[PLAN]
    assert (claim.verdict, claim.why) == ("not supported", "not supported in layer 1")
    # The comparison that fails stands in front, with its own numbers.
    assert claim.id == f"plan_1_{row[0]}{'_position' if row[1] else ''}" and claim.low == AROUND[0]
    assert sum(one.claim == PLAN and one.role == "beside" for one in claims) == 3


def test_a_plan_that_cannot_be_told_from_a_similarity_is_untested():
    found, _ = decided(planted(power=0.0019))
    assert found[PLAN].verdict == "untested" and found[PLAN].power == pytest.approx(0.0019)
    assert found[PLAN].why == "plan and similarity cannot be told apart in any layer"


def test_a_plan_must_be_better_by_the_margin():
    # Better than the similarity, with an interval above 0, and not by .002 nats.
    found, _ = decided(planted(changed={("plan", layer): (0.001, 0.0019) for layer in (1, 2, 3)}))
    assert found[PLAN].verdict == "not supported" and found[PLAN].bound == 0.002


def test_falling_steps_are_named():
    found, _ = decided(planted(changed={("trend", "step", 2): BELOW, ("trend", "step", 3): BELOW}))
    assert (found["rises"].verdict, found["rises"].why) == ("partly", "it falls from layer 1 to 2, from layer 2 to 3")
    found, _ = decided(planted(changed={("trend", "rank_correlation", 3): AROUND, ("trend", "step", 3): BELOW}))
    assert found["rises"].why == "the rank correlation is not told from 0; it falls from layer 2 to 3"


def test_a_translation_found_in_one_kind_of_links_only_says_in_which():
    found, _ = decided(planted(gold=GOLD, changed={("pointing", "gold_sure"): AROUND}))
    assert found[POINTS].why == "supported on dictionary links, undecided on sure hand-made links"
    found, _ = decided(
        planted(gold=GOLD, changed={("pointing", links): BELOW for links in ("dictionary", "gold_sure")})
    )
    assert (found[POINTS].verdict, found[POINTS].why) == ("not supported", "")
    found, _ = decided(planted())
    assert found[POINTS].verdict == "partly" and "a dictionary alone" in found[POINTS].why


@pytest.mark.parametrize(
    ("interval", "verdict"), [(ABOVE, "supported"), (BELOW, "not supported"), (AROUND, "undecided")]
)
@pytest.mark.parametrize(
    ("source", "question"), [("attention", "finds_translations"), ("embedding", "embeddings_match")]
)
def test_errors_against_hand_made_links_are_held_against_position(source, question, interval, verdict):
    claims = decide(translator_estimates([planted(gold=GOLD | {source: interval})]), level=0.95, rules=RULES)
    (claim,) = [one for one in claims if one.id == f"aer_{source}_below_position"]
    assert (claim.verdict, claim.question, claim.unit) == (verdict, question, "alignment error rate")
    assert claim.where == f"{source}, layer 2, argmax tgt" and claim.correction is None
    others = [one.verdict for one in claims if one is not claim and one.role == "decides"]
    assert set(others) == {"supported"}


def test_further_gold_sets_stand_beside_the_first():
    translator = planted(gold=GOLD)
    below = {source: _error(source, *BELOW) for source in ("attention", "embedding")}
    more = replace(translator, summary=translator.summary | {"more_gold": [{"set": "ro-en", "best": below}]})
    found, claims = decided(more)
    assert found == decided(translator)[0], "what the first set decides stays"
    beside = {claim.id: claim for claim in claims if claim.claim == "below_position_error" and claim.role == "beside"}
    assert set(beside) == {"aer_attention_below_position_ro-en", "aer_embedding_below_position_ro-en"}
    claim = beside["aer_attention_below_position_ro-en"]
    assert (claim.verdict, claim.where) == ("not supported", "ro-en: attention, layer 2, argmax tgt")
    assert claim.comparison.endswith("than those from position, on the set ro-en.")


def test_best_layers_are_judged_on_the_sentences_on_which_they_were_not_chosen():
    found, _ = decided(
        planted(gold=GOLD, changed={("match", "position", "all"): BELOW, ("pointing", "dictionary", "all"): BELOW})
    )
    assert found["embeddings_match"].verdict == found[POINTS].verdict == "supported"
    found, _ = decided(
        planted(changed={("match", "position", "second"): BELOW, ("pointing", "dictionary", "second"): BELOW})
    )
    claim = found["embeddings_match"]
    assert (claim.verdict, claim.layer, claim.view, claim.figure) == (
        "not supported",
        BEST,
        "encoder",
        "figure7_planted",
    )
    assert (found[POINTS].verdict, found[POINTS].layer) == ("not supported", BEST)


def test_every_layer_control_view_and_translator_is_corrected_for():
    one = planted()
    two = replace(one, name="other")
    claims = decide(translator_estimates([one, two]), level=0.95, rules=RULES)
    corrections = {claim.question: claim.correction for claim in claims}
    # Pointing over position in every layer and over random weights in the chosen one; a correlation and two steps.
    n_tests = {"finds_translations": 2 * (3 + 1), "grows_with_depth": 2 * 3, "is_a_plan": 2 * 3 * 4}
    assert {question: found.n_tests for question, found in corrections.items()} == n_tests | {
        "embeddings_match": 2 * 3 * 3
    }


def test_what_survives_alone_need_not_survive_among_all():
    found, _ = decided(planted(gold=GOLD, p=0.04 / 12))  # of 8, 3, 12 and 9 tests
    assert {claim.verdict for claim in found.values()} == {"supported"}
    found, _ = decided(planted(gold=GOLD, p=0.04))
    verdicts = {claim.claim: claim.verdict for claim in found.values()}
    assert verdicts == {
        POINTS: "undecided",
        "rises": "undecided",
        PLAN: "not supported",
        "embeddings_match": "undecided",
    }


def test_few_sentences_decide_nothing():
    found, _ = decided(planted(n_pairs=9))
    assert {(claim.verdict, claim.why[:18]) for claim in found.values()} == {("undecided", "too few sentences:")}


def test_what_no_row_answers_is_untested_and_says_why():
    bare = replace(planted(), paired=[], tables={"above": [], "trend": [], "plan_test": []})
    claims = unmeasured(translator_estimates([bare]))
    assert {claim.verdict for claim in claims} == {"untested"}
    why = {(claim.claim, claim.question): claim.why for claim in claims}
    assert why["rises", "grows_with_depth"] == "a trend needs three layers or more"
    assert why[POINTS, "finds_translations"] == "no layer could be scored"
    assert why[PLAN, "is_a_plan"] == "there are too few sentences to fit anything"
    assert "gold: []" in why["below_position_error", "embeddings_match"]
    found = answers(claims, ASKED_OF_ALL, ["planted"])
    assert found[1].finding == "Not measured: a trend needs three layers or more."
    assert sentence(found, ["planted"], demo=False).startswith("Nothing is known, for planted: whether attention")
    assert unmeasured(translator_estimates([planted(gold=GOLD)])) == []


def answered(measured):
    """Return what answers each question, by its id."""
    path = measured.project.metrics / "claims.json"
    return {found.question.id: found for found in answers(read_claims(path), read_questions(path), NAMES)}


def test_questions_are_answered_for_every_translator_and_view(measured):
    claims = read_claims(measured.project.metrics / "claims.json")
    found = answered(measured)
    assert list(found) == list(QUESTIONS)
    assert [len(answer.measured) for answer in found.values()][:5] == [6, 4, 4, 4, 4]
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
    assert "layer to layer: supported in 2 of 4, by +" in finding
    assert "not supported: mini-marian, input step" in finding
    told = sentence(list(found.values()), NAMES, demo=True)
    assert told.startswith("In part, for the demo translators mini-marian and mini-mbert: ")
    assert "only in part, " in told and "this grows with depth (2 of 4)" in told
    assert "whether attention is a plan rather than similarity could not be decided" in told
    assert told.endswith(" was not measured.")


def test_a_claim_has_the_numbers_of_its_row(measured):
    claim = answered(measured)["finds_translations"].measured[0]
    found = read_translator(measured.project.metrics / "translators" / "mini-marian", "mini-marian")
    wanted = ("second", "dictionary", "pointing", claim.view, str(claim.layer), "position")
    keys = ("half", "links", "score", "view", "layer", "against")
    (row,) = [row for row in found.tables["above"] if tuple(row[key] for key in keys) == wanted]
    numbers = [float(row[name]) for name in ("difference", "low", "high", "p")]
    assert [claim.difference, claim.low, claim.high, claim.p] == numbers
    assert claim.layer == found.best_layer(claim.view)


@pytest.fixture
def metrics(measured, tmp_path):
    """Return a copy of the metrics of two translators."""
    for folder in ("translators", "intervene"):
        for path in (measured.project.metrics / folder).rglob("*.*"):
            target = tmp_path / path.relative_to(measured.project.metrics)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def test_a_question_that_nothing_answers_is_untested(metrics):
    claims = write_verdicts(metrics, NAMES, level=0.95)
    assert list(dict.fromkeys(claim.question for claim in claims)) == list(QUESTIONS)
    why = {claim.question: claim.why for claim in claims if claim.verdict == "untested" and not claim.translator}
    assert why["construction"] == "the stage certify has not run"
    assert why.keys() == {"construction", "training"}
    assert json.loads((metrics / "learn.json").read_text(encoding="utf-8"))["prompts"] == {}


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
    assert list(table.columns[:5]) == ["translator", "set", "source", "view", "layer"]


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
        ("translators/mini-mbert/paired.csv", ",".join(TRANSLATOR["paired"][:-1]) + ",p_holm\n", "p"),
        ("translators/mini-mbert/summary.json", '{"schema": 2, "best": {}}', "other_side_mass"),
        ("translators/mini-mbert/aer.csv", "set,source,view\n", "layer"),
        ("certificate.json", '{"schema": 2, "claims": [{"id": "theorem_x"}]}', "statement"),
    ],
)
def test_metrics_of_another_version_are_refused(metrics, path, content, missing):
    (metrics / path).write_text(content, encoding="utf-8")
    stage = "align@mini-mbert" if "mbert" in path else "certify"
    text = rf"{path.split('/')[-1]} must hold .*, but {missing} is missing; .* run `dvc repro --force {stage}`"
    with pytest.raises(PipelineError, match=text):
        write_verdicts(metrics, NAMES, level=0.95)


@pytest.mark.parametrize(
    ("table", "claim"), [("paired", "embeddings_match"), ("above", POINTS), ("trend", "rises"), ("plan_test", PLAN)]
)
def test_a_difference_that_is_no_number_supports_nothing_and_is_null(metrics, table, claim):
    path = metrics / "translators" / "mini-marian" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        empty = dict.fromkeys(("difference", "value", "low", "high", "p"), "")
        rows = [row | {key: value for key, value in empty.items() if key in row} for row in csv.DictReader(file)]
    pd.DataFrame(rows).to_csv(path, index=False)
    write_verdicts(metrics, NAMES, level=0.95)
    claims = read_claims(metrics / "claims.json")
    found = [one for one in claims if (one.translator, one.claim) == ("mini-marian", claim)]
    assert {one.verdict for one in found} <= {"undecided", "not supported", "untested"} and found
    assert {(one.difference, one.low) for one in found} == {(None, None)}
    assert "there is no interval" in {one.why for one in found}
    assert {one.correction for one in found} == {None}


def test_a_tally_counts_what_decides(metrics):
    claims = write_verdicts(metrics, NAMES, level=0.95)
    deciding = [claim.verdict for claim in claims if claim.role == "decides"]
    told = tally(claims)
    assert told.startswith(f"{len(deciding)} verdicts, ")
    assert f"{deciding.count('supported')} supported" in told and f"{deciding.count('untested')} untested" in told


def test_the_stage_writes_what_it_promises(metrics, project, tmp_path, monkeypatch, capsys):
    from pipeline.stages import claims

    (tmp_path / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(claims, "METRICS", metrics)
    claims.main()
    assert re.search(r"^claims: \d+ verdicts, \d+ supported.* untested.*claims\.json$", capsys.readouterr().err, re.M)
    for made in ("aer.csv", "claims.json", "learn.json"):
        assert (metrics / made).is_file(), made
