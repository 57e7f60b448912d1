"""Characters that no one sees and characters that look alike never make a word, and never cut one."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.characters import drop_unseen, units, without_invisible
from pipeline.corpus.words import locate_words, normalise, split_words
from pipeline.lexicon.files import look_up_form

UNSEEN = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\u00ad\u061c\ufeff\u180e\u2061\ufff9\u3164\u034f\ufe0f"
)
MARKS = "\u0301\u0302\u0303\u0308\u0327\u0338\u20dd"
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
# Letters of many scripts, marks, what is invisible, apostrophes, hyphens, pictures, spaces.
MIXED = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from("aeqult ''’ʼ′＇‛\"«».,-‑‐–…%€012éfiﬁ"),
        st.sampled_from(UNSEEN + MARKS),
        st.sampled_from("\u0645\u06cc\u06a9\u0647\u0627\u064e\u0915\u094d\u0937\u093e\u0d28\u0d4d\u1000\u103a\u1039\u0e01\u0e32\u17d2\u1780"),
        st.sampled_from("我来你。ひらカナー가각가"),
        st.sampled_from("\U0001f469\U0001f3fd\U0001f1eb\U0001f1f7\u2764\u20e3\U0001f3f4\U000e0067"),
    ),
    max_size=40,
)  # fmt: skip


@pytest.mark.parametrize(
    ("lang", "raw", "words"),
    [
        ("en", "The com\u200cmittee met.", "The committee met ."),
        ("en", "The com\u200bmit\u2060tee met.", "The committee met ."),
        ("en", "mea\u00adsures in the\ufeffse \u202edates\u202c\u200f.", "measures in these dates ."),
        ("en", "com&zwnj;mit&shy;tee", "committee"),
        ("en", "don\u02bct can\u2032t won\uff07t isn\u201bt it\u02bcs", "do n't can 't wo n't is n't it 's"),
        ("en", "a wall of 5\u2032 and the users\u02bc guide", "a wall of 5 \u2032 and the users ' guide"),
        ("fr", "l\u02bchomme d\u2032une qu\u201bil aujourd\uff07hui l \u02bc \u00c9tat", "l' homme d' une qu' il aujourd'hui l' \u00c9tat"),
        ("en", "state\u2011of\u2010the\u2011art", "state-of-the-art"),
        ("fr", "e\u0301te\u0301 de\u0301ja\u0300", "\u00e9t\u00e9 d\u00e9j\u00e0"),
        ("en", "x\u0302y \u025b\u0303 n\u0308o q\u0307\u0323", "x\u0302y \u025b\u0303 n\u0308o q\u0323\u0307"),
        ("en", f"Hi {FAMILY}\U0001f44d\U0001f3fd, {ENGLAND}\U0001f1eb\U0001f1f7 ok\u2764\ufe0f\u200d\U0001f525.",
         f"Hi {FAMILY} \U0001f44d\U0001f3fd , {ENGLAND} \U0001f1eb\U0001f1f7 ok \u2764\ufe0f\u200d\U0001f525 ."),
        ("fa", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06a9\u062a\u0627\u0628\u200c\u0647\u0627\u200c.",
         "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06a9\u062a\u0627\u0628\u200c\u0647\u0627 ."),
        ("hi", "\u0928\u094d\u200d\u092f\u093e\u092f \u0915\u094d\u0937\u0924\u094d\u0930", "\u0928\u094d\u200d\u092f\u093e\u092f \u0915\u094d\u0937\u0924\u094d\u0930"),
        ("ml", "\u0d05\u0d35\u0d28\u0d4d\u200d.", "\u0d05\u0d35\u0d28\u0d4d\u200d ."),  # a joiner at the end of a word
        ("uk", "\u043c\u2019\u044f\u0442\u0430 \u043f\u02bc\u044f\u0442\u044c", "\u043c'\u044f\u0442\u0430 \u043f\u02bc\u044f\u0442\u044c"),
        ("de", "Wie geht\u2019s, Rock\u02bcn\u02bcRoll?", "Wie geht's , Rock'n'Roll ?"),
        ("ca", "l\u2019home col\u00b7lecci\u00f3", "l' home col\u00b7lecci\u00f3"),
        ("he", "\u05e6\u05d4\u05f4\u05dc \u05d2\u05f3", "\u05e6\u05d4\u05f4\u05dc \u05d2\u05f3"),  # gershayim, geresh
        ("ko", "\uac00\ub098\ub2e4 \ub9c8.", "\uac00\ub098\ub2e4 \ub9c8 ."),
        ("en", "\uac00\ub098\ub2e4 \U0001e900\U0001e923", "\uac00\ub098\ub2e4 \U0001e900\U0001e923"),  # younger than Moses
        ("ar", "\u0605 a \u0600\u0661", "\u0605 a \u0600\u0661"),  # a number sign stands before its number
        ("en", " \u0301abc \ufe0f \u3164 \U000e0067 ", "\u0301abc"),
    ],
)  # fmt: skip
def test_a_word_stays_one_word(lang: str, raw: str, words: str) -> None:
    text = normalise(raw, lang)
    assert " ".join(split_words(text, lang)) == words
    assert normalise(text, lang) == text
    decomposed = normalise(unicodedata.normalize("NFD", raw), lang)
    assert decomposed == text


@given(text=MIXED, lang=st.sampled_from(["en", "fr", "de", "fa", "hi"]))
@settings(deadline=None, max_examples=1000)
def test_no_character_is_lost_and_no_cluster_cut(text: str, lang: str) -> None:
    normal = normalise(text, lang)
    words = split_words(normal, lang)
    spans = locate_words(normal, words)
    assert [normal[start:end] for start, end in spans] == words
    assert "".join(words) == normal.replace(" ", "")
    seen = {0}
    for unit in units(normal):
        seen.add(max(seen) + len(unit))
    assert {place for span in spans for place in span} <= seen
    assert all(without_invisible(word) for word in words)


@given(text=MIXED)
@settings(deadline=None, max_examples=500)
def test_only_what_no_one_sees_is_dropped(text: str) -> None:
    dropped = drop_unseen(text)
    assert drop_unseen(dropped) == dropped
    assert without_invisible(dropped).replace(" ", "") == without_invisible(text).replace(" ", "")


@given(word=st.text("abcdeé", min_size=2, max_size=8), data=st.data())
@settings(deadline=None, max_examples=300)
def test_anything_invisible_inside_a_latin_word_leaves_the_word(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word)))
    unseen = data.draw(st.text(UNSEEN, min_size=1, max_size=4))
    assert normalise(word[:place] + unseen + word[place:], "en") == word


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("Com\u200cmit\u00adtee", "committee"),
        ("l\u2019", "l'"),
        ("\u043f\u02bc\u044f\u0442\u044c", "\u043f'\u044f\u0442\u044c"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645"),
        ("e\u0301", "\u00e9"),
        ("\ufb01nance \uff21\uff11", "finance a1"),
        ("\ufefb", "\u0644\u0627"),  # an Arabic ligature, as in text taken from a PDF
        ("n\u00ba m\u00b2", "n\u00ba m\u00b2"),  # a raised letter is not the letter
    ],
)
def test_the_dictionary_is_searched_for_what_one_sees(word: str, form: str) -> None:
    assert look_up_form(word) == form
