"""Links from a matrix of similarities or costs between the words of a pair: every method behind one call."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from otcore.plans import entropic_plan, partial_plan, unbalanced_plan
from pipeline.corpus.pharaoh import Links
from pipeline.errors import PipelineError
from pipeline.methods import METHODS, MatchSettings

__all__ = ["METHODS", "MatchSettings", "extract_links", "link_mask", "symmetrise"]

Matrix = Float[np.ndarray, "src tgt"]
Mask = Bool[np.ndarray, "src tgt"]
MAX_SWEEPS = 10_000
SWEEP_ERROR = 1e-6  # of an entropic plan, relative to its mass
FAR = 2.0**26  # times a typical small cost: beyond it, a difference keeps less than half of that cost's digits
LEAST = 1e-6  # of the largest similarity: what sinkhorn_mutual takes those at most 0 for

# The order decides which of two neighbours takes a word. In this one both directions of GIZA++ and fast_align
# give their published symmetrised files link by link; with (-1, -1) before (-1, 1) 5 of 894 lines differ.
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, 1), (-1, -1), (1, -1), (1, 1))


DEFAULT = MatchSettings()


class _Words(NamedTuple):
    """A matrix as methods read it.

    Attributes
    ----------
    score : float64 array, shape (src, tgt)
        Larger is better: the similarities, or the costs with their sign turned, which loses no digit.
    are_costs : bool
        Which of the two it is.
    """

    score: Matrix
    are_costs: bool

    @property
    def in_spreads(self) -> Matrix:
        """Costs from 0 in units of their typical spread, which one outlier cannot stretch."""
        cost = self.score.max() - self.score
        spread = min(cost.max(), 2.0 * np.median(cost)) or cost.max() or 1.0
        return cost / spread

    @property
    def from_floor(self) -> Matrix:
        """The score without what lies far below the rest: a cost of 1e32 counts as the largest of the others.

        Typical is the lower quartile of what lies below the best entry, so up to three quarters may be far off.
        """
        below = self.score.max() - self.score
        if not below.any():
            return self.score
        near = below <= FAR * np.quantile(below[below > 0], 0.25, method="lower")
        return np.maximum(self.score, self.score[near].min())


def extract_links(
    matrix: Matrix,
    method: str,
    *,
    kind: str = "similarity",
    settings: MatchSettings = DEFAULT,
) -> Links:
    """Return the links that a method finds, shape (link, 2): source word, target word, in ascending order.

    Parameters
    ----------
    matrix : float array, shape (src, tgt)
        Finite. Attention blocks are (tgt, src): give the transpose.
    method : str
        One of `METHODS`: `argmax_src` and `argmax_tgt` (the best word for each source or target word, the
        first on ties), their `intersection` and `union`, `grow_diagonal` and `grow_diagonal_final` between
        the two (Koehn et al. 2003), `itermax` (Jalili Sabet et al. 2020), `mwmf` (matching of maximum
        weight, words left out where every weight is at most 0), `transport` (exact, one to one, as many
        links as the shorter side has words), `entropic`, `partial` and `unbalanced` transport of uniform
        masses, cut at a threshold, `sinkhorn_mutual` (rows and columns normalised in turn, then mutual argmax;
        Chi et al. 2021, XLM-Align) and `softmax_threshold` (probable in both directions; Dou and Neubig 2021,
        awesome-align).
    kind : {"similarity", "cost"}
        Costs of any size; itermax and mwmf, which need weights, take largest cost - cost. For itermax a cost
        beyond the resolution of the others (1e32 among ones) counts as the largest of the others.
    settings : MatchSettings
        Options of the methods.

    Raises
    ------
    PipelineError
        If the method is not known, the matrix is empty or not finite, or itermax is given negative
        similarities.

    Examples
    --------
    >>> extract_links(np.array([[0.9, 0.8], [0.7, 0.1]]), "transport").tolist()
    [[0, 1], [1, 0]]
    """
    return np.argwhere(link_mask(matrix, method, kind=kind, settings=settings))


def link_mask(
    matrix: Matrix,
    method: str,
    *,
    kind: str = "similarity",
    settings: MatchSettings = DEFAULT,
) -> Mask:
    """Return what `extract_links` returns as a boolean matrix.

    Raises
    ------
    PipelineError
        As `extract_links`.
    """
    if method not in METHODS:
        message = f"method: must be one of {', '.join(METHODS)}, but it is {method!r}; choose one"
        raise PipelineError(message)
    if kind not in ("similarity", "cost"):
        message = f"kind: must be similarity or cost, but it is {kind!r}; choose one"
        raise PipelineError(message)
    if matrix.size == 0 or not np.isfinite(matrix).all():
        message = (
            f"matrix: must be finite with at least one word a side, but it has shape {matrix.shape} and "
            f"{int((~np.isfinite(matrix)).sum())} entries that are not finite; leave the pair out"
        )
        raise PipelineError(message)
    are_costs = kind == "cost"
    score = -matrix.astype(np.float64) if are_costs else matrix.astype(np.float64)
    return _METHODS[method](_Words(score, are_costs), settings)


def symmetrise(forward: Mask, backward: Mask, method: str, *, free: str = "both") -> Mask:
    """Return the links of two directions combined.

    Parameters
    ----------
    forward, backward : bool array, shape (src, tgt)
        Links of either direction, both as source by target.
    method : {"intersection", "union", "grow_diagonal", "grow_diagonal_final"}
        How to combine them.
    free : {"both", "either"}
        See `MatchSettings`.

    Raises
    ------
    PipelineError
        If the method is not one of the four.
    """
    if method == "intersection":
        return forward & backward
    if method == "union":
        return forward | backward
    if method not in ("grow_diagonal", "grow_diagonal_final"):
        message = (
            "method: must be intersection, union, grow_diagonal or grow_diagonal_final, "
            f"but it is {method!r}; choose one"
        )
        raise PipelineError(message)
    return _grow_diagonal(forward, backward, final=method == "grow_diagonal_final", free=free)


def _grow_diagonal(forward: Mask, backward: Mask, *, final: bool, free: str) -> Mask:
    links, union = forward & backward, forward | backward
    src_taken, tgt_taken = links.any(1), links.any(0)
    open_enough = (lambda i, j: not (src_taken[i] or tgt_taken[j])) if free == "both" else (
        lambda i, j: not (src_taken[i] and tgt_taken[j])
    )  # fmt: skip

    def add(i: int, j: int) -> None:
        links[i, j] = src_taken[i] = tgt_taken[j] = True

    growing = True
    while growing:
        growing = False
        # A link that a pass adds is a starting point later in the same pass, so the order of reading matters.
        for i, j in np.ndindex(links.shape):
            if not links[i, j]:
                continue
            for step_i, step_j in _NEIGHBOURS:
                near = i + step_i, j + step_j
                inside = 0 <= near[0] < links.shape[0] and 0 <= near[1] < links.shape[1]
                if inside and union[near] and not links[near] and open_enough(*near):
                    add(*near)
                    growing = True
    for direction in (forward, backward) if final else ():
        for i, j in np.argwhere(direction).tolist():
            if open_enough(i, j):
                add(i, j)
    return links


def _best(score: Matrix, among_equals: Matrix | None = None) -> Mask:
    """Return the best column of each row, the first on ties, or the best of another score among equals."""
    if among_equals is not None:
        score = np.where(score == score.max(1, keepdims=True), among_equals, -np.inf)
    mask = np.zeros(score.shape, dtype=bool)
    mask[np.arange(len(mask)), score.argmax(1)] = True
    return mask


def _argmax_src(words: _Words, settings: MatchSettings) -> Mask:
    return _best(words.score)


def _argmax_tgt(words: _Words, settings: MatchSettings) -> Mask:
    return _best(words.score.T).T


def _combined(method: str) -> Callable[[_Words, MatchSettings], Mask]:
    def combine(words: _Words, settings: MatchSettings) -> Mask:
        forward, backward = _argmax_src(words, settings), _argmax_tgt(words, settings)
        return symmetrise(forward, backward, method, free=settings.free)

    return combine


def _itermax(words: _Words, settings: MatchSettings) -> Mask:
    if not words.are_costs and (words.score < 0).any():
        message = (
            "matrix: itermax multiplies similarities, which must be at least 0, but one is "
            f"{words.score.min():g}; for cosines give (1 + cosine) / 2"
        )
        raise PipelineError(message)
    score = words.from_floor if words.are_costs else words.score
    similarity = score - score.min() if words.are_costs else score
    # Where a difference rounds two costs to one similarity, the costs decide.
    among_equals = score if words.are_costs else None
    links = _combined("intersection")(words, settings)
    if min(similarity.shape) <= 2:  # as the authors' tool does
        return links
    for _ in range(settings.rounds - 1):
        src_open, tgt_open = ~links.any(1), ~links.any(0)
        if not src_open.any() or not tgt_open.any():
            break
        n_open = np.add.outer(src_open.astype(np.int64), tgt_open.astype(np.int64))
        # Both words open: as they are; one of them: discounted; none: out.
        weighted = similarity * np.minimum(settings.alpha * n_open, 1.0)
        backward = _best(weighted.T, None if among_equals is None else among_equals.T).T
        new = _best(weighted, among_equals) & backward & (n_open > 0) & ~links
        if not new.any():
            break
        links = links | new
    return links


def _matched(score: Matrix) -> Mask:
    # Exact beside entries of any size: a test holds it against every matching.
    mask = np.zeros(score.shape, dtype=bool)
    mask[linear_sum_assignment(score, maximize=True)] = True
    return mask


def _transport(words: _Words, settings: MatchSettings) -> Mask:
    return _matched(words.score)


def _mwmf(words: _Words, settings: MatchSettings) -> Mask:
    if words.are_costs:
        return _matched(words.score) & (words.score > words.score.min())
    return _matched(np.maximum(words.score, 0)) & (words.score > 0)


def _cut(plan: Float[np.ndarray, "src tgt"], threshold: float) -> Mask:
    # The tolerance keeps a full exchange over a threshold of 1.
    return plan * max(plan.shape) >= threshold * (1 - 1e-9)


def _entropic(words: _Words, settings: MatchSettings) -> Mask:
    plan = entropic_plan(
        words.in_spreads, reg=settings.reg, marginals="uniform", max_sweeps=MAX_SWEEPS, threshold=SWEEP_ERROR
    )
    _check_converged(bool(plan.converged), settings.reg, float(plan.marginal_error))
    return _cut(plan.plan, settings.threshold)


def _partial(words: _Words, settings: MatchSettings) -> Mask:
    return _cut(partial_plan(-words.score, share=settings.share, marginals="uniform").plan, settings.threshold)


def _unbalanced(words: _Words, settings: MatchSettings) -> Mask:
    plan = unbalanced_plan(
        words.in_spreads,
        reg=settings.reg,
        reg_marginal=settings.reg_marginal,
        marginals="uniform",
        max_sweeps=MAX_SWEEPS,
        threshold=SWEEP_ERROR,
    )
    _check_converged(bool(plan.converged), settings.reg, float(plan.marginal_error))
    return _cut(plan.plan, settings.threshold)


def _check_converged(converged: bool, reg: float, error: float) -> None:
    if not converged:
        message = f"reg: must let the sweeps converge, but {reg:g} leaves a marginal error of {error:.1e}; raise it"
        raise PipelineError(message)


def _sinkhorn_mutual(words: _Words, settings: MatchSettings) -> Mask:
    """Columns first, then rows, as the authors' tool: each direction is read where it was normalised last."""
    if words.are_costs:
        rows = -words.in_spreads / settings.temperature
    else:
        largest = words.score.max()
        floor = LEAST * largest if largest > 0 else 1.0
        rows = np.log(np.where(words.score > 0, words.score, floor)) / settings.temperature
    for _ in range(settings.sweeps):
        columns = rows - np.logaddexp.reduce(rows, axis=0, keepdims=True)
        rows = columns - np.logaddexp.reduce(columns, axis=1, keepdims=True)
    return _best(rows) & _best(columns.T).T


def _softmax_threshold(words: _Words, settings: MatchSettings) -> Mask:
    logits = -words.in_spreads / settings.softmax_temperature
    least = np.log(settings.softmax_threshold)
    forward, backward = (logits - np.logaddexp.reduce(logits, axis=axis, keepdims=True) for axis in (1, 0))
    return (forward > least) & (backward > least)


_METHODS: dict[str, Callable[[_Words, MatchSettings], Mask]] = {
    "argmax_src": _argmax_src,
    "argmax_tgt": _argmax_tgt,
    "intersection": _combined("intersection"),
    "union": _combined("union"),
    "grow_diagonal": _combined("grow_diagonal"),
    "grow_diagonal_final": _combined("grow_diagonal_final"),
    "itermax": _itermax,
    "mwmf": _mwmf,
    "transport": _transport,
    "entropic": _entropic,
    "partial": _partial,
    "unbalanced": _unbalanced,
    "sinkhorn_mutual": _sinkhorn_mutual,
    "softmax_threshold": _softmax_threshold,
}
