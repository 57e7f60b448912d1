"""A translator that cannot be read or measured: what stands in its place, so that the others go on without it.

Its stage says what happened, leaves the reason where its results would be, and ends well; `claims` and `report` read
the reason. Errors that concern all translators, such as a wrong key of params.yaml, still end the run.
"""

import json
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pipeline._output import SCHEMA, replacing, what_to_do, write_json
from pipeline.errors import PipelineError

FILE = "failed.json"
"""In `data/attention/NAME`, instead of the blocks; further on the reason stands in `summary.json`."""


class Failure(NamedTuple):
    """Which stage failed, such as `extract@mini-marian`, and why, on one line."""

    stage: str
    why: str

    def __str__(self) -> str:
        """Return it as one sentence without its full stop."""
        return f"{self.stage} failed: {self.why}"

    @property
    def record(self) -> dict[str, Any]:
        """Return what files say of it."""
        return {"failed": self._asdict()}


@contextmanager
def going_on(stage: str, leave: Callable[[Failure], object], say: Callable[[str], None]) -> Iterator[None]:
    """Let a stage of one translator end well although its work fails; an unforeseen error shows its traceback.

    What no other translator would be spared still ends it: too little memory, a full disk, files in the way.

    Parameters
    ----------
    stage : str
        Such as `extract@NAME`.
    leave : callable
        Writes what stands in the place of the results.
    say : callable
        Gets the reason, line by line, and what to do.
    """
    try:
        yield
    except MemoryError:
        raise
    except PipelineError as error:
        why = str(error)
    except Exception as error:
        if isinstance(error, OSError) and what_to_do(error):
            raise
        say(traceback.format_exc().rstrip())
        why = f"{type(error).__name__}: {error}"
    else:
        return
    for line in why.splitlines():
        say(f"{stage}: error: {line}")
    say(f"{stage}: the run goes on without it, and the page will say so; mend it, then run `dvc repro`")
    leave(Failure(stage, " ".join(why.split())))


def leave_mark(folder: Path, failure: Failure) -> None:
    """Leave a folder with the reason instead of what would be in it."""
    with replacing(folder) as part:
        write_failure(part / FILE, failure)


def clear_mark(folder: Path) -> None:
    """Make a folder, if need be, and remove the reason that an attempt before this one left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)


def write_failure(path: Path, failure: Failure) -> None:
    """Write the reason as a JSON file."""
    write_json(path, {"schema": SCHEMA, **failure.record})


def read_failure(path: Path) -> Failure | None:
    """Return the reason that a JSON file gives, None where it gives none or is not there."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    failed = found.get("failed") if isinstance(found, dict) else None
    return Failure(**failed) if failed else None


def unmeasured(metrics: Path, translators: Collection[str]) -> dict[str, Failure]:
    """Return the translators of which nothing was measured, and why.

    Parameters
    ----------
    metrics : Path
        Holds `translators/NAME`.
    translators : collection of str
        Their names.

    Raises
    ------
    PipelineError
        If there is no other.
    """
    found = {name: read_failure(metrics / "translators" / name / "summary.json") for name in translators}
    failed = {name: failure for name, failure in found.items() if failure}
    if failed and len(failed) == len(translators):
        message = (
            f"translators: at least one must have been measured, but {'; '.join(map(str, failed.values()))}; "
            "mend one, then run `dvc repro`"
        )
        raise PipelineError(message)
    return failed


def attempts(memory: Path, failed: Collection[str]) -> dict[str, int]:
    """Return how often each translator has been tried again; those that failed the last time, once more.

    DVC runs a stage again only where something that it depends on has changed, and a network that is back is no such
    thing: `sources` writes this number where `extract` reads it.

    Parameters
    ----------
    memory : Path
        A JSON file that keeps the numbers.
    failed : collection of str
        Names of those whose last attempt failed.
    """
    known: dict[str, int] = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    known |= {name: known.get(name, 0) + 1 for name in failed}
    if failed:
        write_json(memory, known)
    return known
