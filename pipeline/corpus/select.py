"""Which sentence pairs are kept: a seeded order, filters, and a count of what was dropped and why."""

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pretokenised import ROWS, Pretokenised, SideWords, decide, describe
from pipeline.corpus.words import locate_words
from pipeline.errors import PipelineError
from pipeline.params import Sample

REASONS = ("empty", "only_tags", "identical", "too_short", "too_long", "unsplittable", "duplicate")
# A line of tags only, as in Europarl: <CHAPTER ID=1>, <SPEAKER ID=2 NAME="...">, <P>.
_TAGS = re.compile(r"\s*(?:</?[A-Za-z][^<>]*>\s*)+")
# Rows fetched at first, as a multiple of the pairs wanted: rows cost bytes, and most are kept.
_DRAWN_FIRST = 1.25
_DRAWN_AT_LEAST = 100


@runtime_checkable
class Source(Protocol):
    """Rows of raw text by number; rows are numbered from 0 and never change their number."""

    @property
    def name(self) -> str:
        """The name of the source in params.yaml."""

    @property
    def revision(self) -> str | None:
        """The version of the source, where it has one."""

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Name and sha256 of each file behind the source."""

    @property
    def n_rows(self) -> int:
        """The number of rows."""

    def fetch(self, rows: Int[np.ndarray, " row"]) -> Iterator[tuple[int, str, str]]:
        """Yield row number, source and target text of each row asked for, in any order."""

    def details(self, rows: Int[np.ndarray, " row"]) -> dict[str, object]:
        """Return what else is to be recorded of the rows that were kept."""


@runtime_checkable
class Streaming(Source, Protocol):
    """A source that need not be asked for rows by number to give them in their order."""

    def stream(self) -> Iterator[tuple[int, str, str]]:
        """Yield row number, source and target text of every row, in the order of the rows."""


def select_pairs(
    source: Source,
    sample: Sample,
    *,
    src_lang: str,
    tgt_lang: str,
    pretokenised: Pretokenised = "auto",
    track: Callable[[Iterable[SentencePair]], Iterable[SentencePair]] = iter,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[SentencePair], dict]:
    """Return the kept pairs, by row number, and what is to be said of the selection: a whole `Selection`.

    Raises
    ------
    PipelineError
        If not one pair can be kept: says how many were dropped for which reason. If a language needs a splitter that
        is not installed.
    """
    selection = Selection(source, sample, (src_lang, tgt_lang), pretokenised)
    kept = list(selection.pairs(track))
    if pretokenised == "auto":
        say(f"corpus: {describe(selection.sides)}")
    return kept, selection.about()


def _nothing_kept(source: Source, dropped: dict[str, int], sides: Sequence[SideWords]) -> PipelineError:
    why = ", ".join(f"{n} {reason}" for reason, n in dropped.items() if n) or "the source has no rows"
    words = "; ".join(f"{side.lang} was split by {side.splitter}" for side in sides)
    limits = {"too_short": "lower sample.min_words", "too_long": "raise sample.max_words"}
    remedy = ", ".join(
        ["check the files and corpus.pair", *(limits[reason] for reason in limits if dropped.get(reason))]
    )
    message = (
        f"corpus: at least one pair must be fit to keep, but all {source.n_rows} rows were not ({why})"
        f"{f'; {words}' if words else ''}; {remedy}"
    )
    return PipelineError(message)


class Selection:
    """The pairs that are kept, and after them what is to be said of the selection.

    Rows are looked at in the order of `numpy.random.default_rng(seed).permutation(n_rows)`, or of their
    numbers if `sample.method` is head, until `n_pairs` are kept, so what is dropped is counted among the rows
    looked at only. If the source has fewer, all are kept and `short_by` says how many are missing. A smaller
    `n_pairs` with the same seed keeps a subset. With head, pairs are given out as they come and none is held.

    Parameters
    ----------
    source : Source
        Where the rows are.
    sample : Sample
        How many pairs, the seed and the limits on words a side.
    langs : (str, str)
        Language codes of source and target.
    asked : {"auto", True, False}
        Whether the words of both sides are those between spaces; auto decides each side by its first rows.
    """

    def __init__(self, source: Source, sample: Sample, langs: tuple[str, str], asked: Pretokenised = "auto") -> None:
        self.source, self.sample, self.langs, self.asked = source, sample, langs, asked
        self.wanted = sample.wanted(source.n_rows)
        self.dropped = dict.fromkeys(REASONS, 0)
        self.sides: tuple[SideWords, ...] = ()
        self._seen: set[int] = set()
        self._rows = array("q")
        self._of_rows, self._of_text = hashlib.sha256(), hashlib.sha256()

    @property
    def splitters(self) -> tuple[str, str]:
        """What splits source and target; known once the first pair is."""
        src, tgt = (side.splitter for side in self.sides)
        return src, tgt

    def pairs(self, track: Callable[[Iterable[SentencePair]], Iterable[SentencePair]] = iter) -> Iterator[SentencePair]:
        """Yield up to `n_pairs` pairs by row number; `track` wraps them as they are found, to draw a progress bar.

        Raises
        ------
        PipelineError
            If not one can be kept. If a language needs a splitter that is not installed.
        """
        found = track(self._found())
        if self.sample.method != "head":
            found = sorted(found, key=lambda pair: pair.pair_id)
        for pair in found:
            self._rows.append(pair.pair_id)
            self._of_rows.update(f"{pair.pair_id}\n".encode())
            self._of_text.update(f"{pair.src_text}\n{pair.tgt_text}\n".encode())
            yield pair
        if not self._rows:
            raise _nothing_kept(self.source, self.dropped, self.sides)

    def about(self) -> dict:
        """Return what is to be said of the pairs, once all have been given out."""
        source, sample, kept = self.source, self.sample, len(self._rows)
        return {
            "source": source.name,
            "revision": source.revision,
            "files": [{"name": name, "sha256": sha256} for name, sha256 in source.files],
            "n_rows": source.n_rows,
            "method": sample.method,
            "seed": None if sample.method == "head" else sample.seed,
            "wanted": self.wanted,
            "kept": kept,
            "short_by": 0 if sample.n_pairs is None else self.wanted - kept,
            "looked_at": kept + sum(self.dropped.values()),
            "dropped": self.dropped,
            "words": {name: side.about() for name, side in zip(("src", "tgt"), self.sides, strict=True)},
            "sha256_rows": self._of_rows.hexdigest(),
            "sha256_text": self._of_text.hexdigest(),
            **source.details(np.array(self._rows, dtype=np.int64)),
        }

    def _found(self) -> Iterator[SentencePair]:
        """Yield the pairs that are kept as they are found, and count the others."""
        for part in self._parts():
            if not self.sides:
                self._look([texts for _, *texts in part[:ROWS]])
            for row, src, tgt in part:
                pair, reason = self._examine(row, src, tgt)
                # Of what was kept only a digest is remembered: 8 bytes, which two of 40 million pairs share by chance
                # once in 20,000 corpora.
                if pair and _digest(pair) in self._seen:
                    pair, reason = None, "duplicate"
                if pair is None:
                    self.dropped[reason] += 1
                    continue
                self._seen.add(_digest(pair))
                yield pair
                if len(self._seen) == self.wanted:
                    return

    def _parts(self) -> Iterator[list[tuple[int, str, str]]]:
        """Yield the rows in the order in which they are looked at, some at once."""
        sample, source = self.sample, self.source
        if sample.method == "head" and isinstance(source, Streaming):
            rows = source.stream()
            while part := list(islice(rows, ROWS)):
                yield part
            return
        order = np.arange(source.n_rows)
        if sample.method != "head":
            order = np.random.default_rng(sample.seed).permutation(source.n_rows)
        done, at_once = 0, int(_DRAWN_FIRST * self.wanted)
        while done < len(order):
            # Fetched in parts that end where enough may have been kept: how they are cut changes nothing.
            at_once = max(at_once, _DRAWN_AT_LEAST, 0 if self.sides else ROWS)
            numbers = order[done : done + at_once].tolist()
            done += len(numbers)
            texts = {row: (src, tgt) for row, src, tgt in source.fetch(np.array(numbers))}
            yield [(row, *texts[row]) for row in numbers]
            kept = len(self._seen)
            at_once = int(_DRAWN_FIRST * (self.wanted - kept) * done / max(1, kept))

    def _look(self, rows: Sequence[Sequence[str]]) -> None:
        """Decide by the first rows how each side becomes words."""
        columns = zip(*rows, strict=True)
        self.sides = tuple(decide(column, lang, self.asked) for column, lang in zip(columns, self.langs, strict=True))

    def _examine(self, row: int, src: str, tgt: str) -> tuple[SentencePair | None, str]:
        """Return the pair, or None and the reason for dropping it."""
        if _TAGS.fullmatch(src) or _TAGS.fullmatch(tgt):
            return None, "only_tags"
        texts = [side.prepare(text) for side, text in zip(self.sides, (src, tgt), strict=True)]
        if not all(texts):
            return None, "empty"
        if texts[0] == texts[1]:
            return None, "identical"
        # Splitting only adds words: a monstrous line need not be split to be too long.
        if max(len(text.split(" ")) for text in texts) > self.sample.max_words:
            return None, "too_long"
        (src, src_words), (tgt, tgt_words) = (side.split(text) for side, text in zip(self.sides, texts, strict=True))
        words = src_words, tgt_words
        if min(map(len, words)) < self.sample.min_words:
            return None, "too_short"
        if max(map(len, words)) > self.sample.max_words:
            return None, "too_long"
        try:
            for text, side_words in zip((src, tgt), words, strict=True):
                locate_words(text, side_words)
        except PipelineError:
            return None, "unsplittable"
        return SentencePair(row, src, tgt, tuple(src_words), tuple(tgt_words)), ""


def _digest(pair: SentencePair) -> int:
    text = f"{pair.src_text}\n{pair.tgt_text}".encode()  # no line end is within a text
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
