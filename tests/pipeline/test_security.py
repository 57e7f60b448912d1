"""What comes from elsewhere is never run and never leads out of the project; what goes out says nothing of the machine."""

import ast
import getpass
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.params import Params, load_params

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for room in ("pipeline", "otcore", "benchmarks", ".ci") for path in sorted((ROOT / room).rglob("*.py"))]


def _name(node):
    """Return `a.b.c` for what is called."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(code):
    """Return what in a program would run, or unpack as objects, what comes from elsewhere."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            given = dict(zip(keys, node.values, strict=True))
        elif isinstance(node, ast.Call):
            name, given = _name(node.func), {word.arg: word.value for word in node.keywords}
            if name in {"eval", "exec", "os.system", "os.popen"} or re.search(
                r"(^|\.)(pickle|dill|joblib)\.loads?$", name
            ):
                found.append(name)
            weights_only = given.get("weights_only")
            if name == "torch.load" and not (isinstance(weights_only, ast.Constant) and weights_only.value is True):
                found.append(name)
            if name in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}:
                found.append(name)
            if name.endswith("Environment") and "autoescape" not in given:
                found.append(name)
        else:
            continue
        for key in ("trust_remote_code", "allow_pickle", "shell"):
            if key in given and not (isinstance(given[key], ast.Constant) and given[key].value is False):
                found.append(key)
    return found


def test_nothing_that_comes_from_elsewhere_is_run():
    assert len(SOURCES) > 150
    assert {str(path): found for path in SOURCES if (found := dangers(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    "code",
    ["eval(x)", "import pickle; pickle.load(f)", "torch.load(f)", "torch.load(f, weights_only=False)", "yaml.load(f)",
     "f(trust_remote_code=True)", "d = {'trust_remote_code': yes}", "np.load(f, allow_pickle=True)",
     "subprocess.run(x, shell=True)", "jinja2.Environment()"],
)  # fmt: skip
def test_the_search_finds_them(code):
    assert len(dangers(code)) == 1


def test_every_model_is_loaded_without_its_own_code():
    # A call names the keyword, or hands on `**local`, a dictionary that the search above has looked at.
    calls = [
        any(word.arg in {None, "trust_remote_code"} for word in node.keywords)
        for path in SOURCES
        if not {"mini", "benchmarks"} & {*path.parts}  # they read what they wrote themselves
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _name(node.func).endswith(".from_pretrained")
    ]
    assert len(calls) >= 5 and all(calls)


def test_code_in_a_models_folder_is_not_run(tmp_path, project):
    from pipeline.attention.load import load_translator

    folder, mark = tmp_path / "model", tmp_path / "it ran"
    shutil.copytree(project / "data/demo/mini-mbert", folder)
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        PipelineError, match=r"translators\.model: must be .*; correct the files or name another"
    ) as told:
        load_translator(str(folder), reads="joint", device="cpu")
    assert "\n" not in str(told.value)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "-x", "a b", "a\n", "C:x", "ａ", "a\0"])
@pytest.mark.parametrize("what", ["translator", "gold set"])
def test_names_that_become_folders_cannot_lead_elsewhere(tmp_path, monkeypatch, name, what):
    raw = json.loads(Params().model_dump_json())
    if what == "translator":
        raw["translators"] = {name: raw["translators"]["mini-marian"]}
    else:
        raw["gold"][0]["name"] = name
    (tmp_path / "params.yaml").write_text(json.dumps(raw))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        PipelineError, match=r"must look like \^\[A-Za-z0-9\]\[A-Za-z0-9_-\]\*\$, but it is .*; rename it"
    ):
        load_params(check_paths=False)


@given(st.text(st.sampled_from("abc./\\~-_:%é"), min_size=1, max_size=12), st.text("ab./\\~%", min_size=1, max_size=9))
def test_what_is_noted_of_a_hub_name_stays_in_the_cache(tmp_path_factory, name, revision):
    from pipeline import _hub

    around = tmp_path_factory.mktemp("around")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ATTENTION_TRANSPORT_CACHE", str(around / "deep/er/cache"))
        patched.setattr(_hub, "offline", lambda: False)
        patched.setattr(_hub, "_list", lambda *_: _hub.HubCommit(name, "model", "0" * 40, {}, "translators.model"))
        _hub.open_commit(name, kind="model", revision=revision, key="translators.model")
    written = [path for path in around.rglob("*") if path.is_file()]
    assert all(around / "deep/er/cache/hub" in path.parents and path.suffix == ".json" for path in written)


@pytest.mark.parametrize(
    "index",
    [{"weight_map": {"a": "../../elsewhere.safetensors"}}, {"weight_map": {"a": "/etc/passwd"}}, {"weight_map": {"a": 1}},
     {"weight_map": {"a": "pytorch_model.bin"}}, {"weight_map": ["a"]}, {}, [], None],
)  # fmt: skip
def test_an_index_of_weights_cannot_name_files_elsewhere(tmp_path, index):
    from pipeline.attention.fetch import model_folder

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    (tmp_path / "model.safetensors.index.json").write_text("{" if index is None else json.dumps(index))
    with pytest.raises(
        PipelineError, match=r"index\.json of .* must name files in safetensors that lie beside it, but"
    ):
        model_folder(str(tmp_path))


def test_what_a_spreadsheet_would_run_is_text_and_numbers_stay_numbers():
    from pipeline.report.page import csv

    words = ["=HYPERLINK(1)", "+1", "-0.5", "-", "@SUM(1)", "\tx", "＝1", "-1+cmd", "a=b", "'", "Haus", ""]
    frame = pd.DataFrame({"word": words, "value": [-1.5 - i for i in range(len(words))]})
    back = pd.read_csv(io.StringIO(csv(frame), newline=""), keep_default_na=False, dtype={"word": str})
    assert back["word"].tolist() == [
        "'=HYPERLINK(1)", "+1", "-0.5", "'-", "'@SUM(1)", "'\tx", "'＝1", "'-1+cmd", "a=b", "'", "Haus", "",
    ]  # fmt: skip
    assert back["value"].tolist() == frame["value"].tolist()


def test_the_pages_own_table_follows_the_same_rule(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here, which runs the page's rule by itself")
    script = (ROOT / "pipeline/report/templates/explorer.js").read_text(encoding="utf-8")
    rule = next(line for line in script.splitlines() if line.startswith("const plain = "))
    words = ["=1", "+1", "-0.5", "-", "@a", "\tx", "＝1", "a=b", "Haus", "-1+cmd"]
    code = f"{rule}\nconsole.log(JSON.stringify({json.dumps(words)}.map(plain)))"
    done = subprocess.run([node, "-e", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["'=1", "+1", "-0.5", "'-", "'@a", "'\tx", "'＝1", "a=b", "Haus", "'-1+cmd"]


MACHINE = re.compile(
    r"(?<![\w.…/:<-])/(?:home|Users|root|tmp|work|mnt|opt|var|srv|private)/[\w.]"  # a folder of this machine
    r"|\b(?:hf|ghp|gho|github_pat|sk|glpat)_[A-Za-z0-9]{16,}|\bAKIA[A-Z0-9]{16}"  # a token
)


def told_of_the_machine(folder):
    """Return what files below a folder say of machine and user, by file."""
    user = getpass.getuser()
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", errors="replace")
            hits = [hit[0] for hit in MACHINE.finditer(text)]
            hits += [user] if len(user) > 4 and re.search(rf"\b{re.escape(user)}\b", text) else []
            found |= {str(path): hits} if hits else {}
    return found


def test_results_say_nothing_of_machine_and_user(tmp_path):
    assert told_of_the_machine(ROOT / "reports") == {}
    (tmp_path / "a").write_text('{"model": "/home/someone/x"} hf_abcdefghijklmnopqrst')
    assert len(told_of_the_machine(tmp_path)[str(tmp_path / "a")]) == 2, "the search finds them"


@pytest.fixture
def far(tmp_path, monkeypatch, project):
    """A project whose text, dictionary, gold links and model are named by absolute paths."""
    elsewhere, here = tmp_path / "home/someone", tmp_path / "project"
    shutil.copytree(project / "data/demo", elsewhere)
    here.mkdir()
    for side, lines in enumerate((["a b c d e"] * 3, ["f g h i j"] * 3)):
        (elsewhere / f"text.{side}").write_text("\n".join(lines) + "\n")
    raw = json.loads(Params().model_dump_json())
    raw["corpus"] |= {"source": "files", "src": [str(elsewhere / "text.0")], "tgt": [str(elsewhere / "text.1")]}
    raw["lexicon"] |= {"source": "files", "path": str(elsewhere / "lexicon.txt")}
    raw["gold"] = [
        {"name": "own", "pair": "en-fr", "text": str(elsewhere / "pairs.tsv"), "links": str(elsewhere / "pairs.tsv")}
    ]
    raw["translators"] = {"far": {"model": str(elsewhere / "mini-mbert"), "reads": "joint", "positions": "restart"}}
    raw["extract"] |= {"controls": ["trained"]}
    (here / "params.yaml").write_text(json.dumps(raw))
    monkeypatch.chdir(here)
    return here


def test_absolute_paths_of_the_user_do_not_reach_what_is_written(far):
    from pipeline.report.sections.made import parameters_yaml
    from pipeline.stages import corpus, extract, sources

    sources.main()
    corpus.main()
    extract.main("far")
    written = [path.relative_to(far).as_posix() for path in sorted(far.rglob("*")) if path.is_file()]
    assert {"data/sources/text.json", "reports/metrics/corpus.json", "data/attention/far/trained/manifest.json"} <= {
        *written
    }
    told = [path for path in written if b"someone" in (far / path).read_bytes()]
    assert told == ["params.yaml", "work/digests.json"], "the user's own file, and the notes in the work folder"
    manifest = json.loads((far / "data/attention/far/trained/manifest.json").read_text(encoding="utf-8"))
    assert manifest["model"] == "…/mini-mbert"
    page = parameters_yaml(load_params())
    assert "someone" not in page and page.count("…/") == 6
