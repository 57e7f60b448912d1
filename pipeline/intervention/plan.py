"""Which interventions are made: single heads, layers, sets against draws of others, replacements."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np

from pipeline.intervention.observers import NORMALISED, Head, Intervention, Kind

DECIDING_K = 4
"""How many of the best aligning heads are `top`."""
REPLACEMENTS: tuple[Kind, ...] = ("uniform", "position", "mispaired", "links", "permuted")


@dataclass(frozen=True)
class TopSet:
    """The k best aligning heads and the sets of others that they are held against.

    Attributes
    ----------
    k : int
    heads : tuple of (layer, head)
    draws : list of tuple of (layer, head)
        Sets of heads outside of the k best, as many of each layer.
    complete : bool
        Whether the draws are all sets that there are.
    short : tuple of int
        Layers with fewer other heads than wanted, all of which are in every draw.
    """

    k: int
    heads: tuple[Head, ...]
    draws: list[tuple[Head, ...]]
    complete: bool
    short: tuple[int, ...]


def top_set(ordered: Sequence[Head], k: int, *, n_draws: int, seed: int) -> TopSet:
    """Return the first `k` heads and their draws: all sets if at most `n_draws` exist, else that many, distinct."""
    top = tuple(sorted(ordered[:k]))
    wanted = Counter(layer for layer, _ in top)
    others = {layer: sorted(head for head in ordered if head[0] == layer and head not in top) for layer in wanted}
    sizes = {layer: min(count, len(others[layer])) for layer, count in sorted(wanted.items())}
    short = tuple(layer for layer in sizes if sizes[layer] < wanted[layer])
    if prod(comb(len(others[layer]), size) for layer, size in sizes.items()) <= n_draws:
        by_layer = [list(combinations(others[layer], size)) for layer, size in sizes.items()]
        sets = [tuple(sorted(sum(parts, ()))) for parts in product(*by_layer)]
        return TopSet(k, top, [heads for heads in sets if heads], complete=True, short=short)
    rng, drawn = np.random.default_rng([seed, k]), dict[tuple[Head, ...], None]()
    while len(drawn) < n_draws:
        places = {layer: rng.permutation(len(others[layer]))[:size] for layer, size in sizes.items()}
        drawn[tuple(sorted(others[layer][i] for layer, found in places.items() for i in found.tolist()))] = None
    return TopSet(k, top, list(drawn), complete=False, short=short)


def targets(ordered: Sequence[Head]) -> dict[str, tuple[Head, ...]]:
    """Return the sets of heads whose distributions are replaced, by name."""
    best_layer = ordered[0][0]
    return {
        "head": (ordered[0],),
        "top": tuple(sorted(ordered[:DECIDING_K])),
        "layer": tuple(sorted(head for head in ordered if head[0] == best_layer)),
        "all": tuple(sorted(ordered)),
    }


def replacements(heads: tuple[Head, ...], sweeps: Sequence[int]) -> list[Intervention]:
    """Return every replacement of the distributions of some heads."""
    return [Intervention(kind, heads) for kind in REPLACEMENTS] + [
        Intervention(kind, heads, n) for n in sweeps for kind in NORMALISED
    ]


def everything(
    ordered: Sequence[Head], sets: Sequence[TopSet], sweeps: Sequence[int], *, zero: bool
) -> list[Intervention]:
    """Return all interventions, each once, in an order that depends on nothing else.

    Parameters
    ----------
    ordered : sequence of (layer, head)
        All heads, the best aligning first.
    sets : sequence of TopSet
    sweeps : sequence of int
    zero : bool
        Whether the check with zero in place of the mean is made, on all sets but the draws.
    """
    by_target = targets(ordered)
    layers = [tuple(sorted(h for h in ordered if h[0] == layer)) for layer in sorted({layer for layer, _ in ordered})]
    singles = [(head,) for head in sorted(ordered)]
    off = [*singles, *layers, by_target["all"], *(top.heads for top in sets), *(d for top in sets for d in top.draws)]
    wanted = [Intervention("off", heads) for heads in off]
    if zero:
        sets_of_heads = (*layers, by_target["all"], *(top.heads for top in sets))
        wanted += [Intervention("zero", heads) for heads in sets_of_heads]
    wanted += [change for heads in by_target.values() for change in replacements(heads, sweeps)]
    return list(dict.fromkeys(wanted))
