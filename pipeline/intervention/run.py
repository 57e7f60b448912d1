"""Losses of every pair of half B under every intervention, kept as they come so that a killed run goes on."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.intervention import words
from pipeline.intervention.inputs import Item, batches
from pipeline.intervention.observers import Edit, Extra, Intervention, Record, stack
from pipeline.intervention.rank import Ranking
from pipeline.intervention.scorer import Batch, Scorer

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
        self._views = torch.as_tensor(ranking.views)
        self.base = np.zeros(len(items))
        weights: dict[int, np.ndarray] = {}
        self._batches: list[Batch] = []
        for part in batches(items, tokens_per_batch):
            record = Record(scorer.layers)
            batch, losses = scorer.prepare(part, record)
            self._put(self.base, batch, losses)
            self._batches.append(batch)
            maps = torch.stack([record.weights[layer] for layer in sorted(record.weights)], 1).cpu().numpy()
            weights |= {item.pair_id: one for item, one in zip(part, maps, strict=True)}
        partners = {item.pair_id: items[p] for item, p in zip(items, words.partners(items), strict=True)}
        self._extras = [_extra(batch, partners, weights, seed) for batch in self._batches]

    def losses(self, intervention: Intervention) -> Float[np.ndarray, " pair"]:
        """Return the loss of each pair, in nats."""
        out = np.zeros(len(self._places))
        scorer, ranking = self._scorer, self._ranking
        for batch, extra in zip(self._batches, self._extras, strict=True):
            edit = Edit(scorer.layers, intervention, batch, extra, ranking.means, self._views, scorer.causal)
            self._put(out, batch, scorer.run(batch, edit, first=intervention.first))
        return out

    def _put(self, out: Float[np.ndarray, " pair"], batch: Batch, losses: Float[Tensor, " batch"]) -> None:
        out[[self._places[item.pair_id] for item in batch.items]] = losses.cpu().numpy()


def _extra(batch: Batch, partners: dict[int, Item], weights: dict[int, np.ndarray], seed: int) -> Extra:
    items, device = batch.items, batch.labels.device
    n_queries, n_keys = batch.rows.shape[1], batch.keys.shape[1]
    n_views = len(items[0].queries)
    links = [words.linked_share(item) for item in items]
    permuted = [words.linked_share(item, permuted_by=seed) for item in items]
    lent = [
        words.stretched(
            weights[partners[item.pair_id].pair_id][
                :, :, : len(partners[item.pair_id].free), : partners[item.pair_id].keys.shape[1]
            ],
            lent=_tokens(partners[item.pair_id]),
            own=_tokens(item),
        )
        for item in items
    ]
    return Extra(
        places=stack([words.query_places(item) for item in items], (n_views, n_queries), device),
        key_places=stack([words.key_places(item) for item in items], (n_keys,), device),
        links=stack(links, (n_views, n_queries, n_keys), device),
        permuted=stack(permuted, (n_views, n_queries, n_keys), device),
        mispaired=stack(lent, (*lent[0].shape[:2], n_queries, n_keys), device),
    )


def _tokens(item: Item) -> tuple[np.ndarray, np.ndarray]:
    return np.array(item.free), item.keys.sum(0) > 0


def run_all(
    bench: Bench, interventions: Sequence[Intervention], folder: Path, *, track: Track = iter
) -> dict[Intervention, Float[np.ndarray, " pair"]]:
    """Return the losses under each intervention; one that lies in the folder already is read from there.

    Parameters
    ----------
    bench : Bench
    interventions : sequence of Intervention
    folder : Path
        Its name must say all that the losses depend on.
    track : callable, optional
        Passes the interventions on and draws a progress bar.

    Raises
    ------
    PipelineError
        If what lies in the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {change: _kept(bench, change, folder) for change in track(interventions)}


def _kept(bench: Bench, change: Intervention, folder: Path) -> Float[np.ndarray, " pair"]:
    path = folder / f"{hashlib.sha256(change.key.encode()).hexdigest()[:16]}.npy"
    if path.exists():
        try:
            return np.load(path)
        except (ValueError, EOFError) as error:
            message = f"{path}: losses of an earlier run, but they cannot be read ({error}); delete the file"
            raise PipelineError(message) from None
    losses = bench.losses(change)
    part = path.with_suffix(".part")
    with part.open("wb") as handle:
        np.save(handle, losses)
    part.replace(path)
    return losses
