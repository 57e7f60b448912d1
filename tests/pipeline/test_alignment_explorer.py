"""What is kept of single sentences for the page: maps right to 0.004, plans and scores as they were measured."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.alignment.explorer import (
    COARSE,
    FINE,
    Wanted,
    explore,
    figure1_example,
    pack,
    write_scores,
    write_shown,
)
from pipeline.alignment.inputs import Figure1
from pipeline.alignment.measure import measure
from pipeline.conventions import CORRECTED, convention_of
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.packing import unpacked
from tests.pipeline.test_alignment_measure import SETTINGS, inputs  # noqa: F401 - a fixture


@given(arrays(np.float32, (1, 2, 3, 2), elements=st.floats(0, 1, width=32)), st.sampled_from([FINE, COARSE]))
def test_packing_loses_little(attention, steps):
    restored = (pack(attention, steps) / steps) ** 2
    assert np.abs(restored - attention).max() <= 1 / steps


def _bytes(text):
    return np.frombuffer(unpacked(text), dtype=np.uint8)


@pytest.fixture(scope="module")
def shown(inputs):
    scores = measure(inputs, SETTINGS).scores
    gold = {(inputs.pairs[1].src_words, inputs.pairs[1].tgt_words): GoldLinks(np.array([[0, 1]]), np.array([[1, 0]]))}
    stranger = SentencePair(10_000, "a b", "c d", ("a", "b"), ("c", "d"))
    wanted = Wanted([stranger, *inputs.pairs[:3]], len(inputs.pairs), inputs.links, gold)
    return explore(wanted, inputs.trained, scores, CORRECTED), scores


def test_maps_can_be_read_back_beside_their_pairs(shown, inputs):
    explorer, _ = shown
    assert [entry["id"] for entry in explorer["pairs"]] == [10_000, *(pair.pair_id for pair in inputs.pairs[:3])]
    assert explorer["maps"][0] is None, "a pair that was not read"
    for block, entry in zip(list(inputs.trained.blocks)[:3], explorer["maps"][1:], strict=True):
        attention, plan = (_bytes(entry["blocks"]).reshape(2, *block.attention.shape) / 255.0) ** 2
        assert np.abs(attention - block.attention).max() <= 0.004
        np.testing.assert_allclose(plan.sum(-1), 1, atol=0.03)
        assert (plan > 0).sum((-1, -2)).max() < sum(block.attention.shape[2:]), "an exact plan is sparse"


def test_every_head_is_kept_where_it_was_read(inputs):
    blocks = list(inputs.trained.blocks)
    heads = np.stack([blocks[0].attention, blocks[0].attention ** 2, blocks[0].attention / 2], axis=2)
    split = replace(inputs.trained, blocks=[replace(blocks[0], heads=heads), replace(blocks[1], heads=None)])
    wanted = Wanted(inputs.pairs[:2], len(inputs.pairs), inputs.links, {})
    explorer = explore(wanted, split, measure(inputs, SETTINGS).scores, CORRECTED)
    first, second = explorer["maps"]
    assert explorer["heads"] == 3 and second["heads"] is None
    restored = (_bytes(first["heads"]).reshape(heads.shape) / COARSE) ** 2
    assert np.abs(restored - heads).max() <= 1 / COARSE
    paper = explore(wanted, split, measure(inputs, SETTINGS).scores, convention_of("paper"))["maps"][0]
    pieces = blocks[0].src_pieces
    restored = (_bytes(paper["heads"]).reshape(heads.shape) / COARSE) ** 2
    assert np.abs(restored - heads / pieces).max() <= 1 / COARSE, "pooled as the mean over heads is"


def test_the_sentence_of_figure_1_stands_first_and_has_no_score(inputs):
    first = next(iter(inputs.trained.blocks))
    fox = replace(inputs.pairs[0], pair_id=-1)
    own = Figure1(fox, np.array([[0, 1]]), replace(inputs.trained, blocks=[replace(first, pair_id=-1)]))
    scores = measure(inputs, SETTINGS).scores
    wanted = Wanted(inputs.pairs[:2], len(inputs.pairs), inputs.links, {}, own)
    explorer = explore(wanted, inputs.trained, scores, CORRECTED)
    assert [entry["id"] for entry in explorer["pairs"]] == [-1, *(pair.pair_id for pair in inputs.pairs[:2])]
    assert explorer["pairs"][0]["links"] == [[0, 1]] and explorer["maps"][0]["score"] is None
    assert explorer["maps"][0]["blocks"] == explorer["maps"][1]["blocks"], "the same blocks, the same maps"
    assert explorer["n_selected"] == len(inputs.pairs)
    example = figure1_example(own, CORRECTED)
    assert example["pair_id"] == -1 and example["position"] is None and example["links"] == [[0, 1]]
    np.testing.assert_allclose(example["attention"]["output_step"]["1"], first.attention[0, 0])


def test_scores_are_those_of_the_measurement(shown, inputs):
    explorer, scores = shown
    own = scores[scores["pair_id"] == inputs.pairs[0].pair_id]
    for v, view in enumerate(("output_step", "input_step")):
        expected = own[own["view"] == view].sort_values("layer")["mean_mass"]
        np.testing.assert_allclose(explorer["maps"][1]["score"][v], expected, atol=1e-4)
    assert len(scores) == scores["pair_id"].nunique() * 2 * explorer["layers"]


def test_hand_made_links_are_found_by_the_words(shown):
    explorer, _ = shown
    gold = [entry["gold"] for entry in explorer["pairs"]]
    assert gold == [None, None, {"sure": [[0, 1]], "possible": [[1, 0]]}, None]


def test_a_pair_without_links_has_no_score_but_a_map(inputs):
    scores = measure(inputs, SETTINGS).scores
    without = scores[scores["pair_id"] != inputs.pairs[0].pair_id]
    wanted = Wanted(inputs.pairs[:1], 1, {}, {})
    (entry,) = explore(wanted, inputs.trained, without, CORRECTED)["maps"]
    assert entry["score"] is None and entry["blocks"]


def test_nothing_wanted_reads_nothing(inputs):
    unread = replace(inputs.trained, blocks=iter(()))
    explorer = explore(Wanted([], 5, {}, {}), unread, measure(inputs, SETTINGS).scores, CORRECTED)
    assert explorer["pairs"] == explorer["maps"] == [] and explorer["n_selected"] == 5


def test_files_are_the_same_bytes_each_time(shown, tmp_path):
    explorer, scores = shown
    for run in ("one", "two"):
        write_shown(explorer, {"pair_id": 1}, tmp_path / run)
        write_scores(scores, tmp_path / run / "scores.parquet")
    for name in ("explorer.json", "example.json", "scores.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert json.loads((tmp_path / "one" / "explorer.json").read_text()) == explorer
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one" / "scores.parquet"), scores, check_dtype=False)
