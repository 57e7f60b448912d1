"""Words: normalised text, splitting that keeps the text, spans, lemmas."""

import gzip
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.words import join_words, lemma, locate_words, normalise, split_words
from pipeline.errors import PipelineError

ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("aqulnt '’\"«».,-–…%€0123\x92\u200b")), max_size=60)


@pytest.mark.parametrize(
    ("lang", "raw", "expected"),
    [
        ("en", "“Yes” – he said… it’s", '"Yes" - he said... it\'s'),
        ("fr", "« Oui », dit-elle ; c’est 3,5 %", '" Oui ", dit-elle; c\'est 3,5%'),
        ("en", "  a\tb\u00a0c\u2009d\u2028e  ", "a b c d e"),
        ("en", "zero\u200bwidth soft\u00adhyphen \ufeffbom be\x07ll", "zerowidth softhyphen bom bell"),
        ("en", "\x93quoted\x94 it\x92s 1\x962", '"quoted" it\'s 1-2'),  # Windows quotes read as Latin-1
        ("en", "R&amp;D &#233;t&eacute; AT&T; &bogus;", "R&D été AT&T; &bogus;"),
        ("fr", "l’ Assemblée qu' il d' une d 'une", "l'Assemblée qu'il d'une d'une"),
        ("fr", "rock 'n' roll", "rock 'n' roll"),
        ("fr", "12\u00a0345 et 12\u202f345", "12 345 et 12 345"),  # not 12,345
        ("en", "do n't Can 't DON'T in 't Veld", "do n't Can't DON'T in 't Veld"),
        ("en", "e\u0301", "é"),
        ("en", "", ""),
        ("en", " \u200b\x00 ", ""),
    ],
)
def test_normalise(lang: str, raw: str, expected: str) -> None:
    assert normalise(raw, lang) == expected
    assert normalise(expected, lang) == expected


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "Aujourd'hui, l'homme qu'il a vu", "Aujourd'hui , l' homme qu' il a vu"),
        ("fr", "C'est-à-dire lorsqu'on est par-dessus", "C'est-à-dire lorsqu' on est par-dessus"),
        ("fr", "presqu'île presqu'un entr'ouvrir grand'mère", "presqu'île presqu' un entr'ouvrir grand'mère"),
        ("fr", "quelqu'un, quelqu'une, prud'hommes", "quelqu'un , quelqu'une , prud'hommes"),
        ("fr", "D'Artagnan et O'Brien, s'il te plaît", "D' Artagnan et O'Brien , s' il te plaît"),
        ("fr", 'd\'1,5 mètre d\'"or" l\'"or"', 'd\' 1,5 mètre d\' " or " l\' " or "'),
        ("fr", "parle-t-on de l'O.N.U. ?", "parle-t-on de l' O.N.U. ?"),
        ("en", "I don't, can't, won't; isn't it?", "I do n't , can 't , wo n't ; is n't it ?"),
        ("en", "do n't CAN'T", "do n't CAN 'T"),
        ("en", "Obama's state-of-the-art O'Neill's", "Obama 's state-of-the-art O'Neill 's"),
        ("en", "Mr. Smith paid $1,000 (3.14%) in the U.S.", "Mr. Smith paid $ 1,000 ( 3.14 % ) in the U.S."),
        ("en", "R&D <b>", "R & D < b >"),  # nothing is escaped
        ("en", "", ""),
    ],
)
def test_split(lang: str, text: str, expected: str) -> None:
    words = split_words(text, lang)
    assert " ".join(words) == expected
    assert len(locate_words(text, words)) == len(words)


@given(text=ANY_TEXT, lang=st.sampled_from(["en", "fr", "de"]))
@settings(deadline=None)
def test_words_spell_any_normalised_text(text: str, lang: str) -> None:
    normal = normalise(text, lang)
    words = split_words(normal, lang)
    assert [normal[start:end] for start, end in locate_words(normal, words)] == words
    assert "".join(words) == normal.replace(" ", "")


@pytest.mark.realdata
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_words_spell_real_text(shared_data: Path, lang: str) -> None:
    with gzip.open(shared_data / f"training/hansard.{lang}.gz", "rt", encoding="utf-8", newline="\n") as hansard:
        lines = list(islice(hansard, 1500))
    for news in sorted((shared_data / "newstest").glob(f"*.{lang}")):
        lines += news.read_text(encoding="utf-8").split("\n")[:250]
    assert len(lines) == 3000
    for line in lines:
        text = normalise(line, lang)
        words = split_words(text, lang)
        locate_words(text, words)
        if lang == "fr":  # an elision never stands apart from its apostrophe
            assert not [w for w, following in pairwise(words) if following == "'" and w in {"l", "d", "qu"}]


@pytest.mark.realdata
def test_gold_words_make_sentences(shared_data: Path) -> None:
    n_joined = 0
    for line in (shared_data / "gold/hansards/enfr.src-tgt").read_text(encoding="utf-8").splitlines():
        for side, lang in zip(line.split("|||"), ("en", "fr"), strict=True):
            words = side.split()
            text = join_words(words, lang)
            assert len(locate_words(text, words)) == len(words)
            n_joined += text != " ".join(words)
    assert n_joined > 800  # of 894 sides: the final full stop is joined at least


def test_join_gives_ordinary_spelling() -> None:
    assert join_words(["l'", "homme", ",", "dit", "-", "il", "."], "fr") == "l'homme, dit - il."


def test_join_keeps_words_that_moses_would_rewrite() -> None:
    words = ["a", "&amp;", "b", "."]
    assert join_words(words, "en") == "a &amp; b ."


@pytest.mark.parametrize(
    ("text", "words", "match"),
    [
        ("a b", ["a", "c"], r"'c' is not at character 2 of 'a b'"),
        ("a b", ["a", ""], r"'' is not at character 2"),
        ("a b c", ["a", "b"], r"must spell the whole text, but ' c' is left over"),
    ],
)
def test_words_of_another_text_are_refused(text: str, words: list[str], match: str) -> None:
    with pytest.raises(PipelineError, match=match):
        locate_words(text, words)


@pytest.mark.parametrize(
    ("word", "lang", "expected"),
    [
        ("Ministers", "en", "minister"),
        ("étaient", "fr", "être"),
        ("Xyzzy", "en", "xyzzy"),
        ("l'", "fr", "le"),
    ],
)
def test_lemma(word: str, lang: str, expected: str) -> None:
    assert lemma(word, lang) == expected
