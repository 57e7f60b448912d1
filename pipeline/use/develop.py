"""Layer, method and word vectors of lowest alignment error on hand-made links of one's own: a development set."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from pipeline._messages import explain
from pipeline.alignment.aer import GoldCounts, Matching, Setting, count_links
from pipeline.alignment.gold import score_counts
from pipeline.attention.engine import tokenise_all
from pipeline.attention.store import PairBlocks
from pipeline.conventions import CORRECTED
from pipeline.corpus.gold import GoldPair, read_gold_set
from pipeline.errors import PipelineError
from pipeline.params import Gold
from pipeline.use.align import blocks_of
from pipeline.use.choice import COMPARED, Ask, Choice
from pipeline.use.translators import Opened


class Developed(NamedTuple):
    """A choice, its alignment error rate in [0, 1] on all of the development set, and how many pairs that had."""

    choice: Choice
    aer: float
    n_pairs: int

    def __str__(self) -> str:
        return f"{self.choice}: lowest alignment error on {self.n_pairs} pairs by hand, {100 * self.aer:.1f} %"


def read_development(path: Path | str, text: list[Path] | None, *, base: int, languages: str) -> list[GoldPair]:
    """Return the hand-made links of a file, whose text it holds itself (a .tsv, XL-WA) or which lies beside it.

    Raises
    ------
    PipelineError
        If text or links cannot be read or do not belong together.
    """
    files = tuple(str(file) for file in text or (path,))
    try:
        gold = Gold(name="gold", pair=languages, text=files, links=str(path), base=base)
    except ValidationError as error:
        message = f"--gold: {explain(error.errors()[0], Gold)}"
        raise PipelineError(message) from None
    return read_gold_set(gold)


def best(opened: Opened, ask: Ask, gold: list[GoldPair]) -> Developed:
    """Return the choice of lowest alignment error among those that are left open.

    Every layer of every view, and every level of every kind of word vectors by cosine, with each method of
    `align.methods` in params.yaml; what `ask` says stays. The first of equals is taken, attention first.

    Parameters
    ----------
    opened : Opened
        The translator.
    ask : Ask
        Without a head: only means over heads are compared.
    gold : list of GoldPair
        The development set.

    Raises
    ------
    PipelineError
        If a head is asked for, no pair can be read, or no choice fits.
    """
    if ask.head is not None:
        message = (
            f"head: must be left out beside gold, which compares means over heads, but it is {ask.head}; leave it out"
        )
        raise PipelineError(message)
    reader = opened.reader()
    links = {item.pair.pair_id: item.links for item in gold}
    examples, _ = tokenise_all(reader, [item.pair for item in gold])
    bare, _, compare = (ask.method or "").rpartition("_")
    methods = opened.methods if ask.method is None else (bare if compare in COMPARED else ask.method,)
    first, blocks = _first(blocks_of(reader, examples, opened.settings.tokens_per_batch), len(gold))
    counted = count_links(
        blocks,
        links,
        views=reader.views,
        n_layers=first.attention.shape[1],
        levels={kind: len(cost) for kind, cost in first.cost.items()},
        convention=CORRECTED,
        matching=Matching(methods, opened.options),
        n_blocks=len(gold),
    )
    return _lowest(counted, ask)


def _first(blocks: Iterator[PairBlocks], n: int) -> tuple[PairBlocks, Iterator[PairBlocks]]:
    first = next(blocks, None)
    if first is None:
        message = (
            f"gold: at least one pair must be readable, but all {n} are not; check its languages and sentence lengths"
        )
        raise PipelineError(message)
    return first, chain([first], blocks)


def _lowest(counted: GoldCounts, ask: Ask) -> Developed:
    errors = score_counts(counted.counts.sum(0)).aer
    choices = [_choice(setting, ask) for setting in counted.settings]
    left = [(float(errors[row]), row, one) for row, one in enumerate(choices) if one and np.isfinite(errors[row])]
    if not left:
        message = f"gold: some choice must fit what is said beside it, but none does ({ask}); say less"
        raise PipelineError(message)
    error, _, choice = min(left, key=lambda one: one[:2])
    return Developed(choice, error, len(counted.ids))


def _choice(setting: Setting, ask: Ask) -> Choice | None:
    """Return the choice that a row of the error table stands for, None if it is none or `ask` says another."""
    if setting.source == "attention":
        choice = Choice("attention", setting.view, setting.layer or 1, setting.method)
        fits = ask.view in (None, choice.place)
    else:
        method, _, compare = setting.method.rpartition("_")
        if setting.source != "embedding" or compare not in COMPARED:
            return None
        choice = Choice("states", setting.view, setting.layer or 0, method, "raw" if compare == "raw" else "cosine")
        said = (ask.method or "").rpartition("_")[2]
        fits = ask.states in (None, choice.place) and (said == compare or said not in COMPARED)
    return choice if fits and ask.layer in (None, choice.layer) and ask.said_origin in (None, choice.origin) else None
