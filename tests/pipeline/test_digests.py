"""Files that the parameters name: their checksums, and DVC that reruns what reads a changed one."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import _digests
from pipeline.params import Params, load_params

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with two models, one outside of it, and text outside of it."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("elsewhere/model", "project/models/mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    for name in ("a.en", "a.fr"):
        (tmp_path / "elsewhere" / name).write_text("one line\n")
    raw = json.loads(Params().model_dump_json())
    raw["corpus"] |= {"source": "files", "src": ["../elsewhere/a.en"], "tgt": ["../elsewhere/a.fr"]}
    raw["gold"] = None
    raw["translators"] = {
        "far": {"model": "../elsewhere/model", "reads": "cross"},
        "mine": {"model": "models/mine", "reads": "joint"},
        "hub": {"model": "owner/name", "reads": "joint"},
    }
    (project / "params.yaml").write_text(json.dumps(raw))
    monkeypatch.chdir(project)
    return project


def _write():
    _digests.write_sources(load_params(), Path("data/sources"), Path("work/digests.json"))
    return {path.stem: json.loads(path.read_text()) for path in sorted(Path("data/sources").rglob("*.json"))}


def test_every_file_that_is_named_has_its_checksum(folder):
    found = _write()
    weights = hashlib.sha256(b"weights").hexdigest()
    assert sorted(found) == ["far", "hub", "mine", "text"]
    assert found["far"]["model.safetensors"] == weights
    assert found["mine"]["model.safetensors"] == weights
    assert found["hub"] == {}
    assert list(found["text"]) == ["corpus.src[0]", "corpus.tgt[0]"]


def test_only_changed_files_are_read_again(folder, monkeypatch):
    before, read = _write(), []
    monkeypatch.setattr(_digests, "_sha256", lambda path: read.append(str(path)) or "new")
    assert _write() == before and read == []
    changed = Path("../elsewhere/model/model.safetensors")
    changed.write_bytes(b"w3ights")  # as long as before
    os.utime(changed, ns=(1, 1))
    after = _write()
    assert read == [str(changed)]
    assert after == before | {"far": before["far"] | {changed.name: "new"}}


@pytest.mark.parametrize("damage", ["", "[]", '{"a": '])
def test_a_damaged_memory_means_that_every_file_is_read_again(folder, damage):
    before = _write()
    Path("work/digests.json").write_text(damage)
    assert _write() == before


def test_a_model_that_goes_is_forgotten(folder):
    _write()
    raw = json.loads(Path("params.yaml").read_text())
    del raw["translators"]["far"]
    Path("params.yaml").write_text(json.dumps(raw))
    assert "far" not in _write()


@pytest.mark.slow
def test_changed_weights_anywhere_rerun_their_translator_and_no_other(folder):
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["sources"] | {"deps": ["params.yaml"]}
    # Reads only its own checksums, as extract@NAME does.
    copy = {"cmd": "cp data/sources/translators/${item}.json ${item}.out", "outs": ["${item}.out"]}
    copy["deps"] = ["data/sources/translators/${item}.json"]
    stages = {"sources": stage, "extract": {"foreach": ["far", "mine", "hub"], "do": copy}}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    env = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def dvc(*args):
        done = subprocess.run(["dvc", *args], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dvc("init", "--no-scm", "-q")
    assert dvc("repro").count("Running stage 'extract@") == 3
    assert "Running stage 'extract@" not in dvc("repro")
    Path("../elsewhere/model/model.safetensors").write_bytes(b"other weights")
    again = dvc("repro")
    assert [name for name in ("far", "mine", "hub") if f"Running stage 'extract@{name}'" in again] == ["far"]
