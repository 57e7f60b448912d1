"""Figures 2 and 10, test sizes, descent: training curves of every seed, attention beside the plan, layers as steps.

Every function takes the tables of the stage learn as they were written.
"""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.report.page import Picture, csv
from pipeline.report.plots import Maps, grid, label_right
from pipeline.report.style import INK, QUIET, TRAINED, Layout, draw
from pipeline.report.wording import count, listed, number

PLAIN = "#009E73"
MISREAD = "#CC79A7"
COLOURS: dict[Any, str] = {"engineered": TRAINED, "plain": PLAIN, "plain_notebook": MISREAD}
DASHES: dict[Any, Any] = {"engineered": "-", "plain": (0, (4, 1.5)), "plain_notebook": (0, (1, 1))}
SHORT: dict[Any, str] = {"engineered": "engineered", "plain": "plain", "plain_notebook": "plain (notebook)"}
LONG: dict[Any, str] = {
    "engineered": "engineered prompt",
    "plain": "plain prompt",
    "plain_notebook": "plain prompt as the notebook reads it",
}
PLAN = "P*"
R2, COSINE = "R² of a step of descent on the dual", "cosine of P with Table 2"
LOOKS = {"untrained": (QUIET, 0.15, 0.9), "trained": (TRAINED, -0.15, 1.6)}  # colour, shift to the side, width

Learned = Mapping[str, Any]


def training_figure(learned: Learned) -> Picture:
    """Return Figure 2, left: training loss of every seed on both prompts, printed losses as open circles.

    Parameters
    ----------
    learned : mapping
        `learn.json`.
    """
    frame = _losses(learned)
    published = _published(learned)

    def make(layout: Layout) -> Figure:
        ylabel = "training loss: mean squared error, one line a seed"
        figure, (panel,) = grid(layout, 1, ylabel, titled=False)
        for (prompt, seed), line in frame.groupby(["prompt", "seed"], sort=False):
            style = {"color": COLOURS[prompt], "linestyle": DASHES[prompt], "linewidth": 0.9}
            panel.plot(line["step"], line["loss"], label=f"{SHORT[prompt]}, seed {seed}", **style)
        for prompt, points in published.items():
            panel.plot(
                *zip(*points.items(), strict=True), "o", mfc="none", mec=INK, ms=5, mew=1.0, zorder=5, label=prompt
            )
        panel.set(yscale="log", xlabel="step of the optimiser", ylabel="")
        panel.set_xlim(0, frame["step"].max())
        panel.xaxis.set_major_locator(MaxNLocator(5 if layout.stacked else 8, integer=True))
        _end_labels(panel, frame, layout, published)
        return figure

    finding = _training_finding(learned, frame, published)
    return Picture(draw("figure2_training", make, alt=finding), csv(frame), finding)


def maps_figure(maps: Mapping[str, Any], settings: Mapping[str, Any]) -> Picture:
    """Return Figure 2, right: attention of five states under the reading weights beside P*, size of the training.

    Parameters
    ----------
    maps : mapping
        ``engineered_maps.json``.
    settings : mapping
        The block `settings` of ``engineered.json``.
    """
    size = str(settings["n"]) if str(settings["n"]) in maps["sizes"] else min(maps["sizes"], key=int)
    return _maps("figure2_maps", {f"n = {size}": maps["sizes"][size]}, "The trained model")


def sizes_figure(maps: Mapping[str, Any]) -> Picture:
    """Return the grid of the preprint: one trained model on problems of 7, 8, 9 and 15 points, states beside P*."""
    rows = {f"n = {size}": maps["sizes"][size] for size in sorted(maps["sizes"], key=int)}
    return _maps("figure_learning_sizes", rows, "One trained model")


def ablation_maps_figure(maps: Mapping[str, Mapping[str, Any]], n: int) -> Picture:
    """Return Figure 10: the same attention with the engineered and with the plain prompt.

    Parameters
    ----------
    maps : mapping
        ``<prompt>_maps.json`` by prompt.
    n : int
        Size of the problem; the smallest there is if this one is not.
    """
    rows = {}
    for prompt, found in maps.items():
        size = str(n) if str(n) in found["sizes"] else min(found["sizes"], key=int)
        rows[LONG[prompt]] = found["sizes"][size]
    return _maps("figure10_maps", rows, "Trained models")


def depth_figure(learned: Learned) -> Picture:
    """Return the distance of attention from P* and from the entropic plan over depth, every seed of both prompts.

    Parameters
    ----------
    learned : mapping
        `learn.json`.
    """
    frame = _distances(learned)
    reg = next(iter(learned["prompts"].values()))["settings"]["reg"]
    titles = {"exact": "from P*", "entropic": f"from the plan with λ = {reg:g}"}

    def make(layout: Layout) -> Figure:
        ylabel = "distance of attention under the reading weights, half the summed difference a row"
        figure, axes = grid(layout, 2, ylabel)
        for panel, (kind, title) in zip(axes, titles.items(), strict=True):
            rows = frame[frame["plan"] == kind]
            for (prompt, when, seed), line in rows.groupby(["prompt", "when", "seed"], sort=False):
                trained = when == "trained"
                name = f"{SHORT[prompt]}, {when}, seed {seed}"
                style = {"color": COLOURS[prompt] if trained else QUIET, "linestyle": DASHES[prompt]}
                panel.plot(line["level"], line["distance"], linewidth=1.0 if trained else 0.6, label=name, **style)
            panel.set_title(title)
            panel.set(xlabel="layers passed", ylabel="", ylim=(0.0, 1.0), xlim=(0, rows["level"].max()))
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            label_right(panel, _depth_labels(rows), x=float(rows["level"].max()), font=layout.font)
        return figure

    finding = _depth_finding(frame)
    return Picture(draw("figure10_depth", make, alt=finding), csv(frame), finding)


def _losses(learned: Learned) -> pd.DataFrame:
    rows = [
        (prompt, seed["seed"], int(step), loss)
        for prompt, metrics in sorted(learned["prompts"].items())
        for seed in metrics["seeds"]
        for step, loss in sorted(seed["loss"].items(), key=lambda entry: int(entry[0]))
        if loss is not None
    ]
    return pd.DataFrame(rows, columns=["prompt", "seed", "step", "loss"])


def _published(learned: Learned) -> dict[str, dict[int, float]]:
    """Return the printed losses of the prompts trained as the notebook trained, as far as training went."""
    found = {}
    for prompt, losses in learned["published_loss"].items():
        last = learned["prompts"][prompt]["settings"]["steps"]
        if printed := {int(step): loss for step, loss in losses.items() if int(step) <= last}:
            found[prompt] = dict(sorted(printed.items()))
    return found


def _end_labels(panel: Axes, frame: pd.DataFrame, layout: Layout, published: Mapping[str, Any]) -> None:
    """Name the lines at their right end; on a logarithmic axis they are moved apart in logarithms."""
    low, high = np.log10(panel.get_ylim())
    ends = frame[frame["step"] == frame.groupby("prompt")["step"].transform("max")]
    middle = ends.groupby("prompt")["loss"].median()
    height = panel.get_position().height * panel.get_figure().get_size_inches()[1] * 72  # type: ignore[union-attr]
    gap, last = 1.3 * layout.font / height * (high - low), -np.inf
    for prompt in middle.sort_values().index:
        last = max(np.log10(middle[prompt]), last + gap)
        panel.annotate(
            f" {SHORT[prompt]}", xy=(1.0, 10**last), xycoords=("axes fraction", "data"), va="center",
            color=COLOURS[prompt], annotation_clip=False,
        )  # fmt: skip
    if published:
        panel.annotate("○ printed", xy=(1.0, 1.0), xycoords="axes fraction", ha="right", va="top", color=INK)


def _training_finding(learned: Learned, frame: pd.DataFrame, published: Mapping[str, Any]) -> str:
    parts = []
    for prompt, rows in frame.groupby("prompt"):
        metrics = learned["prompts"][prompt]
        last = rows[rows["step"] == rows["step"].max()]["loss"]
        dead = metrics["n_diverged"]
        lost = f"; {dead} of {len(metrics['seeds'])} seeds diverged" if dead else ""
        parts.append(f"{LONG[prompt]} {last.median():.2g} (seeds from {last.min():.2g} to {last.max():.2g}{lost})")
    steps = count(frame["step"].max())
    shown = " Open circles: what the paper’s notebook printed, for 1,000 problems a step." if published else ""
    return f"Training loss by step on a logarithmic scale; at step {steps}: {listed(parts)}.{shown}"


def _distances(learned: Learned) -> pd.DataFrame:
    rows = [
        (prompt, when, seed["seed"], plan, level, distance)
        for prompt, metrics in sorted(learned["prompts"].items())
        for seed in metrics["seeds"]
        for when in ("untrained", "trained")
        if seed[when] is not None
        for plan, levels in sorted(seed[when]["distance"].items(), reverse=True)
        for level, distance in enumerate(levels)
    ]
    return pd.DataFrame(rows, columns=["prompt", "when", "seed", "plan", "level", "distance"])


def _depth_labels(rows: pd.DataFrame) -> list[tuple[float, str, str]]:
    ends = rows[rows["level"] == rows["level"].max()].groupby(["when", "prompt"])["distance"].median()
    labels = [(float(value), f" {SHORT[prompt]}", COLOURS[prompt]) for prompt, value in ends["trained"].items()]
    return [*labels, (float(ends["untrained"].median()), " untrained", QUIET)]


def _depth_finding(frame: pd.DataFrame) -> str:
    rows = frame[(frame["plan"] == "exact") & (frame["when"] == "trained")]
    parts = []
    for prompt, line in rows.groupby("prompt"):
        middle = line.groupby("level")["distance"].median()
        parts.append(f"{LONG[prompt]} from {number(middle.iloc[0], 2)} at the prompt to {number(middle.iloc[-1], 2)}")
    return (
        f"Distance of attention from P* over depth, median of the seeds: {listed(parts)}; 0 is the plan, 1 is farthest."
    )


def _maps(stem: str, rows: Mapping[str, Mapping[str, Any]], who: str) -> Picture:
    """Return rows of maps with one colour scale: the states of each, then P*."""
    blocks = {
        name: {**{f"layer {level}": np.array(found["levels"][level]) for level in sorted(found["levels"], key=int)},
               PLAN: np.array(found["plan"], dtype=float)}
        for name, found in rows.items()
    }  # fmt: skip

    last = [list(found.values())[-2] for found in blocks.values()]
    right = [
        float((block * found[PLAN]).sum() / len(block)) for block, found in zip(last, blocks.values(), strict=True)
    ]
    shares = listed([f"{number(share, 2)} ({name})" for name, share in zip(blocks, right, strict=True)])
    finding = (
        f"{who} on one problem each: attention that its states have under the reading weights, "
        "beside the exact plan P*. "
        f"Share of the last state’s attention on P*: {shares}."
    )
    frame = pd.DataFrame(
        [
            (name, title, i, j, value)
            for name, found in blocks.items()
            for title, block in found.items()
            for (i, j), value in np.ndenumerate(block)
        ],
        columns=["row", "panel", "tgt", "src", "attention"],
    )
    drawing = draw(stem, Maps(blocks, (6, 3), ticks=(0.0, 0.5, 1.0)).draw, alt=finding)
    return Picture(drawing, csv(frame), finding)


def descent_figure(learned: Learned) -> Picture:
    """Return R² of a descent step and cosine with the constructed weights, by layer, before and after training.

    Parameters
    ----------
    learned : mapping
        From `read_learned`, with the engineered prompt.
    """
    limit = next(float(claim.limit.threshold) for claim in learned["claims"] if claim.id == "learning_is_descent")
    rows = list(_descents(learned["prompts"]["engineered"]))
    frame = pd.DataFrame(rows, columns=["measure", "when", "seed", "layer", "part", "value"])

    def make(layout: Layout) -> Figure:
        ylabel = "1 is the construction; dots: u and v, or both heads, of every seed; lines: medians"
        figure, axes = grid(layout, 2, ylabel)
        for panel, measure in zip(axes, (R2, COSINE), strict=True):
            panel.set(title=measure, ylim=(min(0.0, 1.05 * frame["value"].min()), 1.0))
            _descent_panel(panel, frame[frame["measure"] == measure], limit, layout)
        return figure

    finding = _descent_finding(frame)
    return Picture(draw("figure_learning_descent", make, alt=finding), csv(frame), finding)


def _descent_panel(panel: Axes, rows: pd.DataFrame, limit: float, layout: Layout) -> None:
    """Draw every value as a dot, the medians of the layers as lines, and the limit."""
    panel.axhline(limit, color=QUIET, linewidth=0.8, linestyle=(0, (1, 1.5)))
    labels = [(limit, " needed", QUIET)]
    for when, (colour, shift, width) in LOOKS.items():
        some = rows[rows["when"] == when]
        panel.plot(some["layer"] + shift, some["value"], ".", color=colour, markersize=3, mew=0)
        middle = some.groupby("layer")["value"].median()
        panel.plot(middle.index, middle, color=colour, linewidth=width, label=when)
        labels.append((middle.iloc[-1], f" {when}", colour))
    end = rows["layer"].max() + 0.5
    panel.set(xlabel="layer", ylabel="", xlim=(0.5, end))
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    label_right(panel, labels, x=end, font=layout.font)


def _descents(metrics: dict[str, Any]) -> Iterator[tuple[str, str, int, int, str, float]]:
    for when in LOOKS:
        for seed in metrics["seeds"]:
            if seed[when] is None:
                continue
            for layer, fits in enumerate(seed[when]["descent"], 1):
                yield from ((R2, when, seed["seed"], layer, side, fits[side]["r2"]) for side in ("u", "v"))
            for layer, heads in enumerate(seed[when]["weight_cosine"], 1):
                yield from ((COSINE, when, seed["seed"], layer, f"head {k}", heads[k - 1]) for k in (1, 2))


def _descent_finding(frame: pd.DataFrame) -> str:
    middle = frame.groupby(["measure", "when"])["value"].median()
    highest = frame[frame["when"] == "trained"].groupby("measure")["value"].max()
    parts = [
        f"{measure} {number(middle[measure, 'trained'], 2)} "
        f"(before training {number(middle[measure, 'untrained'], 2)}; "
        f"highest after it {number(highest[measure], 2)})"
        for measure in (R2, COSINE)
    ]
    fits = frame[(frame["when"] == "trained") & (frame["measure"] == R2)]["value"]
    return (
        f"Median over layers and seeds: {parts[0]}; {parts[1]}; 1 is the construction. "
        f"The share of trained fits that do not descend, and count as 0, is {number((fits == 0.0).mean(), 2)}."
    )


def seed_table(learned: Learned) -> pd.DataFrame:
    """Return one row a prompt and seed: what became of it, last loss, and what it does at every test size."""
    rows = []
    for prompt, metrics in sorted(learned["prompts"].items()):
        for seed in metrics["seeds"]:
            row = {"prompt": prompt, "seed": seed["seed"], "diverged_at": seed["diverged_at"], "steps": seed["steps"]}
            losses = [
                loss for _, loss in sorted(seed["loss"].items(), key=lambda entry: int(entry[0])) if loss is not None
            ]
            row["loss"] = losses[-1] if losses else None
            for n, score in sorted(
                (seed["trained"] or {"sizes": {}})["sizes"].items(), key=lambda entry: int(entry[0])
            ):
                row[f"exact n={n}"] = (
                    score["exact_attention"] if score["exact_attention"] is not None else score["exact"]
                )
            rows.append(row)
    return pd.DataFrame(rows)


def printed_table(learned: Learned) -> pd.DataFrame:
    """Return our losses at the steps that the notebook printed, beside its own: median, smallest and largest seed."""
    rows = []
    for prompt, printed in sorted(learned["published_loss"].items()):
        for step, theirs in sorted(printed.items(), key=lambda entry: int(entry[0])):
            if ours := learned["loss_at_step"][prompt][step]:
                rows.append((prompt, int(step), theirs, median(ours), min(ours), max(ours), median(ours) / theirs))
    return pd.DataFrame(rows, columns=["prompt", "step", "printed", "ours", "low", "high", "ratio"])
