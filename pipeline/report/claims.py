"""The five lines of "In short": what the metrics say of each claim, with the interval of the difference behind it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pipeline.conventions import label_of
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.wording import CONTROLS, reason

Verdict = Literal["supported", "not supported", "undecided"]
FEWEST = 10
"""Sentences below which nothing is decided: resampling a handful gives intervals that are too short."""


@dataclass(frozen=True)
class Claim:
    """One comparison over the same sentences: a difference that the claim says is above 0.

    Attributes
    ----------
    id : str
        Stable name.
    statement : str
        What is claimed.
    translator, view : str
        Of what; view is empty where there is none.
    where : str
        At which layer, against what.
    verdict : {"supported", "not supported", "undecided"}
        The interval lies above 0, below 0, or holds it; undecided, too, if the difference does not survive the correction
        for many tests.
    difference, low, high : float
        In favour of the claim, with its interval.
    n_pairs : int
        Sentences.
    p_holm : float or None
        Corrected for the layers and controls of the same view and score, where it was computed.
    """

    id: str
    statement: str
    translator: str
    view: str
    where: str
    verdict: Verdict
    difference: float
    low: float
    high: float
    n_pairs: int
    p_holm: float | None


@dataclass(frozen=True)
class Line:
    """One line of "In short".

    Attributes
    ----------
    id, statement : str
        Of the line.
    claims : tuple of Claim
        The deciding comparison of every translator and view; empty where nothing was measured.
    beside : tuple of Claim
        Others that the reader finds in claims.json.
    missing : str
        Why there is none, otherwise empty.
    """

    id: str
    statement: str
    claims: tuple[Claim, ...]
    beside: tuple[Claim, ...] = ()
    missing: str = ""

    @property
    def verdict(self) -> str:
        """What the claims have in common; how many are supported if they differ; `not measured` without any."""
        verdicts = {claim.verdict for claim in self.claims}
        if len(verdicts) <= 1:
            return verdicts.pop() if verdicts else "not measured"
        n_supported = sum(claim.verdict == "supported" for claim in self.claims)
        return f"mixed: {n_supported} of {len(self.claims)} supported"


def verdict_of(
    low: float, high: float, *, p_holm: float | None = None, level: float = 0.95, n_pairs: int = FEWEST
) -> Verdict:
    """Return what the interval of a difference says of the claim that it is above 0.

    Of fewer than `FEWEST` sentences an interval says nothing, nor does one without width.

    Examples
    --------
    >>> verdict_of(0.1, 0.2), verdict_of(-0.2, -0.1), verdict_of(-0.1, 0.1), verdict_of(0.1, 0.2, p_holm=0.3)
    ('supported', 'not supported', 'undecided', 'undecided')
    """
    if n_pairs < FEWEST or not (math.isfinite(low) and math.isfinite(high)) or low <= 0 <= high or low == high:
        return "undecided"
    if p_holm is not None and p_holm > 1 - level:
        return "undecided"
    return "supported" if low > 0 else "not supported"


def in_short(translators: Sequence[TranslatorMetrics], *, level: float) -> list[Line]:
    """Return the five lines.

    Parameters
    ----------
    translators : sequence of TranslatorMetrics
        At least one.
    level : float
        Of the intervals: a corrected p-value above 1 - level leaves a claim undecided.
    """
    views = [(t, view) for t in translators for view in t.views]
    return [
        _line(
            "grows_with_depth",
            "Attention on translations is larger in the last layer than in the first.",
            [_grows(t, view, level) for t, view in views],
            missing="a translator of one layer has no first and last",
        ),
        _line(
            "above_controls",
            "In its best layer it is above every control: random weights, uniform, word position, mispaired sentences.",
            [_above_controls(t, view, level) for t, view in views],
        ),
        _line(
            "embeddings_match",
            "Transport between word embeddings finds more translations than word order alone, or random weights.",
            [_embeddings(t, level) for t in translators],
        ),
        _line(
            "attention_is_plan",
            "Attention correlates with the transport plan more than word position and random weights do.",
            [_plan(t, view, level) for t, view in views],
        ),
        _line(
            "below_position_error",
            "Against hand-made links, attention and word vectors err less than pairing words by position.",
            [[claim] for t in translators for claim in _gold(t)],
            missing="the parameters name no hand-made links (gold: null)",
        ),
    ]


def _line(name: str, statement: str, groups: Iterable[Sequence[Claim]], *, missing: str = "no control was run") -> Line:
    """Return a line of which the first claim of each group decides; nothing is missing if there is any."""
    filled = [group for group in groups if group]
    claims = tuple(group[0] for group in filled)
    beside = tuple(claim for group in filled for claim in group[1:])
    return Line(name, statement, claims, beside, "" if claims else missing)


def _worst_first(claims: Iterable[Claim]) -> list[Claim]:
    """Return claims with the one that fares worst in front: it decides where all must hold."""
    return sorted(claims, key=lambda claim: claim.low if math.isfinite(claim.low) else -math.inf)


def _paired(
    t: TranslatorMetrics,
    name: str,
    statement: str,
    *,
    view: str,
    layer: int,
    score: str,
    against: str,
    level: float,
    half: str = "second",
) -> list[Claim]:
    """Return the claim of one row of paired.csv; nothing where there is no such row.

    A layer that was chosen on the first half of the sentences is judged on the second.
    """
    wanted = {"half": half, "view": view, "layer": layer, "score": score, "against": against}
    rows = t.paired[(t.paired[list(wanted)] == list(wanted.values())).all(axis=1)]
    if rows.empty:
        return []
    row = rows.iloc[0]
    low, high, p_holm = (float(row[key]) for key in ("low", "high", "p_holm"))
    claim = Claim(
        id=name,
        statement=statement,
        translator=t.name,
        view=view,
        where=f"layer {layer} over {'layer 1' if against == 'first_layer' else CONTROLS[against]}",
        verdict=verdict_of(
            low, high, p_holm=p_holm if math.isfinite(p_holm) else None, level=level, n_pairs=int(row["n_pairs"])
        ),
        difference=float(row["difference"]),
        low=low,
        high=high,
        n_pairs=int(row["n_pairs"]),
        p_holm=p_holm if math.isfinite(p_holm) else None,
    )
    return [claim]


def _grows(t: TranslatorMetrics, view: str, level: float) -> list[Claim]:
    """Return the last layer against the first; beside it the best layer (chosen on one half) against the first."""
    layers = {"last": (t.n_layers, "all"), "best": (t.best_layer(view)["layer"], "second")}
    return [
        claim
        for name, (layer, half) in layers.items()
        for claim in _paired(
            t, f"{name}_layer_above_first", f"The {name} layer has more attention on translations than the first.",
            view=view, layer=layer, score=t.score, against="first_layer", level=level, half=half,
        )
    ]  # fmt: skip


def _above_controls(t: TranslatorMetrics, view: str, level: float) -> list[Claim]:
    layer = t.best_layer(view)["layer"]
    return _worst_first(
        claim
        for control in ("random_init", "uniform", "position", "mispaired")
        for claim in _paired(
            t, f"attention_above_{control}", f"Attention on translations is above the control {CONTROLS[control]}.",
            view=view, layer=layer, score=t.score, against=control, level=level,
        )
    )  # fmt: skip


def _embeddings(t: TranslatorMetrics, level: float) -> list[Claim]:
    best = t.summary["best"]["match"][0]
    return _worst_first(
        claim
        for control in ("position", "random_init", "chance")
        for claim in _paired(
            t, f"match_above_{control}", f"Transport between word embeddings matches more linked words than {CONTROLS[control]}.",
            view=best["states"], layer=best["layer"], score="match", against=control, level=level,
        )
    )  # fmt: skip


def _plan(t: TranslatorMetrics, view: str, level: float) -> list[Claim]:
    layer = next(row["layer"] for row in t.summary["best"]["plan_correlation"] if row["view"] == view)
    return _worst_first(
        claim
        for control in ("position", "random_init")
        for claim in _paired(
            t, f"plan_correlation_above_{control}", f"Attention correlates with the transport plan more than {CONTROLS[control]} does.",
            view=view, layer=layer, score="plan_correlation", against=control, level=level,
        )
    )  # fmt: skip


def _gold(t: TranslatorMetrics) -> list[Claim]:
    """Return how much lower the alignment error is than that of the position baseline, for attention and embeddings.

    The setting is chosen on one half of the hand-aligned sentences; the difference is that of the other half.
    """
    claims = []
    for source in ("attention", "embedding") if t.summary.get("gold") is not None else ():
        best = t.summary["best"]["aer"][source]
        gain = best["below_position"]
        low, high = (_number(gain[key]) for key in ("low", "high"))
        claims.append(
            Claim(
                id=f"aer_{source}_below_position",
                statement=f"Links from {source} have a lower alignment error rate than those from position.",
                translator=t.name,
                view=best["view"] or "",
                where=f"{source}, layer {best['layer']}, {reason(best['method'])}",
                verdict=verdict_of(low, high, n_pairs=int(best["n_pairs"])),
                difference=_number(gain["value"]),
                low=low,
                high=high,
                n_pairs=int(best["n_pairs"]),
                p_holm=None,
            )
        )
    return claims


def _number(value: float | None) -> float:
    """Return NaN for what JSON has as null."""
    return math.nan if value is None else float(value)


def as_records(lines: Sequence[Line]) -> list[dict]:
    """Return every claim as plain numbers, for claims.json; what is no number is null."""
    return [
        {key: _plain(value) for key, value in asdict(claim).items()} | {"line": line.id}
        for line in lines
        for claim in (*line.claims, *line.beside)
    ]


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def view_name(claim: Claim) -> str:
    """Return the view of a claim in words, empty where it has none."""
    return label_of(claim.view) if claim.view else ""
