"""Text of one's own: what `validate` and `doctor` say of it, and what a translator that fails leaves to the others."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.advice import ENOUGH, advise
from pipeline.doctor import examine, sentences
from pipeline.params import Params, load_params

SRC = ["Der Hund bellt laut in der Nacht .", "Wir sehen heute ein kleines rotes Haus ."]
TGT = ["The dog barks loudly at night .", "Today we see a small red house ."]


@pytest.fixture
def folder(tmp_path, project, monkeypatch):
    """Change to a folder with the demo's text and translators."""
    (tmp_path / "data" / "demo").mkdir(parents=True)
    for name in ("pairs.tsv", "lexicon.txt"):
        shutil.copy(project / "data" / "demo" / name, tmp_path / "data" / "demo" / name)
    for name in ("mini-marian", "mini-mbert"):
        (tmp_path / "data" / "demo" / name).symlink_to(project / "data" / "demo" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, n: int, **changes) -> Params:
    """Write a German-English text of n rows, two of them empty, and the parameters that read it."""
    for name, side in (("own.de", SRC), ("own.en", TGT)):
        rows = [f"{side[k % 2]} {k}" for k in range(n - 2)]
        (folder / name).write_text("\n".join([*rows, "", ""]) + "\n", encoding="utf-8")
    (folder / "own.txt").write_text("Hund dog\nHaus house\nNacht night\n", encoding="utf-8")
    raw = json.loads(Params().model_dump_json())
    raw["corpus"] |= {"source": "files", "pair": "de-en", "src": ["own.de"], "tgt": ["own.en"]}
    raw["lexicon"] |= {"source": "files", "path": "own.txt"}
    raw |= {"gold": [], "sample": raw["sample"] | {"n_pairs": None}}
    for block, change in changes.items():
        raw[block] = raw[block] | change
    (folder / "params.yaml").write_text(json.dumps(raw), encoding="utf-8")
    return load_params(folder / "params.yaml")


def test_doctor_counts_what_will_be_read(folder):
    params = write(folder, 14)
    pairs, n_read, told = sentences(params)
    assert (len(pairs), n_read) == (10, 24)
    assert told == "12 pairs of 14 rows (dropped: 2 empty), with trained and random_init weights; 0 gold"
    params = write(folder, 14, sample={"n_pairs": 240}, extract={"seeds": 2})
    assert sentences(params)[1] == 36
    said = {finding.about: finding for finding in examine(params, probe=False)}
    assert said["sentences"].says.startswith("12 pairs of 14 rows")
    assert any("12 pairs" not in finding.says and "14 pairs at most" in finding.says for finding in [said["note"]])


def test_doctor_says_what_is_wrong_with_the_text(folder):
    params = write(folder, 14)
    (folder / "own.en").write_text("one line\n", encoding="utf-8")
    (found,) = [finding for finding in examine(params, probe=False) if finding.about == "sentences"]
    assert found.problem and "own.de has" in found.says and "own.en has 1" in found.says


def test_a_demo_model_abroad_and_too_little_text_are_told(folder):
    language, few = advise(write(folder, 14))
    assert language.startswith("translators: mini-marian and mini-mbert learned en-fr and nothing else")
    assert "de-en" in language
    assert few.startswith("sample: 14 pairs at most") and "a verdict needs 10 sentences" in few
    (only,) = advise(write(folder, ENOUGH))
    assert only == language


def test_the_demo_itself_is_in_order(folder):
    assert advise(Params()) == []
    few = Params.model_validate({"sample": {"n_pairs": ENOUGH - 1}})
    assert len(advise(few)) == 1
