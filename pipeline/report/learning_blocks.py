"""Section 5: the trained transformers, every seed of both prompts, where the stage learn has run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline._output import read_object
from pipeline.claims import Claim
from pipeline.errors import PipelineError
from pipeline.report import learning_figures as figures
from pipeline.report.descent_figure import descent_figure
from pipeline.report.sections import Block, csv
from pipeline.report.tables import Table
from pipeline.report.theory import Section, claims_table, held_to_limits, settings_table
from pipeline.report.wording import MINUS, count, listed, number

LEARNED = ("loss_at_step", "prompts", "published_loss")
CONTROLS = {
    "chance": "guessing",
    "mean": "never looks at x: mean solution",
    "copy": "never looks at x: copies y",
    "constructed": "constructed",
    "annealed": "constructed, λ falling",
    "sinkhorn": "Sinkhorn, as many sweeps",
}


def read_learned(claims: Sequence[Claim], metrics: Path) -> dict[str, Any]:
    """Return what the stage learn wrote of all prompts, and under `claims` what follows; empty where it has not run.

    Parameters
    ----------
    claims : sequence of Claim
        From `claims.json`.
    metrics : Path
        Holds `learn.json`.

    Raises
    ------
    PipelineError
        If it is missing, or another edition wrote it.
    """
    return read_object(metrics / "learn.json", LEARNED, "claims") | {"claims": held_to_limits(claims, "training")}


def learning_section(learned: Mapping[str, Any], metrics: Path) -> Section:
    """Return section 5; a section that says so where the stage learn has not run.

    Parameters
    ----------
    learned : mapping
        From `read_learned`.
    metrics : Path
        Holds `learn/<prompt>_maps.json`.

    Raises
    ------
    PipelineError
        If the maps of a prompt are missing.
    """
    prompts = learned["prompts"]
    if not prompts:
        return Section(ran=False)
    maps = {prompt: _read_maps(metrics, prompt) for prompt in sorted(prompts)}
    return Section(
        ran=True,
        lead=[_lead(prompts)],
        blocks=list(_blocks(learned, maps)),
        tables=[
            claims_table(learned["claims"], "What training shows: each statement with what was measured and its limit.")
        ],
        more=[
            ("Every seed", [_seeds_table(learned)]),
            ("Beside what was not trained", [_controls_table(prompts[prompt]) for prompt in sorted(prompts)]),
            (
                "The setting of every measurement",
                [settings_table(learned["claims"], "Names as in reports/metrics/claims.json.")],
            ),
        ],
    )


def _read_maps(metrics: Path, prompt: str) -> dict[str, Any]:
    path = metrics / "learn" / f"{prompt}_maps.json"
    if not path.is_file():
        message = f"metrics: {path.name} of stage learn@{prompt} is needed, but {path} is not there; run `dvc repro learn@{prompt}`"
        raise PipelineError(message)
    return json.loads(path.read_text(encoding="utf-8"))


def _lead(prompts: Mapping[str, Mapping]) -> str:
    """Return what was trained, and what became of the seeds."""
    one = next(iter(prompts.values()))
    settings, copied = one["settings"], one["controls"]["copy"]["sizes"]
    dead = {prompt: metrics["n_diverged"] for prompt, metrics in sorted(prompts.items())}
    fate = listed(
        [f"{n} of {len(prompts[prompt]['seeds'])} on the {figures.LONG[prompt]}" for prompt, n in dead.items()]
    )
    diverged = f"Seeds that diverged: {fate}." if any(dead.values()) else "No seed diverged."
    same = ""
    if copied[str(settings["n"])]["loss"] == 0.0:
        same = " In all of these problems sorted x is y, so that copying y is right without a look at x: a low loss alone shows no sorting."
    falling = ", falling to 0" if settings["schedule"] == "linear" else ""
    rate = one["rate"]
    own = "" if settings["rate"] is None and not falling else f", with Adam’s step size at {rate:g}{falling}"
    return (
        f"Transformers of {settings['depth']} layers were trained for {count(settings['steps'])} steps on {count(settings['batch'])} "
        f"problems of {settings['n']} points each, by the settings of the {settings['preset']}{own} "
        f"({len(one['seeds'])} seeds a prompt). {diverged} Every seed is drawn.{same}"
    )


def _blocks(learned: Mapping[str, Any], maps: Mapping[str, Mapping]) -> Iterable[Block]:
    prompts = learned["prompts"]
    one = "engineered" if "engineered" in maps else min(maps)
    seed = f"The first seed that lives ({maps[one]['seed']}), {figures.LONG[one]}; one problem, not seen in training."
    printed = _printed_table(learned)
    circles = " Open circles are what the paper’s notebook printed." if printed else ""
    yield _block(
        "Figure 2 · training",
        figures.training_figure(learned),
        "Training loss of every seed on every prompt.",
        f"Lower is better; the axis is logarithmic.{circles}",
        f"{_n_seeds(prompts)} Mean squared error on the problems of each step.",
        table=printed,
    )
    yield _block(
        "Figure 2 · attention",
        figures.maps_figure(maps[one], prompts[one]["settings"]),
        "Attention that the states of the trained model have under its reading weights, beside the plan P*.",
        "A row is a place of the sorted list, a column a number of the unsorted one; the shares of a row sum to 1.",
        seed,
        files=f"learn/{one}_maps.json",
    )
    yield _block(
        "Sizes not seen in training",
        figures.sizes_figure(maps[one]),
        "The same trained model on problems of other sizes than that of its training.",
        "Read as the figure above; one row of panels a size.",
        seed,
        files=f"learn/{one}_maps.json",
    )
    yield _block(
        "Figure 10 · attention",
        figures.ablation_maps_figure(maps, next(iter(prompts.values()))["settings"]["n"]),
        "The same attention with and without the engineered prompt.",
        "Read as Figure 2; one row of panels a prompt.",
        "The first seed of each prompt that lives; one problem, not seen in training.",
        files="learn/<prompt>_maps.json",
    )
    yield _block(
        "Figure 10 · distance", figures.depth_figure(learned),
        "Distance of attention from the plan over depth, every seed of every prompt.",
        "0 is the plan, 1 is farthest; grey lines are the same models before training.",
        f"{_n_seeds(prompts)} Mean over {count(next(iter(prompts.values()))['settings']['test_problems'])} problems not seen in training.",
    )  # fmt: skip
    if "engineered" in prompts:
        yield _block(
            "Is a layer a descent step?", descent_figure(learned),
            "What descent on the dual explains of every layer, and how near its weights are to the constructed ones.",
            "R² is that of the change of memory on the gradient of Theorem 3.1, λ chosen for the best fit, and 0 where memory does not descend; the cosine leaves out "
            "what softmax cannot see. Grey lines are the same models before training.",
            f"n = {len(prompts['engineered']['seeds']) - prompts['engineered']['n_diverged']} seeds that live, engineered prompt; problems not seen in training.",
        )  # fmt: skip


def _block(
    title: str, picture: figures.Picture, *caption: str, files: str = "learn.json", table: Table | None = None
) -> Block:
    return Block(title, picture.drawing, list(caption), csv(picture.data), f"reports/metrics/{files}", table)


def _n_seeds(prompts: Mapping[str, Mapping]) -> str:
    return f"n = {listed([f'''{len(metrics['seeds'])} seeds ({figures.SHORT[prompt]})''' for prompt, metrics in sorted(prompts.items())])}."


def _printed_table(learned: Mapping[str, Any]) -> Table | None:
    """Return our losses beside those of the notebook; None where the settings are not its own or no step is shared."""
    frame = figures.printed_table(learned)
    if frame.empty:
        return None
    rows = [
        [figures.SHORT[row["prompt"]], count(row["step"]), _digits(row["printed"]), f"{_digits(row['ours'])} [{_digits(row['low'])}, {_digits(row['high'])}]", f"{row['ratio']:.2f}"]
        for row in frame.to_dict("records")
    ]  # fmt: skip
    caption = "Loss at the steps that the notebook printed: theirs (one seed, 1,000 problems a step), ours (median of the seeds, with the smallest and the largest), ours over theirs. Its run without prompt engineering is “plain (notebook)”: the reading layer was written for the engineered prompt, so it copies the column of y and hides the last point. The plain prompt, read as it should be, is not the notebook’s."
    return Table(["prompt", "step", "printed", "ours", "ratio"], rows, n_labels=1, caption=caption)


def _digits(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.2g}".replace("-", MINUS)


def _seeds_table(learned: Mapping[str, Any]) -> Table:
    frame = figures.seed_table(learned)
    sizes = [name for name in frame.columns if name.startswith("exact n=")]
    rows = []
    for row in frame.to_dict("records"):
        fate = "lives" if pd.isna(row["diverged_at"]) else f"diverged at {count(row['diverged_at'])}"
        shares = ["–" if pd.isna(row[name]) else number(float(row[name]), 3) for name in sizes]
        rows.append(
            [figures.SHORT[row["prompt"]], str(row["seed"]), fate, count(row["steps"]), _digits(row["loss"]), *shares]
        )
    head = ["prompt", "seed", "fate", "steps", "last loss", *(name.replace("exact ", "") for name in sizes)]
    return Table(
        head,
        rows,
        n_labels=3,
        caption="Every seed: last training loss, and the share of permutations found exactly at each size.",
    )


def _controls_table(metrics: Mapping[str, Any]) -> Table:
    """Return the share of exact permutations of trained and untrained seeds and of the controls, by size."""
    sizes = sorted(metrics["controls"]["chance"]["sizes"], key=int)

    def shares(found: Mapping[str, Any]) -> list[str]:
        scores = [*(found["sizes"].get(n) for n in sizes), found["uniform_x"]]
        return ["–" if one is None else number(float(_exact(one)), 3) for one in scores]

    rows = [
        [f"{when}, seed {seed['seed']}", *shares(seed[when])]
        for when in ("trained", "untrained")
        for seed in metrics["seeds"]
        if seed[when] is not None
    ]
    for name, text in CONTROLS.items():
        control = metrics["controls"].get(name)
        if control is not None:
            with_reg = f", λ = {control['reg']:g}" if "reg" in control else ""
            rows.append([f"{text}{with_reg}", *shares(control)])
    caption = f"{figures.LONG[metrics['prompt']].capitalize()}: share of permutations found exactly, by number of points; in the last column x is uniform on [0, 1], numbers not seen in training."
    head = ["model", *(f"n = {n}" for n in sizes), f"n = {metrics['settings']['n']}, other x"]
    return Table(head, rows, caption=caption)


def _exact(score: Mapping[str, float | None]) -> float:
    """Return the share by attention where an answer is read by attention, by the nearest point otherwise."""
    by_attention = score.get("exact_attention")
    return float(score["exact"] or 0.0) if by_attention is None else float(by_attention)
