"""Training runs of the studies: continued from their checkpoints where a study was stopped, and scored size by size."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from otcore.learning import Points, Settings, State, blind, chance, evaluate
from pipeline.params import Learn
from pipeline.synthetic.learn_run import train_to_the_end
from pipeline.synthetic.studies import StudySettings

LOG_EVERY = 200
MANY = 30
"""Points a side from which on fewer problems are scored: each holds as many more points."""


def trained(run: Settings, study: StudySettings, *, label: str) -> State:
    """Return the state at the end of a run; one that ended before is read from its checkpoint."""
    study.say(f"{label}: {run.steps} steps")
    logged = Learn(log_every=LOG_EVERY)
    return train_to_the_end(run, logged, work=study.work, live=study.work / "dvclive" / label).state


def scored(
    run: Settings, state: State, sizes: Sequence[int], *, points: Points, problems: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for every size and living seed: scores, and the share of points right of the best blind answer.

    `floor` is the largest share of points that guessing, the mean solution and y itself have right, `blind_loss` the
    smallest loss of the last two; `above` is `points` less `floor`.
    """
    for n in sizes:
        batch = max(problems // 2, 1) if n >= MANY else problems
        unseeing = blind(run, n, batch=batch, points=points)
        floor = max(chance(n)["points"], *(one.points for one in unseeing.values()))
        for index, score in enumerate(evaluate(run, state, n, batch=batch, points=points)):
            if score is not None:
                yield {
                    "test_size": n, "seed": run.seed + index, **asdict(score), "floor": floor,
                    "above": score.points - floor, "blind_loss": min(one.loss for one in unseeing.values()),
                }  # fmt: skip
