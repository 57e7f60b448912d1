"""The figures of section 4 with their captions, findings and tables: the constructed transformer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from pipeline.errors import PipelineError
from pipeline.report import certificate_figures as figures
from pipeline.report.sections import Block
from pipeline.report.style import Layout, draw
from pipeline.report.tables import Table
from pipeline.report.wording import listed, number

GROUPS = {
    "paper": "The certificate: what the paper states and what follows about its construction, with what was measured and the limit.",
    "errata": "Errata: what does not hold as printed, and what holds instead.",
    "software": "Checks of our software: its arithmetic, and the inequalities that we derive.",
}
SPREAD = "Lines are medians over random problems, bands reach from the 10th to the 90th percentile."


@dataclass(frozen=True)
class Plot:
    """How one table of the certificate is drawn and described.

    Attributes
    ----------
    table : str
        Name in `certificate_<table>.csv`.
    stem, title : str
        Of the file, and on the page.
    make : callable
        Draws the table in a layout.
    finding : callable
        Says what the table shows, with numbers.
    caption : tuple of str
        What the figure shows; how to read it; on what it rests.
    small : callable or None
        The table under the figure.
    """

    table: str
    stem: str
    title: str
    make: Callable[[pd.DataFrame, Layout], Figure]
    finding: Callable[[pd.DataFrame], str]
    caption: tuple[str, ...]
    small: Callable[[pd.DataFrame], Table] | None = None

    def block(self, metrics: Path, verdicts: Mapping[str, Sequence[str]]) -> Block:
        """Return the figure as it stands on the page; verdicts are sentences by the name of their figure.

        Raises
        ------
        PipelineError
            If its table is missing.
        """
        path = metrics / f"certificate_{self.table}.csv"
        if not path.is_file():
            message = (
                f"metrics: {path.name} of stage certify is needed, but {path} is not there; run `dvc repro certify`"
            )
            raise PipelineError(message)
        frame = pd.read_csv(path)
        drawing = draw(self.stem, partial(self.make, frame), alt=self.finding(frame))
        table = self.small(frame) if self.small else None
        return Block(
            title=self.title,
            drawing=drawing,
            caption=list(self.caption),
            data=path.read_text(encoding="utf-8"),
            files=f"reports/metrics/{path.name}",
            table=table,
            verdicts=list(verdicts.get(self.stem, ())),
        )


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
    caption = (
        "Median and 10th to 90th percentile over problems; – where fewer were solved within the layers of the run."
    )
    return Table(head, _depth_rows(frame), n_labels=0, caption=caption)


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
            f"at λ = {reg:g} after {last['layer']:.0f} layers the distance is {last['median']:.0e}, the bound 1e{last['log10_bound']:.1f}, "
            f"which applies from 1e{last['log10_depth_condition']:.1f} layers on"
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
        f"Median effective rank of attention: {first['median']:.1f} at layer {first['layer']:.0f}, {last['median']:.1f} at layer "
        f"{last['layer']:.0f}; that of the plan is {last['plan']:.1f}."
    )


def _drift_finding(frame: pd.DataFrame) -> str:
    last = frame.groupby("memory_row").last()["drift"]
    return f"Largest difference from gradient descent at the last layer: {last['frozen']:.0e} frozen, {last['free']:.3f} as published."


FIRST = (
    Plot(
        "figure3", "figure3", "Figure 3 · constructed transformer", figures.figure3, _maps_finding,
        (
            "Attention of the constructed transformer sharpens, layer by layer, into the entropic plan P*.",
            "A row is a point of x, a column a point of y, ordered so that the cheapest matching is the diagonal; the shares of a row sum to 1.",
            "One problem: two Gaussian clouds in the plane; the same weights in every layer.",
        ),
    ),
    Plot(
        "figure4", "figure4", "Figure 4 · constructed transformer", figures.figure4, _maps_finding,
        (
            "The same weights solve problems of other sizes.",
            "Read as Figure 3; no weight depends on the number of points.",
            "One problem of each size.",
        ),
    ),
)  # fmt: skip
THEN = (
    Plot(
        "depth", "certificate_depth", "Depth study", figures.depth_study, _depth_finding,
        (
            "Layers needed until the Hilbert distance to the optimum is below 1e-6, by step size over λ, beside Sinkhorn sweeps on the same problems.",
            "Lower is better; the dashed line is alternating Sinkhorn, which updates one side after the other.",
            f"{SPREAD} Gaussian clouds, costs scaled to at most 1; a point is left out where too few problems were solved.",
        ),
        _depth_table,
    ),
    Plot(
        "bound", "certificate_bound", "The bound of Theorem D.1", figures.bound, _bound_finding,
        (
            "Measured distance to the optimum over depth, beside the bound of Theorem D.1.",
            "Both axes are logarithmic; the dashed bound, for the problem where it is smallest, applies only from the depth written at it.",
            f"{SPREAD} The smallest distance up to each layer, as the theorem states it, with r as printed.",
        ),
    ),
    Plot(
        "drift", "certificate_drift", "The memory row", figures.drift, _drift_finding,
        (
            "Distance of the layers from gradient descent, with the last row of the prompt frozen and free.",
            "Theorem 3.1 says 0: it holds to rounding if the row is frozen, and fails from the second layer on as published.",
            "The paper’s sorting problem of seven numbers; one problem, nothing is random.",
        ),
    ),
    Plot(
        "sorting", "certificate_sorting", "Sorting", figures.sorting, _sorting_finding,
        (
            "Share of numbers that attention puts in their right place, by λ and length of the list.",
            "Numbers from a grid are sorted at once by a small λ; any other numbers need a λ that falls over the layers.",
            "One list of each length and kind; head 2 is read, as in the paper.",
        ),
    ),
    Plot(
        "rank", "certificate_rank", "Rank of attention", figures.rank, _rank_finding,
        (
            "Effective rank of attention over depth.",
            "Attention keeps the rank of the plan; a collapse would end at 1.",
            f"{SPREAD} Effective rank: exponential of the entropy of the singular values (Roy and Vetterli 2007).",
        ),
    ),
)  # fmt: skip


def certificate_blocks(metrics: Path, verdicts: Mapping[str, Sequence[str]]) -> tuple[list[Block], list[Block]]:
    """Return the figures that stand before the table of the certificate, and those after it.

    Parameters
    ----------
    metrics : Path
        Holds the tables of the stage certify.
    verdicts : mapping of str to sequence of str
        Sentences by the name of the figure below which they stand.
    """
    return [plot.block(metrics, verdicts) for plot in FIRST], [plot.block(metrics, verdicts) for plot in THEN]
