"""Are dual variables in the states? What study 5 measures on any model, and the rule that was fixed before a result was seen.

The rows of a study are tokens; each belongs to a problem (of points, or a sentence pair) and each problem to one part: it
fits probes, or chooses ridge and level, or judges. The rule (`verdict`), for u and for v apart:

* **gain**, the share of what the own token leaves open that the best level explains, must be at least `ENOUGH`;
* it must be above the gain of the same model **untrained**, which mixes tokens too;
* it must be above the gain on a **control task**: the same states, targets of another problem;
* where the answer is known, the level must explain some of what even **own token and answer** leave open, for who
  knows the answer knows much of the dual variables.

Each holds if its 95 % interval (resampled seeds and problems) lies above the bound. All four: *supported*. All but the
first bound or the last: *partly*. An interval that lies below 0 anywhere: *not supported*; else *undecided*.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from otcore.probes import Ridge
from pipeline.claims import OPEN, Claim, Estimate

FIT, CHOOSE, JUDGE = range(3)
ENOUGH = 0.5
LEVEL = 0.95
RESAMPLES = 2000
FEWEST_PROBLEMS = 50
NAMES = {
    "gain": "beyond the own token",
    "over_untrained": "above fresh weights",
    "over_control": "above the control task",
    "beyond_answer": "beyond own token and answer",
}
"""What the parts of the evidence are called."""


@dataclass(frozen=True)
class Rows:
    """Tokens with their targets.

    Attributes
    ----------
    targets : float array, shape (row, target)
        Dual variables, centred within their problem: nothing tells the constant that u and v can trade.
    problem : int array, shape (row,)
        Which problem a row belongs to.
    part : int array, shape (row,)
        `FIT`, `CHOOSE` or `JUDGE`, the same in all rows of a problem.
    """

    targets: Float[np.ndarray, "row target"]
    problem: Int[np.ndarray, " row"]
    part: Int[np.ndarray, " row"]

    def within(self, part: int) -> np.ndarray:
        """Return the rows of a part."""
        return np.flatnonzero(self.part == part)

    def errors(self, estimate: Float[np.ndarray, "asked target"], part: int) -> Float[np.ndarray, "target problem"]:
        """Return squared errors of a part's rows, added up within each problem, problems ascending."""
        rows = self.within(part)
        return _sums((estimate - self.targets[rows]) ** 2, self.problem[rows])[0].T


class Errors(NamedTuple):
    """Squared errors a problem on the two parts that were not fitted, shape (target, problem)."""

    choose: Float[np.ndarray, "target chosen"]
    judge: Float[np.ndarray, "target judged"]


def centred(
    values: Float[np.ndarray, "row column"], problem: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "row column"]:
    """Return the values less their mean within each problem."""
    sums, place, counts = _sums(values, problem)
    return values - (sums / counts[:, None])[place]


def _sums(values: np.ndarray, problem: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sums within each problem, the place of every row among them, and how many rows each has."""
    _, place, counts = np.unique(problem, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    return np.add.reduceat(values[order], np.cumsum(counts) - counts, axis=0), place, counts


def one_hot(types: Int[np.ndarray, " row"]) -> Float[np.ndarray, "row type"]:
    """Return a column for every type, 1 in its rows: states of who knows a token's type and nothing else."""
    return (types[:, None] == np.unique(types)).astype(np.float64)


def probed(states: Float[np.ndarray, "row feature"], rows: Rows) -> Errors:
    """Return the errors of the probe on one level's states, ridge chosen on the part `CHOOSE`.

    States are centred within their problem, as the targets are: a probe need not know the constant.
    """
    states = centred(np.asarray(states, np.float64), rows.problem)
    fit, choose, judge = (rows.within(part) for part in (FIT, CHOOSE, JUDGE))
    ridge = Ridge(states[fit], rows.targets[fit])
    probe = ridge.chosen(states[choose], rows.targets[choose])
    return Errors(rows.errors(probe(states[choose]), CHOOSE), rows.errors(probe(states[judge]), JUDGE))


def best_level(levels: Sequence[Errors]) -> Int[np.ndarray, " target"]:
    """Return the level of least error on the part `CHOOSE`, target by target; the first of equals."""
    return np.stack([level.choose.sum(1) for level in levels]).argmin(0)


class Interval(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """Squared errors of one target on the problems that judge, shape (seed, problem) each.

    Attributes
    ----------
    trained, untrained : float array
        Probes on the level that was chosen for each seed.
    own : float array
        Who knows the own token only.
    control, control_own : float array
        The same two on targets of another problem.
    answer : float array or None
        Who knows own token and answer; None where there is no answer to know.
    """

    trained: Float[np.ndarray, "seed problem"]
    untrained: Float[np.ndarray, "seed problem"]
    own: Float[np.ndarray, "seed problem"]
    control: Float[np.ndarray, "seed problem"]
    control_own: Float[np.ndarray, "seed problem"]
    answer: Float[np.ndarray, "seed problem"] | None = None

    def intervals(self, *, seed: int, resamples: int = RESAMPLES) -> dict[str, Interval]:
        """Return `gain`, `over_untrained`, `over_control` and, if it is known, `beyond_answer`, with intervals.

        Seeds and problems are resampled with replacement, percentiles taken; a single seed is not resampled.
        """
        n_seeds, n_problems = self.trained.shape
        rng = np.random.default_rng(seed)
        draws = [rng.multinomial(n, np.full(n, 1 / n), size=resamples) for n in (n_seeds, n_problems)]
        weights = [np.vstack([np.ones(d.shape[1]), d]) for d in draws]

        def left(errors: np.ndarray) -> np.ndarray:
            return ((weights[0] @ errors) * weights[1]).sum(1)

        gain = 1 - left(self.trained) / left(self.own)
        found = {
            "gain": gain,
            "over_untrained": gain - (1 - left(self.untrained) / left(self.own)),
            "over_control": gain - (1 - left(self.control) / left(self.control_own)),
        }
        if self.answer is not None:
            found["beyond_answer"] = 1 - left(self.trained) / left(self.answer)
        tail = (1 - LEVEL) / 2
        return {
            name: Interval(float(values[0]), *(float(q) for q in np.quantile(values[1:], (tail, 1 - tail))))
            for name, values in found.items()
        }


def verdict(intervals: Mapping[str, Interval], *, n_problems: int) -> tuple[str, str]:
    """Return verdict and reason of one target, by the rule in the module's text.

    Parameters
    ----------
    intervals : mapping
        Of `Evidence.intervals`.
    n_problems : int
        That judge.
    """
    if n_problems < FEWEST_PROBLEMS:
        return "not testable here", f"{n_problems} problems judge, {FEWEST_PROBLEMS} are needed"
    needed = ("gain", "over_untrained", "over_control")
    below = [NAMES[name] for name in needed if intervals[name].high < 0]
    if below:
        return "not supported", f"below 0: {', '.join(below)}"
    left_open = [NAMES[name] for name in needed if intervals[name].low <= 0]
    if left_open:
        return "undecided", f"the interval holds 0: {', '.join(left_open)}"
    short = [] if intervals["gain"].low >= ENOUGH else [f"the gain is not surely {ENOUGH:g}"]
    if "beyond_answer" in intervals and intervals["beyond_answer"].low <= 0:
        short.append("no more than own token and answer tell")
    return ("partly", "; ".join(short)) if short else ("supported", "")


def rule(rows: Sequence[Claim], _level: float) -> tuple[str, str]:
    """Return verdict and reason of the rows that `estimates` made of one claim."""
    by_name = {words: name for name, words in NAMES.items()}
    intervals = {by_name[row.control]: Interval(*(math.nan if x is None else x for x in _ends(row))) for row in rows}
    return verdict(intervals, n_problems=rows[0].n_pairs or 0)


def _ends(row: Claim) -> tuple[float | None, float | None, float | None]:
    return row.difference, row.low, row.high


def estimates(
    name: str, statement: str, intervals: Mapping[str, Interval], *, n_problems: int, figure: str
) -> list[Estimate]:
    """Return the rows of a claim, which `rule` decides together."""
    return [
        Estimate(
            id=f"{name}_{kind}", claim=name, question=OPEN, statement=statement, comparison=NAMES[kind], control=NAMES[kind],
            where=NAMES[kind], difference=one.value, low=one.low, high=one.high, unit="share explained", n_pairs=n_problems,
            bound=ENOUGH if kind == "gain" else 0.0, figure=figure,
        )
        for kind, one in intervals.items()
    ]  # fmt: skip


class Model(NamedTuple):
    """States of one model, level by level (float arrays, shape (row, feature)), with trained and with fresh weights."""

    trained: Sequence[Float[np.ndarray, "_row _feature"]]
    untrained: Sequence[Float[np.ndarray, "_row _feature"]]


@dataclass(frozen=True)
class Task:
    """What is asked of the states of every model, with what simpler answers leave open on the same rows.

    Attributes
    ----------
    names : sequence of (side, reg)
        Of the targets.
    rows : Rows
        The task itself.
    own : Errors
        Of who knows the own token only.
    control, control_own : Rows, Errors
        The control task, and who knows the own token only on it.
    answer : Errors or None
        Of who knows own token and answer.
    """

    names: Sequence[tuple[str, float]]
    rows: Rows
    own: Errors
    control: Rows
    control_own: Errors
    answer: Errors | None = None


def measure(models: Sequence[Model], task: Task) -> tuple[list[dict], list[Evidence]]:
    """Return a row for every target, level and kind of weights, and the evidence of every target.

    Rows hold `side`, `reg`, `weights` (trained, untrained, control), `level`, and over the models the mean, smallest and
    largest `gain` (share of what the own token leaves open) and the mean `explained` (share of the variance).
    """
    kinds = {
        "trained": [[probed(level, task.rows) for level in model.trained] for model in models],
        "untrained": [[probed(level, task.rows) for level in model.untrained] for model in models],
        "control": [[probed(level, task.control) for level in model.trained] for model in models],
    }
    table = [row for kind, found in kinds.items() for row in _level_rows(kind, found, task)]
    chosen = {kind: [_at_best(levels) for levels in found] for kind, found in kinds.items()}
    n_models = len(models)

    def wide(errors: Errors, target: int) -> np.ndarray:
        return np.tile(errors.judge[target], (n_models, 1))

    def best(kind: str, target: int) -> np.ndarray:
        return np.stack([one[target] for one in chosen[kind]])

    evidence = [
        Evidence(
            trained=best("trained", target),
            untrained=best("untrained", target),
            own=wide(task.own, target),
            control=best("control", target),
            control_own=wide(task.control_own, target),
            answer=None if task.answer is None else wide(task.answer, target),
        )
        for target in range(len(task.names))
    ]
    return table, evidence


def _at_best(levels: Sequence[Errors]) -> Float[np.ndarray, "target judged"]:
    """Return the errors on the part that judges, at the level that the other part chose."""
    return np.stack([levels[level].judge[target] for target, level in enumerate(best_level(levels))])


def _level_rows(kind: str, found: Sequence[Sequence[Errors]], task: Task) -> list[dict]:
    """Return the rows of one kind of weights."""
    rows = task.control if kind == "control" else task.rows
    own = (task.control_own if kind == "control" else task.own).judge.sum(1)
    mean = rows.targets[rows.within(FIT)].mean(0)
    spread = rows.errors(np.tile(mean, (len(rows.within(JUDGE)), 1)), JUDGE).sum(1)
    out = []
    for target, (side, reg) in enumerate(task.names):
        for level in range(len(found[0])):
            left = np.array([levels[level].judge[target].sum() for levels in found])
            gain = 1 - left / own[target]
            out.append(
                {
                    "side": side, "reg": reg, "weights": kind, "level": level, "gain": float(gain.mean()),
                    "lowest": float(gain.min()), "highest": float(gain.max()),
                    "explained": float(1 - left.mean() / spread[target]),
                }
            )  # fmt: skip
    return out
