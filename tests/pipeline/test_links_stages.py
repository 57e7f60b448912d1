"""The stages `corpus` and `links` as a user runs them: what they write, and what bad input does to it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

import pipeline.stages.corpus as corpus
import pipeline.stages.links as links
from pipeline import stages
from pipeline._output import replacing, write_json
from pipeline.corpus.gold import read_gold
from pipeline.corpus.pairs import read_pairs
from pipeline.errors import PipelineError
from pipeline.lexicon.links import read_links
from pipeline.params import Params

Blocks = dict[str, dict | list | None]


CORPUS, LINKS = "reports/metrics/corpus.json", "reports/metrics/links.json"


class Project:
    """A folder like the project's, with its demo text and parameters of its own."""

    def __init__(self, folder: Path, demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        (folder / "data/demo").mkdir(parents=True)
        for name in ("pairs.tsv", "lexicon.txt"):
            shutil.copy(demo / name, folder / "data/demo")

    def write(self, **changes: dict | None) -> None:
        raw = json.loads(Params().model_dump_json())
        for name in raw["translators"]:
            (self.folder / f"data/demo/{name}").mkdir(exist_ok=True)
        for block, change in changes.items():
            raw[block] = change if change is None or block == "translators" else raw[block] | change
        (self.folder / "params.yaml").write_text(json.dumps(raw), encoding="utf-8")

    def run(self, stage: ModuleType) -> str:
        """Run a stage that must succeed, and return what it says."""
        stages.run_stage(stage.main)
        return self.capsys.readouterr().err

    def fails(self, stage: ModuleType) -> str:
        """Run a stage that must fail in one line, and return the line."""
        with pytest.raises(SystemExit) as caught:
            stages.run_stage(stage.main)
        assert caught.value.code == 1
        out, err = self.capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert err.startswith("error: ")
        return err

    def files(self) -> dict[str, bytes]:
        made = [path for top in ("data", "reports") for path in (self.folder / top).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in made if "demo" not in path.parts}


@pytest.fixture
def user(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, project / "data/demo", capsys)


def test_the_demo_twice_gives_the_same_bytes(user: Project) -> None:
    user.write()
    said = [user.run(stage) for stage in (corpus, links)]
    first = user.files()
    names = [
        "data/corpus/gold.parquet",
        "data/corpus/pairs.parquet",
        "data/links/links.parquet",
        "data/links/shuffled.parquet",
    ]
    assert sorted(first) == [*names, CORPUS, LINKS]
    assert str(user.folder).encode() not in b"".join(first.values())
    pairs = read_pairs(user.folder / "data/corpus/pairs.parquet")
    assert len(pairs) == Params().sample.n_pairs
    assert f"kept {len(pairs)} pairs" in said[0]
    assert set(read_links(user.folder / "data/links/links.parquet")) == {pair.pair_id for pair in pairs}
    summary = json.loads(first[LINKS])
    assert summary["n_pairs_used"] > 0.95 * len(pairs)
    assert summary["gold"]["demo"]["sure"] > 0.9
    assert f"{summary['n_links']} links" in said[1]
    assert [user.run(stage) for stage in (corpus, links)] == said
    assert user.files() == first


def test_stages_run_as_scripts(user: Project) -> None:
    user.write(sample={"n_pairs": 5}, gold=None)
    command = [sys.executable, "-W", "error", "-m", "pipeline.stages.corpus"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    saw, kept = done.stderr.splitlines()
    assert saw.startswith("corpus: words.pretokenised: auto: en is running text (0 of ")
    assert (done.stdout, kept) == (
        "",
        "corpus: kept 5 pairs of 5 looked at (dropped: none): reports/metrics/corpus.json",
    )
    user.write(sample={"n_pairs": 0})
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: sample.n_pairs: should be greater than or equal to 1")
    assert len(done.stderr.splitlines()) == 1


def test_fewer_rows_than_wanted_are_all_kept_and_it_is_said(user: Project) -> None:
    user.write(sample={"n_pairs": 10_000}, gold=None)
    said = user.run(corpus)
    selection = json.loads(user.files()[CORPUS])
    assert selection["short_by"] == 10_000 - selection["kept"] > 0
    assert f"{selection['short_by']} fewer than sample.n_pairs" in said
    assert read_gold(user.folder / "data/corpus/gold.parquet") == []


def test_no_gold_set_leaves_no_old_one_behind(user: Project) -> None:
    user.write(sample={"n_pairs": 5})
    user.run(corpus)
    assert read_gold(user.folder / "data/corpus/gold.parquet")
    user.write(sample={"n_pairs": 5}, gold=None)
    user.run(corpus)
    assert read_gold(user.folder / "data/corpus/gold.parquet") == []


def text_files(user: Project, src: bytes, tgt: bytes) -> Blocks:
    (user.folder / "a.en").write_bytes(src)
    (user.folder / "a.fr").write_bytes(tgt)
    return {"corpus": {"source": "files", "src": "a.en", "tgt": "a.fr"}}


ENGLISH, FRENCH = b"one two three four five\n", "un deux trois quatre été\n"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("missing file", "params.yaml: corpus.tgt[0]: must be there"),
        ("unequal lengths", "a.en has 2 lines and a.fr has 1"),
        ("latin-1", "a.fr: must be UTF-8, but line 1 has byte 0xe9 at place 22"),
        ("unknown model folder", "translators.m.model: must be there"),
        ("unknown key", "sample.n_pair: no such key; did you mean n_pairs?"),
        ("nothing to keep", "all 1 rows were not (1 too_short)"),
    ],
)
def test_bad_input_is_one_line_and_leaves_what_was_there(user: Project, case: str, expected: str) -> None:
    user.write(sample={"n_pairs": 3})
    user.run(corpus)
    before = user.files()
    changes: Blocks = {"gold": None}
    if case == "missing file":
        changes |= text_files(user, ENGLISH, b"")
        (user.folder / "a.fr").unlink()
    elif case == "unequal lengths":
        changes |= text_files(user, ENGLISH * 2, FRENCH.encode())
    elif case == "latin-1":
        changes |= text_files(user, ENGLISH, FRENCH.encode("latin-1"))
    elif case == "unknown model folder":
        changes["translators"] = {"m": {"model": "data/demo/no-model", "reads": "cross"}}
    elif case == "unknown key":
        changes["sample"] = {"n_pair": 3}
    else:
        changes |= text_files(user, b"one two\n", b"un deux\n")
    user.write(**changes)
    assert expected in user.fails(corpus)
    assert user.files() == before


def test_a_dictionary_without_hits_is_one_line_and_leaves_what_was_there(user: Project) -> None:
    user.write(sample={"n_pairs": 20}, gold=None)
    for stage in (corpus, links):
        user.run(stage)
    before = user.files()
    (user.folder / "other.txt").write_text("katze gatto\n", encoding="utf-8")
    user.write(sample={"n_pairs": 20}, gold=None, lexicon={"source": "files", "path": "other.txt"})
    assert "lexicon: must translate some word of the text, but has no hit in 20" in user.fails(links)
    assert user.files() == before


def test_links_before_corpus_says_what_to_run(user: Project) -> None:
    user.write()
    assert "data/corpus/pairs.parquet is not there; run `dvc repro corpus`" in user.fails(links)


def test_each_policy_names_itself(user: Project) -> None:
    found = {}
    for policy in ("one_to_one", "first_occurrence"):
        user.write(sample={"n_pairs": 30}, gold=None, lexicon={"policy": policy}, words={"lemmas": "none"})
        for stage in (corpus, links):
            user.run(stage)
        path = user.folder / "data/links/links.parquet"
        assert pq.read_schema(path).metadata == {b"policy": policy.encode(), b"lemmas": b"none"}
        found[policy] = sum(map(len, read_links(path).values()))
    assert found["first_occurrence"] > found["one_to_one"] > 30


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep/out"

    def write(name: str, *, fail: bool = False) -> None:
        with replacing(target) as folder:
            write_json(folder / name, {"b": 1, "a": "é"})
            if fail:
                message = "stopped"
                raise PipelineError(message)

    write("old.json")
    assert (target / "old.json").read_text(encoding="utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(PipelineError, match="stopped"):
        write("new.json", fail=True)
    assert [path.name for path in target.iterdir()] == ["old.json"]
    write("new.json")
    assert [path.name for path in target.iterdir()] == ["new.json"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_every_problem_gets_its_error_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        message = "first\nsecond"
        raise PipelineError(message)

    with pytest.raises(SystemExit) as caught:
        stages.run_stage(main)
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: first\nerror: second\n"


@pytest.mark.parametrize("inside", ["out", "out/more"])
def test_a_file_in_the_way_of_a_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], inside: str
) -> None:
    (tmp_path / "out").write_text("kept", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        stages.run_stage(lambda: (tmp_path / inside).mkdir(parents=True))
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: {tmp_path / inside}: a file or folder that may be read and written is needed, but: "
    )
    assert (
        said.endswith("; move away what is there, or change its permissions\n")
        and (tmp_path / "out").read_text(encoding="utf-8") == "kept"
    )


@pytest.mark.parametrize("error", [KeyError, PermissionError])  # the latter of no file
def test_other_errors_keep_their_traceback(error: type[Exception]) -> None:
    def main() -> None:
        raise error

    with pytest.raises(error):
        stages.run_stage(main)


def test_track_passes_everything_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(stages.track("counting", 3)(iter([1, 2, 3]))) == [1, 2, 3]
    assert capsys.readouterr().out == ""
