"""Studies: what they write is read back, what they claim is decided beforehand, what they found is on the page."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.errors import PipelineError
from pipeline.report.sections import open_questions
from pipeline.stages import study as stage
from pipeline.study_file import Chart, Line, Panel, read_studies, read_study, write_study
from pipeline.synthetic.studies import (
    StudySettings,
    decided,
    depth,
    depth_charts,
    gap_interval,
    mean_interval,
    prompt_parts,
    prompt_size,
)
from pipeline.synthetic.studies.catalogue import RUNS, run_study
from tests.pipeline.study_factory import made, rows


def plain(result):
    """Return a study as JSON has it, without its tables and without what rounding changes."""
    return json.loads(json.dumps(vars(replace(result, tables={})), default=vars))


def test_what_is_written_is_read_back(tmp_path):
    write_study(made(), tmp_path)
    assert plain(read_study(tmp_path / "made.json")) == plain(made())
    assert (tmp_path / "made" / "scores.csv").read_text(encoding="utf-8") == "a\n0.333333\n"
    assert [result.name for result in read_studies(tmp_path)] == ["made"]
    assert read_studies(tmp_path / "nowhere") == []


def test_the_same_study_gives_the_same_bytes_and_no_file_is_left_over(tmp_path):
    write_study(replace(made(), tables={"old": pd.DataFrame({"b": [1]})}), tmp_path)
    write_study(made(), tmp_path)
    first = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    write_study(made(), tmp_path)
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")} == first
    assert sorted(str(path) for path in first) == ["made.json", "made/scores.csv"]


def test_numbers_that_are_none_are_null(tmp_path):
    write_study(replace(made(), settings={"a": math.nan, "b": 1 / 3}), tmp_path)
    assert json.loads((tmp_path / "made.json").read_text(encoding="utf-8"))["settings"] == {"a": None, "b": 0.333333}


def test_a_study_of_another_edition_is_refused(tmp_path):
    write_study(made(), tmp_path)
    path = tmp_path / "made.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for broken, match in (
        (whole | {"schema": 1}, r"must say schema: 2, but it says 1.*dvc repro --force study@made"),
        (
            {key: value for key, value in whole.items() if key != "seeds"},
            r"seeds is missing.*dvc repro --force study@made",
        ),
        (whole | {"claims": [{"id": "a"}]}, r"every claim of .*made\.json must have.*dvc repro --force study@made"),
    ):
        path.write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(PipelineError, match=match):
            read_study(path)


def test_verdicts_follow_the_bounds_and_a_demo_decides_nothing():
    assert [claim.verdict for claim in decided(rows(), "long")] == ["supported", "not supported"]
    found = decided(rows(), "demo")
    assert {claim.verdict for claim in found} == {"not testable here"}
    assert all("make studies" in claim.why for claim in found)


def test_intervals_are_those_of_scipy(rng):
    more, less = rng.normal(1.0, 0.2, 5), rng.normal(0.2, 0.5, 4)
    found, test = gap_interval(list(more), list(less), bound=0.3), stats.ttest_ind(more - 0.3, less, equal_var=False)
    plain_test = stats.ttest_ind(more, less, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(found, (more.mean() - less.mean(), *plain_test, test.pvalue))
    ends = stats.t.interval(0.95, 4, more.mean(), stats.sem(more))
    np.testing.assert_allclose(mean_interval(list(more), bound=0.9)[:3], (more.mean(), *ends))
    assert mean_interval(list(more), bound=0.9).p == stats.ttest_1samp(more, 0.9).pvalue


def test_one_seed_gives_no_interval_and_so_no_verdict():
    for found in (mean_interval([0.5]), mean_interval([]), gap_interval([1.0], [0.0, 0.1])):
        assert math.isnan(found.low) and found.p is None
    claim = decided([replace(rows()[0], low=math.nan, high=math.nan, p=None)], "long")[0]
    assert (claim.verdict, claim.why) == ("undecided", "there is no interval")


def test_the_section_shows_every_claim_and_figure():
    section = open_questions.section([made(), made("demo", "other")])
    assert section.finding == (
        "Of 4 statements that were written down beforehand 1 is supported, 1 is not supported and 2 are not testable here."
    )
    assert [block.picture.drawing.stem for block in section.blocks] == [
        f"study_{name}_{what}" for name in ("made", "other") for what in ("lines", "ranking")
    ]
    summary, claims = section.tables[0], dict(section.more)["Every claim"][0]
    assert [name[2:].replace("\N{NO-BREAK SPACE}", " ") for name in summary.head[1:-1]] == [
        "supported",
        "not supported",
        "not testable here",
    ]
    assert [row[1:4] for row in summary.rows] == [["1", "1", "0"], ["0", "0", "2"]]
    assert "a demo" in summary.rows[1][0] and "a demo" not in summary.rows[0][0]
    cells = claims.rows[0]
    assert cells[1] == "It rises." and cells[3] == "0.50 [0.40, 0.60]" and cells[5] == "above 0.25"
    data = section.blocks[0].picture.data.splitlines()
    assert data[:2] == ["panel,line,x,value,low,high", ",trained,2,0.100000,0.000000,0.200000"]
    assert "1 is" not in open_questions.section([]).finding and open_questions.section([]).blocks == []


def test_the_committed_studies_are_long_and_drawn(project):
    studies = read_studies(project / "reports" / "results" / "studies")
    assert {study.name for study in studies} <= set(RUNS)
    for study in studies:
        assert study.size == "long" and study.claims and study.charts and study.seeds >= 2
        for claim in study.claims:
            assert not claim.figure or claim.figure in {chart.stem for chart in study.charts}


def test_an_unknown_study_is_refused():
    with pytest.raises(PipelineError, match=r"study: one of prompt_size, .*but 'size' was asked for; correct the name"):
        stage.main("size")


class TestPromptSize:
    @staticmethod
    def table(above):
        """Return scores of two seeds whose share of points above the floor is `above(name, n)`."""
        return pd.DataFrame(
            {
                "points_of": points, "trained_on": name, "test_size": n, "seed": seed,
                "above": above(name, n) + jitter, "points": 0.3 + above(name, n) + jitter, "floor": 0.3, "loss": 0.1,
                "blind_loss": 0.2,
            }
            for points in prompt_size.WHERE
            for name in prompt_size.TRAINED_ON
            for n in prompt_size.TESTED_ON
            for seed, jitter in ((0, -1e-3), (1, 0.0), (2, 1e-3))
        )  # fmt: skip

    def verdicts(self, above):
        claims = decided(list(prompt_size.estimates(self.table(above))), "long")
        return {claim.id: claim.verdict for claim in claims if claim.id.endswith("uniform")}

    def test_planted_truth_in_both_directions(self):
        good = self.verdicts(lambda name, n: 0.5 + (name == "mixed") * 0.1)
        assert set(good.values()) == {"supported"} and len(good) == 5
        bad = self.verdicts(lambda name, n: {"5": 0.05, "mixed": 0.0}.get(name, 0.2))
        assert set(bad.values()) == {"not supported"}

    @pytest.mark.slow
    def test_a_demo_runs_to_its_end_and_goes_on_where_it_stopped(self, tmp_path):
        said: list[str] = []
        settings = StudySettings("demo", seeds=2, seed=1, work=tmp_path / "work", say=said.append)
        result = run_study("prompt_size", settings)
        again = run_study("prompt_size", settings)
        assert plain(result) == plain(again) and len(said) == 12
        assert {claim.verdict for claim in result.claims} == {"not testable here"}
        table = result.tables["scores"]
        assert len(table) == 3 * 2 * 2 * 2
        np.testing.assert_allclose(table["above"], table["points"] - table["floor"])
        write_study(result, Path(tmp_path))
        assert open_questions.section(read_studies(tmp_path)).blocks[0].picture.data.count("\n") == 3 * 2 * 2 + 1


class TestPromptParts:
    @staticmethod
    def verdicts(loss):
        """Return the verdicts where a prompt of that name leaves the loss `loss(name)`, twelve seeds close together."""
        table = pd.DataFrame(
            {"prompt": name, "test_size": n, "seed": seed, "loss": loss(name) * 10 ** (0.01 * ((seed * 7) % 12))}
            for name in prompt_parts.shapes(20, 7)
            for n in (7, 15)
            for seed in range(12)
        )
        return {claim.id: claim.verdict for claim in decided(list(prompt_parts.estimates(table)), "long")}

    def test_planted_truth_in_both_directions(self):
        good = self.verdicts(
            lambda name: {"plain prompt": 1.0, "engineered prompt": 1e-3, "learned prompt": 1.2e-3}.get(name, 0.1)
        )
        assert len(good) == 18 and set(good.values()) == {"supported"}
        bad = self.verdicts(
            lambda name: {"plain prompt": 0.01, "engineered prompt": 0.1, "learned prompt": 0.5}.get(name, 0.05)
        )
        assert set(bad.values()) == {"not supported"}

    def test_every_prompt_has_the_parts_that_it_says(self):
        shapes = prompt_parts.shapes(20, 7)
        assert {name: (shape.width, shape.tokens) for name, shape in shapes.items() if name in prompt_parts.DEMO} == {
            "engineered prompt": (11, 8), "plain prompt": (3, 7), "learned prompt": (11, 8), "without |x|²": (10, 8),
            "with memory row": (3, 8),
        }  # fmt: skip
        assert (shapes["with all ones and memory row"].width, shapes["without output column"].width) == (7, 10)

    @pytest.mark.slow
    def test_a_demo_runs_to_its_end(self, tmp_path):
        result = run_study("prompt_parts", StudySettings("demo", 2, 1, tmp_path / "work", lambda _: None))
        assert {claim.verdict for claim in result.claims} == {"not testable here"}
        assert set(result.tables["scores"]["prompt"]) == set(prompt_parts.DEMO)
        write_study(result, tmp_path)
        assert len(open_questions.section(read_studies(tmp_path)).blocks) == 2


class TestDepth:
    METHODS = ("constant", "annealed", "trained", "sinkhorn", "annealed sinkhorn")

    def table(self, error):
        kinds = [(8, 0.02), (16, 0.02), (32, 0.02), (8, 0.01), (8, 0.04)]
        return pd.DataFrame(
            {
                "seed": seed,
                "depth": depth,
                "method": name,
                "n": n,
                "reg": reg,
                "error": error(name) * (1 + 0.01 * seed * k),
            }
            for seed in range(4)
            for depth in (5, 20)
            for n, reg in kinds
            for k, name in enumerate(self.METHODS)
        )

    def loops(self, loss):
        return pd.DataFrame(
            {"seed": seed, "model": model, "trained_loops": 19, "loops": count, "n": n,
             "loss": loss(model, count) * 10 ** (0.01 * seed * (count / 19))}
            for seed in range(4)
            for model, counts in (("untied", (19,)), ("tied", (10, 19, 40)))
            for count in counts
            for n in (7, 15)
        )  # fmt: skip

    def verdicts(self, error, loss):
        rows = [*depth.schedule_estimates(self.table(error)), *depth.loop_estimates(self.loops(loss))]
        return {claim.id: claim.verdict for claim in decided(rows, "long")}

    def test_planted_truth_in_both_directions(self):
        good = self.verdicts(lambda name: 1.0 if "sinkhorn" in name else 0.01, lambda _, count: 1.0 / count)
        assert len(good) == 11 and set(good.values()) == {"supported"}
        bad = self.verdicts(
            lambda name: 0.01 if "sinkhorn" in name else 1.0, lambda model, count: count if model == "tied" else 0.1
        )
        assert set(bad.values()) == {"not supported"}

    def test_charts_show_what_the_tables_hold(self):
        table, loops = self.table(lambda name: 0.5 if name == "trained" else 1.0), self.loops(lambda *_: 0.1)
        drawn = {chart.stem: chart for chart in depth_charts.charts(table, loops)}
        lines = {line.name: line for line in drawn["study_depth_errors"].panels[0].lines}
        assert list(lines["Sinkhorn"].x) == [5, 20] and lines["reg, step trained"].high[0] == pytest.approx(0.5 * 1.06)
        assert [line.name for line in lines.values() if line.floor] == ["Sinkhorn", "Sinkhorn, falling"]
        assert len(drawn["study_depth_elsewhere"].panels[0].lines) == 10
        assert [panel.title for panel in drawn["study_depth_loops"].panels] == ["n = 7", "n = 15"]
        assert all(open_questions.picture(chart).drawing.files for chart in drawn.values())

    def test_plans_that_methods_are_held_against_are_exact(self):
        cost, plan = depth.draw(1, 0, 3, 5, 0.1)
        ones = np.ones((3, 5))
        np.testing.assert_allclose(plan.sum(1), ones, atol=1e-6)
        np.testing.assert_allclose(plan.sum(2), ones, atol=1e-12)
        assert not np.allclose(cost, depth.draw(1, 1, 3, 5, 0.1)[0]), "training and test problems differ"

    @pytest.mark.slow
    def test_a_demo_runs_to_its_end(self, tmp_path):
        result = run_study("depth", StudySettings("demo", 2, 1, tmp_path / "work", lambda _: None))
        assert len(result.claims) == 11
        assert {claim.verdict for claim in result.claims} == {"not testable here"}
        errors = result.tables["errors"]
        assert len(errors) == 2 * 2 * 5 * 5 and (errors["error"] < 1.0).all()


@pytest.mark.parametrize("dark", [False, True])
def test_letters_and_lines_of_charts_are_seen(dark):
    from tests.pipeline.test_report_contrast import faint, theme

    pictures = [open_questions.picture(chart) for chart in made().charts]
    many = Chart(
        stem="study_made_many", title="", y="share", caption=[], finding="",
        panels=[Panel("", [Line(f"line {k}", [1, 2], [k, k]) for k in range(len(open_questions.COLOURS))])],
    )  # fmt: skip
    pictures.append(open_questions.picture(many))
    assert [faint(one.drawing.inline, theme(dark)) for one in pictures] == [[]] * 3
