"""One side of a comparison: the metrics of a run, out of a folder or out of a git revision."""

import io
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from pipeline._output import SCHEMA
from pipeline._yaml import parse
from pipeline.errors import PipelineError

METRICS = "reports/metrics"
"""Where a revision keeps them, seen from the project's folder."""
KEYS = (
    "question",
    "claim",
    "translator",
    "view",
    "role",
    "verdict",
    "difference",
    "low",
    "high",
    "layer",
    "limit",
    "unit",
)
"""What is read of every claim."""
TABLES = ("pointing.csv", "curves.csv", "headline.json")
"""What is read of every translator."""


@dataclass(frozen=True)
class Side:
    """The metrics of one run.

    Attributes
    ----------
    name : str
        As it was given.
    files : mapping of str to str
        Text by path within the metrics: claims.json, corpus.json and the `TABLES` of every translator.
    params : mapping
        Its params.yaml; empty where there is none.
    scores : Path or None
        Folder with the scores of every pair, a file a translator.
    """

    name: str
    files: Mapping[str, str]
    params: Mapping[str, Any]
    scores: Path | None

    @cached_property
    def translators(self) -> list[str]:
        """Names, in order."""
        return sorted({PurePosixPath(path).parts[1] for path in self.files if path.startswith("translators/")})

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """The records of claims.json that decide, but for those that say of a whole question that nothing was measured."""
        found = json.loads(self.files["claims.json"])["claims"]
        return [claim for claim in found if claim["role"] == "decides" and not _is_empty(claim)]

    @cached_property
    def text_digest(self) -> str | None:
        """Checksum of the sentences; None where it is not known."""
        return json.loads(self.files.get("corpus.json", "{}")).get("sha256_text")

    def table(self, translator: str, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of a translator's CSV, without rows where it is not there.

        Raises
        ------
        PipelineError
            If it lacks a column.
        """
        text = self.files.get(f"translators/{translator}/{name}")
        if text is None:
            return pd.DataFrame(columns=list(columns))
        found = pd.read_csv(io.StringIO(text))
        if missing := [column for column in columns if column not in found]:
            message = (
                f"{self.name}: {name} of {translator} must hold {', '.join(columns)}, but {missing[0]} is missing: "
                f"another edition wrote it; give a later revision, or run `dvc repro --force align@{translator}` in its folder"
            )
            raise PipelineError(message)
        return found[list(columns)]

    def headline(self, translator: str) -> dict[str, Any]:
        """Return the headline numbers of a translator, empty where it has none."""
        return json.loads(self.files.get(f"translators/{translator}/headline.json", "{}"))

    def scores_of(self, translator: str) -> pd.DataFrame | None:
        """Return the scores of every pair, where they are kept."""
        path = None if self.scores is None else self.scores / f"{translator}.parquet"
        return pd.read_parquet(path) if path is not None and path.is_file() else None


def _is_empty(claim: Mapping[str, Any]) -> bool:
    return claim["verdict"] == "untested" and not claim["translator"] and claim["claim"] == claim["question"]


def read_side(name: str, argument: str) -> Side:
    """Return the metrics of a folder (as reports/metrics) or of a git revision, which is not checked out.

    Parameters
    ----------
    name : str
        The folder or the revision; of both a folder.
    argument : str
        What the command line calls it, for messages.

    Raises
    ------
    PipelineError
        If it is neither, or its claims.json is missing or of another edition.
    """
    if Path(name).is_dir():
        side = _from_folder(name)
    elif _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") is not None:
        side = _from_revision(name)
    else:
        message = (
            f"{argument}: must be a folder of metrics (as {METRICS}) or a git revision, but {name} is neither; "
            "give a folder that is there, or a revision that `git log` shows"
        )
        raise PipelineError(message)
    _check_claims(side, argument)
    return side


def _wanted(paths: Iterable[str]) -> list[str]:
    """Return the paths, within the metrics, that a comparison reads."""
    alone = ("claims.json", "corpus.json")
    return [
        path
        for path in sorted(paths)
        if path in alone or (path.startswith("translators/") and PurePosixPath(path).name in TABLES)
    ]


def _from_folder(name: str) -> Side:
    folder = Path(name).resolve()
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files = {path: (folder / path).read_text(encoding="utf-8") for path in _wanted(paths)}
    # The project's own metrics lie two folders below params.yaml and data/; a copy may have them beside it.
    roots = (folder.parent, folder.parent.parent)
    params = next((root / "params.yaml" for root in roots if (root / "params.yaml").is_file()), None)
    scores = next((root / "data" / "scores" for root in roots if (root / "data" / "scores").is_dir()), None)
    return Side(name, files, _params(params.read_text(encoding="utf-8"), str(params)) if params else {}, scores)


def _from_revision(name: str) -> Side:
    listed = _git("ls-tree", "-r", "--name-only", "-z", name, "--", f"{METRICS}/") or ""
    paths = [path.removeprefix(f"{METRICS}/") for path in listed.split("\0") if path]
    files = {path: _git("show", f"{name}:./{METRICS}/{path}") or "" for path in _wanted(paths)}
    return Side(name, files, _params(_git("show", f"{name}:./params.yaml") or "", f"{name}:params.yaml"), None)


def _params(text: str, where: str) -> dict[str, Any]:
    from ruamel.yaml import YAMLError

    try:
        found = parse(text) or {}
    except YAMLError:
        found = None
    if not isinstance(found, dict):
        message = (
            f"{where}: must be a mapping in YAML, but is not; correct it (`python -m pipeline validate`), or move it"
        )
        raise PipelineError(message)
    return found


def _git(*arguments: str) -> str | None:
    """Return what git says, None if it says no or is not there."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.decode("utf-8") if done.returncode == 0 else None


def _check_claims(side: Side, argument: str) -> None:
    text = side.files.get("claims.json")
    if text is None:
        message = (
            f"{argument}: must hold claims.json, as {METRICS} does after a run, but {side.name} does not; "
            "run `dvc repro`, or give another folder or revision"
        )
        raise PipelineError(message)
    found = json.loads(text)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA or not all(set(KEYS) <= set(claim) for claim in found["claims"]):
        message = (
            f"{argument}: claims.json must say schema: {SCHEMA}, with {', '.join(KEYS)} in every claim, but that of {side.name} "
            f"says {schema} or lacks some: another edition wrote it; give a later revision, or run `dvc repro --force claims` in its folder"
        )
        raise PipelineError(message)
