"""Links from a matrix of similarities or costs between the words of a pair: every method behind one call."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from pipeline.alignment.transport import entropic_masses, partial_masses, unbalanced_masses
from pipeline.corpus.pharaoh import Links
from pipeline.errors import PipelineError

Matrix = Float[np.ndarray, "src tgt"]
Mask = Bool[np.ndarray, "src tgt"]

# The order decides which of two neighbours takes a word. In this one both directions of GIZA++ and fast_align
# give their published symmetrised files link by link; with (-1, -1) before (-1, 1) 5 of 894 lines differ.
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, 1), (-1, -1), (1, -1), (1, 1))


@dataclass(frozen=True)
class MatchSettings:
    """The options of the methods that have any.

    Attributes
    ----------
    alpha, rounds : float, int
        itermax: weight of words that have a link already, in [0, 1], and rounds of mutual argmax, at least 1.
    threshold : float
        entropic, partial, unbalanced: a link has at least this share, in (0, 1], of the largest mass that
        two words can exchange, min(1/n_src, 1/n_tgt).
    reg : float
        entropic, unbalanced: entropic weight, in units of the range of the costs, greater than 0.
    share : float
        partial: mass that moves, in (0, 1].
    reg_marginal : float
        unbalanced: weight of the marginals (Kullback-Leibler), in units of the range of the costs, greater
        than 0.
    free : {"both", "either"}
        grow_diagonal and grow_diagonal_final: which words of a new link must have had no link. `both` is
        the rule of the scripts that made the published GIZA++ and fast_align files, `either` that of Moses'
        symal.
    """

    alpha: float = 0.9
    rounds: int = 2
    threshold: float = 0.3
    reg: float = 0.1
    share: float = 0.9  # the best of 0.6 to 0.9 on the demo's own links, not tuned on a published test set
    reg_marginal: float = 1.0
    free: str = "both"

    def __post_init__(self) -> None:
        for name, rule, holds in (
            ("alpha", "in [0, 1]", 0 <= self.alpha <= 1),
            ("rounds", "at least 1", self.rounds >= 1),
            ("threshold", "in (0, 1]", 0 < self.threshold <= 1),
            ("reg", "greater than 0", self.reg > 0),
            ("share", "in (0, 1]", 0 < self.share <= 1),
            ("reg_marginal", "greater than 0", self.reg_marginal > 0),
            ("free", "both or either", self.free in ("both", "either")),
        ):
            if not holds:
                message = f"{name}: must be {rule}, but it is {getattr(self, name)!r}; correct it"
                raise PipelineError(message)


DEFAULT = MatchSettings()


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
        masses, cut at a threshold.
    kind : {"similarity", "cost"}
        Costs are turned round: similarity = largest cost - cost.
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
    similarity = matrix.astype(np.float64)
    if kind == "cost":
        similarity = similarity.max() - similarity
    return METHODS[method](similarity, settings)


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


def _argmax_src(similarity: Matrix, settings: MatchSettings) -> Mask:
    mask = np.zeros(similarity.shape, dtype=bool)
    mask[np.arange(len(mask)), similarity.argmax(1)] = True
    return mask


def _argmax_tgt(similarity: Matrix, settings: MatchSettings) -> Mask:
    return _argmax_src(similarity.T, settings).T


def _combined(method: str) -> Callable[[Matrix, MatchSettings], Mask]:
    def combine(similarity: Matrix, settings: MatchSettings) -> Mask:
        forward, backward = _argmax_src(similarity, settings), _argmax_tgt(similarity, settings)
        return symmetrise(forward, backward, method, free=settings.free)

    return combine


def _itermax(similarity: Matrix, settings: MatchSettings) -> Mask:
    if (similarity < 0).any():
        message = (
            "matrix: itermax multiplies similarities, which must be at least 0, but one is "
            f"{similarity.min():g}; for cosines give (1 + cosine) / 2"
        )
        raise PipelineError(message)
    mutual = _combined("intersection")
    links = mutual(similarity, settings)
    if min(similarity.shape) <= 2:  # as the authors' tool does
        return links
    for _ in range(settings.rounds - 1):
        src_open, tgt_open = ~links.any(1), ~links.any(0)
        if not src_open.any() or not tgt_open.any():
            break
        n_open = np.add.outer(src_open.astype(np.int64), tgt_open.astype(np.int64))
        # Both words open: as they are; one of them: discounted; none: out.
        weight = np.minimum(settings.alpha * n_open, 1.0)
        new = mutual(similarity * weight, settings) & (n_open > 0) & ~links
        if not new.any():
            break
        links = links | new
    return links


def _assignment(similarity: Matrix) -> Mask:
    mask = np.zeros(similarity.shape, dtype=bool)
    mask[linear_sum_assignment(similarity, maximize=True)] = True
    return mask


def _transport(similarity: Matrix, settings: MatchSettings) -> Mask:
    return _assignment(similarity)


def _mwmf(similarity: Matrix, settings: MatchSettings) -> Mask:
    return _assignment(np.maximum(similarity, 0)) & (similarity > 0)


def _cut(masses: Float[np.ndarray, "src tgt"], threshold: float) -> Mask:
    # The tolerance keeps a full exchange over a threshold of 1.
    return masses * max(masses.shape) >= threshold * (1 - 1e-9)


def _entropic(similarity: Matrix, settings: MatchSettings) -> Mask:
    return _cut(entropic_masses(similarity.max() - similarity, reg=settings.reg), settings.threshold)


def _partial(similarity: Matrix, settings: MatchSettings) -> Mask:
    return _cut(partial_masses(similarity.max() - similarity, share=settings.share), settings.threshold)


def _unbalanced(similarity: Matrix, settings: MatchSettings) -> Mask:
    masses = unbalanced_masses(similarity.max() - similarity, reg=settings.reg, reg_marginal=settings.reg_marginal)
    return _cut(masses, settings.threshold)


METHODS: dict[str, Callable[[Matrix, MatchSettings], Mask]] = {
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
}
