"""How small may the training prompt be? Models trained on few points a side, tested on many.

Every model sees problems of one size, or of all these sizes in turn. Where x is uniform on [0, 1] the mean solution, an
answer that never looks at x, has many points right; where x fills an interval of its own in every problem, it has few.
"""

from collections.abc import Iterator, Mapping
from statistics import mean
from typing import Any

import pandas as pd

from otcore.learning import Points, Settings, Shape
from pipeline.claims import Estimate
from pipeline.study_file import Chart, Line, Panel, StudyResult
from pipeline.synthetic.studies import StudySettings, decided, estimate, gap_interval, mean_interval
from pipeline.synthetic.studies.training import scored, trained

NAME, QUESTION = "prompt_size", "How small may the training prompt be?"
TRAINED_ON = ("2", "3", "4", "5", "7", "10", "mixed")
TESTED_ON = (5, 7, 9, 15, 30, 60)
WHERE: dict[Points, str] = {"uniform": "x uniform on [0, 1]", "interval": "x on an interval of its own"}
PAPER, DECIDING, FAR = "7", 15, 60
MARGIN, SLACK = 0.25, 0.05
RUN: Mapping[str, dict[str, int]] = {
    "long": {"steps": 3000, "batch": 32, "depth": 20, "problems": 128},
    "demo": {"steps": 10, "batch": 32, "depth": 3, "problems": 16},
}
DEMO_TRAINED, DEMO_TESTED = ("4", "7", "mixed"), (5, 15)


def run(study: StudySettings) -> StudyResult:
    """Return what training on few points is worth on many."""
    sizes = RUN[study.size]
    on = TRAINED_ON if study.size == "long" else DEMO_TRAINED
    against = TESTED_ON if study.size == "long" else DEMO_TESTED
    rows: list[dict[str, Any]] = []
    for points in WHERE:
        for name in on:
            settings = settings_of(study, name, points, on)
            state = trained(settings, study, label=f"{NAME}: {points}, {name}")
            found = scored(settings, state, against, points=points, problems=sizes["problems"])
            rows += [{"points_of": points, "trained_on": name, **row} for row in found]
    table = pd.DataFrame(rows)
    return StudyResult(
        name=NAME,
        question=QUESTION,
        size=study.size,
        seeds=study.seeds,
        settings={**sizes, **_described(study), "trained_on": list(on), "tested_on": list(against)},
        charts=[_chart(table, "above"), _chart(table, "loss")],
        claims=decided(list(estimates(table)), study.size),
        findings=list(_findings(table)),
        tables={"scores": table},
    )


def settings_of(study: StudySettings, name: str, points: Points, names: tuple[str, ...]) -> Settings:
    """Return the training run on a size, or on all named sizes in turn (``mixed``)."""
    sizes = RUN[study.size]
    mixed = tuple(int(one) for one in names if one != "mixed")
    n = int(PAPER) if name == "mixed" else int(name)
    return Settings(
        preset="notebook",
        shape=Shape(n=n, depth=sizes["depth"]),
        steps=sizes["steps"],
        batch=sizes["batch"],
        rate=5e-3,
        schedule="linear",
        seeds=study.seeds,
        seed=study.seed,
        points=points,
        sizes=mixed if name == "mixed" else (),
        redraw_every=1,
    )


def _described(study: StudySettings) -> dict[str, Any]:
    run = settings_of(study, PAPER, "uniform", (PAPER,))
    return {
        "preset": run.preset, "prompt": run.shape.prompt, "rate": run.adam_rate, "schedule": run.schedule,
        "redraw_every": run.redraw_every, "seed": run.seed, "points": dict(WHERE),
    }  # fmt: skip


def estimates(table: pd.DataFrame) -> Iterator[Estimate]:
    """Yield what is claimed: written down before the long run, the same for both kinds of x.

    Parameters
    ----------
    table : DataFrame
        A row for every model, test size and seed, columns as in `training.scored`; sizes that are missing claim nothing.
    """
    for points, words in WHERE.items():
        own = table[table["points_of"] == points]

        def shares(name: str, n: int, column: str = "above", own: pd.DataFrame = own) -> list[float]:
            return list(own[(own["trained_on"] == name) & (own["test_size"] == n)][column])

        more: dict[str, Any] = {"unit": "share of points", "where": words, "figure": "study_prompt_size_above"}
        for name in (PAPER, "5", "2"):
            if shares(name, DECIDING):
                yield estimate(
                    f"{NAME}_{name}_{points}",
                    f"Trained on {name} points a side, a model puts points of {DECIDING} in the right place more often than any "
                    f"answer that never looks at x, by more than {MARGIN:g}.",
                    mean_interval(shares(name, DECIDING), bound=MARGIN),
                    bound=MARGIN,
                    **more,
                )
        if shares("5", DECIDING):
            yield estimate(
                f"{NAME}_5_as_7_{points}",
                f"Trained on 5 points a side, a model has at most {SLACK:g} fewer points of {DECIDING} right than one trained on 7.",
                gap_interval(shares("5", DECIDING, "points"), shares(PAPER, DECIDING, "points"), bound=-SLACK),
                bound=-SLACK,
                **more,
            )
        if shares("mixed", FAR):
            yield estimate(
                f"{NAME}_mixed_{points}",
                f"Trained on all sizes from 2 to 10 in turn, a model has more points of {FAR} right than one trained on 10 alone.",
                gap_interval(shares("mixed", FAR, "points"), shares("10", FAR, "points")),
                **more,
            )


def _chart(table: pd.DataFrame, column: str) -> Chart:
    is_loss = column == "loss"
    panels = [
        Panel(words, [*_lines(own, column), *([_floor(own, "blind_loss")] if is_loss else [])])
        for points, words in WHERE.items()
        for own in [table[table["points_of"] == points]]
    ]
    return Chart(
        stem=f"study_{NAME}_{column}",
        title="Training prompts of few points: " + ("loss" if is_loss else "points right above the blind floor"),
        x="points a side of the fresh problems",
        y="mean squared error" if is_loss else "share of points right, less that of the best answer that never looks at x",
        panels=panels,
        logs=(True, is_loss),
        mark=None if is_loss else 0.0,
        caption=[
            "Models trained on prompts of so many points a side (`mixed`: of all these sizes in turn), on fresh problems of other sizes.",
            "One line a training size: mean over seeds, band from the least to the greatest. "
            + ("Dashed: the best answer that never looks at x." if is_loss else "0 is what the best answer without a look at x has."),
            "x is drawn in the same way in training and test.",
        ],
        finding=" ".join(_findings(table)),
    )  # fmt: skip


def _lines(own: pd.DataFrame, column: str) -> Iterator[Line]:
    for name, rows in own.groupby("trained_on", sort=False):
        by_size = rows.groupby("test_size")[column]
        sizes = by_size.mean().index.astype(int).tolist()
        yield Line(
            f"n = {name}" if str(name).isdigit() else str(name),
            sizes,
            by_size.mean().tolist(),
            by_size.min().tolist(),
            by_size.max().tolist(),
        )


def _floor(own: pd.DataFrame, column: str) -> Line:
    by_size = own.groupby("test_size")[column].mean()
    return Line("never looks at x", by_size.index.astype(int).tolist(), by_size.tolist(), floor=True)


def _findings(table: pd.DataFrame) -> Iterator[str]:
    """Yield the share of points right by training size, at the deciding size, and the smallest that is enough."""
    for points, words in WHERE.items():
        own = table[table["points_of"] == points]
        own = own[own["test_size"] == DECIDING]
        shares = {str(name): mean(rows["points"]) for name, rows in own.groupby("trained_on", sort=False)}
        floor = float(own["floor"].iloc[0])
        enough = [name for name, share in shares.items() if share - floor > MARGIN]
        listed = ", ".join(f"{share:.2f} ({name})" for name, share in shares.items())
        yield (
            f"With {words}, points of {DECIDING} right by training size: {listed}; without a look at x {floor:.2f}. "
            f"The smallest training size whose mean is more than {MARGIN:g} above that is {enough[0] if enough else 'none'}."
        )
