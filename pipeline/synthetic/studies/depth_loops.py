"""One trained layer, run again and again, beside as many layers that were trained apart."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from otcore.learning import Settings, Shape, State, evaluate, looped
from pipeline.synthetic.studies import StudySettings
from pipeline.synthetic.studies.training import trained

LOOPS = (5, 10, 15, 19, 25, 40, 60)
SIZES = (7, 15)
RUN: Mapping[str, dict[str, int]] = {
    "long": {"steps": 1500, "batch": 32, "depth": 20, "tests": 256, "n": 7},
    "demo": {"steps": 5, "batch": 32, "depth": 3, "tests": 16, "n": 4},
}


def looped_losses(study: StudySettings) -> Iterator[dict[str, Any]]:
    """Yield the scores of every living seed: of the tied layer at every number of loops, of untied layers at theirs."""
    sizes = RUN[study.size]
    for model in ("untied", "tied"):
        settings = Settings(
            preset="notebook", shape=Shape(n=sizes["n"], depth=sizes["depth"]), steps=sizes["steps"],
            batch=sizes["batch"], rate=5e-3, schedule="linear", seeds=study.seeds, seed=study.seed, redraw_every=1,
            tied=model == "tied",
        )  # fmt: skip
        state = trained(settings, study, label=f"depth: {model}")
        n_loops = state.mixing.shape[1]
        for loops in sorted({n_loops, *LOOPS}) if model == "tied" else (n_loops,):
            run_again = looped(state, loops) if model == "tied" else state
            for row in _scores(settings, run_again, sizes["tests"]):
                yield {"model": model, "trained_loops": n_loops, "loops": loops, **row}


def _scores(settings: Settings, state: State, tests: int) -> Iterator[dict[str, Any]]:
    for n in SIZES:
        for index, score in enumerate(evaluate(settings, state, n, batch=tests)):
            if score is not None:
                yield {"n": n, "seed": settings.seed + index, **asdict(score)}
