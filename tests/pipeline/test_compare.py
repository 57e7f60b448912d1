"""`python -m pipeline compare`: two runs out of folders or revisions, with planted differences that it must find."""

import json
import re
import subprocess
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.claims import Claim
from pipeline.claims_file import write_claims
from pipeline.cli import main
from pipeline.compare.differences import Value, pointing, scores, unpaired
from pipeline.compare.show import save, show
from pipeline.compare.sides import read_side
from pipeline.compare.tables import Shown, parameters, verdicts
from pipeline.errors import PipelineError

N_PAIRS = 60


def claim(verdict="supported", *, question="finds_translations", name="points", translator="mini", difference=0.3):
    return Claim(
        id=name, claim=name, question=question, statement="S.", translator=translator, view="up" if translator else "",
        layer=3, difference=difference, low=difference - 0.1, high=difference + 0.1, unit="share", verdict=verdict,
    )  # fmt: skip


def per_pair(layers=2, *, shift=0.0, noise=0.0, ids=range(N_PAIRS)):
    """Return scores of sentences that differ widely; noise is another draw for every shift."""
    base = np.random.default_rng(1).random((N_PAIRS, layers))
    values = base + shift + noise * np.random.default_rng(2).normal(size=base.shape)
    rows = [(i, "up", layer + 1, values[i, layer]) for i in ids for layer in range(layers)]
    return pd.DataFrame(rows, columns=["pair_id", "view", "layer", "mean_mass"])


@pytest.fixture
def run(tmp_path):
    """Write the metrics of a run, as reports/metrics of a project, and return their folder."""

    def run(name, *, claims=None, frame=None, text="t", params="sample: {n: 1, seed: 2}\n", shift=0.0, layers=2):
        root = tmp_path / name
        metrics = root / "reports" / "metrics"
        own = metrics / "translators" / "mini"
        own.mkdir(parents=True)
        write_claims(metrics / "claims.json", claims or [claim()])
        (metrics / "corpus.json").write_text(json.dumps({"sha256_text": text}))
        rows = [("up", layer, value := 0.5 + shift, value - 0.1, value + 0.1) for layer in range(1, layers + 1)]
        table = pd.DataFrame(rows, columns=["view", "layer", "value", "low", "high"]).assign(control="trained")
        table.assign(links="dictionary", score="pointing").to_csv(own / "pointing.csv", index=False)
        table.assign(score="mean_mass").to_csv(own / "curves.csv", index=False)
        (own / "headline.json").write_text(json.dumps({"pointing": {"up": {"layer": 2, "value": 0.5 + shift}}}))
        if params:
            (root / "params.yaml").write_text(params)
        if frame is not None:
            (root / "data" / "scores").mkdir(parents=True)
            frame.to_parquet(root / "data" / "scores" / "mini.parquet", index=False)
        return metrics

    return run


def sides(*folders):
    return [read_side(str(folder), name) for folder, name in zip(folders, "AB", strict=True)]


def test_an_unpaired_interval_is_that_of_two_independent_normal_values():
    a, b = Value(1.0, 1.0 - 1.96 * 0.3, 1.0 + 1.96 * 0.3), Value(2.0, 2.0 - 1.96 * 0.4, 2.0 + 1.96 * 0.4)
    np.testing.assert_allclose(unpaired(a, b), (1.0, 1.0 - 1.96 * 0.5, 1.0 + 1.96 * 0.5))
    low, high = unpaired(b, a)[1:]
    np.testing.assert_allclose((-high, -low), unpaired(a, b)[1:])


def test_the_same_sentences_are_paired_whatever_their_order(run):
    a, b = sides(
        run("a", frame=per_pair()), run("b", frame=per_pair(shift=0.01).sample(frac=1, random_state=0), shift=0.01)
    )
    found = scores(a, b, "mini")
    assert found.how.startswith("paired over 60 sentences (0 are in one run only)")
    for row in found.rows.values():
        np.testing.assert_allclose(row.difference, [0.01] * 3)  # a constant shift has no spread
        assert row.a.high - row.a.low > 0.1  # beside which each run alone is vague


@pytest.mark.parametrize(("shift", "told"), [(0.05, True), (0.0, False), (-0.05, True)])
def test_a_planted_difference_is_told_and_noise_is_not(run, shift, told):
    a, b = sides(run("a", frame=per_pair()), run("b", frame=per_pair(shift=shift, noise=0.05)))
    for row in scores(a, b, "mini").rows.values():
        assert row.difference.low <= shift <= row.difference.high
        assert (row.difference.low > 0 or row.difference.high < 0) == told


def test_only_shared_sentences_are_paired_and_a_layer_of_one_run_stands_alone(run):
    a, b = sides(run("a", frame=per_pair(ids=range(40))), run("b", frame=per_pair(layers=3, ids=range(10, 60))))
    found = scores(a, b, "mini")
    assert found.how.startswith("paired over 30 sentences (30 are in one run only)")
    assert found.rows["up", "3"].a is None
    assert found.rows["up", "3"].difference is None
    assert found.rows["up", "3"].b is not None


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({}, {"frame": per_pair()}, "A has no data/scores/mini.parquet beside it"),
        ({"frame": per_pair()}, {}, "B has no data/scores/mini.parquet beside it"),
        ({"frame": per_pair()}, {"frame": per_pair(), "text": "u"}, "the runs read other sentences"),
        ({"frame": per_pair(ids=range(9))}, {"frame": per_pair()}, "the runs share 9 sentences, at least 10"),
    ],
)
def test_what_cannot_be_paired_is_compared_unpaired_and_said_so(run, one, other, why):
    a, b = sides(run("a", **one), run("b", shift=0.2, **other))
    found = scores(a, b, "mini")
    assert found.how.startswith("unpaired")
    assert why in found.how
    half = 0.1 * np.sqrt(2)
    np.testing.assert_allclose(found.rows["up", "1"].difference, (0.2, 0.2 - half, 0.2 + half))


def test_pointing_stands_side_by_side_by_layer(run):
    a, b = sides(run("a", layers=1), run("b", shift=0.2, layers=2))
    found = pointing(a, b, "mini")
    assert list(found.rows) == [("dictionary", "up", "1"), ("dictionary", "up", "2")]
    assert found.rows["dictionary", "up", "1"].difference.value == pytest.approx(0.2)
    assert found.rows["dictionary", "up", "2"].a is None


def test_verdicts_that_changed_are_told_with_their_numbers(run):
    same = claim(name="rises", question="grows_with_depth")
    nothing = Claim(id="training", claim="training", question="training", statement="S.", verdict="untested")
    learnt = claim(name="learning", question="training", translator="")
    foreign = claim("undecided", translator="other")
    a, b = sides(run("a", claims=[claim(), same, nothing]), run("b", claims=[claim("undecided", difference=0.05), same, learnt, foreign]))  # fmt: skip
    told = verdicts(a, b)
    assert told.rows == [
        (
            "finds_translations", "points", "mini", "up",
            "supported: 0.3000 [0.2000, 0.4000] share, layer 3", "undecided: 0.0500 [-0.0500, 0.1500] share, layer 3",
        )
    ]  # fmt: skip
    assert told.note == "1 of 2 verdicts are the same; only B asks training"


def test_a_claim_of_one_run_is_told(run):
    more = claim(name="rises")
    a, b = sides(run("a", claims=[claim()]), run("b", claims=[claim(), more]))
    assert [(row[1], row[4]) for row in verdicts(a, b).rows] == [("rises", "-")]


def test_parameters_that_differ_are_named_by_key(run):
    a, b = sides(run("a"), run("b", params="sample: {n: 5, seed: 2}\nnew: [1]\n"))
    assert parameters(a, b).rows == [("sample.n", "1", "5"), ("new", "-", "[1]")]
    a, b = sides(run("c", params=""), run("d"))
    assert parameters(a, b).note == "not compared: no params.yaml beside A"


def test_a_revision_is_read_without_a_checkout(run, tmp_path, monkeypatch, capsys):
    project = run("project", claims=[claim("undecided")]).parents[1]
    monkeypatch.chdir(project)

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    write_claims(project / "reports" / "metrics" / "claims.json", [claim()])
    (project / "params.yaml").write_text("sample: {n: 3, seed: 2}\n")
    with pytest.raises(SystemExit) as stop:
        main(["compare", "HEAD", "reports/metrics"])
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["sample.n", "1", "3"] in lines
    assert any(line[:5] == ["finds_translations", "points", "mini", "up", "undecided:"] for line in lines)
    assert ["pointing.up", "0.5,", "layer", "2", "0.5,", "layer", "2", "+0"] in lines
    assert "unpaired, from the intervals of either run: A has no data/scores/mini.parquet beside it" in out


def test_piped_output_is_plain_and_a_terminal_has_a_table():
    shown = Shown("Title", ("key", "value"), [("long", "[bold] " + "x" * 200)], "note")
    for terminal in (False, True):
        console = Console(force_terminal=terminal, width=60, record=True, file=StringIO())
        show([shown, Shown("Empty", ("key",), ())], console)
        lines = console.export_text().splitlines()
        assert lines[0] == "Title"
        assert any("[bold]" in line for line in lines)  # text, never markup
        assert any("─" in line for line in lines) == terminal
        assert any("x" * 200 in line for line in lines) != terminal
        assert lines[-2] == "none"


def test_a_page_is_one_file_with_the_same_bytes(run, tmp_path):
    a, b = run("a"), run("b", claims=[claim("undecided")])
    for name in ("one.html", "two.html"):
        with pytest.raises(SystemExit) as stop:
            main(["compare", str(a), str(b), "-o", str(tmp_path / name)])
        assert stop.value.code == 0
    page = (tmp_path / "one.html").read_bytes()
    assert page == (tmp_path / "two.html").read_bytes()
    assert b"Verdicts that changed" in page
    assert not re.search(rb"(src|href)=|url\(", page)
    for name in ("one.txt", "away/one.html"):
        with pytest.raises(
            PipelineError, match=r"^--out: must be an .html file .* but is .*; make the folder, or give"
        ):
            save([], tmp_path / name)


def test_what_is_no_run_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=r"^A: must be a folder of metrics .* but away is neither; give a folder"):
        read_side("away", "A")
    with pytest.raises(PipelineError, match=r"but --help is neither"):
        read_side("--help", "A")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PipelineError, match=r"^B: must hold claims.json, .* but empty does not; run `dvc repro`"):
        read_side("empty", "B")
    folder = run("old")
    (folder / "claims.json").write_text('{"schema": 1, "claims": []}')
    with pytest.raises(PipelineError, match=r"^A: claims.json must say schema: 2, .* says 1 .*; give a later revision"):
        read_side(str(folder), "A")


def test_a_table_or_parameters_that_cannot_be_read_are_refused(run):
    a, b = run("a"), run("b")
    (a / "translators" / "mini" / "pointing.csv").write_text("view,layer\nup,1\n")
    with pytest.raises(PipelineError, match=r"pointing.csv of mini must hold links, .* but links is missing: .* give"):
        pointing(*sides(a, b), "mini")
    (b.parents[1] / "params.yaml").write_text("- 1\n")
    with pytest.raises(PipelineError, match=r"params.yaml: must be a mapping in YAML, but is not; correct it"):
        read_side(str(b), "B")
