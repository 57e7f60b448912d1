"""What training shows and what it does not: numbers of the living seeds, each with the limit that it is held to."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from pipeline._output import SCHEMA, read_object
from pipeline.claims import RULES, Estimate, Limit

PUBLISHED = {
    "engineered": {0: 0.21380086, 1000: 0.00287696, 2000: 0.00087815, 3000: 0.00033452, 4000: 0.00018679, 5000: 0.00012929},
    "plain_notebook": {0: 0.16077335, 1000: 0.03985447, 2000: 0.00499153, 3000: 0.00470539, 4000: 0.00445112, 5000: 0.00424804},
}  # fmt: skip
"""Mean squared errors that the AISTATS notebook printed, by prompt and step (n = 7, 1,000 problems, one seed).

What it calls a run without prompt engineering is our ``plain_notebook``: see `otcore.learning.Shape`.
"""
COMPARED = (1000, 2000, 5000)
FACTOR = 2.0
PROMPT_RATIO = 10.0
BLIND = ("mean", "copy")
BLIND_RATIO = 10.0
UNSEEN = 9
MARGIN = 0.25
DESCENT_R2 = 0.9
PUBLISHED_SETTINGS = {
    "preset": "notebook",
    "n": 7,
    "dim": 1,
    "depth": 20,
    "mixing": "fixed",
    "batch": 1000,
    "rate": None,
    "schedule": "constant",
}


def merge_learn(paths: Iterable[Path]) -> dict[str, Any]:
    """Return what `learn.json` holds: every prompt's metrics, and the printed losses where they apply.

    Parameters
    ----------
    paths : iterable of Path
        Files ``<prompt>.json`` of the stage; those that end in ``_maps`` are passed over.
    """
    files = sorted(path for path in paths if not path.stem.endswith("_maps"))
    prompts = {path.stem: read_object(path, ("prompt", "settings"), f"learn@{path.stem}") for path in files}
    published = {
        prompt: {str(step): loss for step, loss in PUBLISHED[prompt].items()} if as_published(metrics) else {}
        for prompt, metrics in prompts.items()
        if prompt in PUBLISHED
    }
    ours = {
        prompt: {step: at_step(prompts[prompt], int(step)) for step in losses} for prompt, losses in published.items()
    }
    return {
        "schema": SCHEMA,
        "prompts": prompts,
        "published_loss": published,
        "loss_at_step": ours,
    }


def learning_estimates(prompts: Mapping[str, Mapping[str, Any]]) -> list[Estimate]:
    """Return a row for every claim that the prompts at hand allow; each takes the median over the seeds that live."""
    claims: list[Estimate] = []
    if {"engineered", "plain"} <= set(prompts):
        claims.append(_prompt_ratio(prompts))
    for prompt, metrics in sorted(prompts.items()):
        if prompt in PUBLISHED and as_published(metrics):
            claims += _printed_losses(prompt, metrics)
    if "engineered" in prompts:
        metrics = prompts["engineered"]
        claims += [
            _looks_at_x(metrics),
            *_beyond_training(metrics),
            _nearer_with_depth(metrics),
            _better_than_construction(metrics),
        ]
        claims += [_descent(metrics), _weights(metrics)]
    return claims


def as_published(metrics: Mapping[str, Any]) -> bool:
    """Return whether a prompt was trained as the notebook trained that printed its losses."""
    return all(metrics["settings"][key] == value for key, value in PUBLISHED_SETTINGS.items())


def at_step(metrics: Mapping[str, Any], step: int) -> list[float]:
    """Return every living seed's loss at a step, none if it was not reached.

    Examples
    --------
    >>> at_step({"seeds": [{"trained": {}, "loss": {"1000": 9.0}}, {"trained": None, "loss": {"1000": 1.0}}]}, 1000)
    [9.0]
    """
    return [seed["loss"][str(step)] for seed in living(metrics) if str(step) in seed["loss"]]


def living(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the seeds that have not diverged."""
    return [seed for seed in metrics["seeds"] if seed["trained"] is not None]


def _setting(metrics: Mapping[str, Any], **more: object) -> dict[str, object]:
    named = {key: metrics["settings"][key] for key in ("preset", "n", "depth", "steps", "batch")}
    return {**named, "prompt": metrics["prompt"], "seeds": len(living(metrics)), "statistic": "median", **more}


def _held(
    name: str,
    statement: str,
    *,
    reference: str,
    setting: Mapping[str, object],
    value: float,
    threshold: float,
    seed: int,
    unit: str,
    figure: str = "",
    at_least: bool = False,
) -> Estimate:
    """Return the row of a number that is held to a limit: up to it, or with `at_least` from it upwards."""
    return Estimate(
        id=name,
        claim=name,
        question="training",
        statement=statement,
        unit=unit,
        figure=figure,
        limit=Limit(
            value=value, threshold=threshold, rule=RULES[at_least], reference=reference, setting=setting, seed=seed
        ),
    )


def _prompt_ratio(prompts: Mapping[str, Mapping[str, Any]]) -> Estimate:
    losses = {prompt: _fresh_loss(prompts[prompt]) for prompt in ("engineered", "plain")}
    return _held(
        "learning_prompt",
        f"With the engineered prompt the loss after training is at least {PROMPT_RATIO:g} times lower than with the plain one.",
        reference="AISTATS 2026, Figures 2 and 10",
        setting=_setting(prompts["engineered"], prompt="both", measured="loss on fresh problems, plain / engineered"),
        value=losses["plain"] / losses["engineered"],
        threshold=PROMPT_RATIO,
        at_least=True,
        seed=prompts["engineered"]["settings"]["seed"],
        unit="times",
        figure="figure2_training",
    )


def _fresh_loss(metrics: Mapping[str, Any]) -> float:
    """Return the loss on fresh problems of the training size, the median of the living seeds."""
    n = str(metrics["settings"]["n"])
    return median(seed["trained"]["sizes"][n]["loss"] for seed in living(metrics))


def _printed_losses(prompt: str, metrics: Mapping[str, Any]) -> list[Estimate]:
    claims = []
    for step in COMPARED:
        ours = at_step(metrics, step)
        if not ours:
            continue
        ratio = median(ours) / PUBLISHED[prompt][step]
        claims.append(
            _held(
                f"learning_notebook_{prompt}_{step}",
                f"After {step:,} steps on the {prompt} prompt the loss is within a factor {FACTOR:g} of "
                f"what the notebook printed ({PUBLISHED[prompt][step]:.3g}); ours is {median(ours):.3g}.",
                reference="AISTATS 2026, notebook of Figure 2",
                setting=_setting(metrics, measured="larger of ours / printed and printed / ours"),
                value=max(ratio, 1.0 / ratio),
                threshold=FACTOR,
                seed=metrics["settings"]["seed"],
                unit="times",
                figure="figure2_training",
            )
        )
    return claims


def _looks_at_x(metrics: Mapping[str, Any]) -> Estimate:
    """Take numbers that training has not seen: where x is always the same, copying y is right, and is learned."""
    best = min(metrics["controls"][name]["uniform_x"]["loss"] for name in BLIND)
    trained = median(seed["trained"]["uniform_x"]["loss"] for seed in living(metrics))
    return _held(
        "learning_looks_at_x",
        f"On numbers that training has not seen (x uniform on [0, 1]) a trained model answers at least {BLIND_RATIO:g} times better "
        "than the better of two answers that never look at x (the mean solution, y itself).",
        reference="ours",
        setting=_setting(metrics, test_size=metrics["settings"]["n"], measured="loss, best of the unseeing / trained"),
        value=best / trained,
        threshold=BLIND_RATIO,
        at_least=True,
        seed=metrics["settings"]["seed"],
        unit="times",
    )


def _beyond_training(metrics: Mapping[str, Any]) -> list[Estimate]:
    if str(UNSEEN) not in metrics["controls"]["chance"]["sizes"]:
        return []
    without = max(metrics["controls"][name]["sizes"][str(UNSEEN)]["points"] for name in ("chance", *BLIND))
    points = [seed["trained"]["sizes"][str(UNSEEN)]["points"] for seed in living(metrics)]
    return [
        _held(
            "learning_unseen_size",
            f"Trained on {metrics['settings']['n']} points, the model puts points of {UNSEEN} in the right place more often than "
            f"guessing and than answers that never look at x ({without:.2f}) by at least {MARGIN:g}.",
            reference="AISTATS 2026, Figure 2; arXiv 2410.19931, Figure 4",
            setting=_setting(metrics, test_size=UNSEEN, measured="share of points, less the best without x"),
            value=median(points) - without,
            threshold=MARGIN,
            at_least=True,
            seed=metrics["settings"]["seed"],
            unit="share of points",
            figure="figure_learning_sizes",
        )
    ]


def _nearer_with_depth(metrics: Mapping[str, Any]) -> Estimate:
    """Take the largest rise from one state to the next: a claim of "nearer with every layer" fails on one."""
    rises = [
        max(after - before for before, after in pairwise(levels))
        for levels in (seed["trained"]["distance"]["exact"] for seed in living(metrics))
    ]
    return _held(
        "learning_nearer_with_depth",
        "Under the reading weights the attention of every layer is nearer to P* than that of the layer before.",
        reference="AISTATS 2026, Figure 2",
        setting=_setting(metrics, measured="largest rise of the distance from one layer to the next"),
        value=median(rises),
        threshold=0.0,
        seed=metrics["settings"]["seed"],
        unit="share of attention",
        figure="figure10_depth",
    )


def _better_than_construction(metrics: Mapping[str, Any]) -> Estimate:
    n = str(metrics["settings"]["n"])
    trained = _fresh_loss(metrics)
    best = min(metrics["controls"][name]["sizes"][n]["loss"] for name in ("constructed", "annealed", "sinkhorn"))
    return _held(
        "learning_beats_construction",
        "A trained model answers better than the constructed one (with its best reg, constant or shrinking) and than Sinkhorn "
        "of the same depth.",
        reference="ours",
        setting=_setting(metrics, test_size=int(n), measured="loss, trained / best of the others"),
        value=trained / best,
        threshold=1.0,
        seed=metrics["settings"]["seed"],
        unit="times",
    )


def _descent(metrics: Mapping[str, Any]) -> Estimate:
    r2 = [
        layer[side]["r2"]
        for seed in living(metrics)
        for layer in seed["trained"]["descent"]
        for side in ("u", "v")
    ]  # fmt: skip
    return _held(
        "learning_is_descent",
        f"A trained layer changes its memory columns as gradient descent on the dual does: R² of at least {DESCENT_R2:g}.",
        reference="AISTATS 2026, Theorem 3.1, read as a statement about training",
        setting=_setting(metrics, statistic="median over seeds, layers, u and v", measured="R² at the best reg"),
        value=median(r2),
        threshold=DESCENT_R2,
        at_least=True,
        seed=metrics["settings"]["seed"],
        unit="R²",
        figure="figure_learning_descent",
    )


def _weights(metrics: Mapping[str, Any]) -> Estimate:
    def typical(when: str) -> float:
        return median(_flat([seed[when]["weight_cosine"] for seed in living(metrics)]))

    return _held(
        "learning_finds_construction",
        f"Training finds the constructed weights: cosine of at least {DESCENT_R2:g} between learned and constructed P, up to what "
        f"softmax cannot see (before training {typical('untrained'):.2f}).",
        reference="AISTATS 2026, Table 2, read as a statement about training",
        setting=_setting(metrics, statistic="median over seeds, layers and heads"),
        value=typical("trained"),
        threshold=DESCENT_R2,
        at_least=True,
        seed=metrics["settings"]["seed"],
        unit="cosine",
        figure="figure_learning_descent",
    )


def _flat(values: Sequence[Any]) -> list[float]:
    return [number for part in values for number in (_flat(part) if isinstance(part, list) else [part])]
