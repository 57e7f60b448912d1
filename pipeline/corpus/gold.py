"""Hand-aligned sentences: read and checked once, kept with their links in `data/corpus/gold.parquet`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.files import read_lines, table_file
from pipeline.corpus.link_formats import read_link_file
from pipeline.corpus.pairs import SCHEMA as PAIR_SCHEMA
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.parquet import read_checked
from pipeline.corpus.pharaoh import GoldLinks, LinkForm
from pipeline.corpus.word_files import is_xlwa, read_sentences
from pipeline.corpus.words import join_words, locate_words, normalise, split_words
from pipeline.errors import PipelineError
from pipeline.params import Gold

_LINKS = pa.list_(pa.list_(pa.int32(), 2))
SCHEMA = pa.schema(
    [("set", pa.string()), ("languages", pa.string()), *PAIR_SCHEMA, ("sure", _LINKS), ("possible", _LINKS)]
)


@dataclass(frozen=True, eq=False)
class GoldPair:
    """One hand-aligned sentence pair of a set; `pair.pair_id` is its line or row in the set, from 0."""

    set: str
    languages: str
    """Of the set, source-target, such as `en-fr`."""
    pair: SentencePair
    links: GoldLinks


def read_gold_links(
    path: Path | str,
    form: LinkForm,
    *,
    lengths: Sequence[tuple[int, int]] | None = None,
    n: int | None = None,
    numbers: Sequence[int] | None = None,
) -> dict[int, GoldLinks]:
    """Return the links of the annotated sentences of a file, by sentence number from 0.

    An empty line of a Pharaoh file is an annotated sentence without links; an empty cell of a .tsv is one that
    nobody annotated, and left out.

    Parameters
    ----------
    path, form : Path or str, and LinkForm
        See `read_link_file`.
    lengths, n, numbers : optional
        See `LinkFile.links`.

    Raises
    ------
    PipelineError
        As `read_link_file` and `LinkFile.links`; and if there is not a single sure link.
    """
    rows = read_link_file(path, form).links(lengths=lengths, n=n, numbers=numbers)
    gold = {i: links for i, links in enumerate(rows) if links is not None}
    if not any(len(links.sure) for links in gold.values()):
        message = f"{path}: a gold set needs a sure link (i-j) or more, but there is none; is it the right file?"
        raise PipelineError(message)
    return gold


def form_of(gold: Gold) -> LinkForm:
    """Return how the links of a gold set are written."""
    return LinkForm(gold.base, gold.direction == "reverse", gold.format)


def read_gold_set(gold: Gold) -> list[GoldPair]:
    """Return the annotated sentence pairs of a gold set, in its order.

    Words are as the gold set split them (`read_sentences`); the text is joined from these words. But a .tsv with a
    header holds sentences (columns src and tgt), which our own rules for the set's languages split.

    Raises
    ------
    PipelineError
        If a file cannot be read, text and links differ in length, a link cannot be parsed or is out of range
        (a wrong `base` or `direction`, mostly), or no link is sure.
    """
    pairs, numbers = _read_text(gold)
    lengths = [(len(pair.src_words), len(pair.tgt_words)) for pair in pairs]
    file = read_link_file(gold.links, form_of(gold))
    if file.numbers is None and len(file.rows) != len(pairs):
        message = (
            f"gold.text, gold.links: one sentence a line in both, but {gold.text[0]} has {len(pairs)} and "
            f"{gold.links} has {len(file.rows)}; name the files that belong together"
        )
        raise PipelineError(message)
    links = read_gold_links(gold.links, form_of(gold), lengths=lengths, numbers=numbers)
    return [GoldPair(gold.name, gold.pair, pairs[row], own) for row, own in links.items()]


def read_gold_sets(sets: Sequence[Gold]) -> list[GoldPair]:
    """Return the annotated sentence pairs of all gold sets, one set after the other.

    Raises
    ------
    PipelineError
        As `read_gold_set`, with the name of the set.
    """
    pairs = []
    for gold in sets:
        try:
            pairs += read_gold_set(gold)
        except PipelineError as error:
            message = f"gold set {gold.name}: {error}"
            raise PipelineError(message) from None
    return pairs


def _read_text(gold: Gold) -> tuple[list[SentencePair], list[int] | None]:
    """Return the sentence pairs, and their numbers where the text gives them."""
    path, langs = gold.text[0], (gold.src_lang, gold.tgt_lang)
    if len(gold.text) == 1 and Path(path).suffix == ".tsv" and not is_xlwa("".join(read_lines(path)[:1])):
        return _read_table(path, *langs), None
    given = read_sentences(gold.text, say="gold.text: ")
    sides = enumerate(zip(given.src, given.tgt, strict=True))
    pairs = [
        _pair(row, path, *((join_words(words, lang), words) for words, lang in zip(both, langs, strict=True)))
        for row, both in sides
    ]
    return pairs, given.numbers


def _read_table(path: str, src_lang: str, tgt_lang: str) -> list[SentencePair]:
    rows = table_file(path, src_lang=src_lang, tgt_lang=tgt_lang)
    pairs = []
    for row, (src, tgt) in enumerate(zip(rows.src, rows.tgt, strict=True)):
        src, tgt = normalise(src, src_lang), normalise(tgt, tgt_lang)
        pairs.append(_pair(row, path, (src, split_words(src, src_lang)), (tgt, split_words(tgt, tgt_lang))))
    return pairs


def _pair(row: int, path: str, src: tuple[str, list[str]], tgt: tuple[str, list[str]]) -> SentencePair:
    for text, words in (src, tgt):
        try:
            locate_words(text, words)
        except PipelineError as error:
            message = f"gold.text: row {row} of {path}: {error}"
            raise PipelineError(message) from None
    return SentencePair(row, src[0], tgt[0], tuple(src[1]), tuple(tgt[1]))


def by_set(pairs: Sequence[GoldPair]) -> dict[str, list[GoldPair]]:
    """Return the pairs of every set by its name, in the order in which sets and pairs come."""
    sets: dict[str, list[GoldPair]] = {}
    for gold in pairs:
        sets.setdefault(gold.set, []).append(gold)
    return sets


def write_gold(path: str | Path, pairs: Sequence[GoldPair]) -> None:
    """Write the pairs with their links, in the order given, as a Parquet file; the same pairs give the same bytes."""
    rows = [
        {
            "set": gold.set,
            "languages": gold.languages,
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
    table = read_checked(path, SCHEMA, what="hand-aligned pairs", stage="corpus")
    return [_gold_pair(row) for row in table.to_pylist()]


def _gold_pair(row: dict) -> GoldPair:
    pair = SentencePair(
        row["pair_id"], row["src_text"], row["tgt_text"], tuple(row["src_words"]), tuple(row["tgt_words"])
    )
    sure, possible = (np.array(row[kind], dtype=np.int64).reshape(-1, 2) for kind in ("sure", "possible"))
    return GoldPair(row["set"], row["languages"], pair, GoldLinks(sure, possible))
