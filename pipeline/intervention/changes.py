"""Other distributions for a head: where a row's mass on the source goes, the mass itself kept.

Everywhere `keys` are the tokens of source words and `rows` the queries that may be changed. A share is a
distribution over `keys`: what a row gives to special tokens or to its own side stays as it is, so that a
replacement moves attention among source words and does nothing else. Entropies are in nats, over tokens.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NEWTON_STEPS = 40
WIDTHS = (0.05, 50.0)
"""Of the position control, in tokens of the source."""
SHARPEST = 9.0
"""Largest log of the factor between a score and the same score at another temperature."""
FLAT = -300.0
"""Scores further than this below the best of their row are raised to it: exp(-300) is 0 in single precision."""


def within(
    weights: Float[Tensor, "batch head query key"], keys: Bool[Tensor, "batch key"]
) -> Float[Tensor, "batch head query key"]:
    """Return the share of each key in a row's mass on the source, float64; uniform in a row without such mass."""
    part = weights.double() * keys[:, None, None]
    mass = part.sum(-1, keepdim=True)
    return torch.where(mass > 0, part / mass.clamp(min=1e-300), uniform(keys))


def substitute(
    weights: Float[Tensor, "batch head query key"],
    share: Float[Tensor, "batch #head #query key"],
    rows: Bool[Tensor, "batch #head query"],
    keys: Bool[Tensor, "batch key"],
) -> Float[Tensor, "batch head query key"]:
    """Return the weights with the mass that `rows` have on `keys` spread as `share` says; row sums stay."""
    on_source = keys[:, None, None]
    mass = (weights * on_source).sum(-1, keepdim=True)
    changed = weights * ~on_source + mass * share.to(weights.dtype)
    return torch.where(rows[..., None], changed, weights)


def cut(
    weights: Float[Tensor, "batch head query key"], rows: Bool[Tensor, "batch query"], keys: Bool[Tensor, "batch key"]
) -> Float[Tensor, "batch head query key"]:
    """Return the weights with nothing from `rows` to `keys`, and rows summing to 1 again.

    A row that has nothing elsewhere gives out nothing.
    """
    left = weights * ~keys[:, None, None]
    mass = left.sum(-1, keepdim=True)
    return torch.where(rows[:, None, :, None], left / mass.clamp(min=torch.finfo(left.dtype).tiny), weights)


def uniform(keys: Bool[Tensor, "batch key"]) -> Float[Tensor, "batch 1 1 key"]:
    """Return equal shares of all tokens of the source."""
    return (keys.double() / keys.sum(-1, keepdim=True).clamp(min=1))[:, None, None]


def entropy(share: Float[Tensor, "*lead key"]) -> Float[Tensor, "*lead"]:
    """Return the entropy of every row, in nats."""
    return -torch.xlogy(share, share).sum(-1)


def near(
    places: Float[Tensor, "batch head query"],
    key_places: Float[Tensor, "batch key"],
    keys: Bool[Tensor, "batch key"],
    target: Float[Tensor, "batch head"],
    rows: Bool[Tensor, "batch query"],
) -> Float[Tensor, "batch head query key"]:
    """Return a Gaussian on relative position whose mean row entropy is `target`, by pair and head.

    Places are in (0, 1). The width lies between the ends of `WIDTHS`; an entropy that no such width has gets the
    nearer end.
    """
    n_keys = keys.sum(-1)[:, None, None, None]
    squares = ((places[..., None] - key_places[:, None, None]).double() * n_keys) ** 2
    narrow, wide = (-2 * math.log(width) - math.log(2) for width in WIDTHS)
    return _spread(-squares, keys, target, ends=(wide, narrow), over=rows)


def balanced(
    scores: Float[Tensor, "batch head query key"],
    rows: Bool[Tensor, "batch query"],
    keys: Bool[Tensor, "batch key"],
    *,
    sweeps: int,
    causal: bool,
) -> Float[Tensor, "batch head query key"]:
    """Return the shares after Sinkhorn sweeps, float64: columns brought to equal sums, then rows to 1.

    Parameters
    ----------
    sweeps : int
        At least 1; each ends with the rows.
    causal : bool
        Whether a row sees only the rows before it, since column sums would tell a decoder of the words to come. Each
        row then has a Sinkhorn of its own with its past, and no column may get more than its share of the finished
        plan (rows / keys): the first rows of a plan obey that, but cannot have equal column sums.
    """
    kernel = _kernel(scores, keys) * rows[:, None, :, None]
    # One run a line of `past`, over the rows that it marks.
    n_rows = rows.shape[1]
    past = rows[:, None, None].double().expand(-1, 1, n_rows if causal else 1, -1)
    past = past.tril() if causal else past
    most = (rows.sum(-1) / keys.sum(-1).clamp(min=1))[:, None, None, None].double()
    row_factor = past * _inverse(kernel.sum(-1))[:, :, None]
    for _ in range(sweeps):
        column_factor = most * _inverse(row_factor @ kernel)
        column_factor = column_factor.clamp(max=1.0) if causal else column_factor
        row_factor = past * _inverse(column_factor @ kernel.transpose(2, 3))
    own = row_factor.diagonal(dim1=2, dim2=3) if causal else row_factor[:, :, 0]
    return own[..., None] * kernel * column_factor


def tempered(
    scores: Float[Tensor, "batch head query key"],
    keys: Bool[Tensor, "batch key"],
    target: Float[Tensor, "batch head query"],
) -> Float[Tensor, "batch head query key"]:
    """Return softmax(scores / temperature) over `keys` with the temperature that gives each row its entropy `target`."""
    return _spread(scores.double(), keys, target, ends=(-SHARPEST, SHARPEST))


def _spread(
    scores: Float[Tensor, "batch head query key"],
    keys: Bool[Tensor, "batch key"],
    target: Float[Tensor, "batch head *query"],
    *,
    ends: tuple[float, float],
    over: Bool[Tensor, "batch query"] | None = None,
) -> Float[Tensor, "batch head query key"]:
    """Return softmax(exp(x) scores) over `keys`, x such that the entropy is `target`; Newton's method in a bracket.

    With `over`, x is one for all rows and the entropy is the mean over these.
    """
    best = scores.masked_fill(~keys[:, None, None], -torch.inf).amax(-1, keepdim=True)
    on_source = keys[:, None, None].double()
    scores = (scores - best) * on_source
    low, high = (torch.full_like(target, end) for end in ends)
    x = (low + high) / 2
    for _ in range(NEWTON_STEPS):
        factor = (x if over is None else x[..., None]).exp()[..., None]
        share = (scores * factor).exp() * on_source
        total = share.sum(-1)
        first = (share * scores).sum(-1) / total
        second = (share * scores**2).sum(-1) / total
        factor = factor[..., 0]
        excess = total.log() - factor * first
        slope = -(factor**2) * (second - first**2)
        if over is not None:
            excess, slope = (_mean(values, over) for values in (excess, slope))
        excess = excess - target
        low, high = torch.where(excess > 0, x, low), torch.where(excess > 0, high, x)
        step = x - excess / slope.clamp(max=-1e-300)
        x = torch.where((step > low) & (step < high), step, (low + high) / 2)
    share = (scores * (x if over is None else x[..., None]).exp()[..., None]).exp() * on_source
    return share / share.sum(-1, keepdim=True)


def _mean(values: Float[Tensor, "batch head #query"], over: Bool[Tensor, "batch query"]) -> Float[Tensor, "batch head"]:
    return (values * over[:, None]).sum(-1) / over.sum(-1)[:, None].clamp(min=1)


def _kernel(
    scores: Float[Tensor, "batch head query key"], keys: Bool[Tensor, "batch key"]
) -> Float[Tensor, "batch head query key"]:
    """Return exp of the scores, the best of each row 1: in double precision no factor of a sweep overflows."""
    logits = scores.double().masked_fill(~keys[:, None, None], -torch.inf)
    logits = (logits - logits.amax(-1, keepdim=True)).clamp(min=FLAT)
    return logits.exp() * keys[:, None, None]


def _inverse(sums: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return 1 over each sum, 0 for the empty sums of padding."""
    return torch.where(sums > 0, 1 / sums, 0.0)
