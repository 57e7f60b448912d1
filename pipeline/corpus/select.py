"""Which sentence pairs are kept: a seeded order, filters, and a count of what was dropped and why."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
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
    """Return the kept pairs, by row number, and what is to be said of the selection.

    Rows are looked at in the order of `numpy.random.default_rng(seed).permutation(n_rows)`, or of their
    numbers if `sample.method` is head, until `n_pairs` are kept (None: all), so what is dropped is counted among the
    rows looked at only. If the source has fewer, all are kept and `short_by` says how many are missing. A smaller
    `n_pairs` with the same seed keeps a subset.

    Parameters
    ----------
    source : Source
        Where the rows are.
    sample : Sample
        How many pairs, the seed and the limits on words a side.
    src_lang, tgt_lang : str
        Language codes.
    pretokenised : {"auto", True, False}
        Whether the words of both sides are those between spaces; auto decides each side by its first rows.
    track : callable
        Wraps the kept pairs as they come, to draw a progress bar.
    say : callable
        Gets one line on what auto saw.

    Raises
    ------
    PipelineError
        If not one pair can be kept: says how many were dropped for which reason. If a language needs a splitter that
        is not installed.
    """
    wanted = sample.wanted(source.n_rows)
    walk = _Walk(source, sample, (src_lang, tgt_lang), pretokenised)
    kept = sorted(track(walk.pairs()), key=lambda pair: pair.pair_id)
    dropped = walk.dropped
    if not kept:
        raise _nothing_kept(source, dropped, walk.sides)
    if pretokenised == "auto":
        say(f"corpus: {describe(walk.sides)}")
    return kept, {
        "source": source.name,
        "revision": source.revision,
        "files": [{"name": name, "sha256": sha256} for name, sha256 in source.files],
        "n_rows": source.n_rows,
        "method": sample.method,
        "seed": None if sample.method == "head" else sample.seed,
        "wanted": wanted,
        "kept": len(kept),
        "short_by": 0 if sample.n_pairs is None else wanted - len(kept),
        "looked_at": len(kept) + sum(dropped.values()),
        "dropped": dropped,
        "words": {name: side.about() for name, side in zip(("src", "tgt"), walk.sides, strict=True)},
        "sha256_rows": _sha256(str(pair.pair_id) for pair in kept),
        "sha256_text": _sha256(chain.from_iterable((pair.src_text, pair.tgt_text) for pair in kept)),
        **source.details(np.array([pair.pair_id for pair in kept], dtype=np.int64)),
    }


def _nothing_kept(source: Source, dropped: dict[str, int], sides: Sequence[SideWords]) -> PipelineError:
    why = ", ".join(f"{n} {reason}" for reason, n in dropped.items() if n) or "the source has no rows"
    words = "; ".join(f"{side.lang} was split by {side.splitter}" for side in sides)
    message = (
        f"corpus: at least one pair must be fit to keep, but all {source.n_rows} rows were not ({why})"
        f"{f'; {words}' if words else ''}; check the files, corpus.pair, sample.min_words and sample.max_words"
    )
    return PipelineError(message)


class _Walk:
    """The rows of a source in the seeded order, until enough are kept; counts the others."""

    def __init__(self, source: Source, sample: Sample, langs: tuple[str, str], asked: Pretokenised) -> None:
        self.source, self.sample, self.langs, self.asked = source, sample, langs, asked
        self.dropped = dict.fromkeys(REASONS, 0)
        self.sides: tuple[SideWords, ...] = ()

    def pairs(self) -> Iterator[SentencePair]:
        """Yield up to `n_pairs` pairs."""
        sample = self.sample
        order = np.arange(self.source.n_rows)
        if sample.method != "head":
            order = np.random.default_rng(sample.seed).permutation(self.source.n_rows)
        seen: set[tuple[str, str]] = set()
        wanted = sample.wanted(self.source.n_rows)
        done, at_once = 0, int(_DRAWN_FIRST * wanted)
        while done < len(order):
            # Fetched in parts that end where enough may have been kept: how they are cut changes nothing.
            at_once = max(at_once, _DRAWN_AT_LEAST, 0 if self.sides else ROWS)
            rows = order[done : done + at_once].tolist()
            done += len(rows)
            texts = {row: (src, tgt) for row, src, tgt in self.source.fetch(np.array(rows))}
            if not self.sides:
                self._look([texts[row] for row in rows[:ROWS]])
            for row in rows:
                pair, reason = self._examine(row, *texts[row])
                if pair and (pair.src_text, pair.tgt_text) in seen:
                    pair, reason = None, "duplicate"
                if pair is None:
                    self.dropped[reason] += 1
                    continue
                seen.add((pair.src_text, pair.tgt_text))
                yield pair
                if len(seen) == wanted:
                    return
            at_once = int(_DRAWN_FIRST * (wanted - len(seen)) * done / max(1, len(seen)))

    def _look(self, rows: Sequence[tuple[str, str]]) -> None:
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


def _sha256(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
