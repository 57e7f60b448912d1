"""The sentences of a gold set: words as they came, text in ordinary spelling, bounds checked early."""

from pathlib import Path

import pytest

import pipeline.corpus.gold as module
from pipeline.corpus.gold import read_gold_pairs
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words
from pipeline.errors import PipelineError
from pipeline.params import Gold

TEXT = "the cat , sleeps .   ||| le chat dort . \nno links ||| sans liens\n ||| \nyes ||| oui\n"
LINKS = "1-1 2p2 5-4\n\n\n1-1\n"


def read(folder: Path, text: str = TEXT, links: str = LINKS, *, base: int = 1, suffix: str = "") -> list[SentencePair]:
    (folder / f"text{suffix}").write_text(text, encoding="utf-8")
    (folder / f"links{suffix}").write_text(links, encoding="utf-8")
    gold = Gold(text=str(folder / f"text{suffix}"), links=str(folder / f"links{suffix}"), base=base)
    return read_gold_pairs(gold, src_lang="en", tgt_lang="fr")


def test_words_stay_and_the_text_is_joined(tmp_path: Path) -> None:
    pairs = read(tmp_path)
    assert [pair.pair_id for pair in pairs] == [0, 3]
    expected = SentencePair(
        0,
        "the cat, sleeps.",
        "le chat dort.",
        ("the", "cat", ",", "sleeps", "."),
        ("le", "chat", "dort", "."),
    )
    assert pairs[0] == expected


def test_a_table_is_split_by_our_rules(tmp_path: Path) -> None:
    rows = [
        "pair_id\tsrc\ttgt\tlinks",
        "a\tI don’t know.\tJe ne sais pas.\t0-0 1p1 2-3",
        "b\tx\tz\t",
        "c\tYes\tOui\t0-0",
    ]
    table = "\n".join(rows) + "\n"
    pairs = read(tmp_path, table, table, base=0, suffix=".tsv")
    assert [pair.pair_id for pair in pairs] == [0, 2]
    assert pairs[0].src_words == ("I", "do", "n't", "know", ".")
    assert pairs[0].src_text == "I don't know."


def test_the_demo_has_gold(project: Path) -> None:
    gold = Gold(text=str(project / Gold().text), links=str(project / Gold().links))
    pairs = read_gold_pairs(gold, src_lang="en", tgt_lang="fr")
    assert len(pairs) >= 150
    assert all(locate_words(pair.tgt_text, list(pair.tgt_words)) for pair in pairs)


@pytest.mark.parametrize(
    ("text", "links", "base", "match"),
    [
        (
            TEXT,
            "1-1\n",
            1,
            r"gold\.text, gold\.links: one sentence a line in both, but .*text has 4 and .*links has 1",
        ),
        ("a b\n", "1-1\n", 1, r"lines are `source \|\|\| target`, but line 1 of .*text is 'a b'"),
        ("a ||| b ||| c\n", "1-1\n", 1, r"line 1 of .*text is 'a \|\|\| b \|\|\| c'"),
        ("a ||| b\n", "\n", 1, r"at least one line must have links, but .*links has none"),
        ("a ||| b\n", "1-1 1:1\n", 1, r"line 1 of .*links: a link is i-j \(sure\) or ipj.*'1:1'"),
        ("a ||| b\n", "0-0\n", 1, r"line 1 of .*: 0-0 is outside .* 1 source and 1 target .*gold\.base 1"),
        ("a ||| b\n", "1-1\n", 0, r"line 1 of .*: 1-1 is outside .*gold\.base 0; check the base"),
        ("a ||| b c\n", "2-1\n", 1, r"2-1 is outside of the pair, which has 1 source and 2 target words"),
    ],
)
def test_a_gold_set_that_does_not_fit_is_refused(tmp_path: Path, text: str, links: str, base: int, match: str) -> None:
    with pytest.raises(PipelineError, match=match):
        read(tmp_path, text, links, base=base)


def test_a_table_needs_a_column_of_links(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"a \.tsv has a column named links, but .* has src, tgt; name it so"):
        read(tmp_path, "src\ttgt\na\tb\n", "src\ttgt\na\tb\n", suffix=".tsv")


def test_words_that_cannot_be_located_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "join_words", lambda words, lang: "another text")
    with pytest.raises(PipelineError, match=r"gold\.text: row 0 of .*: words: must spell"):
        read(tmp_path)


@pytest.mark.realdata
def test_the_hansards_are_whole(shared_data: Path) -> None:
    folder = shared_data / "gold/hansards"
    gold = Gold(text=str(folder / "enfr.src-tgt"), links=str(folder / "enfr.gold"), base=1)
    pairs = read_gold_pairs(gold, src_lang="en", tgt_lang="fr")
    assert [pair.pair_id for pair in pairs] == list(range(447))
    assert sum(len(pair.src_words) for pair in pairs) == 7020
    with pytest.raises(PipelineError, match=r"is outside of the pair, .*gold\.base 0"):
        read_gold_pairs(gold.model_copy(update={"base": 0}), src_lang="en", tgt_lang="fr")
