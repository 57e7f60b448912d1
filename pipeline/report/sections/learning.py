"""What does training find? The trained transformers, every seed of every prompt, where the stage learn has run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline._output import check_there, read_object
from pipeline.claims import Claim
from pipeline.report.page import Block, Picture, Section, Table, caption, text
from pipeline.report.sections import learning_figures as figures
from pipeline.report.sections.construction import claims_table, held_to_limits, settings_table
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


def section(learned: Mapping[str, Any], metrics: Path) -> Section:
    """Return the section; without figures where the stage learn has not run.

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
        return Section("training", lead=[text("learning", "missing")])
    maps = {prompt: _read_maps(metrics, prompt) for prompt in sorted(prompts)}
    claims = claims_table(learned["claims"], text("learning", "claims"))
    more = [
        ("Every seed", [_seeds_table(learned)]),
        ("Beside what was not trained", [_controls_table(prompts[prompt]) for prompt in sorted(prompts)]),
        (
            "The setting of every measurement",
            [settings_table(learned["claims"], "Names as in reports/metrics/claims.json.")],
        ),
    ]
    return Section("training", lead=[_lead(prompts)], parts=[*_blocks(learned, maps), claims], more=more)


def _read_maps(metrics: Path, prompt: str) -> dict[str, Any]:
    path = metrics / "learn" / f"{prompt}_maps.json"
    check_there(path, f"learn@{prompt}")
    return json.loads(path.read_text(encoding="utf-8"))


def _lead(prompts: Mapping[str, Mapping]) -> str:
    """Return what was trained, and what became of the seeds."""
    one = next(iter(prompts.values()))
    settings, copied = one["settings"], one["controls"]["copy"]["sizes"]
    dead = {prompt: metrics["n_diverged"] for prompt, metrics in sorted(prompts.items())}
    fate = listed(
        [f"{n} of {len(prompts[prompt]['seeds'])} on the {figures.LONG[prompt]}" for prompt, n in dead.items()]
    )
    falling = ", falling to 0" if settings["schedule"] == "linear" else ""
    own = "" if settings["rate"] is None and not falling else f", with Adam’s step size at {one['rate']:g}{falling}"
    lead = text(
        "learning",
        "lead",
        depth=settings["depth"],
        steps=count(settings["steps"]),
        batch=count(settings["batch"]),
        n=settings["n"],
        preset=f"{settings['preset']}{own}",
        seeds=len(one["seeds"]),
        diverged=f"Seeds that diverged: {fate}." if any(dead.values()) else "No seed diverged.",
    )
    copies = copied[str(settings["n"])]["loss"] == 0.0
    return f"{lead} {text('learning', 'copies')}" if copies else lead


def _blocks(learned: Mapping[str, Any], maps: Mapping[str, Mapping]) -> Iterator[Block]:
    prompts = learned["prompts"]
    one = "engineered" if "engineered" in maps else min(maps)
    any_prompt = next(iter(prompts.values()))
    seed = text("learning", "seed", seed=maps[one]["seed"], prompt=figures.LONG[one])
    printed = _printed_table(learned)
    read_from = f"learn/{one}_maps.json"
    circles = text("learning", "circles") if printed else ""
    yield _block(figures.training_figure(learned), table=printed, seeds=_n_seeds(prompts), circles=circles)
    yield _block(figures.maps_figure(maps[one], prompts[one]["settings"]), files=read_from, seed=seed)
    yield _block(figures.sizes_figure(maps[one]), files=read_from, seed=seed)
    both = figures.ablation_maps_figure(maps, any_prompt["settings"]["n"])
    yield _block(both, files="learn/<prompt>_maps.json")
    n_problems = count(any_prompt["settings"]["test_problems"])
    yield _block(figures.depth_figure(learned), seeds=_n_seeds(prompts), problems=n_problems)
    if "engineered" in prompts:
        alive = len(prompts["engineered"]["seeds"]) - prompts["engineered"]["n_diverged"]
        yield _block(figures.descent_figure(learned), n=alive)


def _block(picture: Picture, *, files: str = "learn.json", table: Table | None = None, **values: object) -> Block:
    stem = picture.drawing.stem
    return Block(text(stem, "title"), picture, caption(stem, **values), f"reports/metrics/{files}", table)


def _n_seeds(prompts: Mapping[str, Mapping]) -> str:
    parts = [f"{len(found['seeds'])} seeds ({figures.SHORT[prompt]})" for prompt, found in sorted(prompts.items())]
    return f"n = {listed(parts)}."


def _printed_table(learned: Mapping[str, Any]) -> Table | None:
    """Return our losses beside those of the notebook; None where the settings are not its own or no step is shared."""
    frame = figures.printed_table(learned)
    if frame.empty:
        return None
    rows = [
        [
            figures.SHORT[row["prompt"]],
            count(row["step"]),
            _digits(row["printed"]),
            f"{_digits(row['ours'])} [{_digits(row['low'])}, {_digits(row['high'])}]",
            f"{row['ratio']:.2f}",
        ]
        for row in frame.to_dict("records")
    ]
    head = ["prompt", "step", "printed", "ours", "ratio"]
    return Table(head, rows, n_labels=1, caption=text("learning", "printed"))


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
    return Table(head, rows, n_labels=3, caption=text("learning", "all_seeds"))


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
    for name, words in CONTROLS.items():
        control = metrics["controls"].get(name)
        if control is not None:
            with_reg = f", λ = {control['reg']:g}" if "reg" in control else ""
            rows.append([f"{words}{with_reg}", *shares(control)])
    head = ["model", *(f"n = {n}" for n in sizes), f"n = {metrics['settings']['n']}, other x"]
    name = figures.LONG[metrics["prompt"]].capitalize()
    return Table(head, rows, caption=text("learning", "controls", name=name))


def _exact(score: Mapping[str, float | None]) -> float:
    """Return the share by attention where an answer is read by attention, by the nearest point otherwise."""
    by_attention = score.get("exact_attention")
    return float(score["exact"] or 0.0) if by_attention is None else float(by_attention)
