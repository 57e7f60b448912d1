"""Losses of every pair of half B under every intervention, kept as they come so that a killed run goes on."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pipeline._kept import keep, kept
from pipeline.intervention.items import Item
from pipeline.intervention.observers import Edit, Intervention, Record
from pipeline.intervention.rank import Ranking, blocks_of, in_batches
from pipeline.intervention.scorer import Batch, Scorer
from pipeline.intervention.shares import RecordedShares, partners

Track = Callable[[Iterable[Intervention]], Iterator[Intervention]]


class Bench:
    """Half B, ready to be run again and again.

    Parameters
    ----------
    scorer : Scorer
    items : sequence of Item
        At least two: each lends its attention to another.
    ranking : Ranking
        From half A.
    tokens_per_batch : int
    seed : int
        Of the permuted links.

    Attributes
    ----------
    base : float array, shape (pair,)
        Loss of each pair in nats while nothing is changed, in the order of `items`.
    """

    def __init__(
        self, scorer: Scorer, items: Sequence[Item], ranking: Ranking, *, tokens_per_batch: int, seed: int
    ) -> None:
        self._scorer, self._ranking = scorer, ranking
        self._places = {item.pair_id: place for place, item in enumerate(items)}
        self.base = np.zeros(len(items))
        blocks: dict[int, np.ndarray] = {}
        prepared = []
        for batch in in_batches(scorer, items, tokens_per_batch):
            record = Record(scorer.layers, batch.place)
            self._put(self.base, batch, scorer.prepare(batch, record))
            blocks |= {
                item.pair_id: block for item, block in zip(batch.items, blocks_of(record, batch.items), strict=True)
            }
            prepared.append(batch)
        lent = partners(items)
        self._batches = [
            (batch, RecordedShares(batch, blocks, lent, views=ranking.views, seed=seed)) for batch in prepared
        ]

    def losses(self, intervention: Intervention) -> Float[np.ndarray, " pair"]:
        """Return the loss of each pair, in nats."""
        out = np.zeros(len(self._places))
        scorer = self._scorer
        for batch, shares in self._batches:
            edit = Edit(
                scorer.layers,
                intervention,
                batch.place,
                shares,
                means=self._ranking.means,
                cuts=scorer.cuts,
                causal=scorer.causal,
            )
            self._put(out, batch, scorer.run(batch, edit, first=intervention.first))
        return out

    def _put(self, out: Float[np.ndarray, " pair"], batch: Batch, losses: Float[Tensor, " batch"]) -> None:
        out[[self._places[item.pair_id] for item in batch.items]] = losses.cpu().numpy()


def run_all(
    bench: Bench, interventions: Sequence[Intervention], folder: Path, *, track: Track = iter
) -> dict[Intervention, Float[np.ndarray, " pair"]]:
    """Return the losses under each intervention; one that lies whole in the folder already is read from there.

    Parameters
    ----------
    bench : Bench
    interventions : sequence of Intervention
    folder : Path
        Its name must say all that the losses depend on.
    track : callable, optional
        Passes the interventions on and draws a progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {change: _kept(bench, change, folder) for change in track(interventions)}


def _kept(bench: Bench, change: Intervention, folder: Path) -> Float[np.ndarray, " pair"]:
    path = folder / f"{hashlib.sha256(change.key.encode()).hexdigest()[:16]}.kept"
    found = kept(path)
    if found is None:
        found = {"losses": bench.losses(change)}
        keep(path, found)
    return found["losses"]
