"""Tokens to words: shares, lost characters, real tokenisers on real text."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def _map(text, words, spans):
    from pipeline.attention.word_map import Tokens, word_map
    from pipeline.corpus.words import locate_words

    return word_map(locate_words(text, words), Tokens(tuple(range(len(spans))), tuple(spans)), text)


def test_pieces_elisions_and_special_tokens():
    # ▁l  '  homme  ▁bon  . </s>
    shares = _map("l'homme bon.", ["l'", "homme", "bon", "."], [(0, 1), (1, 2), (2, 7), (7, 11), (11, 12), None])
    expected = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(shares, expected)


def test_a_token_over_two_words_is_shared_by_characters():
    shares = _map("abc,", ["abc", ","], [(0, 4)])
    np.testing.assert_allclose(shares, [[0.75], [0.25]])


def test_a_token_that_is_a_space_belongs_to_the_next_word_and_at_the_end_to_the_last():
    shares = _map("a b ", ["a", "b"], [(0, 1), (1, 2), (2, 3), (3, 4)])
    np.testing.assert_array_equal(shares, [[1, 0, 0, 0], [0, 1, 1, 1]])


def test_lost_characters_are_refused():
    from pipeline.attention.word_map import UnmappableError

    with pytest.raises(UnmappableError, match=r"every character of a word must be in a token.*'bc'.*left out") as got:
        _map("a bc", ["a", "bc"], [(0, 1), (1, 3)])
    assert got.value.reason == "lost_characters"


@given(data=st.data())
def test_columns_of_any_cut_of_any_text_sum_to_one(data):
    words = data.draw(st.lists(st.text("abcé'", min_size=1, max_size=6), min_size=1, max_size=8))
    text = " ".join(words)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    edges = sorted({0, len(text), *cuts})
    shares = _map(text, words, list(pairwise(edges)))
    np.testing.assert_allclose(shares.sum(0), 1)
    assert (shares.sum(1) > 0).all()
    assert (shares >= 0).all()


def test_mean_rows_sum_to_one(rng):
    from pipeline.attention.word_map import mean_rows

    np.testing.assert_allclose(mean_rows(rng.random((3, 5))).sum(1), 1)


class TestTokenise:
    @pytest.mark.realdata
    def test_marian_target_goes_through_the_target_pieces(self, shared_data):
        from transformers import AutoTokenizer

        from pipeline.attention.tokenise import tokenise

        tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "opus-mt-en-fr")
        text = "Aujourd'hui, l'Assemblée nationale a voté."
        src, tgt = (tokenise(tokenizer, text, side) for side in ("src", "tgt"))
        assert len(tgt.ids) < len(src.ids), "French splits into fewer pieces with the French model"
        assert list(tgt.ids) == tokenizer(text_target=text)["input_ids"]
        assert tgt.spans[-1] is None
        assert "".join(text[slice(*span)] for span in tgt.spans[:-1]) == text

    @pytest.mark.realdata
    def test_text_that_the_pieces_and_the_tokeniser_split_differently(self, shared_data):
        from transformers import AutoTokenizer

        from pipeline.attention.tokenise import tokenise
        from pipeline.attention.word_map import UnmappableError

        tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "opus-mt-en-fr")
        with pytest.raises(UnmappableError, match=r"must agree, but they split '>>fra<< Yes.' differently"):
            tokenise(tokenizer, ">>fra<< Yes.", "src")

    def test_slow_tokenisers_without_spans_are_refused(self):
        from pipeline.attention.tokenise import check_tokenizer
        from pipeline.errors import PipelineError

        class SlowTokenizer:
            is_fast = False

        with pytest.raises(PipelineError, match=r"must give character spans .* got SlowTokenizer; convert it"):
            check_tokenizer(SlowTokenizer())


def test_marks_and_joiners_that_a_tokeniser_drops_are_no_loss():
    # x, a circumflex that is dropped, y; two Persian letters around a dropped joiner
    shares = _map("x\u0302y \u06cc\u200c\u062e", ["x\u0302y", "\u06cc\u200c\u062e"], [(0, 1), (2, 3), (4, 5), (6, 7)])
    np.testing.assert_array_equal(shares, [[1, 1, 0, 0], [0, 0, 1, 1]])


def test_a_word_without_a_token_is_refused():
    from pipeline.attention.word_map import UnmappableError

    with pytest.raises(UnmappableError, match="lost some of '\u0301' in"):
        _map("a \u0301 b", ["a", "\u0301", "b"], [(0, 1), (4, 5)])


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["opus", "e5", "cased", "uncased"])
@pytest.mark.parametrize(
    ("lang", "raw"),
    [
        ("en", "The com\u200cmittee met, x\u0302y \u025b\u0303 \U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \u2764\ufe0f\u200d\U0001f525."),
        ("fr", "L\u02bce\u0301te\u0301 e\u0301tait\u00ad l\uff07an dernier."),
        ("fa", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06a9\u062a\u0627\u0628\u200c\u0647\u0627."),
        ("hi", "\u0928\u094d\u200d\u092f\u093e\u092f \u0939\u093f\u0928\u094d\u0926\u0940"),
        ("ar", "\u0627\u0644\u0633\u0651\u064e\u0644\u0627\u0645\u064f."),
    ],
)  # fmt: skip
def test_every_word_has_its_tokens_in_real_tokenisers(shared_data, name, lang, raw):
    """Whatever a tokeniser does with joiners and marks, no word is lost and none shares its row with another."""
    from transformers import AutoTokenizer, BertTokenizerFast

    from pipeline.attention.tokenise import tokenise
    from pipeline.attention.word_map import word_map
    from pipeline.corpus.words import locate_words, normalise, split_words

    vocabulary = str(shared_data / "tokenizers/mbert/vocab.txt")
    tokenizer = {
        "opus": lambda: AutoTokenizer.from_pretrained(shared_data / "tokenizers/opus-mt-en-fr"),
        "e5": lambda: AutoTokenizer.from_pretrained(shared_data / "models/multilingual-e5-small"),
        "cased": lambda: BertTokenizerFast(vocab=vocabulary, do_lower_case=False),
        "uncased": lambda: BertTokenizerFast(vocab=vocabulary, do_lower_case=True),
    }[name]()
    text = normalise(raw, lang)
    words = split_words(text, lang)
    shares = word_map(locate_words(text, words), tokenise(tokenizer, text, "src"), text)
    assert shares.shape[0] == len(words)
    assert (shares.sum(axis=1) > 0).all()
