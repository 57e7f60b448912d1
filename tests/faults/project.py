"""A copy of the project with a demo so small that each stage takes seconds: what faults are tried on."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MADE = ("sources", "corpus", "links", "attention", "explorer", "scores")
"""Folders below data/ that stages write to."""
ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, dict[str, Any]] = {
    "sample": {"n_pairs": 40},
    "extract": {"heads_pairs": 20},
    "align": {"methods": ["argmax_tgt", "transport"], "transport_pairs": 20, "plan_pairs": 12, "resamples": 100},
    "intervene": {"pairs": 16, "draws": 2, "sweeps": [1, 3]},
    "certify": {"depth": 200, "seeds": 4},
    "learn": {"steps": 300, "depth": 4, "batch": 8, "seeds": 2, "test_sizes": [5, 7], "test_problems": 16},
    "report": {"explorer_pairs": 4},
}
"""Keys of params.yaml that bound the work, by block."""


def copy_project(folder: Path) -> Path:
    """Return a folder with the project's tracked files and the small demo, a git and DVC repository of its own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        made = name.startswith(("reports/", "tests/", "docs/")) and not name.startswith("reports/results/")
        if name and not made and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink()
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for block, keys in SMALL.items():
        params[block].update(keys)
    params["learn"]["rate"] = float(params["learn"]["rate"])  # to YAML 1.1, 5e-3 is a word
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    run(["git", "init", "-q"], folder)
    run(["git", "add", "-A"], folder)
    run(["git", "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "Start"], folder)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return the variables with which commands of the copy run: its own code, the tests' Python, one thread."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Return a command that ended well.

    Raises
    ------
    RuntimeError
        With what it said, if it did not.
    """
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        raise RuntimeError(message)
    return done


def outs_of(folder: Path, stage: str) -> list[Path]:
    """Return the files and folders that a stage has written, by dvc.lock."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
    return [folder / out["path"] for out in lock["stages"][stage]["outs"]]


def forget(folder: Path, stage: str) -> None:
    """Remove what a stage has written, and that it ever ran."""
    for out in outs_of(folder, stage):
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    path = folder / "dvc.lock"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    del lock["stages"][stage]
    path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")


def stages_of(folder: Path) -> list[str]:
    """Return the names of all stages, in the order in which DVC runs them."""
    listed = run(["dvc", "stage", "list", "--name-only"], folder).stdout.split()
    order = [
        "sources",
        "corpus",
        "links",
        "extract",
        "sums",
        "intervene",
        "align",
        "certify",
        "learn",
        "study",
        "claims",
        "report",
    ]
    return sorted(listed, key=lambda name: (order.index(name.partition("@")[0]), name))


def results(folder: Path) -> Mapping[str, str]:
    """Return the sha256 of every file below the folders that stages write to, and of what dvc.lock says, by path.

    Files that a killed run left half done are among them.
    """
    found = {}
    for below in ("reports", *(f"data/{name}" for name in MADE)):
        for path in sorted((folder / below).rglob("*")):
            if path.is_file() and path.name != ".gitignore":
                found[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))  # its order is that of the runs
    return found | {"dvc.lock": hashlib.sha256(json.dumps(lock, sort_keys=True).encode()).hexdigest()}
