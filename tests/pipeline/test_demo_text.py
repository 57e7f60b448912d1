"""The demo text is what its README says: counts, lengths, links, and a dictionary that covers it."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.corpus.words import lemma, normalise, split_words

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"
LINK = re.compile(r"(\d+)([-p])(\d+)")
CURLY_QUOTES = "‘’‚‛“”„‟«»‹›`´"
NEGATIVE_HALVES = {"pas", "jamais", "plus", "rien", "aucun", "aucune", "personne"}


class Pair(NamedTuple):
    """One line of `pairs.tsv`, split into words."""

    pair_id: str
    src: str
    tgt: str
    src_words: list[str]
    tgt_words: list[str]
    sure: set[tuple[int, int]]
    possible: set[tuple[int, int]]


def read_links(cell: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the sure and the possible links of a cell; a test fails here if one does not parse."""
    sure, possible = [], []
    for item in cell.split():
        match = LINK.fullmatch(item)
        assert match, f"not a link: {item!r} in {cell!r}"
        (sure if match[2] == "-" else possible).append((int(match[1]), int(match[3])))
    assert len(set(sure + possible)) == len(sure + possible), f"a link is given twice: {cell!r}"
    return sure, possible


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    lines = (DEMO / "pairs.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "pair_id\tsrc\ttgt\tlinks"
    read = []
    for line in lines[1:]:
        pair_id, src, tgt, cell = line.split("\t")
        sure, possible = read_links(cell)
        words = split_words(normalise(src, "en"), "en"), split_words(normalise(tgt, "fr"), "fr")
        read.append(Pair(pair_id, src, tgt, *words, set(sure), set(possible)))
    return read


@pytest.fixture(scope="module")
def linked(pairs: list[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.sure or pair.possible]


@pytest.fixture(scope="module")
def entries() -> list[tuple[str, ...]]:
    lines = (DEMO / "lexicon.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" ")) for line in lines]


def test_counts_are_those_of_the_readme(pairs: list[Pair], linked: list[Pair], entries: list[tuple[str, ...]]) -> None:
    assert len(pairs) >= 260
    assert len(linked) >= 170
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    assert f"{len(pairs)} sentence pairs" in readme
    assert f"{len(linked)} of them have word links" in readme
    assert f"{len(entries):,} dictionary entries" in readme
    sure, possible = (sum(len(links) for links in kind) for kind in zip(*(pair[5:] for pair in linked), strict=True))
    assert f"{sure:,} sure and {possible:,} possible links" in readme


def test_sentences_have_8_to_22_words(pairs: list[Pair]) -> None:
    odd = [pair.pair_id for pair in pairs for words in pair[3:5] if not 8 <= len(words) <= 22]
    assert odd == []


def test_ids_and_sentences_are_distinct(pairs: list[Pair]) -> None:
    for column in zip(*(pair[:3] for pair in pairs), strict=True):
        assert len({text.casefold() for text in column}) == len(column)


def test_no_two_sentences_are_near_duplicates(pairs: list[Pair]) -> None:
    for side in (3, 4):
        bags = [({word.casefold() for word in pair[side]}, pair.pair_id) for pair in pairs]
        near = [
            (one, other)
            for at, (left, one) in enumerate(bags)
            for right, other in bags[:at]
            if len(left & right) > 0.5 * len(left | right)
        ]
        assert near == []


@pytest.mark.parametrize("name", ["pairs.tsv", "lexicon.txt"])
def test_files_are_plain_nfc_text(name: str) -> None:
    raw = (DEMO / name).read_bytes()
    text = raw.decode("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert not set(text) & set(CURLY_QUOTES)
    assert not [char for char in set(text) if char.isspace() and char not in " \t\n"]
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_text_has_no_stray_spaces(pairs: list[Pair]) -> None:
    for pair in pairs:
        assert pair.src == " ".join(pair.src.split())
        assert pair.tgt == " ".join(pair.tgt.split())


def test_normalising_does_not_move_the_words(pairs: list[Pair]) -> None:
    """Links stay right whether or not a caller normalises the text before splitting it."""
    for pair in pairs:
        assert split_words(pair.src, "en") == pair.src_words
        assert split_words(pair.tgt, "fr") == pair.tgt_words


def test_links_are_in_bounds_and_kinds_do_not_overlap(linked: list[Pair]) -> None:
    for pair in linked:
        for i, j in pair.sure | pair.possible:
            assert i < len(pair.src_words), pair.pair_id
            assert j < len(pair.tgt_words), pair.pair_id
        assert not pair.sure & pair.possible, pair.pair_id


def test_most_words_of_a_linked_pair_have_a_sure_link(linked: list[Pair]) -> None:
    for pair in linked:
        assert len({i for i, _ in pair.sure}) >= 0.4 * len(pair.src_words), pair.pair_id
        assert len({j for _, j in pair.sure}) >= 0.4 * len(pair.tgt_words), pair.pair_id


def anchors(words: list[str]) -> dict[str, int]:
    """Return the position of each number and each capitalised word after the first that occurs once."""
    return {
        word: at
        for at, word in enumerate(words)
        if words.count(word) == 1 and (word.isdigit() or (at > 0 and word[0].isupper()) or word in ".?;:")
    }


def test_same_numbers_names_and_marks_are_linked(linked: list[Pair]) -> None:
    """A cell of links that slipped to another line or by one word shows here."""
    missing, seen = [], 0
    for pair in linked:
        src, tgt = anchors(pair.src_words), anchors(pair.tgt_words)
        for word in src.keys() & tgt.keys():
            seen += 1
            if (src[word], tgt[word]) not in pair.sure:
                missing.append((pair.pair_id, word))
    assert seen > 200
    assert missing == []


def test_not_is_linked_to_both_halves_of_the_negation(linked: list[Pair]) -> None:
    found = 0
    for pair in linked:
        for i, word in enumerate(pair.src_words):
            if word not in {"not", "never", "cannot", "nobody"}:
                continue
            halves = {pair.tgt_words[j].lower() for a, j in pair.sure if a == i}
            found += bool(halves & {"ne", "n'"}) and bool(halves & NEGATIVE_HALVES)
    assert found >= 30


def test_links_show_the_hard_cases(linked: list[Pair]) -> None:
    """Word order changes, one-to-many links and words without a counterpart all occur often."""
    crossing = sum(any(a < c and b > d for a, b in pair.sure for c, d in pair.sure) for pair in linked)
    one_to_many = sum(len({i for i, _ in pair.sure}) < len(pair.sure) for pair in linked)
    unlinked = sum(len({j for _, j in pair.sure | pair.possible}) < len(pair.tgt_words) for pair in linked)
    assert crossing >= 100
    assert one_to_many >= 50
    assert unlinked >= 15
    assert sum(bool(pair.possible) for pair in linked) >= 150


def test_lexicon_lines_are_well_formed_and_distinct(entries: list[tuple[str, ...]]) -> None:
    assert len(entries) >= 1300
    assert len(set(entries)) == len(entries)
    for entry in entries:
        assert len(entry) == 2, entry
        assert all(word and word == word.lower() == word.strip() for word in entry), entry
    by_source: dict[str, int] = {}
    for source, _ in entries:
        by_source[source] = by_source.get(source, 0) + 1
    assert sum(count > 1 for count in by_source.values()) >= 200
    assert sum(source == target for source, target in entries) >= 30


def test_lexicon_covers_the_linked_content_words(linked: list[Pair], entries: list[tuple[str, ...]]) -> None:
    lexicon = set(entries)
    covered, total = 0, 0
    for pair in linked:
        for i in {i for i, _ in pair.sure}:
            word = pair.src_words[i].lower()
            if len(word) <= 3 or not word[0].isalpha():
                continue
            targets = [pair.tgt_words[j].lower() for a, j in pair.sure if a == i]
            total += 1
            covered += any((word, t) in lexicon or (word, lemma(t, "fr")) in lexicon for t in targets)
    assert total > 1000
    assert covered >= 0.75 * total, f"{covered} of {total}"


def test_licence_names_both_files() -> None:
    licence = (DEMO / "LICENSE").read_text(encoding="utf-8")
    assert "CC0 1.0" in licence
    assert "pairs.tsv" in licence
    assert "lexicon.txt" in licence
