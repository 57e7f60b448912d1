"""A training run that may be killed: checkpoints in a work folder, progress for dvclive."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from dvclive import Live

import otcore
from otcore.learning import Settings, State, start, train
from pipeline._kept import keep, kept
from pipeline.params import Learn

Track = Callable[[Iterable[State]], Iterator[State]]
CHECKPOINT_EVERY = 100


@dataclass
class Run:
    """Where a run stands.

    Attributes
    ----------
    state : State
    curve : dict from step to list of float
        Loss of every seed before that step, NaN once it has been stopped; every `log_every` steps and at the last.
    """

    state: State
    curve: dict[int, list[float]]

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        steps = np.array(list(self.curve), dtype=np.int64)
        losses = np.array(list(self.curve.values()), dtype=np.float64).reshape(len(steps), len(self.state.loss))
        keep(path, self.state.arrays() | {"curve_steps": steps, "curve_losses": losses})

    @classmethod
    def load(cls, path: Path) -> "Run | None":
        """Return the run of a checkpoint, None if there is none that is as it was written."""
        arrays = kept(path)
        if arrays is None:
            return None
        steps, losses = arrays.pop("curve_steps"), arrays.pop("curve_losses")
        return cls(State.from_arrays(arrays), dict(zip(steps.tolist(), losses.tolist(), strict=True)))


def fingerprint(settings: Settings, params: Learn) -> str:
    """Return a name for everything that a checkpoint depends on: settings and code."""
    digest = hashlib.sha256(json.dumps([asdict(settings), params.log_every, params.device]).encode())
    package = Path(otcore.__file__).parent
    for path in sorted([*package.glob("*.py"), *(package / "learning").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def train_to_the_end(settings: Settings, params: Learn, *, work: Path, live: Path, track: Track | None = None) -> Run:
    """Return the finished run, continued from its last checkpoint where there is one; `clear` removes that.

    Parameters
    ----------
    settings, params
        What to train; of `params` only `log_every` and `device` matter here.
    work : Path
        Checkpoints go to ``learn-<prompt>-<fingerprint>`` in it.
    live : Path
        dvclive's folder: loss of every seed and steps a second.
    track : callable, optional
        Passes the states on and draws a progress bar.
    """
    folder = _folder(settings, params, work)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.kept"
    run = Run.load(checkpoint) or Run(start(settings), {})
    states = train(settings, run.state, device=params.device)
    first_step, began = run.state.step, time.perf_counter()
    with Live(str(live), save_dvc_exp=False, dvcyaml=None) as progress:
        for step in run.curve:  # written anew: what a killed run wrote after its checkpoint is done again
            _log(progress, step, run.curve[step], settings)
        for state in states if track is None else track(states):
            done = state.step - 1
            if done % params.log_every == 0 or state.step == settings.steps:
                run.curve[done] = np.where(state.alive, state.loss, np.nan).tolist()
                _log(progress, done, run.curve[done], settings)
                progress.log_metric("steps_per_second", (state.step - first_step) / (time.perf_counter() - began))
                progress.make_summary()
            if state.step % CHECKPOINT_EVERY == 0:
                run.save(checkpoint)
    run.save(checkpoint)  # what is measured on it takes long too, and may be killed
    return run


def _log(progress: Live, step: int, losses: list[float], settings: Settings) -> None:
    progress.step = step
    for index, loss in enumerate(losses):
        progress.log_metric(f"loss/seed{settings.seed + index}", loss)


def clear(settings: Settings, params: Learn, *, work: Path) -> None:
    """Remove the checkpoints of a run that is no longer needed."""
    shutil.rmtree(_folder(settings, params, work))


def _folder(settings: Settings, params: Learn, work: Path) -> Path:
    return work / f"learn-{settings.shape.prompt}-{fingerprint(settings, params)}"
