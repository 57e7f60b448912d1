"""Hand-aligned sentences: read and checked once, kept with their links in `data/corpus/gold.parquet`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.files import read_lines, table_file
from pipeline.corpus.pairs import SCHEMA as PAIR_SCHEMA
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, is_table, link_lines, read_links_file, split_bars
from pipeline.corpus.words import join_words, locate_words, normalise, split_words
from pipeline.errors import PipelineError
from pipeline.params import Gold

SET = "gold"
"""Name of the set that params.yaml describes."""
_LINKS = pa.list_(pa.list_(pa.int32(), 2))
SCHEMA = pa.schema([("set", pa.string()), *PAIR_SCHEMA, ("sure", _LINKS), ("possible", _LINKS)])


@dataclass(frozen=True, eq=False)
class GoldPair:
    """One hand-aligned sentence pair; `pair.pair_id` is its line or row in the set, from 0."""

    set: str
    pair: SentencePair
    links: GoldLinks


def read_gold_links(
    path: Path | str, form: LinkForm, *, lengths: Sequence[tuple[int, int]] | None = None
) -> dict[int, GoldLinks]:
    """Return the links of the annotated sentences of a file, by sentence number from 0.

    An empty line of a Pharaoh file is an annotated sentence without links; an empty cell of a .tsv is one that
    nobody annotated, and left out.

    Raises
    ------
    PipelineError
        As `read_links_file`; and if there is not a single sure link.
    """
    parsed = read_links_file(path, form, lengths=lengths)
    annotated = [bool(line.split()) or not is_table(path) for line in link_lines(path)]
    gold = {i: links for i, (links, there) in enumerate(zip(parsed, annotated, strict=True)) if there}
    if not any(len(links.sure) for links in gold.values()):
        message = f"{path}: a gold set needs a sure link (i-j) or more, but there is none; is it the right file?"
        raise PipelineError(message)
    return gold


def read_gold_set(gold: Gold, *, src_lang: str, tgt_lang: str) -> list[GoldPair]:
    """Return the annotated sentence pairs of a gold set, in its order.

    Lines `source ||| target` hold words as the gold set split them; the text is joined from these words. A
    .tsv holds sentences (columns src and tgt below a header), which our own rules split. Links are lines of
    `i-j` and `ipj`, or the column links of a .tsv.

    Raises
    ------
    PipelineError
        If a file cannot be read, text and links differ in length, a link cannot be parsed or is out of range
        (a wrong `gold.base`, mostly), or no link is sure.
    """
    read = _read_table if is_table(gold.text) else _read_bars
    pairs = read(gold.text, src_lang, tgt_lang)
    lengths = [(len(pair.src_words), len(pair.tgt_words)) for pair in pairs]
    if len(lines := link_lines(gold.links)) != len(pairs):
        message = (
            f"gold.text, gold.links: one sentence a line in both, but {gold.text} has {len(pairs)} and "
            f"{gold.links} has {len(lines)}; name the files that belong together"
        )
        raise PipelineError(message)
    links = read_gold_links(gold.links, LinkForm(gold.base), lengths=lengths)
    return [GoldPair(SET, pairs[row], own) for row, own in links.items()]


def _read_table(path: str, src_lang: str, tgt_lang: str) -> list[SentencePair]:
    rows = table_file(path, src_lang=src_lang, tgt_lang=tgt_lang)
    pairs = []
    for row, (src, tgt) in enumerate(zip(rows.src, rows.tgt, strict=True)):
        src, tgt = normalise(src, src_lang), normalise(tgt, tgt_lang)
        pairs.append(_pair(row, path, (src, split_words(src, src_lang)), (tgt, split_words(tgt, tgt_lang))))
    return pairs


def _read_bars(path: str, src_lang: str, tgt_lang: str) -> list[SentencePair]:
    pairs = []
    for row, line in enumerate(read_lines(path)):
        src, tgt = split_bars(line, f"gold.text: {path}, line {row + 1}")
        pairs.append(_pair(row, path, (join_words(src, src_lang), src), (join_words(tgt, tgt_lang), tgt)))
    return pairs


def _pair(row: int, path: str, src: tuple[str, list[str]], tgt: tuple[str, list[str]]) -> SentencePair:
    for text, words in (src, tgt):
        try:
            locate_words(text, words)
        except PipelineError as error:
            message = f"gold.text: row {row} of {path}: {error}"
            raise PipelineError(message) from None
    return SentencePair(row, src[0], tgt[0], tuple(src[1]), tuple(tgt[1]))


def write_gold(path: str | Path, pairs: Sequence[GoldPair]) -> None:
    """Write the pairs with their links, in the order given, as a Parquet file; the same pairs give the same bytes."""
    rows = [
        {
            "set": gold.set,
            **{name: getattr(gold.pair, name) for name in PAIR_SCHEMA.names},
            "sure": gold.links.sure.tolist(),
            "possible": gold.links.possible.tolist(),
        }
        for gold in pairs
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="zstd")


def read_gold(path: str | Path) -> list[GoldPair]:
    """Return the hand-aligned pairs of a file that `write_gold` wrote, in its order.

    Raises
    ------
    PipelineError
        If the file is not there or holds something else.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):
        message = f"path: must be a file of hand-aligned pairs, but {path} is not there or none; run `dvc repro corpus`"
        raise PipelineError(message) from None
    if not table.schema.equals(SCHEMA):
        message = (
            f"path: must hold the columns {', '.join(SCHEMA.names)}, but {path} holds "
            f"{', '.join(table.schema.names)}; run `dvc repro corpus`"
        )
        raise PipelineError(message)
    return [_gold_pair(row) for row in table.to_pylist()]


def _gold_pair(row: dict) -> GoldPair:
    pair = SentencePair(
        row["pair_id"], row["src_text"], row["tgt_text"], tuple(row["src_words"]), tuple(row["tgt_words"])
    )
    sure, possible = (np.array(row[kind], dtype=np.int64).reshape(-1, 2) for kind in ("sure", "possible"))
    return GoldPair(row["set"], pair, GoldLinks(sure, possible))
