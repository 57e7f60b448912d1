"""What the first screen makes of claims: one sentence, and a cell for every question, translator and view."""

import pytest

from pipeline.claims import Claim, Question, untested
from pipeline.report.matrix import answers, claims_of, matrix, sentence, tally

VIEWS = {"one": ["output_step", "input_step"], "two": ["tgt_to_src", "src_to_tgt"]}
QUESTIONS = [
    Question("finds_translations", "Does it find?", "it finds"),
    Question("embeddings_match", "Do they match?", "they match"),
    Question("translator_uses_it", "Is it used?", "it is used"),
    Question("construction", "Why?", "it could"),
]


def claim(verdict="supported", translator="one", view="output_step", question="finds_translations", **more):
    numbers = {"difference": 0.2, "low": 0.1, "high": 0.3, "unit": "share", "figure": "figure5_one", "n_pairs": 12}
    fixed = {"id": "a", "claim": "above", "statement": "It is above.", "where": "layer 3 over position"}
    return Claim(question=question, translator=translator, view=view, verdict=verdict, **{**numbers, **fixed, **more})


def rows(*claims, figures=("figure5_one",)):
    """Return the cells of the questions that claims are about."""
    found = answers(claims, QUESTIONS, list(VIEWS))
    return {question.id: cells for question, cells in matrix(found, VIEWS, figures)}


def test_a_cell_holds_mark_difference_unit_and_a_link_to_its_figure():
    cells = rows(claim(), claim(view="input_step"), claim("not supported", "two", "tgt_to_src", figure="nowhere"))
    first, *_, third, fourth = cells["finds_translations"]
    (entry,) = first.entries
    assert (entry.mark, entry.verdict, entry.difference, entry.interval) == ("●", "supported", "+0.20", "+0.10, +0.30")
    assert (entry.unit, entry.where, entry.href, first.span) == ("share", "layer 3 over position", "#figure5_one", 1)
    assert first.head == "one, output step"
    (other,) = third.entries
    assert (other.mark, other.href) == ("○", "#finds_translations"), "a figure that is not there leads to the section"
    assert fourth.entries == []


def test_why_a_cell_is_undecided_stands_in_it():
    (entry,) = rows(claim("undecided", why="the interval holds 0", power=0.05))["finds_translations"][0].entries
    assert (entry.mark, entry.why) == ("◐", "the interval holds 0; the two differ by 0.05 share there")


def test_claims_that_are_not_about_views_take_the_columns_of_their_translator_or_all():
    cells = rows(
        claim(view="encoder", question="embeddings_match"),
        claim(translator="two", view="together", question="embeddings_match"),
        untested("translator_uses_it", "used", "It is used.", why="no stage changes it"),
    )
    assert [(cell.span, cell.head) for cell in cells["embeddings_match"]] == [(2, "one"), (2, "two")]
    (cell,) = cells["translator_uses_it"]
    assert (cell.span, cell.entries[0].verdict, cell.entries[0].why) == (4, "not measured", "no stage changes it")


def test_statements_about_the_construction_are_counted():
    limit = {"translator": "", "view": "", "question": "construction", "difference": None}
    some = [claim(verdict, **limit) for verdict in ("supported", "partly", "supported")]
    (cell,) = rows(*some)["construction"]
    assert [(entry.mark, entry.difference, entry.verdict) for entry in cell.entries] == [
        ("●", "2 of 3", "supported"), ("◑", "1 of 3", "partly"),
    ]  # fmt: skip
    assert tally(some) == "2 are supported and 1 is partly"


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        (["supported", "supported"], "Yes, for one and two: it finds throughout"),
        (["not supported", "undecided"], "No, for one and two: it is not supported that it finds"),
        (["undecided", "undecided"], "Undecided, for one and two: whether it finds could not be decided"),
        (["supported", "undecided"], "In part, for one and two: only in part, it finds (1 of 2)"),
        (["partly", "not supported"], "In part, for one and two: only in part, it finds (1 of 2 partly)"),
        (["supported", "partly"], "In part, for one and two: only in part, it finds (1 of 2, 1 of 2 partly)"),
    ],
)
def test_the_answer_follows_from_the_verdicts(verdicts, told):
    found = answers([claim(verdicts[0]), claim(verdicts[1], "two", "tgt_to_src")], QUESTIONS[:1], list(VIEWS))
    assert sentence(found, list(VIEWS), demo=False) == f"{told}."


def test_a_finding_names_who_is_not_supported():
    found = answers([claim(), claim("partly", "two", "tgt_to_src", difference=0.4)], QUESTIONS[:1], list(VIEWS))[0]
    assert found.finding == "It is above: supported in 1 of 2, by +0.20 share (partly: two, target to source)."
    assert claims_of(found)[1][:3] == ["two, target to source", "◑\u00a0partly", "+0.40 [+0.10, +0.30] share"]
    none = answers([claim("undecided")], QUESTIONS[:1], list(VIEWS))[0]
    assert none.finding == "It is above: 1 is undecided (one, output step)."
