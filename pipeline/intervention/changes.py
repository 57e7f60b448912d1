"""Other distributions for a head: where a row's mass on the source goes, the mass itself kept.

A block holds the attention of the rows that may be changed (tokens of target words) on the tokens of source words,
both filled up to the longest pair of a batch. A share is a distribution over those tokens: what a row gives to special
tokens or to its own side stays as it is, so that a replacement moves attention among source words and does nothing
else. Entropies are in nats, over tokens.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NEWTON_STEPS = 60
SHARPEST = 9.0
"""Largest log of the factor between a score and the same score at another temperature."""
CLOSE = 1e-10
"""Nats by which a matched entropy may miss."""


def within(
    block: Float[Tensor, "batch head row column"], columns: Bool[Tensor, "batch column"]
) -> Float[Tensor, "batch head row column"]:
    """Return the share of each token in a row's mass on the source, float64; uniform in a row without such mass."""
    part = block.double() * columns[:, None, None]
    mass = part.sum(-1, keepdim=True)
    return torch.where(mass > 0, part / mass.clamp(min=1e-300), uniform(columns))


def uniform(columns: Bool[Tensor, "batch column"]) -> Float[Tensor, "batch 1 1 column"]:
    """Return equal shares of all tokens of the source."""
    return (columns.double() / columns.sum(-1, keepdim=True).clamp(min=1))[:, None, None]


def entropy(share: Float[Tensor, "*lead column"]) -> Float[Tensor, "*lead"]:
    """Return the entropy of every row, in nats."""
    return -torch.xlogy(share, share).sum(-1)


def mean_entropy(
    share: Float[Tensor, "batch head row column"], rows: Bool[Tensor, "batch row"]
) -> Float[Tensor, "batch head"]:
    """Return the mean entropy over the rows of a pair, in nats."""
    return _mean(entropy(share), rows)


def balanced(
    share: Float[Tensor, "batch head row column"], rows: Bool[Tensor, "batch row"], *, sweeps: int, causal: bool
) -> Float[Tensor, "batch head row column"]:
    r"""Return the shares after Sinkhorn sweeps, float64; each sweep brings columns to equal sums, then rows to 1.

    With K the shares (Sinkhorn's result is the same for the exponentials of the scores, whose rows differ from them by
    a factor), u = 1 and R the rows that count, a sweep is

        v_j = 1 / sum over s in R of u_s K_sj,    u_s = 1 / sum over j of K_sj v_j,

    and row t of the result is u_t K_tj v_j. In an encoder R is all rows. A decoder at row t knows the rows up to t
    only, since the sums over later ones would tell it of words to come: there row t has a Sinkhorn of its own, with
    R = {s <= t}, and is the last row of the balanced plan of what has been read so far. (One Sinkhorn for all rows
    whose column sums run up to each row is no alternative: its only fixed point is uniform, whatever the scores.)

    Parameters
    ----------
    share : float tensor, shape (batch, head, row, column)
        Rows sum to 1; 0 in columns that are padding.
    rows : bool tensor, shape (batch, row)
        Which rows are no padding.
    sweeps : int
        At least 1.
    causal : bool
        Whether rows are those of a decoder.
    """
    kernel = share.double() * rows[:, None, :, None]
    # One run a line of `past`, over the rows that it marks.
    n_rows = rows.shape[1]
    past = rows[:, None, None].double().expand(-1, 1, n_rows if causal else 1, -1)
    past = past.tril() if causal else past
    row_factor = past.expand(-1, kernel.shape[1], -1, -1)
    column_factor = torch.zeros(())
    for _ in range(sweeps):
        column_factor = _inverse(row_factor @ kernel)
        row_factor = past * _inverse(column_factor @ kernel.transpose(2, 3))
    own = row_factor.diagonal(dim1=2, dim2=3) if causal else row_factor[:, :, 0]
    return own[..., None] * kernel * column_factor


def tempered(
    share: Float[Tensor, "batch head row column"],
    rows: Bool[Tensor, "batch row"],
    target: Float[Tensor, "batch head"],
) -> Float[Tensor, "batch head row column"]:
    """Return softmax(scores / temperature), float64: of every pair and head the temperature whose mean entropy is `target`.

    Newton's method in a bracket on x = -log temperature. A target that no temperature reaches gets the nearest end.

    Parameters
    ----------
    share : float tensor, shape (batch, head, row, column)
        At temperature 1: softmax(scores); tokens with a share of 0 are masked and keep it.
    rows : bool tensor, shape (batch, row)
        Over which the mean is taken.
    target : float tensor, shape (batch, head)
        In nats.
    """
    seen = (share > 0).double()
    logits = torch.where(share > 0, share.double(), 1.0).log()
    logits = (logits - torch.where(share > 0, logits, -torch.inf).amax(-1, keepdim=True).clamp(min=-1e3)) * seen
    low, high = torch.full_like(target, -SHARPEST), torch.full_like(target, SHARPEST)
    x = torch.zeros_like(target)
    for _ in range(NEWTON_STEPS):
        factor = x.exp()[..., None]
        weights = (logits * factor[..., None]).exp() * seen
        total = weights.sum(-1).clamp(min=1e-300)
        first, second = (weights * logits).sum(-1) / total, (weights * logits**2).sum(-1) / total
        excess = _mean(total.log() - factor * first, rows) - target
        found = excess.abs() < CLOSE
        if bool(found.all()):
            break
        low, high = torch.where(excess > 0, x, low), torch.where(excess > 0, high, x)
        slope = _mean(-(factor**2) * (second - first**2), rows)
        step = x - excess / slope.clamp(max=-1e-300)
        step = torch.where((step > low) & (step < high), step, (low + high) / 2)
        x = torch.where(found, x, step)
    weights = (logits * x.exp()[..., None, None]).exp() * seen
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)


def tempered_by_row(
    share: Float[Tensor, "batch head row column"], target: Float[Tensor, "batch head row"]
) -> Float[Tensor, "batch head row column"]:
    """Return `tempered` with a temperature for each row, which gives each its own entropy `target`."""
    alone = share.reshape(-1, 1, 1, share.shape[-1])
    every = torch.ones((len(alone), 1), dtype=torch.bool, device=share.device)
    return tempered(alone, every, target.reshape(-1, 1)).reshape(share.shape)


def _mean(values: Float[Tensor, "batch head row"], rows: Bool[Tensor, "batch row"]) -> Float[Tensor, "batch head"]:
    return (values * rows[:, None]).sum(-1) / rows.sum(-1)[:, None].clamp(min=1)


def _inverse(sums: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return 1 over each sum, 0 for the empty sums of padding."""
    return torch.where(sums > 0, 1 / sums, 0.0)
