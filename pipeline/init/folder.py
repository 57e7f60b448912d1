"""A folder of its own for a run: a copy of the project with its own git and DVC, so that the project stays as it is."""

import subprocess
from pathlib import Path

from pipeline.errors import PipelineError

OF_THE_DEMO = (
    "reports/metrics/aer.csv",
    "reports/metrics/claims.json",
    "reports/metrics/corpus.json",
    "reports/metrics/intervene",
    "reports/metrics/links.json",
    "reports/metrics/translators",
)
"""Results of the text that the copy will not read; what rests on no text (certify, learn) it need not compute again."""


def copy_project(target: Path) -> None:
    """Copy the project of this folder as last committed, on a branch named after the copy, without the demo's results.

    In the copy `dvc repro` puts dvc.lock into git's index by itself, and asks nobody to.

    Parameters
    ----------
    target : Path
        A folder that is not there yet, or is empty.

    Raises
    ------
    PipelineError
        If something is there, or this folder is no git repository of the project.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        message = f"--into: a folder that is not there yet, but {target} is; name another, or move it away"
        raise PipelineError(message)
    if not Path("dvc.yaml").is_file() or not Path(".git").exists():
        message = (
            "--into: copies the project with git, in whose folder it must run, but this folder has no .git or dvc.yaml; "
            "change to the project's folder, or leave --into out"
        )
        raise PipelineError(message)
    _git("clone", "--quiet", ".", str(target))
    _git("-C", str(target), "checkout", "--quiet", "-B", _branch(target.resolve().name))
    _git("-C", str(target), "rm", "-r", "--quiet", "--ignore-unmatch", *OF_THE_DEMO)
    local = target / ".dvc" / "config.local"
    local.write_text("[core]\n    autostage = true\n", encoding="utf-8")


def stage(target: Path) -> None:
    """Put the copy's params.yaml into git's index."""
    _git("-C", str(target), "add", "params.yaml")


def _branch(name: str) -> str:
    """Return the name of a folder as git takes it for a branch: letters, digits, hyphens and dots inside."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
    return plain.strip("-") or "own"


def _git(*arguments: str) -> None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        message = "--into: needs git, but there is none on the path; install it, or leave --into out"
        raise PipelineError(message) from None
    if done.returncode:
        message = f"--into: git must be able to copy the project, but it says: {done.stderr.strip()}; mend that first"
        raise PipelineError(message)
