"""The sentences of a hand-aligned gold set; their links are read again where they are scored."""

import re

from pipeline.corpus.files import read_lines, read_tsv, table_file
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import join_words, locate_words, normalise, split_words
from pipeline.errors import PipelineError
from pipeline.params import Gold

_LINK = re.compile(r"(\d+)[-p](\d+)")
_BAR = re.compile(r"(?:^|\s)\|\|\|(?:\s|$)")


def read_gold_pairs(gold: Gold, *, src_lang: str, tgt_lang: str) -> list[SentencePair]:
    """Return the gold sentence pairs that have at least one link; `pair_id` is the line or row, from 0.

    Lines `source ||| target` hold words as the gold set split them; the text is joined from these words. A
    .tsv holds sentences (columns src and tgt below a header), which our own rules split. Links are lines of
    `i-j` and `ipj`, or the column links of a .tsv.

    Raises
    ------
    PipelineError
        If a file cannot be read, text and links differ in length, a link cannot be parsed or is out of range
        (a wrong `gold.base`, mostly), or no pair has a link.
    """
    read = _read_table if gold.text.endswith(".tsv") else _read_bars
    pairs = read(gold.text, src_lang, tgt_lang)
    lines = _read_links(gold.links)
    if len(pairs) != len(lines):
        message = (
            f"gold.text, gold.links: one sentence a line in both, but {gold.text} has {len(pairs)} and "
            f"{gold.links} has {len(lines)}; name the files that belong together"
        )
        raise PipelineError(message)
    for pair, line in zip(pairs, lines, strict=True):
        _check_links(pair, line, gold)
    linked = [pair for pair, line in zip(pairs, lines, strict=True) if line.split()]
    if not linked:
        message = f"gold.links: at least one line must have links, but {gold.links} has none; name others"
        raise PipelineError(message)
    return linked


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
        sides = [side.split() for side in _BAR.split(line)]
        if len(sides) != 2:
            message = f"gold.text: lines are `source ||| target`, but line {row + 1} of {path} is {line!r}"
            raise PipelineError(message)
        src, tgt = ((join_words(words, lang), words) for words, lang in zip(sides, (src_lang, tgt_lang), strict=True))
        pairs.append(_pair(row, path, src, tgt))
    return pairs


def _pair(row: int, path: str, src: tuple[str, list[str]], tgt: tuple[str, list[str]]) -> SentencePair:
    for text, words in (src, tgt):
        try:
            locate_words(text, words)
        except PipelineError as error:
            message = f"gold.text: row {row} of {path}: {error}"
            raise PipelineError(message) from None
    return SentencePair(row, src[0], tgt[0], tuple(src[1]), tuple(tgt[1]))


def _read_links(path: str) -> list[str]:
    if not path.endswith(".tsv"):
        return read_lines(path)
    header, *rows = read_tsv(path) or [[]]
    if "links" not in header:
        message = f"gold.links: a .tsv has a column named links, but {path} has {', '.join(header)}; name it so"
        raise PipelineError(message)
    return [row[header.index("links")] for row in rows]


def _check_links(pair: SentencePair, line: str, gold: Gold) -> None:
    where = f"gold.links: line {pair.pair_id + 1 + gold.links.endswith('.tsv')} of {gold.links}"
    n_src, n_tgt = len(pair.src_words), len(pair.tgt_words)
    for link in line.split():
        match = _LINK.fullmatch(link)
        if match is None:
            message = f"{where}: a link is i-j (sure) or ipj (possible), but there is {link!r}; correct it"
            raise PipelineError(message)
        src, tgt = int(match[1]) - gold.base, int(match[2]) - gold.base
        if not (0 <= src < n_src and 0 <= tgt < n_tgt):
            message = (
                f"{where}: {link} is outside of the pair, which has {n_src} source and {n_tgt} target words, "
                f"numbered from gold.base {gold.base}; check the base, the direction and the text"
            )
            raise PipelineError(message)
