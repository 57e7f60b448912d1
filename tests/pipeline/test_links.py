"""Links of a sentence pair by both policies, their file, and how right they are on hand-made ones."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.files import read_lines
from pipeline.corpus.gold import read_gold_set
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.corpus.words import normalise, split_words
from pipeline.errors import PipelineError
from pipeline.lexicon.files import Lexicon, read_lexicon
from pipeline.lexicon.links import (
    PairLinks,
    compare_with_gold,
    link_pairs,
    read_links,
    summarise,
    write_links,
)
from pipeline.lexicon.policies import POLICIES, LookUp, count_ambiguous, find_hits, link_words
from pipeline.params import Gold


def lexicon(*entries: str) -> Lexicon:
    words: dict[str, set[str]] = {}
    for entry in entries:
        src, tgt = entry.split()
        words.setdefault(src, set()).add(tgt)
    return Lexicon("files", {src: frozenset(targets) for src, targets in words.items()}, 0, "0" * 64)


def look_up(*entries: str, lemmas: str = "none") -> LookUp:
    return LookUp.make(lexicon(*entries), lemmas=lemmas, src_lang="en", tgt_lang="fr")


def pair(src: str, tgt: str, pair_id: int = 0) -> SentencePair:
    return SentencePair(pair_id, src, tgt, tuple(src.split()), tuple(tgt.split()))


def linked(src: str, tgt: str, how: LookUp, policy: str = "one_to_one") -> tuple[list[str], int]:
    """Return the links as `word=word` with their places, and the number of ambiguous words."""
    a, b = src.split(), tgt.split()
    hits = find_hits(a, b, how)
    links = link_words(hits, policy)
    return [f"{a[i]}{i}={b[j]}{j}" for i, j in links.tolist()], count_ambiguous(hits, policy)


def test_unique_hits_are_linked_whatever_their_case() -> None:
    assert linked("The Dog sleeps .", "Le chien dort .", look_up("dog chien", "sleeps dort", ". .")) == (
        ["Dog1=chien1", "sleeps2=dort2"],
        0,
    )


@pytest.mark.parametrize(
    ("src", "tgt", "one_to_one", "ambiguous", "first", "undecided"),
    [
        # a word that is there twice on both sides links in order
        (
            "a dog a dog",
            "chien un chien",
            ["dog1=chien0", "dog3=chien2"],
            0,
            ["dog1=chien0", "dog3=chien0"],
            2,
        ),
        # but not if the counts differ
        ("dog dog", "chien", [], 2, ["dog0=chien0", "dog1=chien0"], 0),
        ("dog", "chien chien", [], 1, ["dog0=chien0"], 1),
        # two translations of one word, two words of one translation
        ("the dog", "la le chien", ["dog1=chien2"], 1, ["the0=la0", "dog1=chien2"], 1),
        ("hound dog", "chien", [], 2, ["hound0=chien0", "dog1=chien0"], 0),
        # a chain: nobody in it is sure
        ("the that", "le que", [], 2, ["the0=le0", "that1=le0"], 1),
        ("Dog dog", "chien Chien", ["Dog0=chien0", "dog1=Chien1"], 0, ["Dog0=chien0", "dog1=chien0"], 2),
        ("nothing known", "rien connu", [], 0, [], 0),
        ("", "", [], 0, [], 0),
    ],
)
def test_policies(src: str, tgt: str, one_to_one: list[str], ambiguous: int, first: list[str], undecided: int) -> None:
    how = look_up("dog chien", "hound chien", "the le", "the la", "that le", "that que")
    assert linked(src, tgt, how) == (one_to_one, ambiguous)
    assert linked(src, tgt, how, "first_occurrence") == (first, undecided)


def test_punctuation_is_never_linked_and_numbers_need_an_entry() -> None:
    how = look_up(", ,", ". .", "2011 2011", "obama obama")
    assert linked("Obama , 2011 1998 .", "Obama , 2011 1998 .", how) == (["Obama0=Obama0", "20112=20112"], 0)


def test_lemmas_help_only_words_that_have_nothing_else() -> None:
    entries = ("minister ministre", "speak parler", "years ans")
    assert linked("ministers spoke", "les ministres parlèrent", look_up(*entries))[0] == []
    with_lemmas = look_up(*entries, lemmas="simplemma")
    assert linked("ministers spoke", "les ministres parlèrent", with_lemmas)[0] == [
        "ministers0=ministres1",
        "spoke1=parlèrent2",
    ]
    # "year" would fit by its lemma to "ans" too, which "years" has as it is written
    both = look_up("years ans", "year an", lemmas="simplemma")
    assert linked("years year", "ans", both) == (["years0=ans0"], 0)


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", ","]), max_size=8)
ENTRIES = st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=8)


@given(src=WORDS, tgt=WORDS, entries=ENTRIES)
def test_laws_of_the_policies(src: list[str], tgt: list[str], entries: set[tuple[str, str]]) -> None:
    how = look_up(*(" ".join(entry) for entry in entries))
    hits = find_hits(src, tgt, how)
    for policy in POLICIES:
        links = link_words(hits, policy)
        assert links.dtype == np.int64
        assert links.tolist() == sorted(links.tolist())
        assert all((src[i], tgt[j]) in entries for i, j in links.tolist())
        assert max(Counter(links[:, 0].tolist()).values(), default=1) == 1
    strict, loose = (link_words(hits, policy) for policy in ("one_to_one", "first_occurrence"))
    assert max(Counter(strict[:, 1].tolist()).values(), default=1) == 1
    assert set(loose[:, 0].tolist()) == set(hits.hit_places)
    assert len(strict) + count_ambiguous(hits, "one_to_one") == len(loose)


@given(src=WORDS, tgt=WORDS, entries=ENTRIES)
def test_swapping_the_languages_swaps_the_links(src: list[str], tgt: list[str], entries: set[tuple[str, str]]) -> None:
    there = link_words(find_hits(src, tgt, look_up(*(f"{a} {b}" for a, b in entries))), "one_to_one")
    back = link_words(find_hits(tgt, src, look_up(*(f"{b} {a}" for a, b in entries))), "one_to_one")
    assert {(i, j) for i, j in there.tolist()} == {(i, j) for j, i in back.tolist()}


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_links_do_not_depend_on_the_hash_seed(policy: str) -> None:
    code = (
        "from pipeline.lexicon.files import Lexicon;"
        "from pipeline.lexicon.policies import *;"
        "e = {s: frozenset('vwxyz') for s in 'abc'} | {'d': frozenset('u'), 'e': frozenset('t')};"
        "how = LookUp(Lexicon('files', e, 0, ''));"
        f"print(link_words(find_hits(list('abcdea'), list('zyxwvut'), how), {policy!r}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


def some_links() -> list[PairLinks]:
    pairs = [pair("the dog sleeps", "le chien dort", 4), pair("a a", "un", 7), pair("no hit", "rien", 9)]
    how = look_up("dog chien", "sleeps dort", "a un")
    return link_pairs(pairs, how, policy="one_to_one")


def test_links_survive_the_disk_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_links(tmp_path / name, some_links(), policy="one_to_one", lemmas="none")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    links = read_links(tmp_path / "a")
    assert {pair_id: array.tolist() for pair_id, array in links.items()} == {
        4: [[1, 1], [2, 2]],
        7: [],
        9: [],
    }
    assert all(array.shape == (len(array), 2) and array.dtype == np.int64 for array in links.values())
    table = pq.read_table(tmp_path / "a")
    assert table.schema.metadata[b"policy"] == b"one_to_one"
    assert table["n_ambiguous"].to_pylist() == [0, 2, 0]


def test_files_that_are_no_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"links\.parquet is not there; run `dvc repro links`"):
        read_links(tmp_path / "links.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "links.parquet")
    with pytest.raises(PipelineError, match=r"must hold the columns pair_id, .* holds a; run"):
        read_links(tmp_path / "links.parquet")


def test_summary_counts() -> None:
    summary = summarise(some_links(), lexicon("a b"), policy="one_to_one", lemmas="none", min_links=2)
    assert (summary["n_pairs"], summary["n_pairs_used"], summary["dropped"]) == (3, 1, {"too_few_links": 2})
    assert (summary["n_links"], summary["n_ambiguous"]) == (2, 2)
    assert summary["links_a_pair"] == {"0%": 0.0, "25%": 0.0, "50%": 0.0, "75%": 1.0, "100%": 2.0}
    # words of four letters: sleeps; "dog" and "hit" are shorter
    assert summary["content_words"] == {"n": 1, "with_hit": 1, "linked": 1}
    assert summary["lexicon"]["entries"] == 1


def test_no_pair_with_enough_links_is_an_error() -> None:
    with pytest.raises(PipelineError, match=r"sample\.min_links: .* it is 3 and the most is 2 in 3 pairs"):
        summarise(some_links(), lexicon("a b"), policy="one_to_one", lemmas="none", min_links=3)


def test_a_dictionary_without_hits_is_an_error() -> None:
    with pytest.raises(PipelineError, match=r"lexicon: .* no hit in 1 sentence pairs; check the languages"):
        link_pairs([pair("the dog", "le chien")], look_up("chien dog"), policy="one_to_one")
    # ambiguous hits are hits
    assert link_pairs([pair("a a", "un")], look_up("a un"), policy="one_to_one")[0].n_ambiguous == 2


def test_label_noise_by_hand() -> None:
    items = [
        PairLinks(0, np.array([[0, 0], [1, 1], [2, 0]]), 0, 0, 0, 0),
        PairLinks(3, np.array([[0, 0]]), 0, 0, 0, 0),
    ]
    nothing = np.zeros((0, 2), dtype=np.int64)
    gold = {
        0: GoldLinks(sure=np.array([[0, 0], [3, 3]]), possible=np.array([[1, 1]])),
        3: GoldLinks(sure=nothing, possible=nothing),
        5: GoldLinks(sure=np.array([[0, 0]]), possible=nothing),
    }
    expected = {"n_pairs": 2, "n_links": 4, "sure": 0.25, "sure_or_possible": 0.5}
    assert compare_with_gold(items, gold) == expected
    assert compare_with_gold([], gold) == {"n_pairs": 0, "n_links": 0, "sure": 0.0, "sure_or_possible": 0.0}


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("policy", "sure", "either", "n_links"),
    [
        ("one_to_one", (0.80, 0.90), (0.94, 0.98), 1900),
        ("first_occurrence", (0.68, 0.78), (0.78, 0.88), 2300),
    ],
)
def test_how_right_the_links_are(
    shared_data: Path, policy: str, sure: tuple[float, float], either: tuple[float, float], n_links: int
) -> None:
    """Unique links must be right in 80 % and more (sure), those of the first occurrence in clearly fewer."""
    folder = shared_data / "gold/hansards"
    files = {"text": (str(folder / "enfr.src-tgt"),), "links": str(folder / "enfr.gold")}
    hansards = read_gold_set(Gold(name="hansards", pair="en-fr", **files, base=1))
    muse = read_lexicon(shared_data / "muse/en-fr.txt")
    how = LookUp.make(muse, lemmas="simplemma", src_lang="en", tgt_lang="fr")
    found = link_pairs([item.pair for item in hansards], how, policy=policy)
    quality = compare_with_gold(found, {item.pair.pair_id: item.links for item in hansards})
    assert quality["n_links"] > n_links
    assert sure[0] < quality["sure"] < sure[1]
    assert either[0] < quality["sure_or_possible"] < either[1]
    n_shared = sum(len(item.links) - len(set(item.links[:, 1].tolist())) for item in found)
    assert (n_shared == 0) == (policy == "one_to_one")


@pytest.mark.slow
@pytest.mark.realdata
def test_a_shift_by_one_line_destroys_the_links(shared_data: Path) -> None:
    muse = read_lexicon(shared_data / "muse/en-fr.txt")
    how = LookUp.make(muse, lemmas="none", src_lang="en", tgt_lang="fr")
    sides = [
        [tuple(split_words(normalise(line, lang), lang)) for line in lines[:401]]
        for lang in ("en", "fr")
        for lines in [read_lines(shared_data / f"newstest/newstest2012.{lang}")]
    ]
    shares = []
    for shift in (0, 1):
        pairs = [SentencePair(i, "", "", sides[0][i], sides[1][i + shift]) for i in range(400)]
        found = link_pairs(pairs, how, policy="one_to_one")
        shares.append(sum(item.n_content_hit for item in found) / sum(item.n_content for item in found))
    assert shares[0] > 0.38
    assert shares[1] < 0.25 * shares[0]
