"""Sentences from the user's own files: parallel text, or one table with both sides."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from pipeline.corpus.decode import read_text
from pipeline.corpus.tmx import read_tmx
from pipeline.corpus.unpack import read_packed
from pipeline.errors import PipelineError
from pipeline.params import TABLE_SUFFIXES, table_suffix

_NESTED = "translation"
"""The column in which WMT's releases keep both sides."""
_Sides = tuple[list[str], list[str]]
_Wanted = list[tuple[str, str]]


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
    read_as: tuple[tuple[str, str], ...] = ()
    """File name and how it was read (`gzip, utf-16-le`), of each that is not plain UTF-8."""

    @property
    def n_rows(self) -> int:
        """Return the number of rows, empty ones included."""
        return len(self.src)

    def fetch(self, rows: Int[np.ndarray, " row"]) -> Iterator[tuple[int, str, str]]:
        """Yield row number, source and target text of each row asked for, in that order."""
        for row in rows.tolist():
            yield row, self.src[row], self.tgt[row]

    def details(self, rows: Int[np.ndarray, " row"]) -> dict[str, object]:
        """Return how files were read that are not plain UTF-8."""
        return {"read_as": dict(self.read_as)} if self.read_as else {}


def parallel_files(src: Sequence[str], tgt: Sequence[str], *, name: str = "files") -> TextRows:
    """Return the lines of parallel text files, the first of `src` beside the first of `tgt` and so on.

    Empty lines that one of two files has more at its end are left out.

    Raises
    ------
    PipelineError
        If a file is missing or neither UTF-8 nor UTF-16, or two files that belong together differ in their number of lines.
    """
    sides: tuple[list[str], list[str]] = ([], [])
    read_as: list[tuple[str, str]] = []
    for src_path, tgt_path in zip(src, tgt, strict=True):
        texts = [read_text(path) for path in (src_path, tgt_path)]
        read_as += [(path, text.read_as) for path, text in zip((src_path, tgt_path), texts, strict=True)]
        lines = [text.lines() for text in texts]
        while len(lines[0]) != len(lines[1]) and not max(lines, key=len)[-1].strip():  # empty lines at one end
            max(lines, key=len).pop()
        if len(lines[0]) != len(lines[1]):
            message = (
                f"corpus.src, corpus.tgt: one sentence a line, but {src_path} has {len(lines[0])} lines "
                f"and {tgt_path} has {len(lines[1])}; find the line where they part"
            )
            raise PipelineError(message)
        for side, part in zip(sides, lines, strict=True):
            side.extend(part)
    files = tuple(_fingerprint(path) for path in [*src, *tgt])
    return TextRows(name, *sides, files=files, read_as=_said(read_as))


def table_file(path: str, *, src_lang: str, tgt_lang: str, name: str = "files") -> TextRows:
    """Return the rows of one TSV, Parquet, JSONL or TMX file with both sides.

    Columns are found by name, `src` and `tgt`, `src_text` and `tgt_text`, or the two language codes, also inside of a
    column `translation` (WMT's layout); a TSV without such a first line is taken as it comes if it has two columns.
    TSV knows no quoting; empty lines of JSONL are no rows.

    Raises
    ------
    PipelineError
        If the file is missing, not what its suffix says, not UTF-8, or has no two such columns.
    """
    suffix = table_suffix(path)
    if suffix == ".tmx":
        sides, read_as = read_tmx(path, src_lang, tgt_lang)
    else:
        read = {".tsv": _read_tsv, ".parquet": _read_parquet, ".jsonl": _read_jsonl}.get(suffix)
        if read is None:
            message = (
                f"corpus.file: must end in {', '.join(TABLE_SUFFIXES)}, packed or not, but it is {path}; "
                "rename or convert it"
            )
            raise PipelineError(message)
        sides, read_as = read(path, [("src", "tgt"), ("src_text", "tgt_text"), (src_lang, tgt_lang)])
    return TextRows(name, *sides, files=(_fingerprint(path),), read_as=_said([(path, read_as)]))


def read_lines(path: str | Path) -> list[str]:
    r"""Return the lines of a text file, as `pipeline.corpus.decode` reads it.

    They end at line feeds (or `\r\n`, or `\r` where there is no line feed), never at U+2028 or U+0085.

    Raises
    ------
    PipelineError
        If the file is missing, damaged, or holds bytes that are neither UTF-8 nor UTF-16: names line and byte.
    """
    return read_text(path).lines()


def _said(files: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the name of each file that is not plain UTF-8 with how it was read."""
    return tuple((Path(path).name, how) for path, how in files if how)


def _fingerprint(path: str | Path) -> tuple[str, str]:
    return Path(path).name, hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _find(names: Sequence[str], wanted: _Wanted) -> tuple[int, int] | None:
    """Return where the two sides are among the columns, or None."""
    for src, tgt in wanted:
        if src in names and tgt in names:
            return names.index(src), names.index(tgt)
    return None


def _no_columns(path: str, names: Sequence[str], wanted: _Wanted) -> PipelineError:
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
    return _fields(path, read_lines(path))


def _fields(path: str, lines: Sequence[str]) -> list[list[str]]:
    rows = [line.split("\t") for line in lines]
    while len(rows) > 1 and rows[-1] == [""] != rows[0]:  # empty lines at the end
        rows.pop()
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            message = (
                f"{path}: every line has as many columns as the first, but line {number} has {len(row)} and "
                f"line 1 has {len(rows[0])}; correct it (a tab inside a sentence?)"
            )
            raise PipelineError(message)
    return rows


def _read_tsv(path: str, wanted: _Wanted) -> tuple[_Sides, str]:
    text = read_text(path)
    rows = _fields(path, text.lines())
    first = rows[0] if rows else []
    found = _find(first, wanted)
    if found is None and len(first) != 2:
        raise _no_columns(path, first, wanted)
    body, (src, tgt) = (rows[1:], found) if found else (rows, (0, 1))
    return ([row[src] for row in body], [row[tgt] for row in body]), text.read_as


def _read_parquet(path: str, wanted: _Wanted) -> tuple[_Sides, str]:
    plain = path.lower().endswith(".parquet")
    data, packings = (b"", []) if plain else read_packed(path)
    try:
        file = pq.ParquetFile(path if plain else pa.BufferReader(data))
        schema = file.schema_arrow
        inner = _inner(schema)
        found, nested = _find(schema.names, wanted), _find(inner, wanted)
        columns = [schema.names[i] for i in found] if found else [_NESTED] if nested else []
        rows = file.read(columns=columns).to_pydict() if columns else None
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names or text that are not UTF-8
        message = (
            f"corpus.file: must be a Parquet file, but {path} is none ({error}); correct the path, or write it again"
        )
        raise PipelineError(message) from None
    if rows is None:
        raise _no_columns(path, [*schema.names, *(f"{_NESTED}.{name}" for name in inner)], wanted)
    if found:
        src, tgt = (rows[name] for name in columns)
    else:
        assert nested is not None
        src, tgt = ([(row or {}).get(inner[i]) for row in rows[_NESTED]] for i in nested)
    return (_as_text(path, src), _as_text(path, tgt)), ", ".join(packings)


def _inner(schema: pa.Schema) -> list[str]:
    """Return the names of the fields inside of the column `translation`."""
    if _NESTED not in schema.names or not pa.types.is_struct(schema.field(_NESTED).type):
        return []
    return [field.name for field in schema.field(_NESTED).type]


def _read_jsonl(path: str, wanted: _Wanted) -> tuple[_Sides, str]:
    text = read_text(path)
    src, tgt = [], []
    for number, line in enumerate(text.lines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            message = (
                f"corpus.file: one JSON object a line, but line {number} of {path} is none "
                f"({getattr(error, 'msg', error)}); correct it"
            )
            raise PipelineError(message) from None
        both = _both(row, wanted)
        if both is None:
            where = f"line {number} of {path}"
            raise _no_columns(where, _names(row), wanted)
        src.append(both[0])
        tgt.append(both[1])
    return (_as_text(path, src), _as_text(path, tgt)), text.read_as


def _both(row: object, wanted: _Wanted) -> tuple[object, object] | None:
    """Return the values of both sides of a JSON object, or of the object that it holds as `translation`."""
    for place in (row, row.get(_NESTED) if isinstance(row, dict) else None):
        if isinstance(place, dict) and (found := _find(list(place), wanted)):
            src, tgt = (list(place)[i] for i in found)
            return place[src], place[tgt]
    return None


def _names(row: object) -> list[str]:
    """Return the keys of a JSON object, those inside of `translation` as `translation.en`."""
    names = list(row) if isinstance(row, dict) else []
    inner = row.get(_NESTED) if isinstance(row, dict) else None
    return [*names, *(f"{_NESTED}.{name}" for name in (inner if isinstance(inner, dict) else ()))]


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
