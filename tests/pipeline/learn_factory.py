"""Training runs in miniature for the tests of the stage learn, of its claims and of its section of the page."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.params import Learn
from pipeline.verdicts.join import write_verdicts

Written = tuple[dict[str, Any], dict[str, Any]]


def small(**changed: Any) -> Learn:
    """Return parameters of 20 steps; n and dim as in tests/otcore, so that the kernel is compiled once."""
    sizes = {"n": 4, "depth": 3, "steps": 20, "batch": 32, "seeds": 3, "log_every": 5}
    rest = {"rate": None, "schedule": "constant", "test_sizes": (3, 9), "test_problems": 16}
    return Learn(**(sizes | rest | changed))


def quiet(_: str) -> None:
    """Say nothing."""


@dataclass
class Learned:
    """Metrics and maps of three runs, and the folder that the report reads."""

    folder: Path
    whole: Written
    partial: Written
    plain: Written
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """Runs of both prompts and one of which a seed diverges, made once: nobody may write to them."""
    return _runs(tmp_path_factory.getbasetemp() / "learned")


@cache  # each module that imports the fixture has one of its own
def _runs(root: Path) -> Learned:
    from otcore.learning import train
    from pipeline.synthetic.learn import learn, settings_of, write_learned

    said: list[str] = []
    places = {"work": root / "work", "live": root / "live"}
    whole = learn(small(), "engineered", **places, say=quiet)
    peaks = np.max([state.loss.copy() for state in train(settings_of(small(), "engineered"))], axis=0)
    between = float(np.sort(peaks)[-2:].mean())  # a loss that only one seed ever passes
    partial = learn(small(diverged_above=between), "engineered", **places, say=said.append)
    with pytest.MonkeyPatch.context() as patch:
        # Compiling the kernel for this prompt as well would take seconds; tests/otcore compares kernel and torch.
        patch.setattr("otcore.learning.training.engine_of", _torch_engine)
        plain = learn(small(), "plain", **places, say=quiet)
    for written in (partial, plain):
        write_learned(*written, root / "metrics" / "learn")
    write_verdicts(root / "metrics", [], level=0.95)
    return Learned(root / "metrics", whole, partial, plain, said)


def _torch_engine(settings: Any, **_: Any) -> Any:
    from otcore.learning.forward import TorchEngine
    from otcore.learning.presets import PRESETS, reading_column

    reads = PRESETS[settings.preset].reading != "column"
    return TorchEngine(reads=reads, first_column=reading_column(settings.preset, settings.shape))
