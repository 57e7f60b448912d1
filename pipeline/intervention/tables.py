"""From losses to tables: paired estimates over the pairs of half B, with intervals and raw p-values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.alignment.bootstrap import IntervalRule, difference_p
from pipeline.alignment.halves import HashedResampler
from pipeline.columns import INTERVENTION
from pipeline.intervention.observers import NORMALISED, Intervention
from pipeline.intervention.plan import REPLACEMENTS, TopSet, targets
from pipeline.intervention.rank import Ranking, rank_correlation

Losses = Float[np.ndarray, " pair"]


@dataclass(frozen=True)
class Measured:
    """Everything that tables are made of.

    Attributes
    ----------
    base : float array, shape (pair,)
        Loss of each pair of half B while nothing is changed, in nats.
    words : float array, shape (pair,)
        Scored target words of each pair.
    losses : dict from Intervention to float array, shape (pair,)
    ranking : Ranking
    sets : list of TopSet
    resampler : HashedResampler
        Over the pairs of half B.
    level : float
        Of the intervals, in (0, 1).
    """

    base: Losses
    words: Losses
    losses: Mapping[Intervention, Losses]
    ranking: Ranking
    sets: Sequence[TopSet]
    resampler: HashedResampler
    level: float

    def effect(self, intervention: Intervention) -> Losses:
        """Return the loss of each pair under an intervention minus its loss as it is, in nats."""
        return self.losses[intervention] - self.base

    def estimate(self, differences: Losses) -> dict[str, float]:
        """Return sums of nats over sums of words: `effect`, `low`, `high`, and `p`, two-sided and raw."""
        value = differences.sum() / self.words.sum()
        return self._with_interval(value, self.resampler.ratios(differences, self.words))

    def above(self, own: Losses, others: Float[np.ndarray, "draw pair"]) -> dict[str, float]:
        """Return an effect minus the one that only a share 1 - level of others reach, like `estimate`.

        The quantile over the others is taken anew in every resample.
        """
        value = own.sum() / self.words.sum() - np.quantile(others.sum(1) / self.words.sum(), self.level)
        resampled = self.resampler.ratios(others.T, np.broadcast_to(self.words[:, None], others.T.shape))
        draws = self.resampler.ratios(own, self.words) - np.quantile(resampled, self.level, axis=1)
        return self._with_interval(value, draws)

    def _with_interval(self, value: float, draws: Float[np.ndarray, " resample"]) -> dict[str, float]:
        rule = IntervalRule("percentile", self.level)
        n_pairs = np.array([len(self.words)])
        found = self.resampler.estimate(np.array([value]), draws[:, None], n_pairs, rule)
        p = difference_p(found)
        return {"effect": float(value), "low": float(found.low[0]), "high": float(found.high[0]), "p": float(p[0])}


def all_tables(
    measured: Measured, views: Sequence[str], sweeps: Sequence[int], *, zero: bool
) -> dict[str, pd.DataFrame]:
    """Return `heads`, `sets` and `replacements`; effects are losses in nats a word minus that while nothing is changed.

    `heads`, a row a head: how it aligns on half A (`pointing`, `entropy`) and what it is worth on half B when it is off.

    `sets`, a row a set that was put off: `all`, each `layer`, each `top` of k heads beside its draws. `zero_effect` is
    the effect with zero in place of the mean, empty where that is not the way to put heads off. For `top`,
    `draws_effect` is the mean over the draws, `share_reached` the share of draws with at least the set's effect,
    `above_*` the set's effect minus the one that only a share 1 - level of the draws reach, `complete` whether the draws
    are all sets that there are, `short` the layers with too few other heads.

    `replacements`, a row a target and replacement; `balanced_minus_*` compares two replacements with each other.

    Parameters
    ----------
    measured : Measured
    views : sequence of str
        Names along the first axis of the ranking's pointing.
    sweeps : sequence of int
        As they were run.
    zero : bool
        Whether heads were put to zero too.
    """
    rows = {
        "heads": _head_rows(measured, views),
        "sets": _set_rows(measured, zero=zero),
        "replacements": _replacement_rows(measured, sweeps),
    }
    frames = {name: pd.DataFrame(found, columns=list(INTERVENTION[name])) for name, found in rows.items()}
    for name, column in (("sets", "layer"), ("sets", "n_draws"), ("replacements", "sweeps")):
        frames[name][column] = frames[name][column].astype("Int64")
    return frames


def _head_rows(measured: Measured, views: Sequence[str]) -> list[dict[str, Any]]:
    ranking, rows = measured.ranking, []
    for layer, head in sorted(ranking.ordered()):
        place, change = (layer - 1, head), Intervention("off", ((layer, head),))
        rows.append(
            {
                "layer": layer,
                "head": head,
                "view": views[ranking.views[place]],
                "pointing": ranking.best[place],
                "entropy": ranking.entropy[place],
                **measured.estimate(measured.effect(change)),
            }
        )
    return rows


def _set_rows(measured: Measured, *, zero: bool) -> list[dict[str, Any]]:
    ordered = measured.ranking.ordered()
    layers = sorted({layer for layer, _ in ordered})
    by_layer = {layer: tuple(sorted(head for head in ordered if head[0] == layer)) for layer in layers}
    row = partial(_set_row, measured, zero=zero)
    return [
        row("all", targets(ordered)["all"]),
        *({**row("layer", heads), "layer": layer} for layer, heads in by_layer.items()),
        *({**row("top", top.heads), **_against_draws(measured, top)} for top in measured.sets),
    ]


def _set_row(measured: Measured, what: str, heads: tuple, *, zero: bool) -> dict[str, Any]:
    estimate = measured.estimate(measured.effect(Intervention("off", heads)))
    row = {"set": what, "layer": None, "k": len(heads), "heads": _spell(heads), **estimate}
    if zero:
        row["zero_effect"] = measured.effect(Intervention("zero", heads)).sum() / measured.words.sum()
    return row


def _against_draws(measured: Measured, top: TopSet) -> dict[str, Any]:
    found: dict[str, Any] = {
        "n_draws": len(top.draws),
        "complete": top.complete,
        "short": " ".join(map(str, top.short)),
    }
    if not top.draws:
        return found
    own = measured.effect(Intervention("off", top.heads))
    draws = np.stack([measured.effect(Intervention("off", heads)) for heads in top.draws])
    return {
        **found,
        "draws_effect": draws.mean(0).sum() / measured.words.sum(),
        "share_reached": float((draws.sum(1) >= own.sum()).mean()),
        **{f"above_{name}": value for name, value in measured.above(own, draws).items()},
    }


def _replacement_rows(measured: Measured, sweeps: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    for name, heads in targets(measured.ranking.ordered()).items():
        about = {"target": name, "heads": _spell(heads)}
        for kind in REPLACEMENTS:
            effect = measured.effect(Intervention(kind, heads))
            rows.append({**about, "replacement": str(kind), "sweeps": None, **measured.estimate(effect)})
        for n in sweeps:
            effects = {str(kind): measured.effect(Intervention(kind, heads, n)) for kind in NORMALISED}
            effects |= {f"balanced_minus_{rival}": effects["balanced"] - effects[rival] for rival in list(effects)[1:]}
            rows += [
                {**about, "replacement": what, "sweeps": n, **measured.estimate(found)}
                for what, found in effects.items()
            ]
    return rows


def correlations(measured: Measured) -> dict[str, dict[str, float]]:
    """Return Spearman's correlation over heads of the effect with alignment and, as a rival, with negative entropy.

    Each over all heads and within layers, with its interval over resampled pairs of half B.
    """
    ranking = measured.ranking
    shape = ranking.best.shape
    heads = [Intervention("off", ((layer + 1, head),)) for layer, head in np.ndindex(shape)]
    effects = np.stack([measured.effect(change) for change in heads], axis=-1)
    value = (effects.sum(0) / measured.words.sum()).reshape(shape)
    draws = measured.resampler.ratios(effects, np.broadcast_to(measured.words[:, None], effects.shape))
    draws = draws.reshape(-1, *shape)
    rule, found = IntervalRule("percentile", measured.level), {}
    for name, scores in (("alignment", ranking.best), ("negative_entropy", -ranking.entropy)):
        for where, within in (("all", False), ("within_layer", True)):
            resampled = rank_correlation(scores, draws, within_layer=within)[:, None]
            rho = rank_correlation(scores, value[None], within_layer=within)
            low, high = rule.interval(resampled, rho)
            found[f"{name}_{where}"] = {"value": float(rho[0]), "low": float(low[0]), "high": float(high[0])}
    return found


def _spell(heads: tuple) -> str:
    return " ".join(f"{layer}.{head}" for layer, head in heads)
