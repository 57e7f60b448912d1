"""The explorer's data: right to 0.004, small, and harmless inside a script element."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.alignment.gold import GoldLinks
from pipeline.attention.store import read_blocks
from pipeline.conventions import CORRECTED
from pipeline.corpus.pairs import SentencePair, read_pairs
from pipeline.lexicon.links import read_links
from pipeline.report.explorer import build_explorer, linked_words, pack, script_json
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture


def _build(measured, *, n_pairs=4, gold=None, extra=(), **options):
    project = measured.project
    pairs = read_pairs(project.data / "corpus" / "pairs.parquet")
    return build_explorer(
        [*extra, *pairs],
        read_links(project.data / "links" / "links.parquet"),
        gold or {},
        {name: project.data / "attention" / name / "trained" for name in project.params.translators},
        convention=CORRECTED,
        n_pairs=n_pairs,
        **options,
    )


@given(arrays(np.float32, (1, 2, 3, 2), elements=st.floats(0, 1, width=32)))
def test_packing_loses_little(attention):
    restored = (pack(attention) / 255.0) ** 2
    assert np.abs(restored - attention).max() <= 0.004


def test_masses_can_be_read_back(measured):
    explorer = _build(measured)
    blocks = list(read_blocks(measured.project.data / "attention" / "mini-mbert" / "trained"))
    packed = explorer.translators[1]["blocks"]
    assert len(packed) == len(explorer.pairs) == 4
    for block, text in zip(blocks, packed, strict=False):
        restored = (np.frombuffer(base64.b64decode(text), np.uint8) / 255.0) ** 2
        assert np.abs(restored.reshape(block.attention.shape) - block.attention).max() <= 0.004


def test_views_layers_and_links_are_told(measured):
    explorer = _build(measured)
    marian, mbert = explorer.translators
    assert [view["id"] for view in marian["views"]] == ["output_step", "input_step"]
    assert [view["id"] for view in mbert["views"]] == ["tgt_to_src", "src_to_tgt"]
    assert marian["layers"] == measured.project.n_layers
    entry = explorer.pairs[0]
    assert len(entry["links"]) == 5 and entry["gold"] is None
    assert f"{entry['src'][entry['links'][0][0]]} – {entry['tgt'][entry['links'][0][1]]}" in linked_words(entry)


def test_hand_made_links_are_found_by_the_words(measured):
    pair = read_pairs(measured.project.data / "corpus" / "pairs.parquet")[1]
    links = GoldLinks(np.array([[0, 1]]), np.array([[1, 0], [2, 2]]))
    explorer = _build(measured, gold={(pair.src_words, pair.tgt_words): links})
    assert [entry["gold"] for entry in explorer.pairs[:2]] == [None, {"sure": [[0, 1]], "possible": [[1, 0], [2, 2]]}]


def test_a_pair_that_was_not_read_is_null(measured):
    stranger = SentencePair(10_000, "a b", "c d", ("a", "b"), ("c", "d"))
    explorer = _build(measured, n_pairs=2, extra=[stranger])
    assert [blocks is None for blocks in explorer.translators[0]["blocks"]] == [True, False]
    assert explorer.pairs[0]["links"] == []


def test_pairs_that_do_not_fit_are_left_out(measured):
    full = _build(measured, n_pairs=6)
    small = _build(measured, n_pairs=6, budget=len(full.as_json()) // 2)
    assert 0 < len(small.pairs) < len(full.pairs) == 6
    assert small.n_wanted == 6 and small.n_selected == 12
    assert [len(t["blocks"]) for t in small.translators] == [len(small.pairs)] * 2
    assert _build(measured, budget=0).pairs == []


@given(st.text())
def test_no_text_can_end_a_script_element(text):
    shown = script_json({"word": text, text: 1})
    assert not set(shown) & set("<>&\u2028\u2029")
    assert json.loads(shown)["word"] == (1 if text == "word" else text)


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "\u2028", "&lt;"])
def test_what_browsers_look_for_is_escaped(text):
    assert text not in script_json([text])
