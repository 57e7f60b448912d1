"""One pass over a translator's blocks: what each pair adds to curves, matches and correlations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from rich.console import Console
from rich.progress import track

from pipeline.alignment.controls import control_block
from pipeline.alignment.halves import hashed_order
from pipeline.alignment.mispairing import links_within, mispaired_partners
from pipeline.alignment.scores import (
    MASSES,
    SCORES,
    check_links,
    mean_over_tokens,
    score_links,
    unit_source_words,
    without_last_words,
)
from pipeline.alignment.transport import (
    N_SUMS,
    correlation_sums,
    level_of,
    match_links,
    plan_for_view,
    word_plan,
)
from pipeline.attention.store import ByStates, PairBlocks
from pipeline.conventions import Convention, View
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import SomeLinks
from pipeline.errors import PipelineError

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """The pairs that can be measured, in the order of the corpus: an index into everything below.

    Attributes
    ----------
    ids : tuple of int
        `pair_id` of each.
    links : tuple of int arrays, shape (link, 2)
        Dictionary links of each, at least one.
    n_src, n_tgt : int array, shape (pair,)
        Words of each.
    partner_links : tuple of int arrays, shape (link, 2)
        What the mispaired control reads: those links of another pair of like length whose words this pair has.
    transported : bool array, shape (pair,)
        Which pairs are matched by transport: a seeded sample.
    dropped : dict
        Pairs that cannot be measured, by reason.
    """

    ids: tuple[int, ...]
    links: tuple[SomeLinks, ...]
    n_src: Int[np.ndarray, " pair"]
    n_tgt: Int[np.ndarray, " pair"]
    partner_links: tuple[SomeLinks, ...]
    transported: Bool[np.ndarray, " pair"]
    dropped: dict[str, int]

    def take(self, rows: Int[np.ndarray, " row"]) -> "Sample":
        """Return some of the pairs."""
        return Sample(
            ids=tuple(self.ids[row] for row in rows.tolist()),
            links=tuple(self.links[row] for row in rows.tolist()),
            n_src=self.n_src[rows],
            n_tgt=self.n_tgt[rows],
            partner_links=tuple(self.partner_links[row] for row in rows.tolist()),
            transported=self.transported[rows],
            dropped=self.dropped,
        )


def choose_sample(
    pairs: Sequence[SentencePair],
    links: Mapping[int, SomeLinks],
    *,
    convention: Convention,
    min_links: int,
    transport_pairs: int,
    seed: int,
) -> Sample:
    """Return the pairs that have enough links; the seed says which are mispaired and which transported.

    Raises
    ------
    PipelineError
        If a link lies outside of its pair, or no pair has enough.
    """
    kept, dropped = [], {"no_links": 0, "too_few_links": 0}
    for pair in pairs:
        size = len(pair.src_words), len(pair.tgt_words)
        own = links.get(pair.pair_id)
        if own is None or not len(own):
            dropped["no_links"] += 1
            continue
        check_links(own, n_src=size[0], n_tgt=size[1], where=f"links of pair {pair.pair_id}")
        if convention.last_word == "dropped":
            own = without_last_words(own, n_src=size[0], n_tgt=size[1])
        if len(own) >= max(min_links, 1):
            kept.append((pair.pair_id, own, *size))
        else:
            dropped["too_few_links"] += 1
    if not kept:
        message = (
            f"links: some of {len(pairs)} pairs must have {max(min_links, 1)} dictionary links, but none has;"
            " is the dictionary for these languages?"
        )
        raise PipelineError(message)
    ids, own_links, n_src, n_tgt = zip(*kept, strict=True)
    sizes = np.array(n_src), np.array(n_tgt)
    transported = np.zeros(len(ids), dtype=bool)
    transported[hashed_order(ids, seed)[:transport_pairs]] = True
    alone = len(ids) < 2
    partners = np.array([-1]) if alone else mispaired_partners(*sizes, np.random.default_rng(seed))
    partner_links = tuple(
        links_within(own_links[partner] if partner >= 0 else own_links[0][:0], n_src=int(size[0]), n_tgt=int(size[1]))
        for partner, *size in zip(partners.tolist(), *sizes, strict=True)
    )
    return Sample(ids, own_links, *sizes, partner_links, transported, {k: n for k, n in dropped.items() if n})


@dataclass
class Collected:
    """What a pass over one split's blocks leaves, NaN for pairs that it does not hold.

    Attributes
    ----------
    scores, mispaired : float array, shape (pair, view, layer, score)
        On the pair's own links, and on its partner's.
    special : float array, shape (pair, view, layer)
        Attention on special tokens, mean over the words that look.
    reach : float array, shape (pair, view, layer)
        Attention on the words of the other side, mean over the words that look.
    matches : float array, shape (pair, state)
        Share of linked words that transport matches, by kind and level (`Pass.states`); transported pairs only, as the
        two below.
    tied : bool array, shape (pair, state)
        Whether another matching is as cheap.
    plan, plan_position : float array, shape (pair, view, layer, sums)
        `correlation_sums` of attention, and of the position control, with this split's plans.
    """

    scores: Float[np.ndarray, "pair view layer score"]
    mispaired: Float[np.ndarray, "pair view layer score"]
    special: Float[np.ndarray, "pair view layer"]
    reach: Float[np.ndarray, "pair view layer"]
    matches: Float[np.ndarray, "pair state"]
    tied: Bool[np.ndarray, "pair state"]
    plan: Float[np.ndarray, "pair view layer sums"]
    plan_position: Float[np.ndarray, "pair view layer sums"]

    @classmethod
    def empty(cls, n_pairs: int, n_views: int, n_layers: int, n_states: int) -> "Collected":
        """Return arrays without a single pair in them."""

        def unknown(*shape: int) -> np.ndarray:
            return np.full((n_pairs, *shape), np.nan)

        grid = (n_views, n_layers)
        return cls(
            scores=unknown(*grid, len(SCORES)),
            mispaired=unknown(*grid, len(SCORES)),
            special=unknown(*grid),
            reach=unknown(*grid),
            matches=unknown(n_states),
            tied=np.zeros((n_pairs, n_states), dtype=bool),
            plan=unknown(*grid, N_SUMS),
            plan_position=unknown(*grid, N_SUMS),
        )

    @property
    def seen(self) -> Bool[np.ndarray, " pair"]:
        """Which pairs the split holds."""
        return ~np.isnan(self.special[:, 0, 0])

    def transported(self, rows: Int[np.ndarray, " row"]) -> "Transported":
        """Return what transport says of some of the pairs."""
        return Transported(*(getattr(self, name)[rows] for name in Transported._fields))


class Transported(NamedTuple):
    """What transport says of the pairs that it is computed for; fields as in `Collected`."""

    matches: Float[np.ndarray, "pair state"]
    tied: Bool[np.ndarray, "pair state"]
    plan: Float[np.ndarray, "pair view layer sums"]
    plan_position: Float[np.ndarray, "pair view layer sums"]


@dataclass(frozen=True)
class Pass:
    """One split to go through, and by which conventions.

    Attributes
    ----------
    views : tuple of str
        Of the blocks.
    n_layers : int
        Of the blocks.
    levels : mapping of str to int
        Number of levels by kind of states.
    convention : Convention
        `paper` and `notebook` take the mean over the tokens of a seen word.
    seed : int
        Shuffles before ties are broken, the same for every split.
    """

    views: tuple[View, ...]
    n_layers: int
    levels: Mapping[str, int]
    convention: Convention
    seed: int

    @property
    def states(self) -> list[tuple[str, int]]:
        """Return kind and level of everything that is matched by transport."""
        return [(kind, level) for kind, n in sorted(self.levels.items()) for level in range(n)]

    def run(self, blocks: Iterable[PairBlocks], sample: Sample) -> Collected:
        """Return what all pairs of the sample add; pairs without links are passed over.

        Raises
        ------
        PipelineError
            If a block has other sizes than the sentences or the manifest say.
        """
        index = {pair_id: row for row, pair_id in enumerate(sample.ids)}
        out = Collected.empty(len(sample.ids), len(self.views), self.n_layers, len(self.states))
        for pair in blocks:
            row = index.get(pair.pair_id)
            if row is not None:
                self._add(out, sample, row, pair, self._attention(pair, sample, row))
        return out

    def example(self, blocks: Iterable[PairBlocks], sample: Sample, row: int) -> PairBlocks:
        """Return the blocks of a pair, attention by the convention; of the next one that is there if it is not.

        Blocks come in the order of the pairs, and some pair of the sample is among them.
        """
        index = {pair_id: place for place, pair_id in enumerate(sample.ids)}
        found, place = None, -1
        for pair in blocks:
            at = index.get(pair.pair_id, -1)
            if at >= row or (at >= 0 and found is None):
                found, place = pair, at
            if place >= row:
                break
        assert found is not None  # the caller has measured a pair
        return _with_attention(found, self._attention(found, sample, place))

    def _attention(self, pair: PairBlocks, sample: Sample, row: int) -> Float[np.ndarray, "view layer tgt src"]:
        expected = (len(self.views), self.n_layers, sample.n_tgt[row], sample.n_src[row])
        if pair.attention.shape != expected:
            message = (
                f"blocks: pair {pair.pair_id} must have view, layer, tgt, src {tuple(map(int, expected))}, "
                f"as its sentences have, but has {pair.attention.shape}; run `dvc repro extract`"
            )
            raise PipelineError(message)
        return attention_by_convention(pair, self.views, self.convention)

    def _add(self, out: Collected, sample: Sample, row: int, pair: PairBlocks, attention: np.ndarray) -> None:
        links, others = sample.links[row], sample.partner_links[row]
        scored = as_scored(attention, self.convention)
        out.scores[row] = score_links(scored, links)
        out.special[row] = pair.special
        n_queries = np.array([attention.shape[view.query_axis] for view in self.views])
        out.reach[row] = attention.sum((-1, -2), dtype=np.float64) / n_queries[:, None]
        if len(others):
            out.mispaired[row] = score_links(scored, others)
        if not sample.transported[row]:
            return
        shuffles = np.random.default_rng([self.seed, pair.pair_id])
        costs = np.concatenate([pair.cost[kind] for kind in sorted(self.levels)])
        out.matches[row], out.tied[row] = match_links(costs, links, shuffles)
        plans = self.plans(pair.cost)
        n_tgt, n_src = attention.shape[2:]
        position = control_block("position", n_src, n_tgt, self.views)
        sums = correlation_sums(attention, plans)
        # A layer that cannot see all words of this pair says nothing about it.
        out.plan[row] = np.where(np.isnan(sums).any(-1, keepdims=True), np.nan, sums)
        out.plan_position[row] = correlation_sums(np.broadcast_to(position[:, None], plans.shape), plans)

    def plans(self, cost: ByStates) -> Float[np.ndarray, "view layer tgt src"]:
        """Return the exact plan beside each layer, of the states of the view's own step, laid out as its blocks."""
        levels = [level_of(layer) for layer in range(1, self.n_layers + 1)]
        plans = {kind: word_plan(cost[kind][levels]) for kind in _kinds(self.views)}
        return np.stack([[plan_for_view(plan, view) for plan in plans[view.states]] for view in self.views])


def _kinds(views: Sequence[View]) -> set[str]:
    return {view.states for view in views}


def watched(blocks: Iterable[T], label: str, total: int | None) -> Iterable[T]:
    """Return the items with a progress bar on the standard error output, on a terminal only; without a label, none."""
    if not label:
        return blocks
    console = Console(stderr=True)
    return track(blocks, label, total=total, console=console, transient=True, disable=not console.is_terminal)


def attention_by_convention(
    pair: PairBlocks, views: Sequence[View], convention: Convention
) -> Float[np.ndarray, "view layer tgt src"]:
    """Return the blocks as a convention pools them: stored sums, or means over the tokens of a key word."""
    return _pooled(pair.attention, pair, views, convention)


def heads_by_convention(
    pair: PairBlocks, views: Sequence[View], convention: Convention
) -> Float[np.ndarray, "view layer head tgt src"] | None:
    """Return the same of every head, None where heads are not kept."""
    return None if pair.heads is None else _pooled(pair.heads, pair, views, convention)


def _pooled(blocks: np.ndarray, pair: PairBlocks, views: Sequence[View], convention: Convention) -> np.ndarray:
    if convention.key_tokens == "sum":
        return blocks
    return mean_over_tokens(blocks, views=views, src_pieces=pair.src_pieces, tgt_pieces=pair.tgt_pieces)


def as_scored(
    attention: Float[np.ndarray, "*lead tgt src"], convention: Convention
) -> Float[np.ndarray, "*lead tgt src"]:
    """Return the blocks as a convention scores them: as they are, or every source word's values to norm 1."""
    return attention if convention.keeps_mass else unit_source_words(attention)


def control_scores(
    control: str,
    sample: Sample,
    views: Sequence[View],
    reach: Float[np.ndarray, "pair view layer"],
    convention: Convention,
) -> Float[np.ndarray, "pair view layer score"]:
    """Return the scores of the `uniform` or `position` control on the links of every pair.

    The control has as much mass on the other side as the attention that it stands beside (`reach`): a joint encoder
    keeps most of its attention within a side, and a floor of mass 1 would not be comparable. The scores by cosine
    do not change with mass, and where values have norm 1 there is no mass to match.
    """
    blocks = np.stack(
        [
            score_links(as_scored(control_block(control, int(n_src), int(n_tgt), views), convention), links)
            for links, n_src, n_tgt in zip(sample.links, sample.n_src, sample.n_tgt, strict=True)
        ]
    )
    of_mass = np.array([name in MASSES and convention.keeps_mass for name in SCORES])
    return blocks[:, :, None] * np.where(of_mass, reach[..., None], 1.0)


def _with_attention(pair: PairBlocks, attention: np.ndarray) -> PairBlocks:
    return PairBlocks(**{**vars(pair), "attention": attention})
