"""The tests decided in advance stand on the page with the numbers of their metrics."""

import io
from dataclasses import replace

import pandas as pd
import pytest

from pipeline.claims_file import read_claims, read_questions
from pipeline.report.matrix import answers
from pipeline.report.sections import asked, depth, heads, plan, plan_test, translations, use
from pipeline.report.wording import number, with_interval
from tests.pipeline.report_factory import measured, undrawn  # noqa: F401 - fixtures

pytestmark = [pytest.mark.usefixtures("undrawn"), pytest.mark.slow]


@pytest.fixture
def own(measured):
    return measured.translators[0]


def test_pointing_is_drawn_for_every_view_and_kind_of_links(own):
    block = depth.pointing_block(own)
    rows = own.evidence["pointing"]
    best = rows.query(
        "control == 'trained' and links == 'dictionary' and score == 'pointing' and view == @own.views[0]"
    )
    top = best.sort_values("value").iloc[-1]
    assert f"highest in layer {top['layer']} with {number(top['value'], 3)[:4]}" in block.picture.finding
    assert "sure hand-made links" in block.picture.finding
    (more,) = block.more
    assert len(more[1]) == 2 * len(own.views)  # kinds of links


def test_every_step_from_layer_to_layer_has_its_row(measured):
    table = depth.depth_table(measured.translators)
    assert len(table.rows) == sum(len(t.evidence["trend"]) for t in measured.translators)
    first = measured.translators[0].evidence["trend"].iloc[0]
    assert table.rows[0][4].startswith(with_interval(first["value"], first["low"], first["high"], sign=True))


def test_plan_and_similarity_stand_beside_each_other_with_their_power(own):
    rows = own.evidence["plan_test"]
    block = plan_test.plan_block(own)
    drawn = pd.read_csv(io.StringIO(block.picture.data))
    assert set(drawn["quantity"]) == {"plan_minus_similarity"} and set(drawn["base"]) == {"words"}
    assert len(block.table.rows) == 4 * len(own.views)
    _, layer, how, shown, power = block.table.rows[0]
    at = rows.query(
        "view == @own.views[0] and split == 'trained' and base == 'words' and tokens == 'sum' and not position"
    )
    found = at[at["layer"] == int(layer)].set_index("quantity")
    gain = found.loc["plan_minus_similarity"]
    assert how == "sums over tokens" and shown == with_interval(gain["value"], gain["low"], gain["high"], sign=True)
    assert power == number(found.loc["power", "value"], 4)
    assert gain["value"] == at[at["quantity"] == "plan_minus_similarity"]["value"].min()
    fits, gaps = (tables for _, tables in block.more)
    assert len(fits) == len(own.views) * 5
    assert gaps[0].head[:2] == ["layer", "attention"] and len(gaps[0].rows) == own.n_layers


def test_what_fits_attention_is_drawn_below_uniform(own):
    block = plan_test.fit_block(own)
    drawn = pd.read_csv(io.StringIO(block.picture.data))
    assert {"uniform", "position_matched", "similarity", "plan", "uniform_plan", "softmax"} <= set(drawn["quantity"])
    lowest = drawn[(drawn["quantity"] == "plan") & (drawn["view"] == own.views[0])]["value"].min()
    assert f"plan D {number(lowest, 3)}" in block.picture.finding


def test_heads_are_mapped_and_the_best_told(own):
    block = heads.heads_block(own)
    rows = own.evidence["heads"].query("quantity == 'pointing' and links == 'dictionary'")
    best = rows[rows["view"] == own.views[0]].sort_values("value", kind="stable").iloc[-1]
    assert (
        f"layer {best['layer']}, head {best['head']} points most, at {number(best['value'], 2)}"
        in block.picture.finding
    )
    assert [row[0] for row in block.table.rows][:1] == ["pointing"]
    chosen = own.evidence["heads_chosen"].query("by == 'pointing' and links == 'dictionary' and rank == 1").iloc[0]
    assert block.table.rows[0][3] == with_interval(chosen["value"], chosen["low"], chosen["high"])
    assert "are untested" in block.more[0][1][0].caption


def test_what_was_not_measured_has_no_figure(own):
    bare = replace(own, evidence={name: frame.iloc[:0] for name, frame in own.evidence.items()})
    assert plan_test.plan_block(bare) is plan_test.fit_block(bare) is heads.heads_block(bare) is None
    assert depth.depth_table([bare]).rows == []
    titles = [part.title for part in plan.section([bare]).blocks]
    assert titles == [f"Figure 1 · {own.name}", f"Figure 9 · {own.name}"]


def test_figures_stand_in_the_section_of_their_question(measured):
    names = [part.picture.drawing.stem for part in translations.section(measured.translators).blocks]
    for t in measured.translators:
        assert {f"pointing_{t.name}", f"heads_{t.name}"} <= set(names)
    names = [part.picture.drawing.stem for part in plan.section(measured.translators).blocks]
    assert {f"plan_test_{t.name}" for t in measured.translators} <= set(names)


def test_losses_under_interventions_stand_below_their_claims(measured):
    path = measured.project.metrics / "claims.json"
    found = answers(read_claims(path), read_questions(path), [t.name for t in measured.translators])
    answer = next(one for one in found if one.question.id == "translator_uses_it")
    section = use.section(answer, measured.project.metrics, [t.name for t in measured.translators])
    extra = section.tables[len(asked.section(answer).tables) :]
    tables = {
        t.name: pd.read_csv(measured.project.metrics / "intervene" / t.name / "sets.csv") for t in measured.translators
    }
    assert len(extra) == 2 * len(tables)
    row = tables[measured.translators[0].name].iloc[0]
    assert extra[0].rows[0][3] == with_interval(row["effect"], row["low"], row["high"], sign=True)
    assert any("Sinkhorn minus tempered" in cells[1] for cells in extra[1].rows)
