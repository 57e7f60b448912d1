"""Batches read one over the other: the same bytes as one after the other, in the same order, and errors that arrive."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from tests.pipeline.test_attention_models import folders, pairs  # noqa: F401

READS = {"marian": "cross", "bert": "joint"}


def _reader(folders, name, *, dtype="float32", norms=True, device="cpu"):
    from pipeline.attention.extract import make_reader
    from pipeline.attention.load import load_translator
    from pipeline.attention.reader import Asked
    from pipeline.params import Translator

    spec = Translator(model=str(folders / name), reads=READS[name])
    translator = load_translator(spec.model, reads=spec.reads, dtype=dtype, device=device)
    return make_reader(translator, spec, asked=Asked(norms=norms))


def _many(pairs, n=30):
    return [replace(pairs[i % len(pairs)], pair_id=i) for i in range(n)]


def _shards(reader, pairs, folder, **options):
    from pipeline.attention.engine import write_shards

    done = []
    found = write_shards(reader, pairs, folder, tokens_per_batch=64, advance=done.append, heads_pairs=9, **options)
    assert sum(done) == len(pairs)
    return found


class TestAhead:
    """One call ahead of what is asked for."""

    @pytest.mark.parametrize("n", [0, 1, 2, 7])
    def test_order(self, n):
        from pipeline.attention.ahead import ahead

        calls = [partial(int, i) for i in range(n)]
        with ThreadPoolExecutor(2) as pool:
            assert list(ahead(calls, pool)) == list(ahead(calls, None)) == list(range(n))

    def test_the_next_is_begun_before_one_is_given_out(self):
        from pipeline.attention.ahead import ahead

        begun = [threading.Event() for _ in range(3)]
        with ThreadPoolExecutor(2) as pool:
            results = ahead((event.set for event in begun), pool)
            next(results)
            assert begun[1].wait(5)
            assert not begun[2].is_set()
            list(results)
        assert not any(event.clear() for event in begun)
        plain = ahead((event.set for event in begun), None)
        next(plain)
        assert [event.is_set() for event in begun] == [True, False, False]

    def test_an_error_arrives_in_its_place(self):
        from pipeline.attention.ahead import ahead

        with ThreadPoolExecutor(2) as pool:
            results = ahead((partial(int, text) for text in ("1", "two", "3")), pool)
            assert next(results) == 1
            with pytest.raises(ValueError, match="two"):
                next(results)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", READS)
def test_the_same_shards(folders, pairs, name, dtype, tmp_path, monkeypatch):
    from pipeline.attention import engine

    monkeypatch.setattr(engine, "PAIRS_A_SHARD", 8)
    long = replace(pairs[2], pair_id=99, src_text=" ".join([pairs[2].src_text] * 9), src_words=pairs[2].src_words * 9)
    many = [*_many(pairs), long]
    reader = _reader(folders, name, dtype=dtype)
    plain = _shards(reader, many, tmp_path / "plain")
    assert _shards(reader, many, tmp_path / "ahead", overlap=True) == plain
    checksums, skipped, n_read = plain
    assert (len(checksums), dict(skipped), n_read) == (4, {"too_long": 1}, 30)
    # What lies there already is kept.
    assert _shards(reader, many, tmp_path / "ahead", overlap=True) == plain


@pytest.mark.parametrize("name", READS)
def test_blocks_are_as_they_are_read_back(folders, pairs, name, tmp_path):
    from pipeline.attention.ahead import read_ahead
    from pipeline.attention.engine import tokenise_all
    from pipeline.attention.store import read_shard, write_shard

    reader = _reader(folders, name)
    examples, _ = tokenise_all(reader, _many(pairs, 8))
    batches = [(examples[:3], True), (examples[3:7], False), (examples[7:], True)]
    with ThreadPoolExecutor(2) as pool:
        found = [block for of_batch in read_ahead(reader, batches, pool) for block in of_batch]
    write_shard(tmp_path / "shard.arrow", found)
    stored = read_shard(tmp_path / "shard.arrow", 2, reader.translator.n_layers, heads=True)
    for block, back in zip(found, stored, strict=True):
        assert block.pair_id == back.pair_id
        assert (block.heads is None) == (back.heads is None)
        for field in ("attention", "special", "norm", "heads"):
            if getattr(block, field) is not None:
                np.testing.assert_array_equal(getattr(block, field), getattr(back, field))
        for field in ("cost", "cosine", "cosine_raw"):
            for kind, array in getattr(block, field).items():
                np.testing.assert_array_equal(array, getattr(back, field)[kind])


def test_a_number_that_is_none_is_refused_from_its_thread(folders, pairs, tmp_path):
    from pipeline.errors import PipelineError

    reader = _reader(folders, "bert")
    with torch.no_grad():
        reader.translator.model.encoder.layer[1].output.dense.bias[0] = float("inf")
    with pytest.raises(PipelineError, match=r"attention and states of .*bert must be finite, but "):
        _shards(reader, _many(pairs), tmp_path / "x", overlap=True)
    assert not list((tmp_path / "x").glob("*.arrow"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", READS)
def test_the_same_shards_on_a_card(folders, pairs, name, dtype, tmp_path, monkeypatch):
    from pipeline.attention import engine

    monkeypatch.setattr(engine, "PAIRS_A_SHARD", 8)
    reader = _reader(folders, name, dtype=dtype, device="cuda")
    plain = _shards(reader, _many(pairs), tmp_path / "plain")
    assert _shards(reader, _many(pairs), tmp_path / "ahead", overlap=True) == plain
