"""Kill stages of the small demo at random instants, run again, and compare the bytes with those of a run left alone.

`python -m tests.faults.kills --n 50 --seed 2026 -o kills.tsv` prints a row a kill; minutes to an hour.
"""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from tests.faults.project import copy_project, environment, forget, outs_of, results, run, stages_of

REPRO = ["dvc", "repro", "--no-run-cache"]
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGINT": signal.SIGINT}
TICK = 0.02
"""Seconds between two looks at what runs."""


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes
    ----------
    stage : str
    signal, whom : str
        Sent to the stage's process alone (as when memory runs out), or to all of the run (as Ctrl-C does).
    before : str
        What lay there: nothing of the stage, or files of another run.
    instant : float
        Share of the stage's duration that had passed.
    seconds : float
        From the start of the stage to the kill.
    ended : bool
        Whether the stage had ended before, so that a later one was hit or none.
    finish : float
        Seconds of the next run, to its end.
    different : int
        Files of it that differ from those of a run left alone, or are missing or left over.
    """

    stage: str
    signal: str
    whom: str
    before: str
    instant: float
    seconds: float
    ended: bool
    finish: float
    different: int


@dataclass(frozen=True)
class Whole:
    """A run left alone: its folder, what it wrote, and how long each stage took."""

    folder: Path
    results: Mapping[str, str]
    durations: Mapping[str, float]


def undisturbed(folder: Path) -> Whole:
    """Return a whole run of the small demo in a new folder."""
    copy_project(folder)
    durations = {}
    for stage in stages_of(folder):
        with subprocess.Popen([*REPRO, "-s", stage], **_started(folder)) as process:
            _wait_for_stage(process)
            began = time.perf_counter()
            if process.wait():
                message = f"{stage} failed in {folder}"
                raise RuntimeError(message)
        durations[stage] = time.perf_counter() - began
    return Whole(folder, results(folder), durations)


def kill_one(whole: Whole, stage: str, rng: np.random.Generator) -> Kill:
    """Return what came of one kill; the folder is then as it was, if the product is right."""
    folder = whole.folder
    name = str(rng.choice(list(SIGNALS)))
    whom = str(rng.choice(["stage", "all"]))
    before = str(rng.choice(["nothing", "another run's"]))
    instant = float(rng.uniform())
    if before == "nothing":
        forget(folder, stage)
    else:
        _spoil(outs_of(folder, stage))
    with subprocess.Popen(REPRO, **_started(folder)) as process:
        _wait_for_stage(process, stage)
        time.sleep(instant * whole.durations[stage])
        found = _descendants(process.pid)
        ended = not any(_is_stage(pid, stage) for pid in found)
        for pid in [process.pid, *found] if whom == "all" else [pid for pid in found if _is_stage(pid)]:
            _send(pid, SIGNALS[name])
        process.wait()
        _wait_for_end(found)
    began = time.perf_counter()
    run(REPRO, folder)
    finish = time.perf_counter() - began
    after = results(folder)
    different = {path for path in {*whole.results, *after} if whole.results.get(path) != after.get(path)}
    seconds = instant * whole.durations[stage]
    return Kill(
        stage, name, whom, before, round(instant, 3), round(seconds, 2), ended, round(finish, 1), len(different)
    )


def kills(whole: Whole, n: int, seed: int) -> list[Kill]:
    """Return `n` kills, every stage as often as any other."""
    rng = np.random.default_rng(seed)
    stages = [stage for stage in whole.durations if stage != "sources"]  # of a second; the tests kill it at every write
    order = [stages[i % len(stages)] for i in range(n)]
    rng.shuffle(order)
    done = []
    for stage in order:
        done.append(kill_one(whole, stage, rng))
        print("\t".join(map(str, astuple(done[-1]))), flush=True)  # noqa: T201
    return done


def _started(folder: Path) -> dict:
    return {
        "cwd": folder,
        "env": environment(folder),
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "start_new_session": True,
        # A shell's background jobs ignore SIGINT, and so would all that they start.
        "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    }


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [one for child in map(int, listed.split()) for one in (child, *_descendants(child))]


def _is_stage(pid: int, stage: str = "") -> bool:
    """Return whether a process is a stage's Python (of one name, if one is given)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    module, _, item = stage.partition("@")
    wanted = f"pipeline.stages.{module}".encode()
    here = len(words) > 2 and words[1] == b"-m" and words[2].startswith(wanted)
    return here and (not item or item.encode() in words)


def _wait_for_stage(process: subprocess.Popen, stage: str = "") -> None:
    while process.poll() is None and not any(_is_stage(pid, stage) for pid in _descendants(process.pid)):
        time.sleep(TICK)


def _wait_for_end(pids: Sequence[int]) -> None:
    while any(_is_stage(pid) for pid in pids):
        time.sleep(TICK)


def _send(pid: int, what: signal.Signals) -> None:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return


def _spoil(outs: Sequence[Path]) -> None:
    """Change every file, as if a run with other parameters had written it."""
    for out in outs:
        for path in [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]:
            content = path.read_bytes()
            path.unlink()  # it may be a link into DVC's cache
            path.write_bytes(content + b"\n")


def main() -> None:
    """Print a row a kill, and at the end how many ended in the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        whole = undisturbed(folder)
        print("\t".join(f"{name} {seconds:.1f} s" for name, seconds in whole.durations.items()), flush=True)  # noqa: T201
        rows = kills(whole, asked.n, asked.seed)
    finally:
        shutil.rmtree(folder)
    header = "\t".join(field.name for field in fields(Kill))
    lines = ["\t".join(map(str, astuple(row))) for row in rows]
    asked.out.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    print(f"{sum(row.different == 0 for row in rows)} of {len(rows)} in the same bytes")  # noqa: T201


if __name__ == "__main__":
    main()
