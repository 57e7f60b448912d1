"""What "In short" says follows from the paired intervals, and from nothing else."""

import json
import math

import pandas as pd
import pytest

from pipeline.report.claims import as_records, in_short, verdict_of
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "expected"),
    [
        (0.01, 0.2, 0.001, "supported"),
        (0.01, 0.2, None, "supported"),
        (-0.2, -0.01, 0.001, "not supported"),
        (-0.01, 0.2, 0.001, "undecided"),
        (0.0, 0.2, 0.001, "undecided"),
        (0.01, 0.2, 0.06, "undecided"),
        (-0.2, -0.01, 0.06, "undecided"),
        (math.nan, 0.2, 0.001, "undecided"),
    ],
)
def test_a_verdict_follows_from_the_interval(low, high, p_holm, expected):
    assert verdict_of(low, high, p_holm=p_holm, level=0.95) == expected


def test_five_lines_with_a_claim_for_every_translator_and_view(measured):
    lines = in_short(measured.translators, level=0.95)
    assert [line.id for line in lines] == [
        "grows_with_depth", "above_controls", "embeddings_match", "attention_is_plan", "below_position_error",
    ]  # fmt: skip
    assert [len(line.claims) for line in lines] == [4, 4, 2, 4, 4]


def test_growth_is_the_paired_difference_of_last_and_first_layer(measured):
    # The made-up attention rises with depth in the first view and falls in the second.
    first, second = in_short(measured.translators, level=0.95)[0].claims[:2]
    assert (first.verdict, second.verdict) == ("supported", "not supported")
    t = measured.translators[0]
    row = t.paired.query(
        "view == @first.view and layer == @t.n_layers and score == @t.score and against == 'first_layer'"
    ).iloc[0]
    assert (first.difference, first.low, first.high) == (row["difference"], row["low"], row["high"])
    assert first.where == f"layer {t.n_layers} over layer 1"


def test_the_control_that_comes_closest_decides(measured):
    line = in_short(measured.translators, level=0.95)[1]
    of_view = [
        c
        for c in (*line.claims, *line.beside)
        if (c.translator, c.view) == (line.claims[0].translator, line.claims[0].view)
    ]
    assert len(of_view) == 4
    assert line.claims[0].low == min(claim.low for claim in of_view)


def test_error_is_below_position_by_the_paired_difference(measured):
    claim = in_short(measured.translators, level=0.95)[4].claims[0]
    best = measured.translators[0].summary["best"]["aer"]["attention"]
    assert (claim.difference, claim.low) == (best["below_position"]["value"], best["below_position"]["low"])
    assert best["method"].replace("_", " ") in claim.where


def test_without_gold_the_line_says_so(measured):
    t = measured.with_summary(measured.translators[0], gold=None)
    line = in_short([t], level=0.95)[4]
    assert (line.verdict, line.claims) == ("not measured", ())
    assert "gold: null" in line.missing


def test_without_controls_and_layers_the_lines_say_so(measured):
    t = measured.translators[0]
    bare = measured.with_tables(t, paired=t.paired.iloc[:0])
    lines = in_short([bare], level=0.95)
    assert [line.verdict for line in lines[:4]] == ["not measured"] * 4
    assert "one layer" in lines[0].missing and "no control" in lines[1].missing


def test_lines_of_different_verdicts_are_mixed(measured):
    line = in_short(measured.translators, level=0.95)[0]
    assert line.verdict == "mixed: 2 of 4 supported"


def test_a_difference_that_is_no_number_is_undecided_and_null(measured):
    t = measured.translators[0]
    paired = t.paired.assign(difference=math.nan, low=math.nan, high=math.nan, p_holm=math.nan)
    lines = in_short([measured.with_tables(t, paired=paired)], level=0.95)
    assert {claim.verdict for line in lines[:4] for claim in line.claims} == {"undecided"}
    records = as_records(lines[:4])
    assert {record["low"] for record in records} == {None} == {record["p_holm"] for record in records}
    json.dumps(records, allow_nan=False)


def test_records_name_their_line_and_hold_every_comparison(measured):
    records = pd.DataFrame(as_records(in_short(measured.translators, level=0.95)))
    assert set(records["verdict"]) <= {"supported", "not supported", "undecided"}
    assert {
        "attention_above_random_init",
        "attention_above_uniform",
        "attention_above_position",
        "attention_above_mispaired",
    } <= set(records["id"])
    assert {"match_above_position", "plan_correlation_above_position", "aer_attention_below_position"} <= set(
        records["id"]
    )
    assert not records.duplicated(["id", "translator", "view"]).any()


def test_a_handful_of_sentences_or_an_interval_without_width_decides_nothing():
    from pipeline.report.claims import FEWEST, verdict_of

    assert verdict_of(0.1, 0.2, n_pairs=FEWEST) == "supported"
    assert verdict_of(0.1, 0.2, n_pairs=FEWEST - 1) == "undecided"
    assert verdict_of(0.1, 0.1, n_pairs=100) == "undecided"
