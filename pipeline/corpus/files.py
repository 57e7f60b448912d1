"""Sentences from the user's own files: parallel text, or one table with both sides."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from pipeline.errors import PipelineError


@dataclass(frozen=True)
class TextRows:
    """Rows of two parallel columns in memory; row `i` is sentence `i` of all files, one after the other."""

    name: str
    """The name of the source in params.yaml."""
    src: Sequence[str]
    tgt: Sequence[str]
    files: tuple[tuple[str, str], ...] = ()
    """File name and sha256 of each file that was read."""
    revision: str | None = None

    @property
    def n_rows(self) -> int:
        """Return the number of rows, empty ones included."""
        return len(self.src)

    def fetch(self, rows: Int[np.ndarray, " row"]) -> Iterator[tuple[int, str, str]]:
        """Yield row number, source and target text of each row asked for, in that order."""
        for row in rows.tolist():
            yield row, self.src[row], self.tgt[row]

    def details(self, rows: Int[np.ndarray, " row"]) -> dict[str, object]:
        """Return nothing more: the files have checksums."""
        return {}


def parallel_files(src: Sequence[str], tgt: Sequence[str], *, name: str = "files") -> TextRows:
    """Return the lines of parallel text files, the first of `src` beside the first of `tgt` and so on.

    Raises
    ------
    PipelineError
        If a file is missing or not UTF-8, or two files that belong together differ in their number of lines.
    """
    sides: tuple[list[str], list[str]] = ([], [])
    for src_path, tgt_path in zip(src, tgt, strict=True):
        lines = [read_lines(path) for path in (src_path, tgt_path)]
        if len(lines[0]) != len(lines[1]):
            message = (
                f"corpus.src, corpus.tgt: one sentence a line, but {src_path} has {len(lines[0])} lines "
                f"and {tgt_path} has {len(lines[1])}; find the line where they part"
            )
            raise PipelineError(message)
        for side, part in zip(sides, lines, strict=True):
            side.extend(part)
    return TextRows(name, *sides, files=tuple(_fingerprint(path) for path in [*src, *tgt]))


def table_file(path: str, *, src_lang: str, tgt_lang: str, name: str = "files") -> TextRows:
    """Return the rows of one TSV, Parquet or JSONL file with both sides.

    Columns are found by name, `src` and `tgt`, `src_text` and `tgt_text`, or the two language codes; a TSV
    without such a first line is taken as it comes if it has two columns. TSV knows no quoting.

    Raises
    ------
    PipelineError
        If the file is missing, not what its suffix says, not UTF-8, or has no two such columns.
    """
    suffix = Path(path).suffix
    read = {".tsv": _read_tsv, ".parquet": _read_parquet, ".jsonl": _read_jsonl}.get(suffix)
    if read is None:
        message = f"corpus.file: must end in .tsv, .parquet or .jsonl, but it is {path}; rename or convert it"
        raise PipelineError(message)
    sides = read(path, [("src", "tgt"), ("src_text", "tgt_text"), (src_lang, tgt_lang)])
    return TextRows(name, *sides, files=(_fingerprint(path),))


def read_lines(path: str | Path) -> list[str]:
    r"""Return the lines of a UTF-8 text file, split at line feeds only, without a byte order mark.

    Raises
    ------
    PipelineError
        If the file is missing, or holds bytes that are not UTF-8: names line and byte.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        message = f"{path}: must be a text file that can be read, but {error.strerror}; correct the path"
        raise PipelineError(message) from None
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start + len(data) - len(error.object)
        line = data.count(b"\n", 0, start) + 1
        column = start - data.rfind(b"\n", 0, start)
        message = (
            f"{path}: must be UTF-8, but line {line} has byte 0x{data[start]:02x} at place {column}; "
            "convert the file, for example with `iconv -f latin1 -t utf-8`"
        )
        raise PipelineError(message) from None
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def _fingerprint(path: str | Path) -> tuple[str, str]:
    return Path(path).name, hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _find(names: Sequence[str], wanted: list[tuple[str, str]]) -> tuple[int, int] | None:
    """Return where the two sides are among the columns, or None."""
    for src, tgt in wanted:
        if src in names and tgt in names:
            return names.index(src), names.index(tgt)
    return None


def _no_columns(path: str, names: Sequence[str], wanted: list[tuple[str, str]]) -> PipelineError:
    message = (
        f"corpus.file: must have columns {', or '.join(' and '.join(pair) for pair in wanted)}, "
        f"but {path} has {', '.join(map(str, names)) or 'none'}; rename them"
    )
    return PipelineError(message)


def read_tsv(path: str) -> list[list[str]]:
    """Return the lines of a tab-separated file as lists of fields, all of one length; there is no quoting.

    Raises
    ------
    PipelineError
        If the file cannot be read or a line has more or fewer tabs than the first.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            message = (
                f"{path}: every line has as many columns as the first, but line {number} has {len(row)} and "
                f"line 1 has {len(rows[0])}; correct it (a tab inside a sentence?)"
            )
            raise PipelineError(message)
    return rows


def _read_tsv(path: str, wanted: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    rows = read_tsv(path)
    first = rows[0] if rows else []
    found = _find(first, wanted)
    if found is None and len(first) != 2:
        raise _no_columns(path, first, wanted)
    body, (src, tgt) = (rows[1:], found) if found else (rows, (0, 1))
    return [row[src] for row in body], [row[tgt] for row in body]


def _read_parquet(path: str, wanted: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        found = _find(names, wanted)
        table = file.read(columns=[names[i] for i in found]) if found else None
    except (OSError, pa.ArrowInvalid) as error:
        message = f"corpus.file: must be a Parquet file, but {path} is none ({error}); correct the path"
        raise PipelineError(message) from None
    if found is None or table is None:
        raise _no_columns(path, names, wanted)
    src, tgt = (table[names[i]].to_pylist() for i in found)
    return _as_text(path, src), _as_text(path, tgt)


def _read_jsonl(path: str, wanted: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    src, tgt = [], []
    for number, line in enumerate(read_lines(path), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            message = f"corpus.file: one JSON object a line, but line {number} of {path} is none ({error.msg})"
            raise PipelineError(message) from None
        names = list(row) if isinstance(row, dict) else []
        found = _find(names, wanted)
        if found is None:
            where = f"line {number} of {path}"
            raise _no_columns(where, names, wanted)
        src.append(row[names[found[0]]])
        tgt.append(row[names[found[1]]])
    return _as_text(path, src), _as_text(path, tgt)


def _as_text(path: str, column: list) -> list[str]:
    """Return the column with nothing (null) as empty text, which is counted later."""
    for number, value in enumerate(column):
        if not isinstance(value, str | None):
            message = f"corpus.file: both columns hold text, but row {number} of {path} holds {value!r}; correct it"
            raise PipelineError(message)
        if value and any("\ud800" <= letter <= "\udfff" for letter in value):
            message = f"corpus.file: both columns hold text, but row {number} of {path} has half a character (a lone surrogate); correct it"
            raise PipelineError(message)
    return [value or "" for value in column]
