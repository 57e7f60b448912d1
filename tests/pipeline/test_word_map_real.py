"""Word maps of the real tokenisers over real text: nothing is lost, and how often a token lies over two words."""

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.realdata]


@pytest.fixture(scope="module")
def text(shared_data):
    """Return the 447 hand-aligned pairs, and 2,000 of newstest chosen as the corpus stage would."""
    from pipeline.corpus.files import parallel_files
    from pipeline.corpus.gold import read_gold_set
    from pipeline.corpus.select import select_pairs
    from pipeline.params import Gold, Sample

    hansards = shared_data / "gold" / "hansards"
    settings = Gold(text=str(hansards / "enfr.src-tgt"), links=str(hansards / "enfr.gold"), base=1)
    years = range(2008, 2014)
    sides = [[str(shared_data / "newstest" / f"newstest{y}.{lang}") for y in years] for lang in ("en", "fr")]
    newstest, _ = select_pairs(parallel_files(*sides), Sample(n_pairs=2000), src_lang="en", tgt_lang="fr")
    gold = [item.pair for item in read_gold_set(settings, src_lang="en", tgt_lang="fr")]
    return {"gold": gold, "newstest": newstest}


def _marian_maps(pair, tokenizer):
    from pipeline.attention.tokenise import tokenise

    return [(side, tokenise(tokenizer, getattr(pair, f"{side}_text"), side)) for side in ("src", "tgt")]


def _joint_maps(pair, tokenizer):
    from pipeline.attention.tokenise import tokenise_pair
    from pipeline.attention.word_map import Tokens

    coded = tokenise_pair(tokenizer, pair.src_text, pair.tgt_text)
    spans = [
        tuple(span if own == side else None for span, own in zip(coded.tokens.spans, coded.sides, strict=True))
        for side in (0, 1)
    ]
    return [(side, Tokens(coded.tokens.ids, own)) for side, own in zip(("src", "tgt"), spans, strict=True)]


def _tokenizer(name, shared_data):
    from transformers import BertTokenizer, MarianTokenizer

    if name == "marian":
        return MarianTokenizer.from_pretrained(shared_data / "tokenizers" / "opus-mt-en-fr")
    return BertTokenizer(str(shared_data / "tokenizers" / "mbert" / "vocab.txt"), do_lower_case=False)


# Most words that may share a token with a neighbour, as a share of all: `).` is one piece of Marian's, for
# example, and `didn` is one of mBERT's. Measured, with a little room.
MOST = {
    ("gold", "marian"): 0.012,
    ("gold", "mbert"): 0.001,
    ("newstest", "marian"): 0.025,
    ("newstest", "mbert"): 0.003,
}


@pytest.mark.parametrize("name", ["marian", "mbert"])
@pytest.mark.parametrize("which", ["gold", "newstest"])
def test_every_character_of_every_word_is_in_its_tokens(text, shared_data, name, which):
    from pipeline.attention.word_map import word_map
    from pipeline.corpus.words import locate_words

    tokenizer, read = _tokenizer(name, shared_data), {"marian": _marian_maps, "mbert": _joint_maps}[name]
    n_words = dict.fromkeys(("src", "tgt"), 0)
    n_shared = dict.fromkeys(("src", "tgt"), 0)
    assert len(text[which]) == {"gold": 447, "newstest": 2000}[which]
    for pair in text[which]:
        for side, tokens in read(pair, tokenizer):
            sentence, words = getattr(pair, f"{side}_text"), getattr(pair, f"{side}_words")
            places = locate_words(sentence, list(words))
            shares = word_map(places, tokens, sentence)  # raises if a character is lost
            own = [[span for span, share in zip(tokens.spans, row, strict=True) if share] for row in shares]
            for (start, end), spans in zip(places, own, strict=True):
                assert set(range(start, end)) <= {i for a, b in spans for i in range(a, b)}, sentence
            sums = shares.sum(0)
            np.testing.assert_allclose(sums, [float(span is not None) for span in tokens.spans])
            n_words[side] += len(words)
            n_shared[side] += int(((shares > 0) & (shares < 1)).any(1).sum())
    for side, n in n_words.items():
        assert n_shared[side] <= MOST[which, name] * n, (side, n_shared[side], n)
