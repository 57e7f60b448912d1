"""params/paper.yaml against a stand-in for the hub: true-size models, real tokenisers, real sentences.

The commands are those of dvc.yaml, in their order, run as DVC runs them: one process each.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.hub.content import DIGITS, made_up_rows, write_marian, write_mbert, write_wmt14
from tests.hub.server import Fault, Hub, HubServer

pytestmark = [pytest.mark.slow, pytest.mark.realdata]

N_PAIRS = 64
YEARS = range(2008, 2014)
# Of the real files (a public listing of the converted revision; the page of the other model).
MARIAN_BYTES, MBERT_BYTES = 301e6, 714e6


@pytest.fixture(scope="module")
def paper(project: Path) -> dict:
    """Return the paper's setting with one draw of each control's weights: the others are the same code again."""
    setting = yaml.safe_load((project / "params" / "paper.yaml").read_text(encoding="utf-8"))
    return setting | {"extract": setting["extract"] | {"seeds": 1}}


def newstest(shared_data: Path, *, years=YEARS) -> list[dict[str, str]]:
    sides = [
        [
            line
            for year in years
            for line in (shared_data / "newstest" / f"newstest{year}.{lang}")
            .read_text(encoding="utf-8")
            .split("\n")[:-1]
        ]
        for lang in ("en", "fr")
    ]
    return [{"en": src, "fr": tgt} for src, tgt in zip(*sides, strict=True)]


@pytest.fixture(scope="module")
def hub(paper, shared_data, tmp_path_factory):
    """Serve both models at full size, WMT14's layout with newstest sentences, and MUSE, at the pinned revisions."""
    root, hub = tmp_path_factory.mktemp("repos"), Hub()
    marian, mbert = paper["translators"]["opus-mt-en-fr"], paper["translators"]["mbert"]
    write_marian(root / "marian", shared_data / "tokenizers" / "opus-mt-en-fr")
    write_mbert(root / "mbert", shared_data / "tokenizers" / "mbert" / "vocab.txt")
    write_wmt14(root / "wmt14", newstest(shared_data), rows_a_group=100)
    write_wmt14(root / "wmt14", made_up_rows(300, tgt="de"), config="de-en", n_files=1, rows_a_group=100)
    hub.add(f"models/{marian['model']}", root / "marian", commit=marian["revision"], refs=("refs/pr/5",))
    hub.add(f"models/{mbert['model']}", root / "mbert", commit=mbert["revision"])
    hub.add("datasets/wmt/wmt14", root / "wmt14", commit=paper["corpus"]["revision"])
    hub.muse = {f"{pair}.txt": (shared_data / "muse" / f"{pair}.txt").read_bytes() for pair in ("en-fr", "fr-en")}
    sides = (f"{DIGITS[lang]} {words}".split() for lang, words in (("en", "old house"), ("de", "alte haus")))
    hub.muse["en-de.txt"] = "\n".join(map(" ".join, zip(*sides, strict=True))).encode()
    with HubServer(hub) as server:
        hub.url = server.url
        yield hub


@pytest.fixture(scope="module")
def caches(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("caches")


def make_project(folder: Path, project: Path, paper: dict, **changes) -> Path:
    """Make a folder with the paper's parameters, some of them changed, and what the stages read beside them."""
    raw = json.loads(json.dumps(paper))
    for key, value in changes.items():
        block, name = key.split("__")
        raw[block] = value if name == "all" else {**raw[block], name: value}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    shutil.copytree(project / "data" / "demo", folder / "data" / "demo")
    return folder


def environment(hub: Hub, caches: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MUSE_"))}
    return kept | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(caches / "hf"),
        "ATTENTION_TRANSPORT_CACHE": str(caches / "own"),
        "MUSE_MIRROR": f"{hub.url}/arrival/dictionaries",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **more,
    }


def run(command: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess:
    """Run one command of dvc.yaml in a folder."""
    words = command.split()
    assert words[:2] == ["python", "-m"], command
    return subprocess.run([sys.executable, *words[1:]], cwd=folder, env=env, capture_output=True, text=True)


def commands(project: Path, names: list[str], translators: list[str]) -> list[str]:
    """Return the commands of some stages of dvc.yaml, one for each translator where there is one for each."""
    stages = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = []
    for name in names:
        stage = stages[name]
        if "foreach" in stage:
            found += [stage["do"]["cmd"].replace("${key}", translator) for translator in translators]
        else:
            found.append(stage["cmd"])
    return found


@pytest.fixture(scope="module")
def done(hub, caches, paper, project, tmp_path_factory):
    """Run the paper's parameters with `sample.n_pairs` cut, while the server misbehaves; return the folder."""
    folder = make_project(
        tmp_path_factory.mktemp("paper") / "p", project, paper, sample__n_pairs=N_PAIRS, intervene__pairs=0
    )
    hub.faults += [
        Fault("503", r"^/api/models/", times=2),
        Fault("503", r"^/api/datasets/", times=2),
        Fault("cut", r"^/cdn/", times=3),
        Fault("503", r"en-fr.txt", times=2),
    ]
    said = {}
    for command in commands(project, ["corpus", "links", "extract", "align", "intervene"], list(paper["translators"])):
        if "extract" in command:
            hub.faults.append(Fault("cut", r"^/cdn/", times=1))
        result = run(command, folder, environment(hub, caches))
        assert result.returncode == 0, f"{command}\n{result.stderr[-3000:]}"
        said[command] = result.stderr
    assert not [fault for fault in hub.faults if fault.times], "every fault was met"
    return folder, said


def test_true_sizes(hub, paper):
    sizes = {
        name: next(iter(hub.repos[f"models/{spec['model']}"].commits.values()))["model.safetensors"].size
        for name, spec in paper["translators"].items()
    }
    assert sizes["opus-mt-en-fr"] == pytest.approx(MARIAN_BYTES, rel=0.005)
    assert sizes["mbert"] == pytest.approx(MBERT_BYTES, rel=0.005)


def test_corpus(done, paper, shared_data):
    folder, said = done
    pairs = pq.read_table(folder / "data/corpus/pairs.parquet").to_pylist()
    selection = json.loads((folder / "reports/metrics/corpus.json").read_text())
    assert len(pairs) == selection["kept"] == N_PAIRS
    assert selection["revision"] == paper["corpus"]["revision"]
    assert selection["n_rows"] == 16_573
    assert selection["method"] == "rows"
    assert 0 < selection["row_groups"]["read"] < selection["row_groups"]["in_all"]
    assert sum(selection["row_groups"]["by_file"].values()) == selection["row_groups"]["read"]
    from pipeline.corpus.words import normalise

    rows = newstest(shared_data)
    for pair in pairs:
        assert pair["src_text"] == normalise(rows[pair["pair_id"]]["en"], "en")
        assert pair["tgt_text"] == normalise(rows[pair["pair_id"]]["fr"], "fr")
    assert re.search(
        r"rows lie in \d+ of \d+ row groups; \d+ are to be downloaded \(\d",
        said["python -m pipeline.stages.corpus"],
    )


def test_links_name_the_licence(done):
    folder, said = done
    summary = json.loads((folder / "reports/metrics/links.json").read_text())
    assert summary["lexicon"]["licence"] == "CC BY-NC 4.0"
    assert summary["n_links"] > 3 * N_PAIRS
    assert said["python -m pipeline.stages.links"].count("CC BY-NC 4.0") == 1


@pytest.mark.parametrize(
    ("name", "n_layers", "n_heads", "n_parameters"),
    [("opus-mt-en-fr", 6, 8, 75.1e6), ("mbert", 12, 12, 177.9e6)],
)
def test_blocks(done, paper, name, n_layers, n_heads, n_parameters):
    import numpy as np

    from pipeline.attention.store import read_blocks, read_manifest

    folder, _ = done
    for split, n in (("trained", N_PAIRS), ("random_init", N_PAIRS), ("gold-demo", 210)):
        manifest = read_manifest(folder / "data/attention" / name / split)
        assert manifest["revision"] == paper["translators"][name]["revision"]
        assert manifest["n_pairs"] + sum(manifest["skipped"].values()) == n
        assert manifest["skipped"] == {}
        assert (manifest["n_layers"], manifest["n_heads"]) == (n_layers, n_heads)
        assert manifest["n_parameters"] == pytest.approx(n_parameters, rel=0.01)
        blocks = list(read_blocks(folder / "data/attention" / name / split))
        assert len(blocks) == n
        for block in blocks:
            assert np.isfinite(block.attention).all()
            assert block.attention.shape[:2] == (2, n_layers)
            assert set(block.cost) == set(manifest["levels"])
            for kind, cost in block.cost.items():
                assert np.isfinite(cost).all() and (cost >= 0).all() and len(cost) == manifest["levels"][kind]
            if name != "mbert":
                total = block.attention.sum(-1).mean(-1) + block.special
                np.testing.assert_allclose(total, 1, atol=2e-3)


def test_metrics(done, paper, project):
    folder, _ = done
    align = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["align"]["do"]
    outs = [
        out if isinstance(out, str) else next(iter(out)) for out in align["outs"] + align["metrics"] + align["plots"]
    ]
    for name in paper["translators"]:
        for out in outs:
            path = folder / out.replace("${key}", name)
            assert all(file.stat().st_size > 100 for file in (path.iterdir() if path.is_dir() else [path]))
        curves = pd.read_csv(folder / f"reports/metrics/translators/{name}/curves.csv")
        assert set(curves.control) == {
            "trained", "random_init", "weight_shuffled", "mispaired", "uniform", "position"
        }  # fmt: skip
        assert curves[["value", "low", "high"]].notna().all(axis=None)
        # Fresh weights know no words: the score of "trained" is at the floor, as near as 64 sentences tell.
        mass = curves[curves.score == "mean_mass"].set_index(["control", "view", "layer"]).value
        assert (mass.loc["trained"] - mass.loc["random_init"]).abs().max() < 0.05


def test_the_page(done, hub, caches, project, paper):
    """Certificate and training do not depend on text or models: the demo's are put beside the paper's metrics."""
    folder, _ = done
    for path in (project / "reports" / "metrics").glob("certificate*"):
        shutil.copy(path, folder / "reports" / "metrics" / path.name)
    shutil.copytree(project / "reports" / "metrics" / "learn", folder / "reports" / "metrics" / "learn")
    for command in commands(project, ["claims", "report"], []):
        result = run(command, folder, environment(hub, caches, HF_HUB_OFFLINE="1"))
        assert result.returncode == 0, result.stderr[-3000:]
    page = (folder / "reports" / "index.html").read_text(encoding="utf-8")
    for name, spec in paper["translators"].items():
        assert name in page
        assert spec["model"] in page
        assert spec["revision"][:12] in page
    assert "CC BY-NC 4.0" in page
    assert not re.search(r"""<(script|link|img)[^>]*(src|href)=["']?https?:""", page), "the page is offline"
    assert len(list((folder / "reports" / "figures").glob("*.svg"))) >= 5


def test_a_second_run_is_offline_and_gives_the_same_bytes(done, hub, caches, project, paper, tmp_path):
    folder, _ = done
    again = make_project(tmp_path / "p", project, paper, sample__n_pairs=N_PAIRS)
    n_requests = len(hub.log)
    env = environment(hub, caches, HF_HUB_OFFLINE="1")
    for command in commands(project, ["corpus", "links", "extract"], ["opus-mt-en-fr"]):
        result = run(command, again, env)
        assert result.returncode == 0, result.stderr[-3000:]
    assert len(hub.log) == n_requests
    compared = 0
    for path in sorted(again.rglob("data/[acl]*/**/*")):
        if path.is_file() and "demo" not in path.parts:
            assert path.read_bytes() == (folder / path.relative_to(again)).read_bytes(), path
            compared += 1
    assert compared >= 5


def test_half_of_a_model_is_resumed_where_it_broke_off(done, hub):
    spans = [request.range for request in hub.log if request.path.startswith("/cdn/") and request.range]
    assert [span for span in spans if int(re.match(r"bytes=(\d+)", span)[1]) >= 100_000_000], "a cut download goes on"


def test_both_methods_choose_the_same_rows(done, hub, caches, project, paper, tmp_path):
    folder, _ = done
    whole = make_project(tmp_path / "full", project, paper, sample__n_pairs=N_PAIRS, sample__method="full")
    result = run("python -m pipeline.stages.corpus", whole, environment(hub, tmp_path / "caches"))
    assert result.returncode == 0, result.stderr
    assert "all of it is downloaded once" in result.stderr
    a, b = ((where / "data/corpus/pairs.parquet").read_bytes() for where in (folder, whole))
    assert a == b


def test_head_takes_the_first_rows(hub, caches, project, paper, tmp_path):
    head = make_project(tmp_path / "head", project, paper, sample__n_pairs=5, sample__method="head")
    result = run("python -m pipeline.stages.corpus", head, environment(hub, caches))
    assert result.returncode == 0, result.stderr
    selection = json.loads((head / "reports/metrics/corpus.json").read_text())
    assert selection["row_groups"]["read"] == 1
    assert selection["looked_at"] < 100


@pytest.mark.parametrize("pair", ["fr-en", "en-de"])
def test_another_pair_by_parameters_only(done, hub, caches, project, paper, tmp_path, pair):
    translators = {"mbert": paper["translators"]["mbert"]}
    other = make_project(
        tmp_path / pair, project, paper,
        corpus__pair=pair, sample__n_pairs=12, translators__all=translators, gold__all=None,
    )  # fmt: skip
    for command in commands(project, ["corpus", "links", "extract", "align"], ["mbert"]):
        result = run(command, other, environment(hub, caches))
        assert result.returncode == 0, f"{command}\n{result.stderr[-3000:]}"
    summary = json.loads((other / "reports/metrics/translators/mbert/summary.json").read_text())
    assert summary["n_pairs"] > 0


class TestOneLine:
    """What cannot pass ends in one line on stderr, exit code 1, and no output."""

    def _fails(self, stage, folder, env, out):
        result = run(stage, folder, env)
        assert result.returncode == 1
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, result.stderr
        assert "Traceback" not in result.stderr
        assert not (folder / out).exists()
        return lines[0]

    def test_unknown_revision(self, hub, project, paper, tmp_path):
        folder = make_project(tmp_path / "p", project, paper, corpus__revision="a" * 40)
        line = self._fails("python -m pipeline.stages.corpus", folder, environment(hub, tmp_path), "data/corpus")
        assert "corpus.source: wmt/wmt14 has no revision aaaa" in line

    def test_gated(self, hub, project, paper, tmp_path):
        repo = hub.repos["datasets/wmt/wmt14"]
        repo.gated = True
        try:
            folder = make_project(tmp_path / "p", project, paper)
            line = self._fails("python -m pipeline.stages.corpus", folder, environment(hub, tmp_path), "data/corpus")
        finally:
            repo.gated = False
        assert "set HF_TOKEN" in line

    def test_main_branch_with_the_old_format_only(self, done, hub, caches, project, paper, tmp_path):
        name = paper["translators"]["opus-mt-en-fr"]["model"]
        old = tmp_path / "old"
        old.mkdir()
        (commit,) = hub.repos[f"models/{name}"].commits.values()
        for path, file in commit.items():
            if path != "model.safetensors":
                (old / path).write_bytes(file.path.read_bytes())
        (old / "pytorch_model.bin").write_bytes(b"not looked at")
        hub.add(f"models/{name}", old, commit="d" * 40)
        translators = json.loads(json.dumps(paper["translators"]))
        translators["opus-mt-en-fr"]["revision"] = None
        folder = make_project(tmp_path / "p", project, paper, translators__all=translators)
        shutil.copytree(done[0] / "data/corpus", folder / "data/corpus")
        result = run("python -m pipeline.stages.extract opus-mt-en-fr", folder, environment(hub, caches))
        remedy = f"python -m pipeline convert {name} models/opus-mt-en-fr"
        assert result.returncode == 0 and "the run goes on without it" in result.stderr  # the other translators go on
        assert "Traceback" not in result.stderr and remedy in result.stderr
        left = [file.name for file in (folder / "data/attention/opus-mt-en-fr").iterdir()]
        assert left == ["failed.json"]


def test_doctor_says_what_is_cached_and_what_is_not(done, hub, caches, paper, tmp_path):
    folder, _ = done
    result = run("python -m pipeline doctor --no-probe", folder, environment(hub, caches))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "model (Helsinki-NLP/opus-mt-en-fr at f0fc6145f2a2): cached (304 MB)" in result.stdout
    fresh = run("python -m pipeline doctor --no-probe", folder, environment(hub, tmp_path))
    assert re.search(r"google-bert/bert-base-multilingual-cased at 3f076fdb1ab6\): 71\d MB to download", fresh.stdout)
    assert re.search(r"corpus \(wmt/wmt14 at b199e406369e, row groups; .* in all\): about .* to download", fresh.stdout)
    assert not (tmp_path / "hf").exists(), "nothing is downloaded"
