"""The sentences of a gold set: words as they came, text in ordinary spelling, bounds checked early."""

from pathlib import Path

import pytest

import pipeline.corpus.gold as module
from pipeline.corpus.gold import GoldPair, read_gold, read_gold_set, write_gold
from pipeline.corpus.pairs import SentencePair, write_pairs
from pipeline.corpus.words import locate_words
from pipeline.errors import PipelineError
from pipeline.params import Gold

TEXT = "the cat , sleeps .   ||| le chat dort . \nno links ||| sans liens\n ||| \nyes ||| oui\n"
LINKS = "1-1 2p2 5-4\n\n\n1-1\n"


def read(folder: Path, text: str = TEXT, links: str = LINKS, *, base: int = 1, suffix: str = "") -> list[GoldPair]:
    (folder / f"text{suffix}").write_text(text, encoding="utf-8")
    (folder / f"links{suffix}").write_text(links, encoding="utf-8")
    files = {"text": (str(folder / f"text{suffix}"),), "links": str(folder / f"links{suffix}")}
    return read_gold_set(Gold(name="own", pair="en-fr", **files, base=base))


def test_words_stay_and_the_text_is_joined(tmp_path: Path) -> None:
    gold = read(tmp_path)
    assert [item.pair.pair_id for item in gold] == [0, 1, 2, 3], "an empty line is annotated: no links"
    expected = SentencePair(
        0,
        "the cat, sleeps.",
        "le chat dort.",
        ("the", "cat", ",", "sleeps", "."),
        ("le", "chat", "dort", "."),
    )
    assert gold[0].pair == expected
    assert gold[0].links.sure.tolist() == [[0, 0], [4, 3]]
    assert gold[0].links.possible.tolist() == [[1, 1]]
    assert not len(gold[1].links.all)


def test_a_table_is_split_by_our_rules(tmp_path: Path) -> None:
    rows = [
        "pair_id\tsrc\ttgt\tlinks",
        "a\tI don’t know.\tJe ne sais pas.\t0-0 1p1 2-3",
        "b\tx\tz\t",
        "c\tYes\tOui\t0-0",
    ]
    table = "\n".join(rows) + "\n"
    pairs = read(tmp_path, table, table, base=0, suffix=".tsv")
    assert [item.pair.pair_id for item in pairs] == [0, 2], "an empty cell is not annotated"
    assert pairs[0].pair.src_words == ("I", "do", "n't", "know", ".")
    assert pairs[0].pair.src_text == "I don't know."


def test_the_demo_has_gold(project: Path) -> None:
    demo = Gold()
    text = str(project / demo.text[0])
    pairs = read_gold_set(Gold(name="demo", pair="en-fr", text=(text,), links=text))
    assert len(pairs) >= 150
    assert all(locate_words(item.pair.tgt_text, list(item.pair.tgt_words)) for item in pairs)


@pytest.mark.parametrize(
    ("text", "links", "base", "match"),
    [
        (
            TEXT,
            "1-1\n",
            1,
            r"gold\.text, gold\.links: one sentence a line in both, but .*text has 4 and .*links has 1",
        ),
        ("a b\n", "1-1\n", 1, r"gold\.text: .*text, line 1: must be `source \|\|\| target`, but it is 'a b'"),
        ("a ||| b ||| c\n", "1-1\n", 1, r"text, line 1: must be .*'a \|\|\| b \|\|\| c'"),
        ("a ||| b\n", "1p1\n", 1, r"links: a gold set needs a sure link \(i-j\) or more, but there is none"),
        ("a ||| b\n", "1-1 1:1\n", 1, r"links, line 1: links must be in a form.*'1-1 1:1'"),
        ("a ||| b\n", "0-0\n", 1, r"links, line 1: words are numbered from 1, but there is 0-0; is the file's first"),
        (
            "a ||| b\n",
            "1-1\n",
            0,
            r"links, line 1: the pair has 1 source and 1 target words, numbered from 0.*check base",
        ),
        (
            "a ||| b c\n",
            "2-1\n",
            1,
            r"the pair has 1 source and 2 target words, numbered from 1, .*source 2 and target 1",
        ),
    ],
)
def test_a_gold_set_that_does_not_fit_is_refused(tmp_path: Path, text: str, links: str, base: int, match: str) -> None:
    with pytest.raises(PipelineError, match=match):
        read(tmp_path, text, links, base=base)


def test_a_table_needs_a_column_of_links(tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"first line of a \.tsv must name a column links, but it names \['src', 'tgt'\]"
    ):
        read(tmp_path, "src\ttgt\na\tb\n", "src\ttgt\na\tb\n", suffix=".tsv")


def test_words_that_cannot_be_located_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "join_words", lambda words, lang: "another text")
    with pytest.raises(PipelineError, match=r"gold\.text: row 0 of .*: words: must spell"):
        read(tmp_path)


@pytest.mark.realdata
def test_the_hansards_are_whole(shared_data: Path) -> None:
    folder = shared_data / "gold/hansards"
    files = {"text": (str(folder / "enfr.src-tgt"),), "links": str(folder / "enfr.gold")}
    gold = Gold(name="hansards", pair="en-fr", **files, base=1)
    pairs = read_gold_set(gold)
    assert [item.pair.pair_id for item in pairs] == list(range(447))
    assert sum(len(item.pair.src_words) for item in pairs) == 7020
    assert sum(len(item.links.sure) for item in pairs) == 4038
    assert sum(len(item.links.possible) for item in pairs) == 13400
    with pytest.raises(PipelineError, match=r"numbered from 0, but a link joins .*check base"):
        read_gold_set(gold.model_copy(update={"base": 0}))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    gold = read(tmp_path)
    write_gold(tmp_path / "gold.parquet", gold)
    again = read_gold(tmp_path / "gold.parquet")
    assert [(item.set, item.pair) for item in again] == [(item.set, item.pair) for item in gold]
    for one, other in zip(again, gold, strict=True):
        assert one.links.sure.tolist() == other.links.sure.tolist()
        assert one.links.possible.tolist() == other.links.possible.tolist()
    first = (tmp_path / "gold.parquet").read_bytes()
    write_gold(tmp_path / "gold.parquet", gold)
    assert (tmp_path / "gold.parquet").read_bytes() == first


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"hand-aligned pairs, but .* is not there; run `dvc repro corpus`"):
        read_gold(tmp_path / "gold.parquet")
    write_pairs(tmp_path / "gold.parquet", [item.pair for item in read(tmp_path)])
    with pytest.raises(PipelineError, match=r"must hold the columns set, languages, .*; run `dvc repro corpus`"):
        read_gold(tmp_path / "gold.parquet")
