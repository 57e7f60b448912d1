"""Study 5 on text: dual variables of the plan between word embeddings, in the word states of a translator.

The plan is the paper's (eq. 1, 3): its cost is the squared distance of the word vectors that enter the first layer (level 0), every
word of a side has the same mass. Source words are asked for u, target words for v. Who knows the own token only is a
probe on level 0 (word and position); fresh weights read the same sentences and are asked for the same duals. In the control
task a sentence is paired with another translation of like length: what a state says of that plan it cannot have from its partner.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from otcore import entropic_plan, pad_costs
from pipeline.alignment.halves import hashed_order
from pipeline.attention.engine import tokenise_all
from pipeline.attention.extract import make_reader
from pipeline.attention.load import load_spec
from pipeline.attention.vectors import WordVectors, word_vectors
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.params import Extract
from pipeline.params import Translator as TranslatorSpec
from pipeline.synthetic.studies.probing import CHOOSE, FIT, JUDGE, Model, Rows, Task, probed

REGS = (0.1, 0.03, 0.3)
"""Of the plans, in typical spreads of a cost; the first decides (`align.method_settings.reg`)."""
SHARES = (0.5, 0.2, 0.3)
"""Of the pairs, by part: those that fit, choose and judge."""


class Asked(NamedTuple):
    """One side of a translator: the task and the model that it is asked of."""

    side: str
    task: Task
    model: Model


def sides_of(trained: Sequence[WordVectors], untrained: Sequence[WordVectors], *, seed: int) -> list[Asked]:
    """Return what is asked of both sides, from the word vectors of the same pairs with trained and fresh weights.

    Raises
    ------
    PipelineError
        If there are fewer than 10 pairs, so that a part would be as good as empty.
    """
    if len(trained) < 10:
        message = f"studies: at least 10 readable pairs are needed to fit, choose and judge, but there are {len(trained)}; give more"
        raise PipelineError(message)
    part = parts_of(len(trained), seed)
    partner = mispaired([len(one.tgt[0]) for one in trained], part)
    costs = [_squared(one.src[0], one.tgt[0]) for one in trained]
    crossed = [_squared(one.src[0], trained[other].tgt[0]) for one, other in zip(trained, partner, strict=True)]
    spread = float(np.median([cost.std() for cost in costs]))
    own, control = (_duals(every, spread) for every in (costs, crossed))
    # What the mispaired plan says of the target words of `partner` belongs to them.
    back = np.argsort(partner)
    control[1] = [control[1][row] for row in back]
    asked = []
    for place, side in enumerate(("u", "v")):
        models = [_stacked([one[place] for one in every]) for every in (trained, untrained)]
        number = np.concatenate([np.full(len(one[place][0]), row) for row, one in enumerate(trained)])
        rows, other = (Rows(np.concatenate(every[place]), number, part[number]) for every in (own, control))
        names = [(side, reg) for reg in REGS]
        task = Task(names, rows, probed(models[0][0], rows), other, probed(models[0][0], other))
        asked.append(Asked(side, task, Model(*models)))
    return asked


def parts_of(n_pairs: int, seed: int) -> np.ndarray:
    """Return the part of every pair, int array, shape (pair,)."""
    order = hashed_order(range(n_pairs), seed)
    ends = np.rint(np.cumsum(SHARES) * n_pairs).astype(int)
    part = np.empty(n_pairs, dtype=np.int64)
    for kind, rows in zip((FIT, CHOOSE, JUDGE), np.split(order, ends[:-1]), strict=True):
        part[rows] = kind
    return part


def mispaired(lengths: Sequence[int], part: np.ndarray) -> np.ndarray:
    """Return, for every pair, another one of the same part whose target is about as long; each is taken once."""
    partner = np.empty(len(part), dtype=np.int64)
    for kind in np.unique(part):
        rows = np.flatnonzero(part == kind)
        rows = rows[np.argsort(np.asarray(lengths)[rows], kind="stable")]
        partner[rows] = np.roll(rows, 1)
    return partner


def _squared(src: np.ndarray, tgt: np.ndarray) -> Float[np.ndarray, "src tgt"]:
    src, tgt = src.astype(np.float64), tgt.astype(np.float64)
    return ((src[:, None] - tgt[None]) ** 2).sum(-1)


def _duals(costs: Sequence[np.ndarray], spread: float) -> list[list[np.ndarray]]:
    """Return u and v of every pair, arrays of shape (word, reg), in spreads and centred."""
    padded = pad_costs([cost / spread for cost in costs])
    plans = [entropic_plan(padded, reg=reg, marginals="uniform", max_sweeps=100_000) for reg in REGS]
    sides = []
    for place in range(2):
        potentials = np.stack([plan.potentials[place] for plan in plans], axis=-1)
        words = [values[: cost.shape[place]] for values, cost in zip(potentials, costs, strict=True)]
        sides.append([values - values.mean(0) for values in words])
    return sides


def _stacked(vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the words of all pairs below each other, level by level."""
    return [np.concatenate([one[level] for one in vectors]) for level in range(len(vectors[0]))]


def read_vectors(
    spec: TranslatorSpec,
    settings: Extract,
    pairs: Sequence[SentencePair],
    *,
    languages: str,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[WordVectors], list[WordVectors]]:
    """Return the word vectors of the pairs that a translator can read, with trained and with fresh weights."""
    found = []
    for control in ("trained", "random_init"):
        translator = load_spec(spec, settings, pair=languages, control=control, say=say)
        examples, _ = tokenise_all(make_reader(translator, spec, languages=languages), pairs)
        found.append([word_vectors(translator, example) for example in examples])
    return found[0], found[1]
