"""Mispaired sentences and shuffled dictionaries: every one another's, none twice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.mispairing import links_within, mispaired_partners
from pipeline.alignment.pointing import link_block, pointing
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.lexicon.files import Lexicon
from pipeline.lexicon.shuffle import BIN, derangement, shuffled_entries, shuffled_lexicon
from tests.pipeline.evidence_factory import attention_on, random_batch


@given(n=st.integers(2, 60), size=st.integers(2, 15), seed=st.integers(0, 99))
def test_no_member_keeps_itself_and_none_is_used_twice(n, size, seed):
    order = np.random.default_rng(seed).permutation(n)
    partner = derangement(order, np.random.default_rng(seed), size=size)
    assert sorted(partner) == list(range(n))
    assert (partner != np.arange(n)).all()
    place = np.argsort(order)
    assert (np.abs(place[partner] - place) < 2 * size).all()
    np.testing.assert_array_equal(partner, derangement(order, np.random.default_rng(seed), size=size))


def test_partners_are_of_like_length(rng):
    n_src, n_tgt = rng.integers(4, 40, 200), rng.integers(4, 40, 200)
    partner = mispaired_partners(n_src, n_tgt, rng)
    apart = np.abs((n_src + n_tgt)[partner] - n_src - n_tgt)
    assert np.median(apart) <= 3 and sorted(partner) == list(range(200))
    assert (partner != mispaired_partners(n_src, n_tgt, np.random.default_rng(1))).any()


def test_links_beyond_the_pair_are_left_out():
    links = np.array([[0, 0], [3, 1], [1, 4]])
    assert links_within(links, n_src=3, n_tgt=5).tolist() == [[0, 0], [1, 4]]
    assert links_within(links, n_src=1, n_tgt=0).shape == (0, 2)


def test_attention_that_aligns_its_own_links_does_not_align_others():
    batch = random_batch(80, seed=3, low=6, high=9)
    blocks = attention_on(batch, 3.0 * batch.linked)
    partner = mispaired_partners(batch.n_src, batch.n_tgt, np.random.default_rng(0))
    others = []
    for pair, other in enumerate(partner):
        links = np.argwhere(batch.linked[other])[:, ::-1]
        fits = links_within(links, n_src=int(batch.n_src[pair]), n_tgt=int(batch.n_tgt[pair]))
        others.append(link_block(fits, n_src=batch.shape[1], n_tgt=batch.shape[0]))
    own = pointing(blocks, batch.linked, query="tgt", words=batch.words)
    mispaired = pointing(blocks, np.array(others), query="tgt", words=batch.words)
    assert np.nanmean(own) == 1
    assert np.nanmean(mispaired) < 0.3


def test_words_get_the_translations_of_words_as_frequent():
    words = [f"w{i}" for i in range(40)]
    entries = {word: frozenset([word.upper()]) for word in words}
    frequency = {word: 100 * (i < 20) + i % 3 for i, word in enumerate(words)}
    shuffled = shuffled_entries(entries, frequency, np.random.default_rng(5))
    assert sorted(map(tuple, shuffled.values())) == sorted(map(tuple, entries.values()))
    assert all(shuffled[word] != entries[word] for word in words)
    assert all((int(min(shuffled[word])[1:]) < 20) == (i < 20) for i, word in enumerate(words))
    turned = dict(reversed(entries.items()))
    assert shuffled_entries(turned, frequency, np.random.default_rng(5)) == shuffled


def test_words_that_are_not_in_the_text_stand_last():
    entries = dict.fromkeys(("a", "b"), frozenset("x")) | dict.fromkeys(("c", "d"), frozenset("y"))
    shuffled = shuffled_entries(entries, {"a": 3, "b": 3}, np.random.default_rng(0), size=2)
    assert shuffled == entries  # bins of two: a and b share their translations, as c and d do


def test_one_pair_has_no_other():
    with pytest.raises(
        PipelineError, match=rf"order, size: .* there are 1 in all and bins of {BIN}; give more members"
    ):
        mispaired_partners(np.array([3]), np.array([3]), np.random.default_rng(0))


def test_a_dictionary_is_dealt_out_and_one_of_a_single_word_is_empty():
    pairs = [SentencePair(0, "a a b", "x y", ("a", "a", "b"), ("x", "y"))]
    both = Lexicon("files", {"a": frozenset({"x"}), "b": frozenset({"y"})}, 0, "")
    assert shuffled_lexicon(both, pairs, seed=1).entries == {"a": frozenset({"y"}), "b": frozenset({"x"})}
    assert shuffled_lexicon(replace(both, entries={"a": frozenset({"x"})}), pairs, seed=1).entries == {}
