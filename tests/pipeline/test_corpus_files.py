"""Rows from the user's own files, and from the demo's."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpus.demo import demo_rows
from pipeline.corpus.files import TextRows, parallel_files, read_lines, read_tsv, table_file
from pipeline.corpus.sources import open_source
from pipeline.errors import PipelineError
from pipeline.params import Corpus

ROWS = [("One dog.", "Un chien."), ("", "rien"), ("Two “cats”", "Deux « chats »")]


def table(path: Path) -> TextRows:
    return table_file(str(path), src_lang="en", tgt_lang="fr")


def rows_of(source: TextRows) -> list[tuple[str, str]]:
    return [(src, tgt) for _, src, tgt in source.fetch(np.arange(source.n_rows))]


def write_table(path: Path, names: tuple[str, str] | None = ("src", "tgt")) -> Path:
    """Write `ROWS` in the format of the suffix."""
    src, tgt = names or ("", "")
    if path.suffix == ".tsv":
        lines = [*([f"{src}\t{tgt}"] if names else []), *(f"{a}\t{b}" for a, b in ROWS)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        lines = [json.dumps({"n": i, src: a, tgt: b}) for i, (a, b) in enumerate(ROWS)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        pq.write_table(pa.table({"n": [1, 2, 3], src: [a for a, _ in ROWS], tgt: [b for _, b in ROWS]}), path)
    return path


def test_parallel_files_follow_each_other(tmp_path: Path) -> None:
    for name, text in {"a.en": "1\n2\n", "a.fr": "un\ndeux\n", "b.en": "3", "b.fr": "trois\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    source = parallel_files(
        [str(tmp_path / "a.en"), str(tmp_path / "b.en")], [str(tmp_path / "a.fr"), str(tmp_path / "b.fr")]
    )
    assert (source.name, source.revision, source.n_rows) == ("files", None, 3)
    assert list(source.fetch(np.array([2, 0]))) == [(2, "3", "trois"), (0, "1", "un")]
    assert [name for name, _ in source.files] == ["a.en", "b.en", "a.fr", "b.fr"]
    assert source.files[0][1] == hashlib.sha256(b"1\n2\n").hexdigest()


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("names", [("src", "tgt"), ("src_text", "tgt_text"), ("en", "fr"), ("tgt", "src")])
def test_a_table_gives_its_rows(tmp_path: Path, suffix: str, names: tuple[str, str]) -> None:
    source = table(write_table(tmp_path / f"text{suffix}", names))
    assert rows_of(source) == ([(b, a) for a, b in ROWS] if names == ("tgt", "src") else ROWS)
    assert [name for name, _ in source.files] == [f"text{suffix}"]


def test_two_columns_need_no_header(tmp_path: Path) -> None:
    assert rows_of(table(write_table(tmp_path / "text.tsv", None))) == ROWS


def test_nothing_in_a_cell_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"src": null, "tgt": "x"}\n', encoding="utf-8")
    assert rows_of(table(tmp_path / "a.jsonl")) == [("", "x")]


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\u2028still\x85one\x0b\r\ntwo\n\nfour".encode())
    assert read_lines(path) == ["one\u2028still\x85one\x0b", "two", "", "four"]
    path.write_bytes(b"")
    assert read_lines(path) == []


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (
            "ok\nun été\n".encode("latin-1"),
            r"a\.txt: must be UTF-8, but line 2 has byte 0xe9 at place 4; .*iconv",
        ),
        (b"\xef\xbb\xbfok\n\xff", r"line 2 has byte 0xff at place 1"),
        (b"\xed\xa0\x80", r"line 1 has byte 0xed at place 1"),  # half of a surrogate pair
    ],
)
def test_bytes_that_are_not_utf8_are_located(tmp_path: Path, data: bytes, match: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(PipelineError, match=match):
        read_lines(tmp_path / "a.txt")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(PipelineError, match=r"nowhere\.en: must be a text file.*No such file"):
        parallel_files(["nowhere.en"], ["nowhere.fr"])


def test_unequal_line_counts_are_both_named(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("1\n2\n3\n", encoding="utf-8")
    (tmp_path / "a.fr").write_text("1\n2\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"a\.en has 3 lines and .*a\.fr has 2; find the line"):
        parallel_files([str(tmp_path / "a.en")], [str(tmp_path / "a.fr")])


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        (
            "a.csv",
            b"",
            r"corpus\.file: must end in \.tsv, \.parquet, \.jsonl, \.tmx, packed or not, but it is .*a\.csv; rename",
        ),
        (
            "a.tsv",
            b"id\ten_text\tfr_text\n",
            r"must have columns src and tgt, or .*a\.tsv has id, en_text, fr_text",
        ),
        ("a.tsv", b"", r"must have columns .* has none; rename"),
        (
            "a.tsv",
            b"src\ttgt\na\tb\nc\n",
            r"a\.tsv: every line has as many columns.* line 3 has 1 and line 1 has 2",
        ),
        (
            "a.jsonl",
            b'{"src": "a", "tgt": "b"}\n{\n',
            r"one JSON object a line, but line 2 of .*a\.jsonl is none",
        ),
        ("a.jsonl", b'{"src": "a"}\n', r"must have columns .*line 1 of .*a\.jsonl has src; rename"),
        ("a.jsonl", b"3\n", r"line 1 of .*a\.jsonl has none"),
        ("a.jsonl", b'{"src": "a", "tgt": "\\ud800"}\n', r"row 0 of .*a\.jsonl has half a character"),
        ("a.jsonl", b'{"src": "a", "tgt": 3}\n', r"both columns hold text, but row 0 of .*a\.jsonl holds 3"),
        ("a.parquet", b"no", r"must be a Parquet file, but .*a\.parquet is none"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PipelineError, match=match):
        table(tmp_path / name)


def test_a_parquet_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(PipelineError, match=r"must have columns .* has a, b; rename"):
        table(tmp_path / "a.parquet")


def test_a_parquet_file_whose_text_is_not_utf8_is_refused(tmp_path: Path) -> None:
    text = pa.array([b"\xe9t\xe9"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"src": text, "tgt": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(PipelineError, match=r"a\.parquet is none \('utf-8' codec .*write it again"):
        table(tmp_path / "a.parquet")


def test_tabs_separate_and_quotes_are_text(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('"a\t"b"\n', encoding="utf-8")
    assert read_tsv(str(tmp_path / "a.tsv")) == [['"a', '"b"']]


def test_the_parameters_choose_the_source(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    demo = open_source(Corpus())
    assert (demo.name, demo.n_rows) == ("demo", demo_rows().n_rows)
    assert demo.n_rows >= 240
    path = write_table(tmp_path / "t.tsv")
    assert open_source(Corpus(source="files", file=str(path))).n_rows == 3
    (tmp_path / "x").write_text("a\nb\n", encoding="utf-8")
    both = Corpus(source="files", src=(str(tmp_path / "x"),), tgt=(str(tmp_path / "x"),))
    assert open_source(both).n_rows == 2


@pytest.mark.realdata
def test_the_newstest_has_its_rows(shared_data: Path) -> None:
    names = [str(shared_data / f"newstest/newstest{year}") for year in range(2008, 2014)]
    source = parallel_files([f"{name}.en" for name in names], [f"{name}.fr" for name in names])
    assert source.n_rows == 16_573
