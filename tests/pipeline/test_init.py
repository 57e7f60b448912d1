"""`python -m pipeline init`: a params.yaml for text of one's own, here or in a copy of the project."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline._yaml import parse, replace_value
from pipeline.errors import PipelineError
from pipeline.fill import TEMPLATE, gaps
from pipeline.init.command import Options, begin, own_of
from pipeline.init.compose import MANY, Own, compose, name_of
from pipeline.init.folder import OF_THE_DEMO
from pipeline.params import DEMO_PAIRS, Params, Translator, load_params

DEMO = TEMPLATE.read_text(encoding="utf-8")


def git(folder, *args):
    done = subprocess.run(["git", "-C", folder, *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path, project, monkeypatch):
    """Change to a project with the demo's params.yaml, and a German-English text of three pairs beside it."""
    home = tmp_path / "home"
    for name in ("mini-marian", "mini-mbert"):
        (home / "data" / "demo" / name).mkdir(parents=True)
    (home / "data" / "own").mkdir()
    (home / "params.yaml").write_text(DEMO, encoding="utf-8")
    (tmp_path / "my.de").write_text("Der Hund bellt .\nDas Haus ist rot .\nWir gehen .\n", encoding="utf-8")
    (tmp_path / "my.en").write_text("The dog barks .\nThe house is red .\nWe go .\n", encoding="utf-8")
    (tmp_path / "my.gold").write_text("1-1 2-2\n1-1 2p2\n1-1\n", encoding="utf-8")
    (tmp_path / "my.txt").write_text("Hund dog\nHaus house\n", encoding="utf-8")
    monkeypatch.chdir(home)
    return home


def options(**changes) -> Options:
    given = {"src": ["../my.de"], "tgt": ["../my.en"], "dictionary": "../my.txt"} | changes
    return Options(pair="de-en", **given)


def run(*, into=None, force=False, **changes):
    """Run the command, and return what was written and what it said."""
    said: list[str] = []
    return begin(options(**changes), into=into, force=force, say=said.append), "\n".join(said)


def test_the_file_is_complete_commented_and_about_ones_own_text(folder):
    written, said = run(gold="../my.gold", gold_base=1)
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    params = load_params()
    assert not gaps(text, DEMO)
    assert [line.partition("#")[2] for line in text.splitlines()[4:]] == [
        line.partition("#")[2] for line in DEMO.splitlines()[4:]
    ]
    assert (params.corpus.source, params.corpus.pair, params.sample.n_pairs) == ("files", "de-en", None)
    assert (params.sample.min_words, params.lexicon.source, params.words.lemmas) == (1, "files", "simplemma")
    (gold,) = params.gold
    assert (gold.name, gold.pair, gold.base) == ("my-gold", "de-en", 1)
    assert gold.text == tuple(str(folder.parent / name) for name in ("my.de", "my.en"))
    assert written.text == "de-en, 3 pairs of 3 rows (dropped: none)"
    assert "my.txt, 2 entries" in written.dictionary and "my.gold, 3 pairs" in written.gold
    assert "note: translators: mini-marian and mini-mbert learned en-fr" in said
    assert "note: sample: 3 pairs at most" in said
    assert "dvc repro, then open reports/index.html" in said and "init --into FOLDER" in said


def test_without_gold_there_is_none_and_no_link_of_the_demo(folder):
    _, said = run()
    assert load_params().gold == ()
    assert DEMO_PAIRS not in str(parse((folder / "params.yaml").read_text(encoding="utf-8")))
    assert "hand-made links: none" in said


def test_a_path_inside_stays_and_one_outside_is_whole(folder):
    shutil.copy("../my.de", "data/own/my.de")
    own = own_of(options(src=["data/own/my.de"]), apart=False)
    assert own.src == ["data/own/my.de"] and own.tgt == [str(folder.parent / "my.en")]
    apart = own_of(options(src=["data/own/my.de"]), apart=True)
    assert apart.src == [str(folder / "data" / "own" / "my.de")]


def test_an_edited_file_is_replaced_only_with_force_and_kept(folder):
    run()
    first = (folder / "params.yaml").read_text(encoding="utf-8")
    with pytest.raises(PipelineError, match=r"params\.yaml: replaced only if .* was edited; add --force, which keeps"):
        run(n_pairs=2)
    assert (folder / "params.yaml").read_text(encoding="utf-8") == first
    written, said = run(n_pairs=2, force=True)
    assert (folder / "params.yaml.old").read_text(encoding="utf-8") == first
    assert written.kept == Path("params.yaml.old") and "params.yaml.old: the params.yaml that was here" in said
    assert load_params().sample.n_pairs == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"src": ["../none.de"]}, r"corpus\.src\[0\]: must be there .*none\.de' is not"),
        ({"src": []}, r"corpus\.src: source: files needs src and tgt, or file, but it is null"),
        ({"gold": "../my.gold"}, r"--gold-base: 0 or 1, .* left out; add it"),
        ({"gold_base": 1}, r"--gold: the links that .* left out; add it"),
        ({"gold": "../my.txt", "gold_base": 0}, r"gold set my-txt: "),
        ({"translators": ["mini-marien"]}, r"mini-marien"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(folder, changes, message):
    with pytest.raises(PipelineError, match=message):
        run(**changes)
    assert (folder / "params.yaml").read_text(encoding="utf-8") == DEMO
    assert sorted(path.name for path in folder.iterdir()) == ["data", "params.yaml"]


def test_languages_without_a_dictionary_need_one():
    with pytest.raises(PipelineError, match=r"--dictionary: needed where MUSE has none, .* xx-en; name a file"):
        compose(Own("xx-en", file="a.tsv"))
    assert Params.model_validate(parse(compose(Own("de-en", file="a.tsv")))).lexicon.source == "muse"
    rare = Params.model_validate(parse(compose(Own("xx-en", file="a.tsv", dictionary="d.txt"))))
    assert (rare.words.lemmas, rare.corpus.file, rare.corpus.src) == ("none", "a.tsv", None)


def test_translators_of_ones_own_take_the_place_of_the_demos():
    specs = {
        "own": Translator(model="/m/own", reads="joint", positions="restart"),
        "hub": Translator(model="owner/name", reads="cross", revision="abc"),
    }
    text = compose(Own("de-en", file="a.tsv", translators=specs))
    assert Params.model_validate(parse(text)).translators == specs
    assert "mini-" not in text and "# cross only: words before every source sentence" in text
    assert name_of("a/own", ["own"]) == "own-2"


def test_of_very_many_rows_a_number_is_read(folder, monkeypatch):
    monkeypatch.setattr("pipeline.init.write.MANY", 2)
    _, said = run()
    assert load_params().sample.n_pairs == 2 and "of 3 rows 2 pairs will be read" in said
    assert MANY > 1000


def test_a_value_is_replaced_and_its_comment_stays_in_its_column():
    text = "a:\n  b: null   # why\n  c: [1, 2] # two\nd: x\n"
    assert replace_value(text, ("a", "b"), "no: it") == 'a:\n  b: "no: it"   # why\n  c: [1, 2] # two\nd: x\n'
    assert replace_value(text, ("a", "b"), 3) == "a:\n  b: 3      # why\n  c: [1, 2] # two\nd: x\n"
    for value in ("true", "1e3", "~", "null", "é/x y", "a/b-c.de", "", ["x", None], 2.5, False):
        assert parse(replace_value(text, ("d",), value))["d"] == value


@pytest.fixture
def repository(folder):
    """Make the project a git repository with results of the demo."""
    for name in (
        "reports/metrics/claims.json",
        "reports/metrics/certificate.json",
        "reports/metrics/translators/a/b.csv",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n", encoding="utf-8")
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n", encoding="utf-8")
    for name in ("mini-marian", "mini-mbert"):
        (folder / "data" / "demo" / name / "config.json").write_text("{}", encoding="utf-8")
    git(folder, "init", "--quiet", "-b", "main")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all")
    return folder


def test_a_copy_keeps_the_project_as_it_is(repository):
    copy = repository.parent / "de-en run"
    written, said = run(into=copy)
    assert git(repository, "status", "--short") == "" and git(repository, "branch") == "* main"
    assert git(copy, "branch", "--show-current") == "de-en-run"
    assert (
        not any((copy / path).exists() for path in OF_THE_DEMO) and (copy / "reports/metrics/certificate.json").exists()
    )
    assert git(copy, "diff", "--name-only") == "" and "params.yaml" in git(copy, "diff", "--cached", "--name-only")
    params = parse((copy / "params.yaml").read_text(encoding="utf-8"))
    assert params["corpus"]["src"] == str(repository.parent / "my.de")
    assert "autostage = true" in (copy / ".dvc" / "config.local").read_text(encoding="utf-8")
    assert written.kept is None and f"cd {copy} && " in said and "git commit -m" in said


def test_a_copy_that_comes_to_nothing_is_gone(repository, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    with pytest.raises(PipelineError, match="must be there"):
        run(into=copy, src=["../none.de"])
    assert not copy.exists()
    copy.mkdir()
    (copy / "mine").touch()
    with pytest.raises(PipelineError, match=r"--into: a folder that is not there yet, but .*copy is; name another"):
        run(into=copy)
    assert (copy / "mine").exists()
    (repository / ".git").rename(tmp_path / "git")
    with pytest.raises(PipelineError, match=r"--into: copies the project with git, .* no \.git or dvc\.yaml"):
        run(into=tmp_path / "other")
    (repository / ".git").mkdir()
    with pytest.raises(PipelineError, match=r"--into: git must be able to copy the project, but it says: .* mend that"):
        run(into=tmp_path / "other")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PipelineError, match="--into: needs git, but there is none on the path; install it"):
        run(into=tmp_path / "other")
