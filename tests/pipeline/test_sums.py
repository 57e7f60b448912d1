"""Reading for sums alone: what stored blocks give, the same bytes by any engine, and after a worker or the run is lost."""

import os
import signal
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from pipeline.alignment import added as added_module
from pipeline.alignment import planned
from pipeline.alignment.added_file import read_added, write_added
from pipeline.alignment.inputs import Inputs, Split
from pipeline.alignment.measure import measure
from pipeline.conventions import CORRECTED
from pipeline.errors import PipelineError
from pipeline.params import Align, Extract, Params, Ray, demo_translators
from pipeline.sums.worker import Reading

ROWS, N = 8, 30
SETTINGS = Align(transport_pairs=6, plan_pairs=8, resamples=50, methods=("argmax_tgt",))
EXTRACT = Extract(keep="sums", heads_pairs=10)


@pytest.fixture(scope="module")
def text(project):
    """Pairs of the demo with hand-made links in the dictionary's place; one of them is too long to be read."""
    from pipeline.use.develop import read_development

    found = read_development(str(project / "data/demo/pairs.tsv"), None, base=0, languages="en-fr")[:N]
    links = {item.pair.pair_id: item.links.sure for item in found if len(item.links.sure)}
    pairs = [item.pair for item in found]
    pairs[3] = replace(pairs[3], src_text="a " * 400, src_words=("a",) * 400)
    return pairs, links


@pytest.fixture(autouse=True)
def _small_steps(project, monkeypatch):
    from pipeline.attention import engine
    from pipeline.sums import gather

    monkeypatch.chdir(project)
    monkeypatch.setattr(engine, "PAIRS_A_SHARD", ROWS)
    for module in (added_module, planned, gather):
        monkeypatch.setattr(module, "ROWS", ROWS)
    for module in (planned, gather):
        monkeypatch.setattr(module, "SHOWN", 4)
    monkeypatch.setattr(gather, "SAVE_EVERY", 1)


def readings(splits=("trained", "random_init")):
    spec = demo_translators()["mini-marian"]
    return [Reading("mini-marian", spec, EXTRACT, split, split, "en-fr", (), CORRECTED, "as it is") for split in splits]


def inputs_of(text, trained=None, controls=None):
    pairs, links = text
    return Inputs(pairs, links, trained or Split({}, ()), controls=controls or {}, min_links=2)


def gathered(engine, text, folder, name="sums"):
    from pipeline.sums.gather import gather

    with closing(engine):
        return gather(
            engine, text[0], inputs_of(text), SETTINGS, CORRECTED,
            reading=readings()[0], work=folder / "work", target=folder / name,
        )  # fmt: skip


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def local(text, tmp_path):
    from pipeline.sums.engines import LocalEngine

    gathered(LocalEngine(readings()), text, tmp_path)
    return tmp_path / "sums"


def test_sums_give_what_stored_blocks_give(text, local, tmp_path):
    from pipeline.attention.extract import extract

    for split in ("trained", "random_init"):
        where = {"work": tmp_path / "work", "target": tmp_path / "blocks" / split}
        spec = demo_translators()["mini-marian"]
        extract("mini-marian", spec, EXTRACT, text[0], control=split, split=split, languages="en-fr", **where)
    read = {
        kind: [Split.read(tmp_path / kind / split) for split in ("trained", "random_init")]
        for kind in ("blocks", "sums")
    }
    by_blocks = measure(inputs_of(text, read["blocks"][0], {"random_init": read["blocks"][1]}), SETTINGS)
    by_sums = measure(
        inputs_of(text, read["sums"][0], {"random_init": read["sums"][1]}), SETTINGS,
        added=read_added(local / "added.npz"),
    )  # fmt: skip
    with pytest.raises(PipelineError, match=r"added: must be given where only sums are kept .*read added.npz beside"):
        measure(inputs_of(text, read["sums"][0]), SETTINGS)
    for name, table in by_blocks.tables.items():
        pd.testing.assert_frame_equal(by_sums.tables[name], table, rtol=0, atol=1e-9, obj=name)
    assert by_sums.example == by_blocks.example
    for key in ("n_pairs", "dropped", "best", "special_mass", "other_side_mass", "without_partner", "evidence"):
        assert by_sums.summary[key] == by_blocks.summary[key], key
    assert by_blocks.summary["dropped"]["too_long"] == 1
    stored = {block.pair_id for block in read["sums"][0].blocks}
    assert len(stored) < len(list(read["blocks"][0].blocks)), "not every pair's blocks are stored"
    assert set(by_sums.scores["pair_id"]) <= stored and len(by_sums.scores) < len(by_blocks.scores)


def test_a_run_that_was_cut_off_goes_on_with_the_same_bytes(text, local, tmp_path):
    from pipeline.sums.engines import LocalEngine

    class Dies(LocalEngine):
        def run(self, tasks):
            for done in super().run(tasks):
                if done.step == 2:
                    raise KeyboardInterrupt
                yield done

    class Counts(LocalEngine):
        steps: tuple[int, ...] = ()

        def run(self, tasks):
            for done in super().run(tasks):
                self.steps += (done.step,)
                yield done

    with pytest.raises(KeyboardInterrupt):
        gathered(Dies(readings()), text, tmp_path / "cut")
    engine = Counts(readings())
    gathered(engine, text, tmp_path / "cut")
    assert engine.steps == (2, 3), "what was done is not done again"
    assert contents(tmp_path / "cut" / "sums") == contents(local)


def test_added_comes_back_from_its_file_with_the_same_bytes(local, tmp_path):
    write_added(read_added(local / "added.npz"), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (local / "added.npz").read_bytes()
    with pytest.raises(PipelineError, match=r"added.npz of stage sums is needed, but .* is not there"):
        read_added(tmp_path / "added.npz")


def test_text_that_cannot_be_read_is_refused(text, tmp_path):
    from pipeline.sums.engines import LocalEngine

    long = [replace(pair, src_text="a " * 400, src_words=("a",) * 400) for pair in text[0]]
    with pytest.raises(PipelineError, match=r"translators.mini-marian: one of the first pairs must be readable, but"):
        gathered(LocalEngine(readings()), (long, text[1]), tmp_path)


def test_ray_without_the_package_says_how_to_get_it(monkeypatch):
    import sys

    from pipeline.sums.engines import engine_of

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PipelineError, match=r"extract.engine: ray needs the extra package.*pip install -e .\[ray\]"):
        engine_of("ray", readings(), Ray())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extract": {"engine": "ray"}}, "engine: ray is for keep: sums, but keep is blocks; use local, or keep: sums"),
        ({"extract": {"keep": "sums"}, "align": {"plan_pairs": 2000}}, "align.plan_pairs: at most 1500 where"),
        ({"extract": {"keep": "sums", "heads_pairs": 1501}}, "extract.heads_pairs: at most 1500 where"),
        ({"extract": {"keep": "sums"}, "report": {"explorer_pairs": 241}}, "report.explorer_pairs: at most 240 where"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        Params.model_validate(changes)


@pytest.mark.parametrize(
    ("n_gpus", "settings", "said"),
    [
        (0, {"workers": 1, "gpus": 1}, "ray.workers: must be at most 0 where ray.gpus is 1 .* has 0 GPUs, but it is 1; "
         "lower ray.gpus to 0"),
        (2, {"workers": 3, "gpus": 1}, "at most 2 where ray.gpus is 1 .* but it is 3; lower ray.workers, or ray.gpus so"),
        (2, {"workers": 5, "gpus": 0.4}, "at most 4 where ray.gpus is 0.4 .* but it is 5"),
        (3, {"workers": 2, "gpus": 2}, "at most 1 where ray.gpus is 2 .* but it is 2"),
    ],
)  # fmt: skip
def test_workers_that_would_wait_for_gpus_without_end_are_refused(monkeypatch, n_gpus, settings, said):
    import torch

    from pipeline.sums import engines

    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(PipelineError, match=said):
        engines._check_gpus(Ray(**settings))
    engines._check_gpus(Ray(**{**settings, "workers": 4}, address="auto"))
    engines._check_gpus(Ray(workers=9))
    if settings["gpus"] == 0.4:
        engines._check_gpus(Ray(workers=4, gpus=0.4))


@pytest.fixture
def small_ray(monkeypatch):
    """Ray with the least memory it takes; `RAY_ADDRESS` names a cluster that nobody runs."""
    ray = pytest.importorskip("ray", reason="ray is an extra: pip install -e '.[ray]'")
    monkeypatch.setattr(ray, "init", partial(ray.init, object_store_memory=80 * 2**20))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    return ray


def test_what_is_no_address_is_refused(small_ray):
    from pipeline.sums.engines import RayEngine

    said = (
        r"ray.address: must be that of a running cluster, or null, but 'nonsense' does not answer .*`ray start --head`"
    )
    with pytest.raises(PipelineError, match=said):
        RayEngine(readings(), Ray(address="nonsense"))


@pytest.mark.slow
@pytest.mark.parametrize("dying", [(), (2,), (0, 3)])
def test_ray_gives_the_same_bytes_though_workers_are_lost(text, local, tmp_path, monkeypatch, small_ray, dying):
    from pipeline.sums import engines

    class Dies(engines._ThereWorker):
        """Kills its own process in the middle of some steps, the first time that each is read."""

        def run(self, task):
            done, mark = super().run(task), tmp_path / f"step-{task.step}"
            if task.step in dying and not mark.exists():
                mark.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            return done

    monkeypatch.setattr(engines.RayEngine, "there", Dies)
    gathered(engines.RayEngine(readings(), Ray(workers=2)), text, tmp_path / "ray")
    killed = {path.name: path.read_text() for path in tmp_path.glob("step-*")}
    assert sorted(killed) == [f"step-{step}" for step in dying], "workers were killed in these steps"
    assert len(set(killed.values())) == len(dying), "each another process"
    assert not small_ray.is_initialized(), "the cluster that was started is gone"
    assert contents(tmp_path / "ray" / "sums") == contents(local)


@pytest.mark.slow
def test_rows_that_kill_every_worker_end_the_run(text, tmp_path, monkeypatch, small_ray):
    from pipeline.sums import engines

    class Dies(engines._ThereWorker):
        def run(self, task):
            if task.step == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().run(task)

    monkeypatch.setattr(engines.RayEngine, "there", Dies)
    with pytest.raises(PipelineError, match=r"ray: a worker may be lost 2 times .* but was 3 times over those from"):
        gathered(engines.RayEngine(readings(), Ray(workers=2)), text, tmp_path)


def test_rows_that_cost_worker_after_worker_end_the_run():
    from pipeline.sums.engines import RayEngine

    RayEngine._check_losses(2048, 2)
    with pytest.raises(PipelineError, match=r"ray: a worker may be lost 2 times over the same rows, but was 3 times"):
        RayEngine._check_losses(2048, 3)


def test_blocks_in_another_order_are_refused(text):
    from tests.pipeline.test_alignment_measure import make_blocks

    rng = np.random.default_rng(0)
    one = make_blocks(text[0][0], np.zeros((1, 2), dtype=np.int64), 1.0, rng)
    blocks = [replace(one, pair_id=pair.pair_id) for pair in text[0]]
    assert [len(part["x"]) for part in added_module.by_rows({"x": blocks}, text[0])] == [8, 8, 8, 6]
    with pytest.raises(PipelineError, match=r"blocks: must come in the order of the pairs, but those of x do not"):
        list(added_module.by_rows({"x": blocks[::-1]}, text[0]))
