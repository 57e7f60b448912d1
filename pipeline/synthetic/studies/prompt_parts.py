"""Which part of the engineered prompt matters? Models trained without each part, and on the plain prompt with each.

A part that is taken away is gone, not zeroed: the model has no column in its place (`otcore.learning.parts`). Beside
them stands a prompt whose engineered numbers are learned with the weights.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from otcore.learning import PARTS, Part, Settings, Shape
from pipeline.claims import Estimate
from pipeline.study_file import Chart, Line, Panel, StudyResult
from pipeline.synthetic.studies import Interval, StudySettings, decided, estimate, gap_interval
from pipeline.synthetic.studies.training import scored, trained

NAME, QUESTION = "prompt_parts", "Which part of the engineered prompt matters?"
NORMS: tuple[Part, ...] = ("src_norm", "tgt_norm")
ONES: tuple[Part, ...] = ("one_1", "one_2", "one_3", "one_4")
TAKEN: Mapping[str, tuple[Part, ...]] = {
    "|x|²": ("src_norm",),
    "|y|²": ("tgt_norm",),
    "both norms": NORMS,
    "ones, 1st": ("one_1",),
    "ones, 2nd": ("one_2",),
    "ones, 3rd": ("one_3",),
    "ones, 4th": ("one_4",),
    "all ones": ONES,
    "memory columns": ("memory",),
    "memory row": ("row",),
    "output column": ("output",),
}
ADDED: Mapping[str, tuple[Part, ...]] = {
    "both norms": NORMS,
    "all ones": ONES,
    "memory columns": ("memory",),
    "memory row": ("row",),
    "all ones and memory row": (*ONES, "row"),
}
"""What the plain prompt gets; the memory row holds the mass in the fourth column of ones, and is zero without it."""
WHOLE, PLAIN, LEARNED = "engineered prompt", "plain prompt", "learned prompt"
SLACK = math.log10(2)
N, BEYOND = 7, (15,)
RUN: Mapping[str, dict[str, int]] = {
    "long": {"steps": 1500, "batch": 32, "depth": 20, "problems": 256},
    "demo": {"steps": 10, "batch": 32, "depth": 3, "problems": 16},
}
DEMO = (WHOLE, PLAIN, LEARNED, "without |x|²", "with memory row")


def shapes(depth: int, n: int) -> dict[str, Shape]:
    """Return the shape of every prompt, by its name."""
    bare = tuple(part for part in PARTS if part != "output")
    return {
        WHOLE: Shape(n=n, depth=depth),
        **{f"without {name}": Shape(n=n, depth=depth, without=parts) for name, parts in TAKEN.items()},
        PLAIN: Shape(n=n, depth=depth, prompt="plain"),
        **{
            f"with {name}": Shape(n=n, depth=depth, without=tuple(part for part in bare if part not in parts))
            for name, parts in ADDED.items()
        },
        LEARNED: Shape(n=n, depth=depth, prompt="learned"),
    }


def run(study: StudySettings) -> StudyResult:
    """Return what each part is worth."""
    sizes = RUN[study.size]
    rows: list[dict[str, Any]] = []
    for name, shape in shapes(sizes["depth"], N if study.size == "long" else 4).items():
        if study.size == "demo" and name not in DEMO:
            continue
        settings = Settings(
            preset="notebook", shape=shape, steps=sizes["steps"], batch=sizes["batch"], rate=5e-3, schedule="linear",
            seeds=study.seeds, seed=study.seed, redraw_every=1,
        )  # fmt: skip
        state = trained(settings, study, label=f"{NAME}: {name}")
        found = scored(settings, state, (shape.n, *BEYOND), points="preset", problems=sizes["problems"])
        rows += [{"prompt": name, **row} for row in found]
    table = pd.DataFrame(rows)
    return StudyResult(
        name=NAME,
        question=QUESTION,
        size=study.size,
        seeds=study.seeds,
        settings={**sizes, "preset": "notebook", "n": N, "rate": 5e-3, "schedule": "linear", "redraw_every": 1},
        charts=[_chart(table, "without"), _chart(table, "with")],
        claims=decided(list(estimates(table)), study.size),
        findings=list(_findings(table)),
        tables={"scores": table},
    )


def losses(table: pd.DataFrame, name: str) -> list[float]:
    """Return log10 of the loss on fresh problems of the training size, every living seed of a prompt."""
    own = table[(table["prompt"] == name) & (table["test_size"] == table["test_size"].min())]
    return [math.log10(loss) for loss in own["loss"]]


def estimates(table: pd.DataFrame) -> Iterator[Estimate]:
    """Yield what is claimed: written down before the long run.

    Parameters
    ----------
    table : DataFrame
        A row for every prompt, test size and seed, columns `prompt`, `test_size` and `loss`; prompts that are missing
        claim nothing.
    """
    there = set(table["prompt"])
    for name, parts in TAKEN.items():
        if f"without {name}" in there:
            yield _row(
                f"without_{'_'.join(parts)}",
                f"Without {name} the engineered prompt leaves a higher loss.",
                gap_interval(losses(table, f"without {name}"), losses(table, WHOLE)),
                "without",
            )
    for name, parts in ADDED.items():
        if f"with {name}" in there:
            yield _row(
                f"with_{'_'.join(parts)}",
                f"With {name} alone the plain prompt leaves a lower loss.",
                gap_interval(losses(table, PLAIN), losses(table, f"with {name}")),
                "with",
            )
    if LEARNED in there:
        yield _row(
            "learned_as_engineered",
            "A prompt whose numbers are learned leaves at most twice the loss of the engineered one.",
            gap_interval(losses(table, WHOLE), losses(table, LEARNED), bound=-SLACK),
            "with",
            bound=-SLACK,
        )
        yield _row(
            "learned_above_plain",
            "A prompt whose numbers are learned leaves a lower loss than the plain one.",
            gap_interval(losses(table, PLAIN), losses(table, LEARNED)),
            "with",
        )


def _row(name: str, statement: str, interval: Interval, figure: str, *, bound: float = 0.0) -> Estimate:
    return estimate(
        f"{NAME}_{name}",
        statement,
        interval,
        unit="log10 of the loss",
        bound=bound,
        figure=f"study_{NAME}_{figure}",
    )


def _effects(table: pd.DataFrame, figure: str) -> list[tuple[str, Interval]]:
    """Return how many decades of loss each part is worth, the most first."""
    base, names = (WHOLE, TAKEN) if figure == "without" else (PLAIN, ADDED)
    there = set(table["prompt"])
    prompts = [f"{figure} {name}" for name in names] + ([LEARNED, WHOLE] if figure == "with" else [PLAIN])
    found = []
    for name in (prompt for prompt in prompts if prompt in there):
        gap = gap_interval(losses(table, name), losses(table, base))
        found.append((name, gap))
    return sorted(found, key=lambda row: -abs(row[1].value))


def _chart(table: pd.DataFrame, figure: str) -> Chart:
    base = WHOLE if figure == "without" else PLAIN
    lines = [
        Line(name, [], [10**gap.value], [10**gap.low], [10**gap.high], floor=name in (WHOLE, PLAIN))
        for name, gap in _effects(table, figure)
    ]
    what = (
        "Loss of models trained without a part of the engineered prompt, as a multiple of the loss with all parts."
        if figure == "without"
        else "Loss of models trained on the plain prompt with one part added, or with learned numbers, as a multiple of the plain prompt’s."
    )
    return Chart(
        stem=f"study_{NAME}_{figure}",
        title="The engineered prompt with a part taken away"
        if figure == "without"
        else "The plain prompt with a part added",
        y=f"loss on fresh problems of {N} points, times that of the {base}",
        panels=[Panel("", lines)],
        kind="ranking",
        logs=(False, True),
        mark=1.0,
        caption=[
            what,
            "The largest effect stands first. Right of the line the loss is higher, left of it lower; grey rows are for comparison.",
            "Geometric means over seeds, Welch’s intervals of the ratio (95 %).",
        ],
        finding=" ".join(_findings(table, figure)),
    )


def _findings(table: pd.DataFrame, figure: str = "") -> Iterator[str]:
    """Yield the effects, ranked, in words."""
    words = {"without": "Times the loss of the engineered prompt", "with": "Times the loss of the plain prompt"}
    for kind in (figure,) if figure else words:
        ranked = ", ".join(f"{10**gap.value:.2g} ({name})" for name, gap in _effects(table, kind))
        yield f"{words[kind]}: {ranked}."
