"""Which sentence pairs are kept: a seeded order, filters, and a count of what was dropped and why."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words, normalise, split_words
from pipeline.errors import PipelineError
from pipeline.params import Sample

REASONS = ("empty", "identical", "too_short", "too_long", "unsplittable", "duplicate")
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
    track: Callable[[Iterable[SentencePair]], Iterable[SentencePair]] = iter,
) -> tuple[list[SentencePair], dict]:
    """Return the kept pairs, by row number, and what is to be said of the selection.

    Rows are looked at in the order of `numpy.random.default_rng(seed).permutation(n_rows)`, or of their
    numbers if `sample.method` is head, until `n_pairs` are kept, so what is dropped is counted among the rows
    looked at only. If the source has fewer, all are kept and `short_by` says how many are missing. A smaller
    `n_pairs` with the same seed keeps a subset.

    Parameters
    ----------
    source : Source
        Where the rows are.
    sample : Sample
        How many pairs, the seed and the limits on words a side.
    src_lang, tgt_lang : str
        Two-letter language codes.
    track : callable
        Wraps the kept pairs as they come, to draw a progress bar.

    Raises
    ------
    PipelineError
        If not one pair can be kept: says how many were dropped for which reason.
    """
    dropped = dict.fromkeys(REASONS, 0)
    walk = _walk(source, sample, dropped, src_lang, tgt_lang)
    kept = sorted(track(walk), key=lambda pair: pair.pair_id)
    if not kept:
        why = ", ".join(f"{n} {reason}" for reason, n in dropped.items() if n) or "the source has no rows"
        message = (
            f"corpus: at least one pair must be fit to keep, but all {source.n_rows} rows were not ({why}); "
            "check the files and sample.min_words, sample.max_words"
        )
        raise PipelineError(message)
    return kept, {
        "source": source.name,
        "revision": source.revision,
        "files": [{"name": name, "sha256": sha256} for name, sha256 in source.files],
        "n_rows": source.n_rows,
        "method": sample.method,
        "seed": None if sample.method == "head" else sample.seed,
        "wanted": sample.n_pairs,
        "kept": len(kept),
        "short_by": sample.n_pairs - len(kept),
        "looked_at": len(kept) + sum(dropped.values()),
        "dropped": dropped,
        "sha256_rows": _sha256(str(pair.pair_id) for pair in kept),
        "sha256_text": _sha256(chain.from_iterable((pair.src_text, pair.tgt_text) for pair in kept)),
        **source.details(np.array([pair.pair_id for pair in kept], dtype=np.int64)),
    }


def _walk(
    source: Source, sample: Sample, dropped: dict[str, int], src_lang: str, tgt_lang: str
) -> Iterator[SentencePair]:
    """Yield up to `n_pairs` pairs in the seeded order; counts the others in `dropped`."""
    if sample.method == "head":
        order = np.arange(source.n_rows)
    else:
        order = np.random.default_rng(sample.seed).permutation(source.n_rows)
    seen: set[tuple[str, str]] = set()
    done, at_once = 0, int(_DRAWN_FIRST * sample.n_pairs)
    while done < len(order):
        # Fetched in parts that end where enough may have been kept: how they are cut changes nothing.
        rows = order[done : done + max(at_once, _DRAWN_AT_LEAST)]
        done += len(rows)
        texts = {row: (src, tgt) for row, src, tgt in source.fetch(rows)}
        for row in rows.tolist():
            pair, reason = _examine(row, *texts[row], sample=sample, src_lang=src_lang, tgt_lang=tgt_lang)
            if pair and (pair.src_text, pair.tgt_text) in seen:
                pair, reason = None, "duplicate"
            if pair is None:
                dropped[reason] += 1
                continue
            seen.add((pair.src_text, pair.tgt_text))
            yield pair
            if len(seen) == sample.n_pairs:
                return
        at_once = int(_DRAWN_FIRST * (sample.n_pairs - len(seen)) * done / max(1, len(seen)))


def _examine(
    row: int, src: str, tgt: str, *, sample: Sample, src_lang: str, tgt_lang: str
) -> tuple[SentencePair | None, str]:
    """Return the pair, or None and the reason for dropping it."""
    texts = normalise(src, src_lang), normalise(tgt, tgt_lang)
    if not all(texts):
        return None, "empty"
    if texts[0] == texts[1]:
        return None, "identical"
    # Splitting only adds words: a monstrous line need not be split to be too long.
    if max(len(text.split(" ")) for text in texts) > sample.max_words:
        return None, "too_long"
    words = split_words(texts[0], src_lang), split_words(texts[1], tgt_lang)
    if min(map(len, words)) < sample.min_words:
        return None, "too_short"
    if max(map(len, words)) > sample.max_words:
        return None, "too_long"
    try:
        for text, side in zip(texts, words, strict=True):
            locate_words(text, side)
    except PipelineError:
        return None, "unsplittable"
    return SentencePair(row, *texts, tuple(words[0]), tuple(words[1])), ""


def _sha256(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
