"""Text that was split before: recognised by its signs, and read with the words that it has."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.files import TextRows
from pipeline.corpus.pairs import unusual_splitters, write_pairs
from pipeline.corpus.pretokenised import GIVEN, SideWords, decide, describe, given_text, given_words, signs_of
from pipeline.corpus.select import select_pairs
from pipeline.corpus.words import locate_words
from pipeline.errors import PipelineError
from pipeline.params import Params, Sample, Words

LANGS = {"src_lang": "en", "tgt_lang": "fr"}
LIMITS = Sample(n_pairs=10, min_words=2, max_words=20, min_links=1, method="head")
SPLIT = [
    ("a two @-@ year plan &apos;s end .", "la fin d&apos; un plan de deux ans ."),
    ("the committee &apos;s work , today .", "le travail du comité , aujourd&apos; hui ."),
    ("that is R &amp; D .", "c &apos; est d &apos; État ."),
]


@pytest.mark.parametrize(
    ("lang", "rows", "split"),
    [
        ("en", ["two @-@ year plan"], True),
        ("en", ["and @/@ or"], True),
        ("fr", ["aujourd&apos; hui"], True),
        ("fr", ["d &apos; État"], True),
        ("fr", ["l&apos; État"], True),
        ("en", ["the committee &apos;s work"], True),
        ("en", ["I do n&apos;t"], True),
        ("en", ["Hello , world ."], True),
        ("en", ["Hello , world ."] * 9 + ["Ok, then."], True),  # one row that was forgotten
        ("fr", ["Oui , dit @-@ il ."], True),
        ("hi", ["राजा गया ।"], True),
        ("en", ["we do n't know the committee 's work"], True),
        ("en", ["Hello, world."], False),
        ("en", ["Hello, two @-@ year world."] * 3 + ["A, b , c."], False),
        ("en", ["the players&apos; guide, don&apos;t"], False),  # entities alone are a page's
        ("en", ["R &amp; D"], False),
        ("en", ["He said &quot;yes&quot;."], False),
        ("fr", ["Oui : c'est vrai ! Et toi ? « Non » ; bien."], False),  # French sets these apart
        ("en", ['He said "yes".', "It costs 3.5 %"], False),
        ("en", ["A headline"] * 99 + ["Obama 's plan , again"], False),  # a slip
        ("en", ["A (small) headline", "again , a slip"], False),
        ("en", ["no marks at all", ""], False),
        ("en", [], False),
        ("zh", ["我 喜欢 你 。"], True),
        ("zh", ["我喜欢你。", "他有 iPhone 15 和 书"], False),
        ("ja", ["私 は 学生 です 。"], True),
        ("ja", ["私は学生です。"], False),
        ("th", ["ฉัน รัก ภาษา ไทย มาก"], True),
        ("th", ["ฉันรักภาษาไทยมากที่สุด เพราะว่ามันสวยงาม"], False),
        ("km", ["ខ្ញុំ ស្រឡាញ់ ភាសា ខ្មែរ ។"], True),
        ("my", ["ကျွန်တော်မြန်မာစာကိုချစ်သည် ။"], False),
    ],
)  # fmt: skip
def test_the_signs_of_split_text(lang: str, rows: list[str], split: bool) -> None:
    assert signs_of(rows, lang).split is split


def test_words_are_those_that_were_given() -> None:
    assert given_words("a\ttwo @-@ year d &apos; État &amp; &#45; 3&#160;000 &bogus; @") == [
        "a", "two", "-", "year", "d", "'", "État", "&", "-", "3&#160;000", "&bogus;", "@",
    ]  # fmt: skip
    assert given_words("com\u200cmittee \u200b e\u0301 “quoted” ’s") == [
        "committee",
        "\u200b",
        "e\u0301",
        "“quoted”",
        "’s",
    ]


@pytest.mark.parametrize(
    ("lang", "text", "spelled"),
    [
        ("en", "a two @-@ year plan &apos;s end .", "a two-year plan's end."),
        ("en", "and @/@ or , I do n&apos;t", "and/or, I don't"),
        ("fr", "d &apos; État aujourd&apos; hui , l&apos; homme", "d'État aujourd'hui, l'homme"),
        ("zh", "我 有 iPhone 15 。", "我有iPhone 15。"),
        ("en", "R &amp; D &amp;amp; x", "R & D &amp; x"),
        ("en", "@-@ a @-@ @-@ b @-@", "-a--b-"),
    ],
)
def test_the_model_reads_ordinary_spelling(lang: str, text: str, spelled: str) -> None:
    assert given_text(text, lang) == spelled
    assert len(locate_words(spelled, given_words(text))) == len(text.split())


@given(
    words=st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6),
            st.sampled_from(["@-@", "&apos;s", "&quot;", "l&apos;", "&amp;amp;", "'", '"', ".", ",", "(", "%", "DOTMULTI", "@@", "&#10;"]),
        ),
        min_size=1,
        max_size=10,
    ),
    lang=st.sampled_from(["en", "fr", "cs", "zh", "th"]),
)  # fmt: skip
@settings(deadline=None, max_examples=500)
def test_any_given_words_come_back_as_many_and_in_order(words: list[str], lang: str) -> None:
    row = " ".join(words)
    side = SideWords(lang, True)
    text, read = side.split(side.prepare(row))
    assert len(read) == len(row.split())
    assert len(locate_words(text, read)) == len(read)


def test_auto_takes_the_words_and_says_what_it_saw() -> None:
    said: list[str] = []
    rows = TextRows("files", [src for src, _ in SPLIT], [tgt for _, tgt in SPLIT])
    pairs, selection = select_pairs(rows, LIMITS, **LANGS, say=said.append)
    assert [pair.src_words for pair in pairs] == [tuple(given_words(src)) for src, _ in SPLIT]
    assert [pair.tgt_text for pair in pairs][1:] == ["le travail du comité, aujourd'hui.", "c'est d'État."]
    assert said == [
        "corpus: words.pretokenised: auto: en is split already: its words are taken as given (4 of 4 marks "
        "stand apart, @-@ in 1, 's or &apos; split off in 2, in 3 rows); fr is split already: its words are taken as given "
        "(4 of 4 marks stand apart, 's or &apos; split off in 3, in 3 rows)"
    ]
    assert selection["words"]["src"] == {
        "splitter": GIVEN, "pretokenised": True,
        "saw": {"rows": 3, "joints": 1, "escapes": 2, "apart": 4, "tight": 0, "spaced": 0, "unspaced": 0},
    }  # fmt: skip


def test_each_side_is_decided_by_itself() -> None:
    rows = TextRows("files", ["Hello, my world."], ["Bonjour , mon monde ."])
    (pair,), selection = select_pairs(rows, LIMITS, **LANGS)
    assert (pair.src_words, pair.tgt_words) == (
        ("Hello", ",", "my", "world", "."),
        ("Bonjour", ",", "mon", "monde", "."),
    )
    assert [selection["words"][side]["pretokenised"] for side in ("src", "tgt")] == [False, True]
    assert selection["words"]["src"]["splitter"].startswith("Moses, sacremoses ")


def test_what_is_asked_is_done_and_nothing_said() -> None:
    said: list[str] = []
    rows = TextRows("files", ["Hello, my world."], ["Bonjour , mon monde-là ."])
    (pair,), selection = select_pairs(rows, LIMITS, **LANGS, pretokenised=True, say=said.append)
    assert (pair.src_words, pair.src_text) == (("Hello,", "my", "world."), "Hello, my world.")
    assert selection["words"]["src"] == {"splitter": GIVEN, "pretokenised": True, "saw": None}
    (pair,), _ = select_pairs(TextRows("files", [SPLIT[0][0]], [SPLIT[0][1]]), LIMITS, **LANGS, pretokenised=False)
    assert pair.src_words[:6] == ("a", "two", "@", "-", "@", "year")
    assert said == []


@pytest.mark.parametrize(
    ("mark", "rows"),
    [
        ("BPE", ["the com@@ mittee met .", "a sen@@ ten@@ ce"]),
        ("SentencePiece", ["\u2581the \u2581com mittee \u2581met .", "\u2581a \u2581sen ten ce"]),
    ],
)
def test_sub_words_are_refused_and_the_remedy_joins_them(tmp_path: Path, mark: str, rows: list[str]) -> None:
    for asked in ("auto", False):
        with pytest.raises(
            PipelineError, match=rf"2 of the first 2 rows of en hold sub-words \({mark}: '.*words with words"
        ) as refused:
            decide(rows, "en", asked)
    (tmp_path / "FILE").write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = str(refused.value).split("`")[1]
    subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, check=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    )
    words = [line.replace(" .", ".") for line in (tmp_path / "NEW").read_text(encoding="utf-8").splitlines()]
    assert words == ["the committee met.", "a sentence"]
    assert decide(rows, "en", True).given  # the other remedy: the pieces are words


def test_lines_of_tags_are_dropped_on_both_sides_and_counted() -> None:
    """As Europarl has them."""
    src = [
        "<CHAPTER ID=1>",
        "Resumption of it.",
        '<SPEAKER ID=1 NAME="President"> <P>',
        "I declare it.",
        "<P>",
        "x <P> y",
    ]
    tgt = [
        "<CHAPTER ID=1>",
        "Reprise de cela.",
        '<SPEAKER ID=1 NAME="La Présidente">',
        "Je la déclare.",
        "Donc.",
        "x < y",
    ]
    pairs, selection = select_pairs(TextRows("files", src, tgt), LIMITS, **LANGS)
    assert [pair.pair_id for pair in pairs] == [1, 3, 5]
    assert selection["dropped"]["only_tags"] == 3


def test_the_refusal_names_the_splitters() -> None:
    with pytest.raises(
        PipelineError,
        match=r"1 too_short\); en was split by Moses, sacremoses [\d.]+; fr was split by spaces .*check the files",
    ):
        select_pairs(TextRows("files", ["Hello."], ["Oui , x ."]), Sample(min_words=9, n_pairs=1), **LANGS)


def test_signature_names_what_is_not_moses(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_pairs(path, [], splitters=lambda: ("Moses, sacremoses 1", GIVEN))
    assert unusual_splitters(path) == f"; source words by Moses, sacremoses 1, target words by {GIVEN}"
    for usual in (None, ("Moses, sacremoses 1", "Moses, sacremoses 1")):
        write_pairs(path, [], splitters=usual and (lambda usual=usual: usual))
        assert unusual_splitters(path) == ""


@pytest.mark.parametrize("value", ["auto", True, False])
def test_the_parameter(value: object) -> None:
    assert Words.model_validate({"pretokenised": value}).pretokenised is value
    assert Params().words.pretokenised == "auto"


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_another_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="'auto', True or False"):
        Words.model_validate({"pretokenised": value})


def test_the_line_that_is_said() -> None:
    line = describe([decide(["Hello, you."], "en", "auto"), decide(["我 有 书"], "zh", "auto")])
    assert line == (
        "words.pretokenised: auto: en is running text (0 of 2 marks stand apart, in 1 rows); zh is split "
        "already: its words are taken as given (2 of 2 letters have a space before the next, in 1 rows)"
    )


@pytest.mark.realdata
def test_real_text_is_told_apart(shared_data: Path) -> None:
    for year in range(2008, 2014):
        for lang in ("en", "fr"):
            lines = (shared_data / f"newstest/newstest{year}.{lang}").read_text(encoding="utf-8").split("\n")[:-1]
            assert not any(signs_of(lines[at : at + 20], lang).split for at in range(0, len(lines), 20))
    gold = [
        line.split("|||") for line in (shared_data / "gold/hansards/enfr.src-tgt").read_text("utf-8").split("\n")[:-1]
    ]
    for side, lang in enumerate(("en", "fr")):
        assert all(signs_of([row[side] for row in gold[at : at + 20]], lang).split for at in range(0, len(gold), 20))
    for name in ("de-en/test.de", "de-en/test.en", "ro-en/test.ro", "ro-en/test.en"):
        lines = (shared_data / "gold" / name).read_text(encoding="utf-8").split("\n")[:-1]
        assert signs_of(lines[:100], name[-2:]).split
