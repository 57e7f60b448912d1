"""Models from the hub, against a stand-in: what is fetched, what is refused, what is never taken for whole."""

import json
import re

import pytest
import torch

from tests.hub.fixtures import COMMIT, hub, offline  # noqa: F401
from tests.hub.server import Fault

NAME = "someone/tiny-bert"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a BERT of two layers in the layout of the hub, with everything that must not be fetched."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "a",
        "big",
        "dog",
        "sees",
        "un",
        "gros",
        "chien",
        "voit",
        ".",
    ]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    for name in ("tf_model.h5", "flax_model.msgpack", "modeling_evil.py", "README.md"):
        (folder / name).write_bytes(b"never fetched")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def model_hub(hub, tiny):
    hub.add(f"models/{NAME}", tiny, commit=COMMIT, refs=("main", "refs/pr/9"))
    return hub


def _load(name=NAME, **kwargs):
    from pipeline.attention.load import load_translator

    return load_translator(name, reads="joint", device="cpu", **kwargs)


def _weights(translator):
    return torch.cat([p.flatten() for p in translator.model.parameters()])


def test_only_what_is_read_is_fetched(model_hub, tiny):
    lines = []
    translator = _load(revision=COMMIT, say=lines.append)
    assert torch.equal(_weights(translator), _weights(_load(str(tiny))))
    assert translator.revision == COMMIT
    fetched = {request.path.rsplit("/", 1)[1] for request in model_hub.log if "/resolve/" in request.path}
    assert fetched == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    (line,) = lines
    assert re.fullmatch(rf"{NAME} at 0123456789ab: 5 files to download \(\d\d kB\)", line)


@pytest.mark.parametrize("revision", [None, "main", "refs/pr/9", COMMIT])
def test_every_way_to_name_a_revision_becomes_the_commit(model_hub, revision):
    assert _load(revision=revision).revision == COMMIT


def test_fresh_weights_need_no_weights_from_the_hub(model_hub):
    translator = _load(revision=COMMIT, control="random_init", seed=3)
    assert not [request for request in model_hub.log if request.path.endswith("model.safetensors")]
    assert not torch.equal(_weights(translator), _weights(_load(revision=COMMIT)))


def test_nothing_but_the_listed_routes_is_asked_for(model_hub):
    _load()
    assert {request.status for request in model_hub.log} <= {200, 302}
    assert not [
        request for request in model_hub.log if "discussions" in request.path or "pr" in request.path.split("/")
    ]


def test_offline_once_cached_and_what_is_missing_before(model_hub, offline):
    from pipeline.errors import PipelineError

    _load(revision=COMMIT, control="random_init")
    offline()
    n_requests = len(model_hub.log)
    with pytest.raises(
        PipelineError,
        match=r"^translators.model: model.safetensors \(\d+ kB\) of someone/tiny-bert at 0123456789ab is not in the cache, and HF_HUB_OFFLINE forbids to download it; run once with a connection$",
    ):
        _load(revision=COMMIT)
    assert _load(revision=COMMIT, control="random_init").revision == COMMIT
    assert len(model_hub.log) == n_requests


def test_cached_models_load_offline(model_hub, offline):
    first = _weights(_load())
    offline()
    assert torch.equal(_weights(_load()), first)


def test_shards_of_weights(model_hub, tiny, tmp_path):
    from transformers import BertModel

    folder = tmp_path / "sharded"
    BertModel.from_pretrained(tiny).save_pretrained(folder, max_shard_size="4kB")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    model_hub.add("models/someone/sharded", folder, commit="a" * 40)
    assert torch.equal(_weights(_load("someone/sharded")), _weights(_load(str(tiny))))


@pytest.mark.slow  # what fails is tried again after a while
class TestFaults:
    """Success after another try, or one clear line; never half of a file."""

    @pytest.mark.parametrize(("kind", "times"), [("503", 2), ("cut", 2), ("flip", 1)])
    @pytest.mark.parametrize("path", [r"^/cdn/", r"/resolve/.*/vocab.txt"])
    def test_what_passes(self, model_hub, tiny, kind, times, path):
        model_hub.faults.append(Fault(kind, path, times=times))
        assert torch.equal(_weights(_load(revision=COMMIT)), _weights(_load(str(tiny))))
        assert not model_hub.faults[0].times

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_busy_hub(self, model_hub, method):
        model_hub.faults.append(Fault("503", "config.json" if method == "HEAD" else "^/api/", 2, method))
        assert _load(revision=COMMIT).revision == COMMIT
        assert not model_hub.faults[0].times

    def test_a_wrong_checksum_twice(self, model_hub, tmp_path):
        from pipeline.errors import PipelineError

        model_hub.faults.append(Fault("flip", r"^/cdn/", times=2))
        with pytest.raises(
            PipelineError,
            match=r"^translators.model: model.safetensors of someone/tiny-bert at 0123456789ab arrived damaged twice \(its checksum is not \w{64}\) and was removed; try again later, or another mirror \(HF_ENDPOINT\)$",
        ):
            _load(revision=COMMIT)
        assert not [
            path
            for path in (tmp_path / "hub-cache").rglob("*")
            if path.name.endswith((".safetensors", ".incomplete")) and path.exists()
        ]
        assert _load(revision=COMMIT).revision == COMMIT

    def test_a_connection_that_always_breaks(self, model_hub, tmp_path, tiny):
        from pipeline.errors import PipelineError

        model_hub.faults.append(Fault("cut", r"/resolve/.*vocab.txt", times=999))
        with pytest.raises(
            PipelineError,
            match=r"^translators.model: someone/tiny-bert could not be read from http\S+ \(.*\); check the connection",
        ):
            _load(revision=COMMIT)
        model_hub.faults.clear()
        assert torch.equal(_weights(_load(revision=COMMIT)), _weights(_load(str(tiny))))

    def test_no_such_revision(self, model_hub):
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError,
            match=r"^translators.model: someone/tiny-bert has no revision v7; look for a commit's hash at http\S+/someone/tiny-bert/commits/main$",
        ):
            _load(revision="v7")

    def test_gated(self, model_hub, monkeypatch):
        from pipeline.errors import PipelineError

        model_hub.repos[f"models/{NAME}"].gated = True
        with pytest.raises(
            PipelineError,
            match=r"^translators.model: someone/tiny-bert wants an account .*accept them at http\S+/someone/tiny-bert and set HF_TOKEN$",
        ):
            _load()
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
        assert _load().revision == COMMIT

    def test_not_there(self, model_hub):
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError,
            match=r"^translators.model: someone/else is not there or is private .*; correct the name, or set HF_TOKEN$",
        ):
            _load("someone/else")

    def test_no_name_of_the_hub(self, model_hub):
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError,
            match=r"a model on the hub is owner/name, but it is 'some one/else'; correct it, or name a folder$",
        ):
            _load("some one/else")
        with pytest.raises(
            PipelineError,
            match=r"must be a hub name or a folder with .* but there is no folder './data/none'; correct it",
        ):
            _load("./data/none")

    def test_a_repository_without_a_model(self, hub, tmp_path):
        from pipeline.errors import PipelineError

        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "README.md").write_text("nothing")
        hub.add("models/someone/empty", tmp_path / "empty", commit=COMMIT)
        with pytest.raises(
            PipelineError,
            match=r"someone/empty at 0123456789ab must hold a model, but it has no config.json; name another",
        ):
            _load("someone/empty")


class TestOldWeights:
    """Weights in Python's pickle format are refused with the command that converts them."""

    @pytest.fixture
    def old(self, hub, tiny, tmp_path):
        folder = tmp_path / "old"
        folder.mkdir()
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            (folder / name).write_bytes((tiny / name).read_bytes())
        from safetensors.torch import load_file

        torch.save(load_file(tiny / "model.safetensors"), folder / "pytorch_model.bin")
        hub.add("models/someone/old", folder, commit=COMMIT)
        return folder

    @pytest.mark.parametrize("where", ["hub", "folder"])
    def test_refused_with_the_command_that_then_works(self, old, tiny, where, tmp_path, monkeypatch):
        from pipeline.attention.convert import convert
        from pipeline.errors import PipelineError

        name = "someone/old" if where == "hub" else str(old)
        command = (
            rf"convert them with `python -m pipeline convert {re.escape(name)} models/old` and set model: models/old"
        )
        with pytest.raises(
            PipelineError,
            match=rf"weights are read from model.safetensors, but .* has only pytorch_model.bin; {command}",
        ):
            _load(name)
        monkeypatch.chdir(tmp_path)
        convert(name, "models/old")
        assert torch.equal(_weights(_load("models/old")), _weights(_load(str(tiny))))
        convert(name, "models/old")  # once more over itself

    @pytest.mark.parametrize("architecture", ["BertForMaskedLM", "Unknown", "pipeline"])
    def test_the_head_that_was_saved_is_kept(self, tiny, tmp_path, architecture):
        from safetensors.torch import load_file
        from transformers import BertConfig, BertForMaskedLM

        from pipeline.attention.convert import convert

        old = tmp_path / "old"
        model = BertForMaskedLM(BertConfig.from_pretrained(tiny))
        model.save_pretrained(old)
        (old / "model.safetensors").unlink()
        torch.save(model.state_dict(), old / "pytorch_model.bin")
        config = json.loads((old / "config.json").read_text())
        (old / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
        convert(str(old), tmp_path / "new")
        kept = "cls.predictions.transform.dense.weight" in load_file(tmp_path / "new" / "model.safetensors")
        assert kept == (architecture == "BertForMaskedLM")

    def test_code_in_the_weights_never_runs(self, old, hub, tmp_path):
        from pipeline.attention.convert import convert
        from pipeline.errors import PipelineError

        ran = tmp_path / "ran"

        class Evil:
            def __reduce__(self):
                return (open, (str(ran), "w"))

        torch.save({"x": Evil()}, old / "pytorch_model.bin")
        with pytest.raises(PipelineError, match=r"translators.model: the weights of .*old must be plain tensors"):
            convert(str(old), tmp_path / "converted")
        assert not ran.exists()
        assert not (tmp_path / "converted").exists()

    def test_a_target_that_is_something_else(self, old, tmp_path):
        from pipeline.attention.convert import convert
        from pipeline.errors import PipelineError

        (tmp_path / "mine").mkdir()
        with pytest.raises(
            PipelineError, match=r"target: a new folder, or one with a model, but .*mine is something else"
        ):
            convert(str(old), tmp_path / "mine")

    def test_nothing_to_convert(self, tiny, tmp_path):
        from pipeline.attention.convert import convert
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError, match=r"has no pytorch_model.bin to convert; use it as it is, or name another"
        ):
            convert(str(tiny), tmp_path / "x")

    def test_no_weights_at_all(self, tiny, tmp_path):
        from pipeline.errors import PipelineError

        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "config.json").write_text(json.dumps({"model_type": "bert"}))
        with pytest.raises(
            PipelineError, match=r"none must hold model.safetensors, but it has no weights; name another"
        ):
            _load(str(tmp_path / "none"))
