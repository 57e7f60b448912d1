"""What is kept of single sentences for the page: maps right to 0.004, plans and scores as they were measured."""

import base64
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.alignment.explorer import Wanted, explore, pack, sparse, write_scores, write_shown
from pipeline.alignment.measure import measure
from pipeline.conventions import CORRECTED
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from tests.pipeline.test_alignment_measure import SETTINGS, inputs  # noqa: F401 - a fixture


@given(arrays(np.float32, (1, 2, 3, 2), elements=st.floats(0, 1, width=32)))
def test_packing_loses_little(attention):
    restored = (pack(attention) / 255.0) ** 2
    assert np.abs(restored - attention).max() <= 0.004


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
        restored = (np.frombuffer(base64.b64decode(entry["attention"]), np.uint8) / 255.0) ** 2
        assert np.abs(restored.reshape(block.attention.shape) - block.attention).max() <= 0.004


def test_plans_are_sparse_and_each_query_word_has_mass_one(shown, inputs):
    explorer, _ = shown
    pair = inputs.pairs[0]
    for layers in explorer["maps"][1]["plan"]:
        for entries in layers:
            rows = pd.DataFrame(entries, columns=["tgt", "src", "mass"])
            np.testing.assert_allclose(rows.groupby("tgt")["mass"].sum(), 1, atol=2e-4)
            assert len(rows) < len(pair.src_words) + len(pair.tgt_words)


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
    assert entry["score"] is None and entry["attention"]


def test_nothing_wanted_reads_nothing(inputs):
    unread = replace(inputs.trained, blocks=iter(()))
    explorer = explore(Wanted([], 5, {}, {}), unread, measure(inputs, SETTINGS).scores, CORRECTED)
    assert explorer["pairs"] == explorer["maps"] == [] and explorer["n_selected"] == 5


def test_sparse_keeps_what_has_mass():
    plan = np.zeros((1, 1, 2, 3))
    plan[0, 0, 1, 2] = 0.123456
    assert sparse(plan) == [[[[1, 2, 0.1235]]]]


def test_files_are_the_same_bytes_each_time(shown, tmp_path):
    explorer, scores = shown
    for run in ("one", "two"):
        write_shown(explorer, {"pair_id": 1}, tmp_path / run)
        write_scores(scores, tmp_path / run / "scores.parquet")
    for name in ("explorer.json", "example.json", "scores.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert json.loads((tmp_path / "one" / "explorer.json").read_text()) == explorer
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one" / "scores.parquet"), scores, check_dtype=False)
