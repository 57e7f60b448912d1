"""What does the construction do? The constructed transformer, its certificate and errata."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from pipeline._output import check_there
from pipeline.claims import Claim, Limit
from pipeline.report.mathematics import powers, with_math
from pipeline.report.page import Block, Picture, Section, Table, caption, text
from pipeline.report.sections import construction_figures as figures
from pipeline.report.style import Layout, draw
from pipeline.report.wording import MINUS, count, listed, marked, number, reason

GROUPS = ("paper", "follows", "errata", "software")


@dataclass(frozen=True)
class Plot:
    """How one table of the certificate is drawn and described; its words stand in captions.toml.

    Attributes
    ----------
    table, stem : str
        Name in `certificate_<table>.csv`; name of the figure.
    make : callable
        Draws the table in a layout.
    finding : callable
        Says what the table shows, with numbers.
    small : callable or None
        The table under the figure.
    """

    table: str
    stem: str
    make: Callable[[pd.DataFrame, Layout], Figure]
    finding: Callable[[pd.DataFrame], str]
    small: Callable[[pd.DataFrame], Table] | None = None

    def block(self, metrics: Path, verdicts: Mapping[str, Sequence[str]]) -> Block:
        """Return the figure as it stands on the page; verdicts are sentences by the name of their figure.

        Raises
        ------
        PipelineError
            If its table is missing.
        """
        path = metrics / f"certificate_{self.table}.csv"
        check_there(path, "certify")
        frame = pd.read_csv(path)
        finding = self.finding(frame)
        drawing = draw(self.stem, partial(self.make, frame), alt=finding)
        return Block(
            text(self.stem, "title"),
            Picture(drawing, path.read_text(encoding="utf-8"), finding),
            caption(self.stem),
            f"reports/metrics/{path.name}",
            self.small(frame) if self.small else None,
            verdicts=list(verdicts.get(self.stem, ())),
        )


def section(claims: Sequence[Claim], metrics: Path) -> Section:
    """Return the section; without figures where the stage certify has not run.

    Parameters
    ----------
    claims : sequence of Claim
        From `claims.json`.
    metrics : Path
        Holds the tables of the certificate.

    Raises
    ------
    PipelineError
        If a table is missing.
    """
    claims = held_to_limits(claims, "construction")
    if not claims:
        return Section("construction", lead=[text("construction", "missing")])
    decided: dict[str, list[str]] = {}
    for claim in claims:
        decided.setdefault(claim.figure, []).append(_decided(claim))
    tables = []
    for group in GROUPS:
        chosen = [claim for claim in claims if limit_of(claim).group == group]
        if chosen:
            tables.append(claims_table(chosen, text("construction", group)))
    names = "Names as in reports/metrics/certificate.json."
    more = [("The setting of every measurement", [settings_table(claims, names)])]
    blocks = [plot.block(metrics, decided) for plot in PLOTS]
    lead = [text("construction", "lead", verdicts=_verdicts(claims))]
    return Section("construction", lead=lead, parts=[*blocks[:2], *tables, *blocks[2:]], more=more)


def held_to_limits(claims: Sequence[Claim], question: str) -> list[Claim]:
    """Return the claims of a question in which a number is held to a limit."""
    return [claim for claim in claims if claim.question == question and claim.limit is not None]


def limit_of(claim: Claim) -> Limit:
    """Return the limit of a claim chosen by `held_to_limits`."""
    assert claim.limit is not None
    return claim.limit


def _decided(claim: Claim) -> str:
    """Return a claim in one sentence, with what was measured and the limit."""
    measured = f"Measured {_short(limit_of(claim).value)}, limit {_limit(claim)}."
    return Markup("{}: {} {}").format(marked(claim.verdict), with_math(claim.statement), measured)


def _limit(claim: Claim) -> str:
    limit = limit_of(claim)
    return f"{'≥' if '>=' in limit.rule else '≤'} {_short(limit.threshold)}"


def _verdicts(claims: Sequence[Claim]) -> str:
    tally = Counter(claim.verdict for claim in claims)
    names = {
        "holds": ("holds", "hold"),
        "fails": ("fails", "fail"),
        "vacuous": (
            "is vacuous: it says nothing about any case that was run",
            "are vacuous: they say nothing about any case that was run",
        ),
    }
    parts = [f"{count(n)} {names[verdict][n > 1]}" for verdict in names if (n := tally[verdict])]
    return f"Of {count(len(claims))} statements about it, its own and ours, {listed(parts)}."


def claims_table(claims: Sequence[Claim], caption: str) -> Table:
    """Return verdict, statement, source, what was measured and the limit of every claim."""
    rows = [
        [
            marked(claim.verdict),
            with_math(claim.statement),
            with_math(limit.reference),
            _short(limit.value),
            _limit(claim),
            "–" if limit.seed is None else str(limit.seed),
        ]
        for claim in claims
        for limit in [limit_of(claim)]
    ]
    head = ["verdict", "statement", "source", "measured", "holds if", "seed"]
    return Table(head, rows, n_labels=3, caption=caption, wraps=True)


def settings_table(claims: Sequence[Claim], caption: str) -> Table:
    """Return on what every claim was measured."""
    rows = [
        [
            claim.id,
            "; ".join(f"{reason(key)} {_plain(value)}" for key, value in sorted(limit_of(claim).setting.items())),
        ]
        for claim in claims
    ]
    return Table(["id", "setting"], rows, n_labels=2, caption=caption, wraps=True)


def _short(value: object) -> str:
    """Return three digits of a number; infinities are stored as text."""
    text = f"{value:.3g}" if isinstance(value, int | float) else str(value)
    return powers(text).replace("-", MINUS)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{reason(str(key))} {_plain(part)}" for key, part in sorted(value.items()))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _maps_finding(frame: pd.DataFrame) -> str:
    diagonal = frame[frame["src"] == frame["tgt"]].groupby(["n", "layer"], sort=False)["share"].mean().reset_index()
    shares = [
        f"{number(float(share), 2)} at {'the plan' if layer == 'plan' else f'layer {layer}'} (n = {n})"
        for n, layer, share in zip(diagonal["n"], diagonal["layer"], diagonal["share"], strict=True)
    ]
    return f"Mean share of attention on the cheapest matching, the diagonal: {listed(shares)}."


def _depth_rows(frame: pd.DataFrame) -> list[list[str]]:
    """Return, for each kind of problem, the step ratio with the smallest median, and Sinkhorn beside it."""
    rows = []
    for (n, reg), group in frame.groupby(["n", "reg"], sort=False):  # type: ignore[misc]
        steps = group[(group["method"] == "gradient") & group["median"].notna()].sort_values("median", kind="stable")
        sweeps = group[group["method"] == "sinkhorn"].iloc[0]
        if steps.empty:
            rows.append([str(n), f"{reg:g}", "–", "–", "–", _layers(sweeps), str(int(sweeps["problems"]))])
            continue
        best = steps.iloc[0]
        solved = f"{int(best['solved'])} of {int(best['problems'])}"
        rows.append(
            [
                str(n),
                f"{reg:g}",
                f"{best['step_ratio']:g}",
                _layers(best),
                solved,
                _layers(sweeps),
                str(int(sweeps["problems"])),
            ]
        )
    return rows


def _layers(row: pd.Series) -> str:
    low, median, high = ("–" if pd.isna(row[key]) else f"{row[key]:.0f}" for key in ("low", "median", "high"))
    return f"{median} [{low}, {high}]"


def _depth_table(frame: pd.DataFrame) -> Table:
    head = ["n", "λ", "best γ/λ", "layers", "solved", "Sinkhorn sweeps", "problems"]
    return Table(head, _depth_rows(frame), n_labels=0, caption=text("certificate_depth", "table"))


def _depth_finding(frame: pd.DataFrame) -> str:
    parts = [
        f"{layers} layers at γ/λ = {ratio} against {sweeps} Sinkhorn sweeps (n = {n}, λ = {reg})"
        for n, reg, ratio, layers, _, sweeps, _ in _depth_rows(frame)
    ]
    return f"Fewest layers until the distance is below 1e-6: {listed(parts)}."


def _bound_finding(frame: pd.DataFrame) -> str:
    parts = []
    for reg, rows in frame.groupby("reg", sort=False):
        last = rows.iloc[-1]
        parts.append(
            f"at λ = {reg:g} after {last['layer']:.0f} layers the distance is {last['median']:.0e}, "
            f"the bound 1e{last['log10_bound']:.1f}, which applies from 1e{last['log10_depth_condition']:.1f} layers on"
        )
    return f"Distance and bound: {'; '.join(parts)}."


def _sorting_finding(frame: pd.DataFrame) -> str:
    parts = []
    for numbers, schedule, title in figures.SORTING_PANELS:
        rows = frame[(frame["numbers"] == numbers) & (frame["schedule"] == schedule)]
        sharpest = rows[rows["reg"] == rows["reg"].min()].sort_values("n")
        shares = [
            f"{number(float(right), 2)} at n = {n}" for n, right in zip(sharpest["n"], sharpest["right"], strict=True)
        ]
        parts.append(f"{title}: {listed(shares)}")
    return f"Share of places right at the smallest λ. {'; '.join(parts)}."


def _rank_finding(frame: pd.DataFrame) -> str:
    first, last = frame.iloc[0], frame.iloc[-1]
    return (
        f"Median effective rank of attention: {first['median']:.1f} at layer {first['layer']:.0f}, "
        f"{last['median']:.1f} at layer {last['layer']:.0f}; that of the plan is {last['plan']:.1f}."
    )


def _drift_finding(frame: pd.DataFrame) -> str:
    last = frame.groupby("memory_row").last()["drift"]
    return (
        f"Largest difference from gradient descent at the last layer: {last['frozen']:.0e} frozen, "
        f"{last['free']:.3f} as published."
    )


PLOTS = (
    Plot("figure3", "figure3", figures.maps, _maps_finding),
    Plot("figure4", "figure4", figures.maps, _maps_finding),
    Plot("depth", "certificate_depth", figures.depth_study, _depth_finding, _depth_table),
    Plot("bound", "certificate_bound", figures.bound, _bound_finding),
    Plot("drift", "certificate_drift", figures.drift, _drift_finding),
    Plot("sorting", "certificate_sorting", figures.sorting, _sorting_finding),
    Plot("rank", "certificate_rank", figures.rank, _rank_finding),
)
