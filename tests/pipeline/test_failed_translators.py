"""A translator that fails: its reason stands in its place, the others go on, and the next run tries it again."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.alignment.results import Places, write_failed
from pipeline.claims import FEWEST, Claim
from pipeline.claims_file import read_claims
from pipeline.columns import TRANSLATOR
from pipeline.errors import PipelineError
from pipeline.failures import FILE, Failure, attempts, leave_mark, read_failure
from pipeline.params import Params
from pipeline.report import render
from pipeline.report.notices import notices
from pipeline.verdicts.join import write_verdicts
from tests.pipeline.report_factory import measured, undrawn  # noqa: F401 - fixtures

GONE = Failure("extract@mini-mbert", "no such model; name another")


def test_a_reason_is_read_where_it_was_left(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    leave_mark(tmp_path / "a", GONE)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [FILE]
    assert read_failure(tmp_path / "a" / FILE) == GONE
    assert read_failure(tmp_path / "b") is None
    (tmp_path / "c").write_text('{"schema": 2}')
    assert read_failure(tmp_path / "c") is None


def test_each_failure_is_one_more_attempt_and_success_changes_nothing(tmp_path):
    memory = tmp_path / "work" / "attempts.json"
    assert attempts(memory, []) == {} and not memory.exists()
    assert attempts(memory, ["a"]) == {"a": 1}
    assert attempts(memory, ["a", "b"]) == {"a": 2, "b": 1}
    assert attempts(memory, []) == {"a": 2, "b": 1}


def test_sources_make_dvc_try_it_again(tmp_path, project, monkeypatch, capsys):
    from pipeline.stages import sources

    for name in ("pairs.tsv", "lexicon.txt", "mini-marian", "mini-mbert"):
        (tmp_path / "data" / "demo").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "demo" / name).symlink_to(project / "data" / "demo" / name)
    (tmp_path / "params.yaml").write_text(Params().model_dump_json())
    monkeypatch.chdir(tmp_path)
    found = []
    for _ in range(3):
        sources.main()
        found.append(Path("data/sources/translators/mini-mbert.json").read_bytes())
        if len(found) == 1:
            leave_mark(Path("data/attention/mini-mbert"), GONE)
        else:  # it has succeeded: nothing more to do
            shutil.rmtree("data/attention/mini-mbert", ignore_errors=True)
    assert found[0] != found[1] == found[2]
    assert "sources: mini-mbert failed the last time and is tried again" in capsys.readouterr().err


def test_the_stages_of_a_translator_leave_its_reason(tmp_path, project, monkeypatch, capsys):
    from pipeline.stages import align, extract

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "demo").symlink_to(project / "data" / "demo")
    (tmp_path / "params.yaml").write_text(Params().model_dump_json())
    monkeypatch.chdir(tmp_path)

    def fail(*args):
        raise PipelineError(GONE.why)

    monkeypatch.setattr(extract, "extract_all", fail)
    extract.main("mini-mbert")
    align.main("mini-mbert")
    metrics = Path("reports/metrics/translators/mini-mbert")
    assert read_failure(metrics / "summary.json") == GONE
    assert {path.name for path in metrics.iterdir()} == {
        *(f"{name}.csv" for name in TRANSLATOR),
        "summary.json",
        "headline.json",
    }
    assert (metrics / "curves.csv").read_text() == ",".join(TRANSLATOR["curves"]) + "\n"
    assert Path("data/scores/mini-mbert.parquet").is_file() and Path("data/explorer/mini-mbert").is_dir()
    assert "align@mini-mbert: nothing to measure, since extract@mini-mbert failed" in capsys.readouterr().err
    monkeypatch.setattr(align, "align", fail)
    shutil.rmtree("data/attention")
    align.main("mini-mbert")
    assert read_failure(metrics / "summary.json") == Failure("align@mini-mbert", GONE.why)


@pytest.fixture
def broken(measured, tmp_path):
    """Return a copy of a small project whose second translator failed."""
    root = tmp_path / "project"
    shutil.copytree(measured.project.root, root)
    metrics = root / "reports" / "metrics"
    places = Places(
        metrics / "translators" / "mini-mbert", root / "data/scores/x.parquet", root / "data/explorer/mini-mbert"
    )
    write_failed(GONE, places)
    return root


@pytest.mark.slow
def test_claims_and_page_go_on_without_it_and_say_so(broken, measured, undrawn):
    params, metrics = measured.project.params, broken / "reports" / "metrics"
    names = list(params.translators)
    write_verdicts(metrics, names, level=params.align.level)
    claims = read_claims(metrics / "claims.json")
    lost = [claim for claim in claims if claim.translator == "mini-mbert"]
    assert len(lost) == 4 and {(claim.verdict, claim.why) for claim in lost} == {("untested", str(GONE))}
    whole = read_claims(measured.project.metrics / "claims.json")

    def of_marian(some):
        return [(c.id, c.view, c.layer, c.difference, c.low) for c in some if c.translator == "mini-marian"]

    assert of_marian(claims) == of_marian(whole)
    built = render.build(params, metrics, broken / "data", broken / "reports")
    page = built.page.read_text(encoding="utf-8")
    assert f"<strong>mini-mbert is missing:</strong> {GONE.stage} failed, and the page goes on without it" in page
    assert (
        "name another" in page and 'scope="colgroup">mini-marian' in page and 'scope="colgroup">mini-mbert' not in page
    )


def claim(n_pairs, verdict="undecided"):
    """Return a deciding claim on so many sentences."""
    return Claim(id="a", claim="a", question="is_a_plan", statement="A.", n_pairs=n_pairs, verdict=verdict)


def test_too_few_sentences_and_a_demo_model_abroad_are_told_on_the_page():
    assert notices(Params(), [claim(FEWEST, "supported")], {}) == []
    (few,) = notices(Params(), [claim(FEWEST - 1), claim(FEWEST)], {})
    assert few.about == "Too few sentences:" and few.says.startswith("of 2 verdicts that rest on sentences 1 could not")
    raw = json.loads(Params().model_dump_json())
    raw["corpus"] |= {"source": "files", "pair": "de-en", "file": "a.tsv"}
    raw["lexicon"] |= {"source": "muse"}
    abroad = Params.model_validate(raw | {"gold": []})
    (language,) = notices(abroad, [], {"mini-mbert": GONE})[1:]
    assert language.about == "Another language:"
    assert language.says.startswith("mini-marian learned en-fr and nothing else, but what was read is de-en.")
