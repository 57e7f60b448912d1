"""The sentence of the paper's Figure 1, where the languages are English and French: looked at, in no score."""

from pipeline.columns import FIGURE1_ID
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import split_words

SENTENCE = {
    "en": "The quick brown fox jumps over the lazy dog",
    "fr": "Le renard brun rapide saute par-dessus le chien paresseux",
}


def figure1_pairs(src_lang: str, tgt_lang: str) -> list[SentencePair]:
    """Return the sentence and its translation as the one pair of a list, which is empty for other languages.

    Examples
    --------
    >>> [pair.src_words[:4] for pair in figure1_pairs("en", "fr")], figure1_pairs("en", "de")
    ([('The', 'quick', 'brown', 'fox')], [])
    """
    if {src_lang, tgt_lang} != set(SENTENCE):
        return []
    texts = SENTENCE[src_lang], SENTENCE[tgt_lang]
    src, tgt = (tuple(split_words(text, lang)) for text, lang in zip(texts, (src_lang, tgt_lang), strict=True))
    return [SentencePair(FIGURE1_ID, *texts, src, tgt)]
