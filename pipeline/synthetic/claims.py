"""What a certificate is made of: claims with a verdict, tables, and random problems with known seeds."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from otcore import squared_cost
from pipeline._output import SCHEMA, write_json, write_text
from pipeline.errors import PipelineError

Verdict = Literal["holds", "fails", "vacuous"]
Group = Literal["paper", "follows", "errata", "software"]
Setting = Mapping[str, object]
NOISE = 1e-12  # digits of smaller numbers are rounding, and differ from one processor to the next
N_DIGITS = 10
INTERVAL = {"low": 0.1, "median": 0.5, "high": 0.9}
RULES = ("value <= threshold", "value >= threshold")
GROUPS: tuple[Group, ...] = ("paper", "follows", "errata", "software")


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, or about it, with what was measured.

    Attributes
    ----------
    id : str
        Stable name.
    statement : str
        What is claimed, so that a verdict can be read alone; mathematics as LaTeX between dollar signs.
    reference : str
        Where the statement comes from.
    setting : mapping
        What it was measured on, and ``rule``: how value and threshold compare where the claim holds.
    value, threshold : float
        Measured, and the limit it was held to. Below 1e-12 a power of ten stands for the digits, which are noise;
        a value that is not a number is text in the file, and the claim fails.
    verdict : {"holds", "fails", "vacuous"}
        Vacuous: it says nothing about any case that was run, so nothing was tested.
    seed : int, optional
        First seed of the random problems; None where nothing is random.
    group : {"paper", "follows", "errata", "software"}, optional
        In the certificate: what the paper states; what follows about its construction; what is wrong in print (or was
        in these pages), with what holds instead; checks of our arithmetic. None in other files of metrics.
    """

    id: str
    statement: str
    reference: str
    setting: Setting
    value: float
    threshold: float
    verdict: Verdict
    seed: int | None
    group: Group | None = None


class Finding(NamedTuple):
    """What one part of the certificate contributes."""

    claims: list[Claim]
    tables: dict[str, pd.DataFrame]


def claim(
    name: str,
    statement: str,
    *,
    reference: str,
    setting: Setting,
    value: float,
    threshold: float,
    at_least: bool = False,
    vacuous: bool = False,
    seed: int | None = None,
    group: Group | None = None,
) -> Claim:
    """Return a claim whose verdict follows from the numbers; a value that is not a number fails.

    Parameters
    ----------
    name, statement, reference, setting, value, threshold, seed, group
        As in `Claim`.
    at_least : bool
        Whether the claim holds from the threshold upwards; by default it holds up to the threshold.
    vacuous : bool
        Whether the statement says nothing about what was run; the numbers then tell how far it is from that.
    """
    holds = value >= threshold if at_least else value <= threshold
    verdict: Verdict = "vacuous" if vacuous else "holds" if holds else "fails"
    return Claim(
        id=name,
        statement=statement,
        reference=reference,
        setting={**setting, "rule": RULES[at_least]},
        value=stable(value),
        threshold=stable(threshold),
        verdict=verdict,
        seed=seed,
        group=group,
    )


def stable(value: float) -> float:
    """Return a number to 10 significant digits, or the next power of ten where only noise is left.

    Examples
    --------
    >>> stable(3.2e-17), stable(1 / 3)
    (1e-16, 0.3333333333)
    """
    if value == 0 or not math.isfinite(value):
        return float(value)
    if abs(value) < NOISE:
        return math.copysign(float(f"1e{math.ceil(math.log10(abs(value)))}"), value)
    return float(f"{value:.{N_DIGITS}g}")


def write(finding: Finding, folder: Path) -> None:
    """Write `certificate.json` and one `certificate_<name>.csv` a table; the same finding gives the same bytes.

    Raises
    ------
    PipelineError
        If two claims share an id, or one is in no group.
    """
    ids = [entry.id for entry in finding.claims]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        message = f"claims: each id at most once, but {twice[0]!r} is there twice; rename one"
        raise PipelineError(message)
    loose = [entry.id for entry in finding.claims if entry.group not in GROUPS]
    if loose:
        message = f"claims: each in one of {', '.join(GROUPS)}, but {loose[0]!r} is in none; pass its group"
        raise PipelineError(message)
    folder.mkdir(parents=True, exist_ok=True)
    entries = [_json_ready(asdict(entry)) for entry in finding.claims]
    write_json(folder / "certificate.json", {"schema": SCHEMA, "claims": entries})
    for name, table in finding.tables.items():
        rounded = table.map(lambda cell: stable(cell) if isinstance(cell, float) else cell)
        write_text(folder / f"certificate_{name}.csv", rounded.to_csv(index=False, lineterminator="\n"))


def spread(values: Tensor) -> dict[str, float]:
    """Return the 10th, 50th and 90th percentile under the names `low`, `median` and `high`; NaN for infinite ones.

    Examples
    --------
    >>> spread(torch.arange(11, dtype=torch.float64))
    {'low': 1.0, 'median': 5.0, 'high': 9.0}
    """
    ordered = values.sort().values
    picked = {name: float(ordered[round(level * (len(ordered) - 1))]) for name, level in INTERVAL.items()}
    return {name: value if math.isfinite(value) else math.nan for name, value in picked.items()}


def merge(findings: list[Finding]) -> Finding:
    """Return all claims in order and all tables under their names."""
    tables: dict[str, pd.DataFrame] = {}
    for finding in findings:
        tables |= finding.tables
    return Finding([entry for finding in findings for entry in finding.claims], tables)


def gaussian_clouds(
    n: int, *, dim: int, seeds: range
) -> tuple[Float[Tensor, "batch n dim"], Float[Tensor, "batch n dim"]]:
    """Return standard normal x and y, one problem a seed, scaled so that the largest cost is 1."""
    drawn = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn.append(torch.randn(2, n, dim, generator=generator, dtype=torch.float64))
    x, y = torch.stack(drawn, dim=1)
    scale = squared_cost(x, y).amax((1, 2)).sqrt()[:, None, None]
    return x / scale, y / scale


def grid_permutation(n: int) -> tuple[Float[Tensor, "1 n 1"], Float[Tensor, "1 n 1"]]:
    """Return the paper's sorting problem: x a fixed permutation of y_i = i/n."""
    y = torch.arange(n, dtype=torch.float64) / n
    generator = torch.Generator().manual_seed(n)
    return y[torch.randperm(n, generator=generator)].view(1, n, 1), y.view(1, n, 1)


def _json_ready(value: object) -> object:
    """Return the value with numbers rounded as in `stable`, NaN and infinities as text, which JSON lacks."""
    if isinstance(value, Mapping):
        return {str(key): _json_ready(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(entry) for entry in value]
    if isinstance(value, float):
        return stable(value) if math.isfinite(value) else str(value)
    return value
