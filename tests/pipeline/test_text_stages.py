"""Text as people have it, through the stages corpus and links: the same words everywhere, or a refusal that helps."""

import gzip
import json
from pathlib import Path

import pytest

import pipeline.corpus.splitters as splitters
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon.links import read_links
from pipeline.stages import corpus, links
from tests.pipeline.test_links_stages import CORPUS, Project, user

__all__ = ["user"]

SAMPLE = {"n_pairs": 2, "min_words": 3, "min_links": 1}
ONE: dict = {"gold": None, "report": {"pair": 0}}


def write(user: Project, src: bytes, tgt: bytes, dictionary: str, pair: str = "en-fr") -> None:
    """Write two files of text, a dictionary, and parameters that name them."""
    for name, data in (("a.src", src), ("a.tgt", tgt), ("d.txt", dictionary.encode())):
        (user.folder / name).write_bytes(data)
    user.write(
        corpus={"source": "files", "pair": pair, "src": ["a.src"], "tgt": ["a.tgt"]},
        lexicon={"source": "files", "path": "d.txt"},
        words={"lemmas": "none"},
        sample=SAMPLE,
        **ONE,
    )


def linked(user: Project) -> list[tuple[str, str]]:
    """Run both stages and return the linked words of all pairs."""
    user.run(corpus)
    user.run(links)
    pairs = {pair.pair_id: pair for pair in read_pairs("data/corpus/pairs.parquet")}
    return [
        (pairs[row].src_words[i], pairs[row].tgt_words[j])
        for row, found in read_links("data/links/links.parquet").items()
        for i, j in found.tolist()
    ]


def test_invisible_characters_hide_no_word_from_the_dictionary(user: Project) -> None:
    src = "The com\u200cmittee did not mea\u00adsure the e\u0301tude.\n".encode()
    tgt = "Le comite\u0301 n\u02bca pas mesur\u2060é l\uff07étude.\n".encode()
    write(user, src, tgt, "committee comité\nmeasure mesuré\nétude étude\n")
    assert linked(user) == [("committee", "comité"), ("measure", "mesuré"), ("étude", "étude")]


def test_persian_keeps_its_joiners(user: Project) -> None:
    src = "می‌خواهم کتاب‌ها را بخوانم.\n".encode()
    write(user, src, b"I want to read the books.\n", "کتاب‌ها books\nمی‌خواهم want\n", pair="fa-en")
    assert linked(user) == [("می‌خواهم", "want"), ("کتاب‌ها", "books")]


def test_split_text_keeps_its_words(user: Project) -> None:
    src = b"a two @-@ year plan of the State .\n"
    write(user, src, "un plan de deux ans de l &apos; État .\n".encode(), "State État\nyear ans\n")
    assert linked(user) == [("year", "ans"), ("State", "État")]
    facts = json.loads(user.files()[CORPUS])["words"]
    assert [facts[side]["splitter"] for side in ("src", "tgt")] == ["spaces (split before)"] * 2
    (pair,) = read_pairs("data/corpus/pairs.parquet")
    assert (len(pair.src_words), len(pair.tgt_words)) == (9, 10)
    assert (pair.src_text, pair.tgt_text) == ("a two-year plan of the State.", "un plan de deux ans de l'État.")


def test_chinese_is_split_or_refused_with_what_to_install(user: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jieba")
    write(
        user,
        "我来到北京清华大学。\n".encode(),
        b"I came to Tsinghua University in Beijing.\n",
        "北京 Beijing\n",
        "zh-en",
    )
    splitters.splitter_of.cache_clear()
    assert linked(user) == [("北京", "Beijing")]
    assert json.loads(user.files()[CORPUS])["words"]["src"]["splitter"].startswith("jieba ")
    refused(user, monkeypatch)


def test_chinese_without_a_splitter_is_refused(user: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        user,
        "我来到北京清华大学。\n".encode(),
        b"I came to Tsinghua University in Beijing.\n",
        "北京 Beijing\n",
        "zh-en",
    )
    refused(user, monkeypatch)
    write(user, "我 来到 北京 。\n".encode(), b"I came to Beijing.\n", "北京 Beijing\n", "zh-en")
    assert linked(user) == [("北京", "Beijing")]  # the other remedy: words between spaces


def refused(user: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage without the splitter's package."""

    def missing(name: str) -> None:
        message = f"No module named {name!r}"
        raise ImportError(message)

    splitters.splitter_of.cache_clear()
    monkeypatch.setattr(splitters, "import_module", missing)
    said = user.fails(corpus)
    assert "needs a splitter, but jieba is not installed" in said
    assert "pip install 'attention-transport[zh]'" in said
    assert "min_words" not in said
    splitters.splitter_of.cache_clear()


def test_files_of_other_kinds_are_said(user: Project) -> None:
    write(user, gzip.compress("One dog sleeps.\r\n".encode("utf-16")), b"Un chien dort.\r", "dog chien\n")
    said = user.run(corpus)
    assert "corpus: a.src was read as gzip, utf-16-le\n" in said
    assert json.loads(user.files()[CORPUS])["read_as"] == {"a.src": "gzip, utf-16-le"}
    assert read_pairs("data/corpus/pairs.parquet")[0].tgt_words == ("Un", "chien", "dort", ".")


def test_the_refusal_of_an_encoding_is_one_line(user: Project) -> None:
    write(user, "Une école.\n".encode("cp1252"), b"A school.\n", "a b\n", "fr-en")
    assert "it may be cp1252, in which the line begins 'Une école.'" in user.fails(corpus)


def test_a_translation_memory_goes_through(user: Project, tmp_path: Path) -> None:
    unit = '<tu><tuv xml:lang="EN-gb"><seg>One dog sleeps.</seg></tuv><tuv xml:lang="fr"><seg>Un chien dort.</seg></tuv></tu>'
    write(user, b"", b"", "dog chien\n")
    (tmp_path / "a.tmx").write_text(f"<tmx><body>{unit}</body></tmx>", encoding="utf-8")
    user.write(
        corpus={"source": "files", "file": "a.tmx"},
        lexicon={"source": "files", "path": "d.txt"},
        words={"lemmas": "none"},
        sample=SAMPLE,
        **ONE,
    )
    assert linked(user) == [("dog", "chien")]
