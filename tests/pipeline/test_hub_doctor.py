"""`python -m pipeline doctor`, `validate` and `convert`, against a stand-in for the hub."""

import json
import shutil

import pytest

from tests.hub.content import made_up_rows, write_wmt14
from tests.hub.fixtures import COMMIT, hub, offline  # noqa: F401
from tests.pipeline.test_attention_models import folders  # noqa: F401


@pytest.fixture
def project_folder(tmp_path, project, monkeypatch):
    """Return a folder with the demo's text, to which the command line changes."""
    folder = tmp_path / "project"
    (folder / "data" / "demo").mkdir(parents=True)
    for name in ("pairs.tsv", "lexicon.txt"):
        shutil.copy(project / "data" / "demo" / name, folder / "data" / "demo" / name)
    monkeypatch.chdir(folder)
    return folder


def write_params(folder, **changes):
    """Write the demo's parameters with some blocks changed; its translators are left out."""
    from pipeline.params import Params

    raw = json.loads(Params().model_dump_json())
    raw["translators"] = changes.pop("translators")
    for block, change in changes.items():
        raw[block] = change if change is None else raw[block] | change
    (folder / "params.yaml").write_text(json.dumps(raw))


def command(capsys, *args):
    """Run a command; return exit code, lines of output and of errors."""
    from pipeline.cli import main

    with pytest.raises(SystemExit) as done:
        main(list(args))
    out = capsys.readouterr()
    return done.value.code or 0, out.out.splitlines(), out.err.splitlines()


@pytest.fixture
def remote(hub, folders, tmp_path):
    """Serve a small translator and a small wmt14; return what names them."""
    write_wmt14(tmp_path / "wmt14", made_up_rows(500))
    hub.add("datasets/wmt/wmt14", tmp_path / "wmt14", commit=COMMIT)
    hub.add("models/someone/marian", folders / "marian", commit=COMMIT)
    return {"marian": {"model": "someone/marian", "reads": "cross", "revision": COMMIT}}


WMT14 = {"source": "wmt14", "revision": COMMIT}


def test_doctor_before_and_after_a_download(hub, remote, project_folder, capsys):
    write_params(
        project_folder, translators=remote, corpus=WMT14, gold=None, lexicon={"source": "muse"}, sample={"n_pairs": 9}
    )
    code, before, _ = command(capsys, "doctor", "--no-probe")
    assert code == 0, before
    assert any("210 gold" not in line and "probed with the demo's sentences" in line for line in before)
    assert any(
        line.startswith("ok      model (someone/marian at 0123456789ab): ") and line.endswith(" to download")
        for line in before
    )
    assert any("corpus (wmt/wmt14 at 0123456789ab, row groups; " in line and "to download" in line for line in before)
    assert "ok      lexicon (MUSE en-fr): about 1.9 MB to download" in before
    assert not [request for request in hub.log if "/resolve/" in request.path], "nothing is downloaded"

    from pipeline.attention.load import load_translator

    load_translator("someone/marian", reads="cross", revision=COMMIT, device="cpu")
    write_params(
        project_folder, translators=remote, corpus=WMT14, gold=None, lexicon={"source": "muse"},
        sample={"n_pairs": 9, "method": "full"},
    )  # fmt: skip
    code, after, _ = command(capsys, "doctor", "--no-probe")
    assert any(line.startswith("ok      model (someone/marian at 0123456789ab): cached (") for line in after)
    assert any(line.startswith("ok      corpus (wmt/wmt14 at 0123456789ab): ") for line in after)


def test_doctor_probes_with_fresh_weights_what_is_not_cached(hub, remote, project_folder, capsys):
    from pipeline.corpus.pairs import SentencePair, write_pairs

    src, tgt = (
        ["The", "old", "man", "sees", "a", "small", "dog", "."],
        ["Le", "vieux", "homme", "voit", "un", "petit", "chien", "."],
    )
    pairs = [SentencePair(i, " ".join(src), " ".join(tgt), tuple(src), tuple(tgt)) for i in range(12)]
    (project_folder / "data" / "corpus").mkdir()
    write_pairs(project_folder / "data" / "corpus" / "pairs.parquet", pairs)
    write_params(project_folder, translators=remote, corpus=WMT14)
    code, lines, said = command(capsys, "doctor")
    assert code == 0, lines
    text = "\n".join(lines)
    assert "ok      packages: all " in text
    assert "ok      device: CPU, " in text
    assert "240 pairs, with trained and random_init weights; 210 gold (probed with data/corpus/pairs.parquet)" in text
    assert "marian, time: about " in text
    assert " for 690 pairs (" in text
    assert "marian, disk: about " in text
    assert any("reading 10 sentences with fresh weights" in line for line in said)
    assert not [
        request for request in hub.log if request.path.endswith("model.safetensors") and request.method == "GET"
    ]


def test_doctor_names_what_stands_in_the_way(hub, remote, project_folder, capsys):
    remote["marian"]["revision"] = "e" * 40
    write_params(project_folder, translators=remote)
    code, lines, _ = command(capsys, "doctor", "--no-probe")
    assert code == 1
    assert [
        line
        for line in lines
        if line.startswith("PROBLEM download: translators.model: someone/marian has no revision eee")
    ]


def test_doctor_offline(hub, remote, project_folder, capsys, offline):
    write_params(project_folder, translators=remote)
    offline()
    code, lines, _ = command(capsys, "doctor", "--no-probe")
    assert code == 1
    assert any("was never listed here, and HF_HUB_OFFLINE forbids to ask" in line for line in lines)


def test_doctor_asks_for_a_missing_device(hub, remote, project_folder, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_params(project_folder, translators=remote, extract={"device": "cuda"})
    code, lines, _ = command(capsys, "doctor", "--no-probe")
    assert code == 1
    assert "PROBLEM device: extract.device is cuda, but there is no CUDA device; set it to auto" in lines


def test_packages_that_are_missing_or_too_old(monkeypatch):
    from pipeline import doctor

    monkeypatch.setattr(
        doctor.metadata,
        "requires",
        lambda name: ["torch>=99", "no-such-package>=1", "numpy>=2", "beartype; extra == 'dev'"],
    )
    says = [finding.says for finding in doctor.packages()]
    assert says[0].startswith("torch>=99 is required, but it is ")
    assert says[1] == "no-such-package>=1 is missing; run `make setup`"
    assert len(says) == 2


def test_a_language_without_spaces_needs_its_splitter(monkeypatch):
    from pipeline import doctor
    from pipeline.corpus import splitters
    from pipeline.params import Params

    def missing(name):
        message = f"No module named {name!r}"
        raise ImportError(message)

    monkeypatch.setattr(splitters, "import_module", missing)
    splitters.splitter_of.cache_clear()
    base = Params()
    corpus = base.corpus.model_copy(update={"pair": "zh-my"})
    found = {}
    for asked in ("auto", True, False):
        words = base.words.model_copy(update={"pretokenised": asked})
        found[asked] = doctor.splitters(base.model_copy(update={"corpus": corpus, "words": words}))
    splitters.splitter_of.cache_clear()
    assert found[True] == doctor.splitters(base) == []
    assert [finding.problem for finding in found["auto"]] == [False, False]
    assert [finding.problem for finding in found[False]] == [True, False]
    assert "run `pip install 'attention-transport[zh]'`" in found["auto"][0].says
    assert (found[False][1].about, found[False][1].says) == ("words of my", "Burmese syllables (sylbreak)")


def test_too_little_room_is_a_problem(monkeypatch, tmp_path):
    from pipeline import doctor

    monkeypatch.setenv("ATTENTION_TRANSPORT_CACHE", str(tmp_path / "not" / "yet"))
    small = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: small)
    found = {finding.says: finding.problem for finding in doctor._room(10**5, 10**7)}
    assert found["about 100 kB needed (downloads), 1.0 MB free"] is False
    assert found["about 20 MB needed (blocks, with DVC's copy), 1.0 MB free"] is True


def test_validate(project_folder, remote, capsys):
    write_params(project_folder, translators=remote)
    assert command(capsys, "validate") == (0, ["params.yaml: every key is right"], [])


def test_validate_notes_what_may_not_be_meant(project_folder, remote, capsys):
    remote["marian"]["revision"] = None
    write_params(
        project_folder, translators=remote, corpus=WMT14 | {"revision": None}, sample={"method": "head"},
        extract={"controls": ["trained"]},
    )  # fmt: skip
    code, lines, _ = command(capsys, "validate", "params.yaml")
    assert code == 0
    assert [line.split(": ")[2] for line in lines[:-1]] == [
        "corpus.revision", "translators.marian.revision", "sample.method", "extract.controls"
    ]  # fmt: skip


def test_validate_names_every_problem_in_a_line(project_folder, remote, capsys):
    write_params(project_folder, translators=remote, sample={"n_pair": 3, "seed": -1})
    code, _, errors = command(capsys, "validate")
    assert code == 1
    assert len(errors) == 2
    assert "params.yaml: sample.n_pair: no such key; did you mean n_pairs?" in "\n".join(errors)


def test_full_is_for_wmt14_only(project_folder, remote, capsys):
    write_params(project_folder, translators=remote, sample={"method": "full"})
    code, _, errors = command(capsys, "validate")
    assert code == 1
    assert "sample.method: full is for corpus.source: wmt14, but the source is demo; use rows" in errors[0]


def test_a_mirror_is_for_muse_only(project_folder, remote, capsys):
    write_params(project_folder, translators=remote, lexicon={"mirror": "https://example.org"})
    code, _, errors = command(capsys, "validate")
    assert code == 1
    assert "lexicon.mirror: only source: muse has a mirror" in errors[0]


def test_convert_refuses_what_needs_none(hub, remote, project_folder, capsys):
    code, _, errors = command(capsys, "convert", "someone/marian", "models/marian")
    assert code == 1
    assert "someone/marian has no pytorch_model.bin to convert; use it as it is" in errors[-1]
