"""Which pairs are kept: a seeded order, reasons, hashes, and files that are the same each time."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.corpus.pretokenised as pretokenised
import pipeline.corpus.select as module
from pipeline.corpus.files import TextRows, parallel_files
from pipeline.corpus.pairs import SentencePair, read_pairs, write_pairs
from pipeline.corpus.select import REASONS, select_pairs
from pipeline.errors import PipelineError
from pipeline.params import Sample

LANGS = {"src_lang": "en", "tgt_lang": "fr"}


def numbered(n: int) -> TextRows:
    return TextRows("files", [f"sentence number {i}." for i in range(n)], [f"phrase numéro {i}." for i in range(n)])


def sample(**changes: Any) -> Sample:
    return Sample(**{"n_pairs": 10, "seed": 1, "min_words": 3, "max_words": 6, "min_links": 1} | changes)


def test_rows_come_from_our_own_permutation() -> None:
    pairs, selection = select_pairs(numbered(100), sample(), **LANGS)
    expected = np.sort(np.random.default_rng(1).permutation(100)[:10])
    assert [pair.pair_id for pair in pairs] == expected.tolist()
    assert pairs[0].src_text == f"sentence number {expected[0]}."
    assert pairs[0].tgt_words == ("phrase", "numéro", str(expected[0]), ".")
    assert (selection["kept"], selection["wanted"], selection["short_by"], selection["looked_at"]) == (
        10,
        10,
        0,
        10,
    )


def test_no_number_keeps_all_there_are() -> None:
    pairs, selection = select_pairs(numbered(130), sample(n_pairs=None), **LANGS)
    assert [pair.pair_id for pair in pairs] == list(range(130))
    assert (selection["wanted"], selection["kept"], selection["short_by"]) == (130, 130, 0)
    rows = TextRows("files", ["one good sentence", "short"], ["une bonne phrase", "court"])
    assert (
        select_pairs(rows, sample(n_pairs=None), **LANGS)[1]["short_by"] == 0
    )  # nothing that was asked for is missing


def test_every_reason_is_counted() -> None:
    good = ("one good sentence", "une bonne phrase")
    rows = [
        good,
        good,
        ("  one good\tsentence ", "une bonne phrase"),
        ("", "une bonne phrase"),
        ("one good sentence", "\u200b"),
        ("the same here", "the same here"),
        ("too short", "deux mots"),
        ("one good sentence", "court"),
        ("one two three, four, five", "un deux trois"),
        ("word " * 100_000, "un deux trois"),
        ("<SPEAKER ID=1>", "une bonne phrase"),
    ]
    source = TextRows("files", [src for src, _ in rows], [tgt for _, tgt in rows])
    pairs, selection = select_pairs(source, sample(), **LANGS)
    expected = {
        "empty": 2, "only_tags": 1, "identical": 1, "too_short": 2, "too_long": 2, "duplicate": 2, "unsplittable": 0,
    }  # fmt: skip
    assert selection["dropped"] == expected
    assert [(pair.src_text, pair.tgt_text) for pair in pairs] == [good]
    assert (selection["kept"], selection["short_by"], selection["looked_at"], selection["n_rows"]) == (
        1,
        9,
        11,
        11,
    )


def rows(*pairs: tuple[str, str], **facts: Any) -> TextRows:
    return TextRows("files", [src for src, _ in pairs], [tgt for _, tgt in pairs], **facts)


def test_each_side_is_split_by_its_own_language() -> None:
    """English takes the mark of l'art with art, French with l."""
    both = ("we see l'art today.", "on voit l'art ici.")
    (pair,), _ = select_pairs(rows(both), sample(max_words=9), **LANGS)
    assert pair.src_words == ("we", "see", "l", "'art", "today", ".")
    assert pair.tgt_words == ("on", "voit", "l'", "art", "ici", ".")
    (pair,), _ = select_pairs(rows(both), sample(max_words=9), src_lang="fr", tgt_lang="en")
    assert pair.src_words == ("we", "see", "l'", "art", "today", ".")
    assert pair.tgt_words == ("on", "voit", "l", "'art", "ici", ".")


def test_each_side_is_normalised_by_its_own_language() -> None:
    """Spaces close after a French elision, and inside an English negation."""
    (pair,), _ = select_pairs(rows(("we don 't say l' art", "on don 't dit l' art")), sample(max_words=9), **LANGS)
    assert (pair.src_text, pair.tgt_text) == ("we don't say l' art", "on don 't dit l'art")


def test_head_takes_the_first_rows_and_no_seed() -> None:
    pairs, selection = select_pairs(numbered(100), sample(method="head", n_pairs=3), **LANGS)
    assert [pair.pair_id for pair in pairs] == [0, 1, 2]
    assert (selection["method"], selection["seed"]) == ("head", None)
    _, selection = select_pairs(numbered(100), sample(method="rows", n_pairs=3, seed=7), **LANGS)
    assert (selection["method"], selection["seed"]) == ("rows", 7)


def test_digests_by_hand() -> None:
    _, selection = select_pairs(numbered(12), sample(method="head", n_pairs=2), **LANGS)
    assert selection["sha256_rows"] == hashlib.sha256(b"0\n1\n").hexdigest()
    text = "sentence number 0.\nphrase numéro 0.\nsentence number 1.\nphrase numéro 1.\n"
    assert selection["sha256_text"] == hashlib.sha256(text.encode("utf-8")).hexdigest()


class Described(TextRows):
    """A source that knows more of its rows."""

    def details(self, rows: np.ndarray) -> dict[str, object]:
        assert rows.dtype == np.int64
        return {"twice": [2 * row for row in rows.tolist()]}


def test_what_the_source_says_of_itself_is_recorded() -> None:
    plain = numbered(30)
    source = Described("wmt14", plain.src, plain.tgt, files=(("a.en", "12"), ("a.fr", "34")), revision="abc")
    pairs, selection = select_pairs(source, sample(n_pairs=4), **LANGS)
    assert selection["twice"] == [2 * pair.pair_id for pair in pairs]
    assert selection["files"] == [{"name": "a.en", "sha256": "12"}, {"name": "a.fr", "sha256": "34"}]
    assert (selection["source"], selection["revision"]) == ("wmt14", "abc")
    assert set(selection) == {
        "source", "revision", "files", "n_rows", "method", "seed", "wanted", "kept", "short_by", "looked_at",
        "dropped", "words", "sha256_rows", "sha256_text", "twice",
    }  # fmt: skip


def test_a_pair_is_a_duplicate_by_both_sides() -> None:
    found = [
        ("one good sentence", "une bonne phrase"),
        ("one good sentence", "une belle phrase"),
        ("one fine sentence", "une bonne phrase"),
        ("one good sentence", "une bonne phrase"),
    ]
    pairs, selection = select_pairs(rows(*found), sample(method="head"), **LANGS)
    assert [pair.pair_id for pair in pairs] == [0, 1, 2]
    assert selection["dropped"]["duplicate"] == 1


@pytest.mark.parametrize(
    ("n_src", "n_tgt", "reason"),
    [
        (3, 3, None), (6, 6, None), (3, 6, None),
        (2, 3, "too_short"), (3, 2, "too_short"), (7, 6, "too_long"), (6, 7, "too_long"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", [" .", "."])  # a mark of its own counts as it does behind a word
def test_limits_are_part_of_the_range(n_src: int, n_tgt: int, reason: str | None, mark: str) -> None:
    other = ("one good sentence", "une bonne phrase")
    pair = (" ".join(["word"] * (n_src - 1)) + mark, " ".join(["mot"] * (n_tgt - 1)) + mark)
    pairs, selection = select_pairs(rows(other, pair), sample(method="head"), **LANGS)
    assert [pair.pair_id for pair in pairs] == ([0] if reason else [0, 1])
    assert {name: n for name, n in selection["dropped"].items() if n} == ({reason: 1} if reason else {})


class Counting(TextRows):
    """A source that remembers how many rows each call asked for."""

    def fetch(self, rows: np.ndarray) -> Iterator[tuple[int, str, str]]:
        calls.append(len(rows))
        return super().fetch(rows)


calls: list[int] = []


def test_few_rows_are_fetched_that_are_not_kept() -> None:
    """A quarter more than wanted; then a quarter more than the share kept so far says; never fewer than a hundred."""
    calls.clear()
    plain = numbered(2000)
    select_pairs(Counting("files", plain.src, plain.tgt), sample(n_pairs=200), **LANGS)
    assert calls == [250]
    calls.clear()
    select_pairs(Counting("files", plain.src, plain.tgt), sample(n_pairs=8), **LANGS)
    assert calls == [100]
    calls.clear()
    half = [text if i % 2 else "short" for i, text in enumerate(plain.src)]
    select_pairs(Counting("files", half, plain.tgt), sample(n_pairs=400, method="head"), **LANGS)
    assert calls == [500, 375]  # 250 kept of 500: 150 more need 300, and a quarter


def test_words_that_do_not_spell_their_text_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    split = pretokenised.split_words
    monkeypatch.setattr(
        pretokenised, "split_words", lambda text, lang: ["?", "?", "?"] if "7" in text else split(text, lang)
    )
    pairs, selection = select_pairs(numbered(10), sample(), **LANGS)
    assert selection["dropped"]["unsplittable"] == 1
    assert 7 not in {pair.pair_id for pair in pairs}


def test_a_smaller_sample_is_a_part_of_a_larger_one() -> None:
    small, _ = select_pairs(numbered(50), sample(n_pairs=5), **LANGS)
    large, _ = select_pairs(numbered(50), sample(n_pairs=20), **LANGS)
    assert set(small) < set(large)


def test_seeds_differ_and_the_same_seed_does_not() -> None:
    first, again, other = (select_pairs(numbered(200), sample(seed=seed), **LANGS) for seed in (1, 1, 2))
    assert first == again
    assert first[1]["sha256_rows"] != other[1]["sha256_rows"]
    assert first[1]["sha256_text"] != other[1]["sha256_text"]


class InAnyOrder(TextRows):
    """A source that hands out its rows sorted, as a stream must."""

    def fetch(self, rows: np.ndarray) -> Iterator[tuple[int, str, str]]:
        return super().fetch(np.sort(rows))


@given(first=st.floats(0.1, 7), n_pairs=st.integers(1, 30))
@settings(deadline=None, max_examples=25)
def test_rows_fetched_at_once_change_nothing(first: float, n_pairs: int) -> None:
    plain = numbered(40)
    src = [text if i % 3 else "short" for i, text in enumerate(plain.src)]
    expected = select_pairs(TextRows("files", src, plain.tgt), sample(n_pairs=n_pairs), **LANGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_DRAWN_FIRST", first)
        patch.setattr(module, "_DRAWN_AT_LEAST", 1)
        found = select_pairs(InAnyOrder("files", src, plain.tgt), sample(n_pairs=n_pairs), **LANGS)
    assert found == expected


def test_progress_sees_the_kept_pairs() -> None:
    seen = []

    def track(pairs: Iterator[SentencePair]) -> Iterator[SentencePair]:
        for pair in pairs:
            seen.append(pair.pair_id)
            yield pair

    pairs, _ = select_pairs(numbered(30), sample(), **LANGS, track=track)
    assert sorted(seen) == [pair.pair_id for pair in pairs]


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (numbered(0), r"all 0 rows were not \(the source has no rows\)"),
        (
            TextRows("files", ["a", "", "b"], ["x", "y", "z"]),
            r"all 3 rows were not \(1 empty, 2 too_short\); en was split by Moses.*; check the files and corpus\.pair, lower sample\.min_words",
        ),
    ],
)
def test_no_pair_at_all_is_an_error(source: TextRows, match: str) -> None:
    with pytest.raises(PipelineError, match=match):
        select_pairs(source, sample(), **LANGS)


def test_pairs_survive_the_disk_byte_for_byte(tmp_path: Path) -> None:
    pairs, _ = select_pairs(numbered(30), sample(), **LANGS)
    write_pairs(tmp_path / "a.parquet", pairs)
    write_pairs(tmp_path / "b.parquet", pairs)
    assert read_pairs(tmp_path / "a.parquet") == pairs
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    write_pairs(tmp_path / "none.parquet", [])
    assert read_pairs(tmp_path / "none.parquet") == []


def test_files_that_are_no_pairs_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(PipelineError, match=r"p\.parquet is not there; run `dvc repro corpus`"):
        read_pairs(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(PipelineError, match=r"p\.parquet is none .*; run `dvc repro corpus`"):
        read_pairs(tmp_path / "p.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "p.parquet")
    with pytest.raises(PipelineError, match=r"must hold the columns pair_id, .* holds a; run"):
        read_pairs(tmp_path / "p.parquet")


@pytest.mark.realdata
def test_the_newstest_gives_usable_pairs(shared_data: Path) -> None:
    name = str(shared_data / "newstest/newstest2012")
    source = parallel_files([f"{name}.en"], [f"{name}.fr"])
    settings_ = sample(n_pairs=300, min_words=5, max_words=40)
    pairs, selection = select_pairs(source, settings_, **LANGS)
    assert len(pairs) == 300
    assert selection["dropped"]["unsplittable"] == 0
    assert 0.1 < selection["dropped"]["too_long"] / selection["looked_at"] < 0.3
    assert set(selection["dropped"]) == set(REASONS)
    assert all(5 <= len(words) <= 40 for pair in pairs for words in (pair.src_words, pair.tgt_words))


class Endless(TextRows):
    """A source that gives its rows in order, and counts those it has given."""

    given = 0

    def stream(self) -> Iterator[tuple[int, str, str]]:
        for row in range(self.n_rows):
            self.given = row + 1
            yield row, self.src[row], self.tgt[row]


def test_the_head_of_a_stream_is_given_out_as_it_comes() -> None:
    plain = numbered(500)
    src = [text if i % 3 else "short" for i, text in enumerate(plain.src)]
    wanted = sample(method="head", n_pairs=300)
    streamed = Endless("files", src, plain.tgt)
    selection = module.Selection(streamed, wanted, ("en", "fr"))
    pairs = selection.pairs()
    first = next(pairs)
    assert streamed.given == pretokenised.ROWS < 500, "no more than is looked at to decide what splits it"
    found = [first, *pairs]
    assert (found, selection.about()) == select_pairs(TextRows("files", src, plain.tgt), wanted, **LANGS)


def test_a_file_of_many_pairs_has_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    import pipeline.corpus.pairs as module

    pairs, _ = select_pairs(numbered(50), sample(n_pairs=25), **LANGS)
    monkeypatch.setattr(module, "_AT_ONCE", 10)
    path = tmp_path / "pairs.parquet"
    assert write_pairs(path, iter(pairs)) == 25
    assert read_pairs(path) == pairs
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert write_pairs(path, []) == 0
    assert read_pairs(path) == []
