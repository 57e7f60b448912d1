"""The files of a model: a folder as it is, or from the hub the few that are read; weights as safetensors."""

import json
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline._fetch import in_words
from pipeline._hub import HubCommit, cached, fetch, open_commit
from pipeline.errors import PipelineError
from pipeline.params import means_folder

KEY = "translators.model"
WEIGHTS = "model.safetensors"
_INDEX = f"{WEIGHTS}.index.json"
# Configuration and tokeniser, at the top of the repository; never code, never another format of the weights.
_SMALL = re.compile(r"[^/]+\.(json|txt|spm|model|jinja)")
_PICKLED = re.compile(r"pytorch_model[^/]*\.bin")


def _say_nothing(line: str) -> None:
    pass


def model_folder(
    name: str,
    *,
    revision: str | None = None,
    weights: bool = True,
    say: Callable[[str], None] = _say_nothing,
) -> tuple[Path, str | None]:
    """Return the folder that holds a model, and the hash of the hub's commit (`None` for your own folder).

    Parameters
    ----------
    name : str
        A folder, or `owner/name` on the hub.
    revision : str, optional
        Commit hash, branch or `refs/pr/N`; the newest if `None`.
    weights : bool
        Whether the weights are needed: fresh ones need configuration and tokeniser only.
    say : callable
        Gets one line before a download, with its size.

    Raises
    ------
    PipelineError
        If the folder is not there, the hub refuses or cannot be reached, or there are no weights in
        safetensors: says how to convert them.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if weights:
            weight_files(name, [path.name for path in folder.iterdir()], lambda path: folder / path)
        return folder, None
    if name.count("/") != 1 or means_folder(name):
        message = (
            f"{KEY}: must be a hub name or a folder with config.json, a tokeniser and {WEIGHTS}, "
            f"but there is no folder {name!r}; correct it"
        )
        raise PipelineError(message)
    commit = open_commit(name, kind="model", revision=revision, key=KEY)
    return fetch_files(commit, needed_files(commit, weights=weights), say), commit.sha


def needed_files(commit: HubCommit, *, weights: bool = True) -> list[str]:
    """Return the paths of the repository's files that are read.

    Raises
    ------
    PipelineError
        If there is no configuration, or weights are needed and there are none in safetensors.
    """
    if "config.json" not in commit.files:
        message = f"{KEY}: {commit.label} must hold a model, but it has no config.json; name another"
        raise PipelineError(message)
    small = [path for path in sorted(commit.files) if _SMALL.fullmatch(path)]
    if not weights:
        return small
    return small + weight_files(commit.name, commit.files, lambda path: fetch(commit, path))


def fetch_files(commit: HubCommit, paths: Iterable[str], say: Callable[[str], None]) -> Path:
    """Return the folder in the hub's cache in which the files then lie; says what is to be downloaded."""
    paths = list(paths)
    missing = [path for path in paths if not cached(commit, path)]
    if missing:
        size = in_words(sum(commit.files[path].size for path in missing))
        say(f"{commit.label}: {len(missing)} files to download ({size})")
    places = [fetch(commit, path) for path in paths]
    return next(place.parent for place, path in zip(places, paths, strict=True) if path == "config.json")


def weight_files(name: str, files: Iterable[str], place: Callable[[str], Path]) -> list[str]:
    """Return which of the files hold the weights; `place` returns where one of them lies.

    Raises
    ------
    PipelineError
        If none is in safetensors: weights in Python's pickle format can run any code when they are read. If an index
        names files that do not lie beside it.
    """
    files = set(files)
    if WEIGHTS in files:
        return [WEIGHTS]
    if _INDEX in files:
        return _indexed(name, place(_INDEX), files)
    if pickled_weights(files):
        target = _converted(name)
        revision = (
            ", or name a revision that was converted (refs/pr/N, listed on the model's page under Community)"
            if not Path(name).expanduser().is_dir()  # only the hub has revisions
            else ""
        )
        message = (
            f"{KEY}: weights are read from {WEIGHTS}, but {name} has only {', '.join(pickled_weights(files))}; convert "
            f"them with `{shlex.join(['python', '-m', 'pipeline', 'convert', name, target])}` and set model: "
            f"{target}{revision}"
        )
        raise PipelineError(message)
    message = f"{KEY}: {name} must hold {WEIGHTS}, but it has no weights; name another model or revision"
    raise PipelineError(message)


def _converted(name: str) -> str:
    """Return the folder to convert a model into: never the one that it lies in."""
    folder = Path(name).expanduser()
    target = Path("models") / folder.resolve().name
    return f"{target}-safetensors" if target.resolve() == folder.resolve() else str(target)


def _indexed(name: str, index: Path, files: set[str]) -> list[str]:
    """Return the files that an index of weights names; an index comes from elsewhere and may name any path."""
    try:
        named = sorted({*json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError):
        named = [""]
    for one in named:
        if not isinstance(one, str) or one not in files or not one.endswith(".safetensors") or "/" in one:
            message = (
                f"{KEY}: {_INDEX} of {name} must name files in safetensors that lie beside it, but it names {one!r}; "
                "name another model or revision"
            )
            raise PipelineError(message)
    return named


def pickled_weights(files: Iterable[str]) -> list[str]:
    """Return the files that hold weights in the older format."""
    return sorted(path for path in files if _PICKLED.fullmatch(path))
