"""What one process does: reads some rows of the corpus with every kind of weights, and returns what they add."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from pipeline.alignment.added import Added, Part, Rules, add_part
from pipeline.attention.engine import count_first, read_all, tokenise_all
from pipeline.attention.extract import Opened, open_translator
from pipeline.attention.load import Control
from pipeline.attention.store import PairBlocks, blocks_in, shard_bytes
from pipeline.conventions import Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.params import Extract, Translator

PROBED = 64
"""The first pairs, of which one is read to see what blocks are like."""


@dataclass(frozen=True)
class Reading:
    """One kind of weights and how they read; arguments of `open_translator`."""

    name: str
    spec: Translator
    settings: Extract
    control: Control
    split: str
    languages: str
    shots: tuple[SentencePair, ...]
    convention: Convention
    sentence: str


@dataclass(frozen=True)
class Task:
    """Some rows of the corpus.

    Attributes
    ----------
    step : int
        Which rows, in steps of `added.ROWS`.
    start : int
        Row of the first.
    pairs : sequence of SentencePair
        As the model reads them.
    stored : frozenset of int
        `pair_id` of those whose blocks are stored.
    part : Part
        Those that are measured.
    rules : Rules
        What is the same for all.
    """

    step: int
    start: int
    pairs: Sequence[SentencePair]
    stored: frozenset[int]
    part: Part
    rules: Rules


@dataclass(frozen=True)
class Read:
    """Counts of one split: pairs read, pairs skipped by reason, and those that a view and layer cannot see whole."""

    n_pairs: int
    skipped: Counter[str]
    blind: Int[np.ndarray, "view layer"]

    def __add__(self, other: "Read") -> "Read":
        return Read(self.n_pairs + other.n_pairs, self.skipped + other.skipped, self.blind + other.blind)


@dataclass(frozen=True)
class Done:
    """What the rows of a task add; `shards` are Arrow files of the stored blocks, by split."""

    step: int
    added: Added
    read: dict[str, Read]
    shards: dict[str, bytes]


class Worker:
    """Holds the models of one translator.

    Parameters
    ----------
    readings : sequence of Reading
        Kinds of weights, the trained one among them.
    threads : int, optional
        Of torch: results may differ in the last bit by it.
    """

    def __init__(self, readings: Sequence[Reading], threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._settings = readings[0].settings
        self._opened: dict[str, Opened] = {reading.split: open_translator(**vars(reading)) for reading in readings}

    def about(self, pairs: Sequence[SentencePair]) -> dict[str, dict[str, Any]]:
        """Return what a manifest says of every split, levels and 16-bit errors read off the first pairs."""
        out = {}
        for split, opened in self._opened.items():
            examples, _ = tokenise_all(opened.reader, pairs[:PROBED])
            blocks = opened.reader.read(examples[:1]) if examples else []
            levels = {kind: len(cost) for kind, cost in blocks[0].cost.items()} if blocks else {}
            out[split] = {**opened.about, "levels": levels, **(opened.precision(pairs) if examples else {})}
        return out

    def run(self, task: Task) -> Done:
        """Return what the rows of a task add."""
        blocks, read, shards = {}, {}, {}
        for split, opened in self._opened.items():
            blocks[split], read[split], shards[split] = self._read(task, opened)
        return Done(task.step, add_part(task.part, blocks, task.rules), read, shards)

    def _read(self, task: Task, opened: Opened) -> tuple[list[PairBlocks], Read, bytes]:
        """Return the blocks as they would be stored, counts, and the file of those that are stored."""
        examples, skipped = tokenise_all(opened.reader, task.pairs)
        first = task.pairs[: max(0, self._settings.heads_pairs - task.start)]
        found = read_all(
            opened.reader,
            examples,
            self._settings.tokens_per_batch,
            lambda n: None,
            n_heads=count_first(examples, first),
        )
        size = len(opened.about["views"]), opened.about["n_layers"]
        blind = np.zeros(size, dtype=np.int64)
        for block in found:
            blind += np.isnan(block.attention[:, :, 0, 0])
        stored = [block for block in found if block.pair_id in task.stored]
        # Rounded as a file rounds them: the sums are those of stored blocks.
        files = [
            shard_bytes(stored),
            shard_bytes([_slim(block) for block in found if block.pair_id not in task.stored]),
        ]
        by_id = {block.pair_id: block for part in files for block in blocks_in(part, *size, heads=False)}
        ordered = [by_id[example.pair_id] for example in examples]
        return ordered, Read(len(examples), skipped, blind), files[0] if stored else b""


def _slim(block: PairBlocks) -> PairBlocks:
    """Return the block without what is not added up: costs are needed of transported pairs only, which are stored."""
    return replace(block, cost={}, cosine={}, cosine_raw={}, norm=None, heads=None, norm_heads=None)


def stored_of(plan_stored: np.ndarray, pairs: Sequence[SentencePair], start: int) -> frozenset[int]:
    """Return the ids of the pairs, which begin at a row, whose rows are stored."""
    return frozenset(pair.pair_id for row, pair in enumerate(pairs, start) if plan_stored[row])


def levels_of(about: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the levels of the trained split."""
    return dict(about["trained"]["levels"])
