"""What some pairs add to the metrics of a translator: exact sums, and the values of a sample. Any shards give the same."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.collect import Collected, Pass, Sample, Transported, control_scores
from pipeline.alignment.curves import score_values
from pipeline.alignment.finding import Content, Found, find, width_mass
from pipeline.alignment.finding_tables import finding_values, values_of
from pipeline.alignment.scores import SCORES
from pipeline.alignment.tally import Halves, Tally
from pipeline.alignment.trend import layer_ranges
from pipeline.attention.store import PairBlocks
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import SomeLinks
from pipeline.errors import PipelineError

ROWS = 1024
"""Rows of the corpus that are added up at once: as many as a shard of blocks has."""
AS_CONTROLS = ("mispaired", "shuffled_lexicon")
"""Kinds of links that are no translations."""
Blocks = Mapping[str, Sequence[PairBlocks]]
"""Blocks by split; `trained` is one."""


@dataclass(frozen=True)
class Rules:
    """What is the same for all pairs.

    Attributes
    ----------
    walk : Pass
        Views, layers, levels and convention.
    joint : bool
        Whether one encoder reads both sides.
    resamples, seed : int
        Of the bootstrap.
    widths : tuple of float
        By view: the width of the position control, in words seen, fitted on half A.
    shuffled : bool
        Whether there are links of the shuffled dictionary.
    """

    walk: Pass
    joint: bool
    resamples: int
    seed: int
    widths: tuple[float, ...]
    shuffled: bool


@dataclass(frozen=True)
class Part:
    """Some pairs that can be measured, and what is known of them without a model.

    Attributes
    ----------
    places : int array, shape (pair,)
        Of each among all.
    sample : Sample
        The pairs.
    shuffled_links : mapping of place in this part to links
        Of the shuffled dictionary.
    content : Content
        By place in this part.
    first : bool array, shape (pair,)
        Which are of half A.
    kept : bool array, shape (pair,)
        Whose scores are kept one by one.
    """

    places: Int[np.ndarray, " pair"]
    sample: Sample
    shuffled_links: Mapping[int, SomeLinks]
    content: Content
    first: Bool[np.ndarray, " pair"]
    kept: Bool[np.ndarray, " pair"]

    @classmethod
    def of(
        cls,
        places: Int[np.ndarray, " pair"],
        sample: Sample,
        pairs: Mapping[int, SentencePair],
        shuffled: Mapping[int, SomeLinks],
        halves: tuple[Bool[np.ndarray, " all"], Bool[np.ndarray, " all"]],
    ) -> "Part":
        """Return the part of some places; `pairs` and `shuffled` are by pair_id, `halves` are first and kept, of all."""
        own = sample.take(places)
        content = Content.of([pairs[pair_id] for pair_id in own.ids])
        links = {row: shuffled[pair_id] for row, pair_id in enumerate(own.ids) if pair_id in shuffled}
        return cls(places, own, links, content, halves[0][places], halves[1][places])


@dataclass
class Added:
    """What pairs add; `merge` adds that of others, in any order with the same result.

    Attributes
    ----------
    halves : Halves
        Scores with resamples: names of `score_values` and `finding_values`.
    plain : Tally
        Sums without resamples: masses and counts.
    rows : dict of str to array
        Values of single pairs, ascending by place: `place` of those whose scores are kept, and `scores`; `transported`
        (places) and by split `matches/SPLIT` and so on (`Transported`); `unseen`, places that are not in the blocks.
    """

    halves: Halves
    plain: Tally
    rows: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def empty(cls, rules: Rules) -> "Added":
        """Return what no pair adds."""
        halves = Halves.empty(resamples=rules.resamples, seed=rules.seed)
        return cls(halves, Tally(resamples=0, seed=rules.seed), {})

    def merge(self, other: "Added") -> "Added":
        """Return what the pairs of both add; they have none in common."""
        rows = {
            name: np.concatenate([part.rows[name] for part in (self, other) if name in part.rows])
            for name in dict.fromkeys([*self.rows, *other.rows])
        }
        return Added(self.halves.merge(other.halves), self.plain.merge(other.plain), _in_order(rows))

    def transported(self, split: str) -> Transported:
        """Return what transport says of a split, in the order of the places in `rows["transported"]`."""
        return Transported(*(self.rows[f"{name}/{split}"] for name in Transported._fields))


def _in_order(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    kept, moved = np.argsort(rows["place"]), np.argsort(rows["transported"])
    out = {name: array[kept] for name, array in rows.items() if name in ("place", "scores")}
    out["unseen"] = np.sort(rows["unseen"])
    return out | {name: array[moved] for name, array in rows.items() if name not in out}


def add_part(part: Part, blocks: Blocks, rules: Rules) -> Added:
    """Return what the pairs of a part add.

    Parameters
    ----------
    part : Part
        The pairs.
    blocks : mapping of split to sequence of PairBlocks
        Of the trained translator and of other weights; pairs that are not of the part are passed over.
    rules : Rules
        What is the same for all.
    """
    out = Added.empty(rules)
    collected = {name: rules.walk.run(own, part.sample) for name, own in blocks.items()}
    seen = collected["trained"].seen
    out.rows = _rows(part, collected, seen)
    if not seen.any():
        return out
    rows = np.flatnonzero(seen)
    found = _found(part, blocks, rules)
    values = score_values(_scores(part, collected, rules)) | _pointing(part, found, rules)
    ids = [part.sample.ids[row] for row in rows.tolist()]
    out.halves.add(ids, part.first[rows], {name: array[rows] for name, array in values.items()})
    counts = {f"special/{name}": own.special for name, own in collected.items()}
    counts |= {f"reach/{name}": own.reach for name, own in collected.items()}
    counts |= {
        f"nothing/{name}": (own.scores[..., 0] == 0).any((1, 2)).astype(float) for name, own in collected.items()
    }
    counts["out_of_reach"] = found["trained"].out_of_reach.astype(float)
    out.plain.add(ids, {name: array[rows] for name, array in counts.items()})
    return out


def _rows(part: Part, collected: Mapping[str, Collected], seen: Bool[np.ndarray, " pair"]) -> dict[str, np.ndarray]:
    kept, moved = np.flatnonzero(seen & part.kept), np.flatnonzero(seen & part.sample.transported)
    rows = {
        "place": part.places[kept],
        "scores": collected["trained"].scores[kept],
        "unseen": part.places[~seen],
        "transported": part.places[moved],
    }
    for split, own in collected.items():
        rows |= {f"{name}/{split}": array for name, array in own.transported(moved)._asdict().items()}
    return rows


def _scores(
    part: Part, collected: Mapping[str, Collected], rules: Rules
) -> dict[str, Float[np.ndarray, "pair view layer score"]]:
    trained = collected["trained"]
    scores = {name: own.scores for name, own in collected.items()} | {"mispaired": trained.mispaired}
    for control in ("uniform", "position"):
        scores[control] = control_scores(control, part.sample, rules.walk.views, trained.reach, rules.walk.convention)
    assert scores["trained"].shape[-1] == len(SCORES)
    return scores


def _found(part: Part, blocks: Blocks, rules: Rules) -> dict[str, Found]:
    """Return pointing and mass by split: on all kinds of links with the trained weights, on the dictionary's with others."""
    kinds = {"dictionary": dict(enumerate(part.sample.links)), "mispaired": dict(enumerate(part.sample.partner_links))}
    if rules.shuffled:
        kinds["shuffled_lexicon"] = dict(part.shuffled_links)
    place = {pair_id: row for row, pair_id in enumerate(part.sample.ids)}
    return {
        split: find(
            own,
            kinds if split == "trained" else {"dictionary": kinds["dictionary"]},
            part.content,
            place,
            views=rules.walk.views,
            n_layers=rules.walk.n_layers,
        )
        for split, own in blocks.items()
    }


def _pointing(part: Part, found: Mapping[str, Found], rules: Rules) -> dict[str, np.ndarray]:
    trained, sizes = found["trained"], (part.sample.n_src, part.sample.n_tgt)
    links = dict(enumerate(part.sample.links))
    widths = [width_mass(links, sizes, view, sd) for view, sd in zip(rules.walk.views, rules.widths, strict=True)]
    values = values_of(
        trained,
        {name: own for name, own in found.items() if name != "trained"},
        {"dictionary": np.stack(widths, axis=1)},
        [kind for kind in AS_CONTROLS if kind in trained.kinds],
    )
    ranges = layer_ranges(rules.walk.n_layers, joint=rules.joint)
    return finding_values(values, {"dictionary": trained.pointing[0]}, ranges)


def by_rows(splits: Mapping[str, Iterable[PairBlocks]], pairs: Sequence[SentencePair]) -> Iterator[dict[str, list]]:
    """Yield the blocks of all splits, `ROWS` rows of the corpus at a time; rows that none of them holds are empty.

    Parameters
    ----------
    splits : mapping of str to iterable of PairBlocks
        Each in the order of the pairs; blocks of other pairs are passed over.
    pairs : sequence of SentencePair
        The corpus.

    Raises
    ------
    PipelineError
        If blocks come in another order.
    """
    row_of = {pair.pair_id: row for row, pair in enumerate(pairs)}
    groups = {
        name: groupby(
            (block for block in blocks if block.pair_id in row_of), key=lambda block: row_of[block.pair_id] // ROWS
        )
        for name, blocks in splits.items()
    }
    ahead = {name: next(group, None) for name, group in groups.items()}
    for step in range(-(-len(pairs) // ROWS)):
        found: dict[str, list] = {}
        for name, group in groups.items():
            waiting, found[name] = ahead[name], []
            if waiting is not None and waiting[0] == step:
                found[name] = list(waiting[1])
                ahead[name] = next(group, None)
        yield found
    left = [name for name, waiting in ahead.items() if waiting is not None]
    if left:
        message = (
            f"blocks: must come in the order of the pairs, but those of {left[0]} do not; "
            "run `dvc repro --force extract`"
        )
        raise PipelineError(message)
