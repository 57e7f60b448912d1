"""Batches, shards, resume and what is read back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline._output import SCHEMA

N_LAYERS = 2
LEVELS = {"output_step": 3, "encoder": 2}


class FakeReader:
    """A reader without a model: the block of a pair is its number; words that contain `?` are unreadable."""

    views = ("output_step", "input_step")
    conventions = {}  # noqa: RUF012

    def __init__(self):
        self.batches = []

    def tokenise(self, pair):
        from pipeline.attention.reader import Example
        from pipeline.attention.word_map import UnmappableError

        if "?" in pair.src_words:
            raise UnmappableError("too_long", "text: too long")
        n_src, n_tgt = len(pair.src_words), len(pair.tgt_words)
        return Example(
            pair.pair_id, {"src": [0] * n_src, "tgt": [0] * n_tgt}, np.eye(n_src), np.eye(n_tgt), [False] * n_src, {}
        )

    def read(self, examples, *, heads=False):
        from pipeline.attention.store import PairBlocks

        self.batches.append([example.pair_id for example in examples])
        blocks = []
        for e in examples:
            n_src, n_tgt = len(e.src), len(e.tgt)
            blocks.append(
                PairBlocks(
                    e.pair_id,
                    np.full((2, N_LAYERS, n_tgt, n_src), 1 / (1 + e.pair_id)),
                    np.full((2, N_LAYERS), 0.25),
                    e.src.sum(1),
                    e.tgt.sum(1),
                    {
                        kind: np.arange(n * n_src * n_tgt, dtype=float).reshape(n, n_src, n_tgt)
                        for kind, n in LEVELS.items()
                    },
                    {kind: np.full((n, n_src, n_tgt), 0.5) for kind, n in LEVELS.items()},
                    {kind: np.full((n, n_src, n_tgt), 0.9997) for kind, n in LEVELS.items()},
                    heads=np.full((2, N_LAYERS, 3, n_tgt, n_src), 0.5) if heads else None,
                )
            )
        return blocks


def _pairs(lengths):
    from pipeline.corpus.pairs import SentencePair

    return [SentencePair(i, "", "", ("a",) * n, ("b",) * (n + 1)) for i, n in enumerate(lengths)]


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40), budget=st.integers(1, 200))
def test_batches_hold_the_budget_and_lose_nothing(lengths, budget):
    from pipeline.attention.engine import batches

    reader = FakeReader()
    examples = [reader.tokenise(pair) for pair in _pairs(lengths)]
    made = list(batches(examples, budget))
    assert sorted(e.pair_id for batch in made for e in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(e.n_tokens for e in batch) <= budget


def _write(reader, pairs, folder, monkeypatch, shard=3):
    from pipeline.attention import engine

    monkeypatch.setattr(engine, "PAIRS_A_SHARD", shard)
    done = []
    result = engine.write_shards(reader, pairs, folder, tokens_per_batch=64, advance=done.append)
    return result, sum(done)


def _manifest(folder, shards, n_pairs):
    manifest = {
        "schema": SCHEMA,
        "shards": shards,
        "views": list(FakeReader.views),
        "n_layers": N_LAYERS,
        "n_pairs": n_pairs,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_blocks_come_back_in_order_and_skipped_pairs_are_counted(tmp_path, monkeypatch):
    from pipeline.attention.store import read_blocks

    pairs = _pairs([9, 2, 7, 1, 5, 3, 8])
    pairs[2] = replace(pairs[2], src_words=("?",))
    (shards, skipped, n_read), advanced = _write(FakeReader(), pairs, tmp_path / "x", monkeypatch)
    assert (dict(skipped), n_read, advanced, len(shards)) == ({"too_long": 1}, 6, 7, 3)
    _manifest(tmp_path / "x", shards, n_read)
    blocks = list(read_blocks(tmp_path / "x"))
    assert [block.pair_id for block in blocks] == [0, 1, 3, 4, 5, 6]
    for block in blocks:
        n = len(pairs[block.pair_id].src_words)
        assert block.attention.shape == (2, N_LAYERS, n + 1, n)
        np.testing.assert_allclose(block.attention, 1 / (1 + block.pair_id), rtol=1e-3)
        assert {kind: len(cost) for kind, cost in block.cost.items()} == LEVELS
        for kind, cost in block.cost.items():
            np.testing.assert_array_equal(cost.ravel(), np.arange(cost.size))
            np.testing.assert_array_equal(block.cosine[kind], 0.5)
            np.testing.assert_allclose(block.cosine_raw[kind], 0.9997, atol=1e-6)
            assert cost.dtype == block.cosine[kind].dtype == block.cosine_raw[kind].dtype == np.float32
        assert block.attention.dtype == np.float32
        assert block.heads is block.norm is block.norm_heads is None


def test_the_first_pairs_keep_every_head_if_they_can_be_read(tmp_path, monkeypatch):
    from pipeline.attention import engine
    from pipeline.attention.store import read_blocks

    pairs = _pairs([9, 2, 7, 1, 5, 3, 8])
    pairs[1] = replace(pairs[1], src_words=("?",))
    monkeypatch.setattr(engine, "PAIRS_A_SHARD", 3)
    shards, _, n_read = engine.write_shards(
        FakeReader(), pairs, tmp_path / "x", tokens_per_batch=64, advance=lambda n: None, heads_pairs=4
    )
    _manifest(tmp_path / "x", shards, n_read)
    kept = [block.pair_id for block in read_blocks(tmp_path / "x", heads=True) if block.heads is not None]
    assert kept == [0, 2, 3], "a pair follows from its row, whoever reads the rows before it"
    assert all(block.heads is None for block in read_blocks(tmp_path / "x")), "not read unless asked"
    (block,) = (block for block in read_blocks(tmp_path / "x", heads=True) if block.pair_id == 3)
    assert block.heads.shape == (2, N_LAYERS, 3, 2, 1)


def test_a_run_that_was_cut_off_goes_on_with_the_same_result(tmp_path, monkeypatch):
    pairs = _pairs([4, 2, 7, 1, 5, 3, 8])
    (whole, _, _), _ = _write(FakeReader(), pairs, tmp_path / "whole", monkeypatch)

    class Dies(FakeReader):
        def read(self, examples, *, heads=False):
            if any(e.pair_id >= 3 for e in examples):
                raise KeyboardInterrupt
            return super().read(examples, heads=heads)

    with pytest.raises(KeyboardInterrupt):
        _write(Dies(), pairs, tmp_path / "cut", monkeypatch)
    second = FakeReader()
    (resumed, _, n_read), advanced = _write(second, pairs, tmp_path / "cut", monkeypatch)
    assert resumed == whole
    assert (n_read, advanced) == (7, 7)
    assert {i for batch in second.batches for i in batch} == {3, 4, 5, 6}, "the first shard is not made again"
    assert not list((tmp_path / "cut").glob("*.part"))


@pytest.mark.parametrize("damage", ["cut short", "flipped byte", "record cut short", "record of nothing"])
def test_a_shard_that_was_damaged_before_its_run_goes_on_is_made_again(tmp_path, monkeypatch, damage):
    pairs = _pairs([4, 2, 7, 1, 5, 3, 8])
    (whole, _, _), _ = _write(FakeReader(), pairs, tmp_path / "x", monkeypatch)
    shard, record = tmp_path / "x/shard-00001.arrow", tmp_path / "x/done.json"
    content = shard.read_bytes()
    middle = len(content) // 2
    if damage == "cut short":
        shard.write_bytes(content[:-8])
    elif damage == "flipped byte":
        shard.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        record.write_text(record.read_text()[:-9] if damage == "record cut short" else "[]")
    second = FakeReader()
    (again, _, _), _ = _write(second, pairs, tmp_path / "x", monkeypatch)
    assert again == whole
    made = {i for batch in second.batches for i in batch}
    assert made == ({3, 4, 5} if damage in ("cut short", "flipped byte") else set(range(7)))


def test_a_damaged_shard_is_refused(tmp_path, monkeypatch):
    from pipeline.attention.store import read_blocks
    from pipeline.errors import PipelineError

    (shards, _, n_read), _ = _write(FakeReader(), _pairs([4, 2]), tmp_path / "x", monkeypatch)
    _manifest(tmp_path / "x", shards, n_read)
    path = tmp_path / "x" / next(iter(shards))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(PipelineError, match=r"every shard must have the checksum .*shard-00000.arrow has not; remove"):
        list(read_blocks(tmp_path / "x"))


def test_blocks_without_a_manifest_are_not_complete(tmp_path):
    from pipeline.attention.store import read_manifest
    from pipeline.errors import PipelineError

    with pytest.raises(PipelineError, match=r"blocks of a finished extraction, but .*manifest.json is missing; run"):
        read_manifest(tmp_path)


def test_moving_into_place_replaces_what_was_there(tmp_path):
    from pipeline.attention.engine import move_into_place

    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a").write_text("new")
    (tmp_path / "place" / "old").mkdir(parents=True)
    move_into_place(tmp_path / "new", tmp_path / "place" / "x")
    move_into_place(tmp_path / "place" / "x", tmp_path / "place" / "old")
    assert (tmp_path / "place" / "old" / "a").read_text() == "new"


def test_blocks_of_another_edition_are_refused(tmp_path):
    from pipeline.attention.store import read_manifest
    from pipeline.errors import PipelineError

    (tmp_path / "manifest.json").write_text('{"shards": {}, "translator": "mbert"}')
    with pytest.raises(PipelineError, match=r"must say schema: \d, but it says None.*dvc repro --force extract@mbert"):
        read_manifest(tmp_path)
