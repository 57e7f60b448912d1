"""How much attention lies on dictionary links: scores of the paper and its notebook, all layers at once."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pipeline.conventions import View
from pipeline.corpus.pharaoh import Links
from pipeline.errors import PipelineError

SCORES = ("mass", "mean_mass", "cosine", "excess")
MASSES = ("mass", "mean_mass")
"""Those that are proportional to the mass of attention."""


def crop(matrix: Float[np.ndarray, "*lead tgt src"], links: Links) -> Float[np.ndarray, "*lead link link2"]:
    """Return the rows of linked target words and columns of linked source words, in the order of the links.

    Entry (i, j) belongs to the target word of link i and the source word of link j, so links lie on the
    diagonal.
    """
    return matrix[..., links[:, 1, None], links[None, :, 0]]


def score_links(attention: Float[np.ndarray, "*lead tgt src"], links: Links) -> Float[np.ndarray, "*lead score"]:
    """Return the four scores of `SCORES` for every leading index (view and layer, say), float64.

    `mass`: attention summed over the links (eq. 8), in [0, n_links]. `mean_mass`: that divided by the
    number of links. `cosine`: of the crop with the identity, trace / (Frobenius norm * sqrt(n_links)), in
    [0, 1]; a crop without any attention has 0. `excess`: cosine minus 1/sqrt(n_links), what uniform
    attention has.

    Parameters
    ----------
    attention : float array, shape (..., tgt, src)
        At least 0.
    links : int array, shape (link, 2)
        Source word, target word; at least one, within the block.

    Raises
    ------
    PipelineError
        If there is no link, or one lies outside of the block.

    Examples
    --------
    >>> score_links(np.eye(4), np.array([[0, 0], [2, 2]])).round(3).tolist()
    [2.0, 1.0, 1.0, 0.293]
    """
    check_links(links, n_src=attention.shape[-1], n_tgt=attention.shape[-2])
    part = crop(attention, links).astype(np.float64)
    n_links = len(links)
    mass = np.trace(part, axis1=-2, axis2=-1)
    norm = np.sqrt(np.square(part).sum((-2, -1)))
    cosine = np.divide(mass, norm * np.sqrt(n_links), out=np.zeros_like(mass), where=norm != 0)
    return np.stack([mass, mass / n_links, cosine, cosine - 1 / np.sqrt(n_links)], axis=-1)


def check_links(links: Links, *, n_src: int, n_tgt: int, where: str = "links") -> None:
    """Raise unless there is at least one link and all lie within the sentence pair.

    Raises
    ------
    PipelineError
        With `where` in front.
    """
    if len(links) == 0:
        message = f"{where}: at least one link is needed, but there is none; leave the pair out"
        raise PipelineError(message)
    outside = (links < 0).any(1) | (links >= [n_src, n_tgt]).any(1)
    if outside.any():
        src, tgt = links[outside.argmax()]
        message = (
            f"{where}: must lie within {n_src} source and {n_tgt} target words, numbered from 0, but there "
            f"is {src}-{tgt}; make blocks and links from the same words"
        )
        raise PipelineError(message)


def mean_over_tokens(
    attention: Float[np.ndarray, "view layer *head tgt src"],
    *,
    views: Sequence[View],
    src_pieces: Float[np.ndarray, " src"],
    tgt_pieces: Float[np.ndarray, " tgt"],
) -> Float[np.ndarray, "view layer *head tgt src"]:
    """Return blocks with the mean over the tokens of a seen word in place of their sum (paper and notebook).

    Stored blocks hold the sum over the tokens of the key word, whose side the view says.
    """
    words = attention.shape[-2:]
    pieces = np.stack(
        [
            np.broadcast_to(tgt_pieces[:, None] if view.key_side == "tgt" else src_pieces[None, :], words)
            for view in views
        ]
    )
    return attention / pieces.reshape(len(views), *(1,) * (attention.ndim - 3), *words)


def unit_source_words(attention: Float[np.ndarray, "*lead tgt src"]) -> Float[np.ndarray, "*lead tgt src"]:
    """Return blocks in which each source word's values, over all target words, have Euclidean norm 1.

    The paper's notebook does this before it crops; a source word without any attention keeps its zeros.
    """
    norm = np.linalg.norm(attention, axis=-2, keepdims=True)
    return np.divide(attention, norm, out=np.zeros_like(attention), where=norm != 0)


def without_last_words(links: Links, *, n_src: int, n_tgt: int) -> Int[np.ndarray, "kept 2"]:
    """Return the links that do not touch the last word of a side, which the paper's notebook loses."""
    return links[(links < [n_src - 1, n_tgt - 1]).all(1)]
