"""Sentence pairs on disk: `data/corpus/pairs.parquet` and `gold.parquet`."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.parquet import read_checked

SCHEMA = pa.schema(
    [
        ("pair_id", pa.int64()),
        ("src_text", pa.string()),
        ("tgt_text", pa.string()),
        ("src_words", pa.list_(pa.string())),
        ("tgt_words", pa.list_(pa.string())),
    ]
)

MOSES = "Moses, sacremoses"
"""The usual splitter; its version stands behind it."""
_SPLITTERS = ("src_splitter", "tgt_splitter")
_AT_ONCE = 1 << 16  # pairs in a row group of a file that has more


@dataclass(frozen=True)
class SentencePair:
    """A sentence, its translation and the words of both; the words spell the text, spaces apart."""

    pair_id: int
    """Row in the source, from 0; it stays the same when another sample is drawn."""
    src_text: str
    tgt_text: str
    src_words: tuple[str, ...]
    tgt_words: tuple[str, ...]


def write_pairs(
    path: str | Path, pairs: Iterable[SentencePair], *, splitters: Callable[[], tuple[str, str]] | None = None
) -> int:
    """Write the pairs, in the order given, as a Parquet file; the same pairs give the same bytes.

    Returns how many there were; at most 65,536 are held at once. `splitters` says what split source and target, in the
    metadata of the file; it is asked when the first pairs have come.
    """
    pairs, n = iter(pairs), 0
    with ExitStack() as stack:
        writer = None
        while (part := list(islice(pairs, _AT_ONCE))) or writer is None:
            if writer is None:
                told = dict(zip(_SPLITTERS, splitters(), strict=True)) if splitters else None
                schema = SCHEMA.with_metadata(told)
                writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
            rows = [{name: getattr(pair, name) for name in SCHEMA.names} for pair in part]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            n += len(part)
    return n


def unusual_splitters(path: str | Path) -> str:
    """Return what a signature adds where words are not those of Moses, as `write_pairs` was told; else the empty text."""
    told = pq.read_schema(path).metadata or {}
    src, tgt = (told.get(name.encode(), b"").decode() for name in _SPLITTERS)
    if all(not name or name.startswith(MOSES) for name in (src, tgt)):
        return ""
    return f"; source words by {src}, target words by {tgt}"


def read_pairs(path: str | Path) -> list[SentencePair]:
    """Return the sentence pairs of a file that `write_pairs` wrote, in its order.

    Raises
    ------
    PipelineError
        If the file is not there or holds something else.
    """
    table = read_checked(path, SCHEMA, what="sentence pairs", stage="corpus")
    columns = [table[name].to_pylist() for name in SCHEMA.names]
    return [
        SentencePair(pair_id, src_text, tgt_text, tuple(src_words), tuple(tgt_words))
        for pair_id, src_text, tgt_text, src_words, tgt_words in zip(*columns, strict=True)
    ]
