"""Outputs that are there whole or not at all, and say which edition wrote them."""

import errno
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

SCHEMA = 2
"""Of manifests and metrics: raised whenever a reader of the last edition would misread them."""
DIGITS = 6


def rounded(value: Any) -> Any:
    """Return numbers with six significant digits, None for those that are none; dictionaries and lists with such.

    Examples
    --------
    >>> rounded({"a": [1 / 3, float("nan"), 7]})
    {'a': [0.333333, None, 7]}
    """
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def shown(path: str) -> str:
    """Return a path as outputs name it: seen from the project, and without the folders of this machine and user.

    Examples
    --------
    >>> shown("data/demo/pairs.tsv"), shown("../shared/a.txt"), shown("/home/someone/texts/a.txt"), shown("~/a.txt")
    ('data/demo/pairs.tsv', '../shared/a.txt', '…/a.txt', '…/a.txt')
    """
    full = Path(path).expanduser()
    if not full.is_absolute():
        return path
    here = Path.cwd()
    return full.relative_to(here).as_posix() if here in full.parents else f"…/{full.name}"


def check_schema(value: Mapping, path: str | Path, stage: str) -> None:
    """Refuse what an older (or newer) edition of the project wrote.

    Raises
    ------
    PipelineError
        Names the file and the stage that writes it anew.
    """
    if value.get("schema") != SCHEMA:
        message = (
            f"{path}: must say schema: {SCHEMA}, but it says {value.get('schema')}: another edition wrote it; "
            f"run `dvc repro --force {stage}`"
        )
        raise PipelineError(message)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def what_to_do(error: OSError) -> str | None:
    """Return one line about a file that cannot be written or read, None if there is nothing that a user could do."""
    inside = re.search(r"[Ee]rrno (\d+)", str(error))  # Arrow tells the number in its text only
    number = error.errno or (int(inside[1]) if inside else None)
    why = os.strerror(number) if number else ""
    if number in FULL:
        return (
            f"{error.filename or 'disk'}: room to write is needed, but: {why}; make room and run the same command "
            "again: what was there before is as it was"
        )
    if number in IN_THE_WAY and error.filename is not None:
        return (
            f"{error.filename}: a file or folder that may be read and written is needed, but: {why}; move away what "
            "is there, or change its permissions"
        )
    return None


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Name the file in an error of the system that names none: a full disk is noticed while bytes are written."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(target)
        raise


@contextmanager
def replacing(target: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place when the block ends without an error.

    After an error the new folder is gone and what was at `target` is still there.
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with _naming(target):
            yield part
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def whole_file(target: str | Path) -> Iterator[Path]:
    """Yield the path of a file beside `target` that takes its place when the block ends without an error.

    After an error the new file is gone and what was at `target` is still there.
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.part")
    try:
        with _naming(target):
            yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write one UTF-8 file, whole or not at all, with the line ends that the text has."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: object) -> None:
    """Write one JSON file, whole or not at all, and the folders above it: sorted keys, two spaces, no NaN."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_object(path: Path, keys: Sequence[str], stage: str) -> dict[str, Any]:
    """Return the object in a JSON file that a stage wrote.

    Raises
    ------
    PipelineError
        If it is missing, of another edition, or lacks one of the keys.
    """
    check_there(path, stage)
    found = read_json(path, stage)
    check_schema(found if isinstance(found, dict) else {}, path, stage)
    check_holds(path, keys, list(found), stage)
    return found


def read_json(path: Path, stage: str) -> Any:
    """Return what a JSON file of a stage holds.

    Raises
    ------
    PipelineError
        If it is cut short or otherwise damaged: names the stage that writes it anew.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"{path}: must be whole JSON in UTF-8, but it is damaged ({error}); run `dvc repro --force {stage}`"
        raise PipelineError(message) from None


def check_there(path: Path, stage: str) -> None:
    """Refuse a file that is not there.

    Raises
    ------
    PipelineError
        Names the stage to run.
    """
    if not path.is_file():
        message = f"metrics: {path.name} of stage {stage} is needed, but {path} is not there; run `dvc repro {stage}`"
        raise PipelineError(message)


def check_holds(path: Path, needed: Sequence[str], there: Sequence[str], stage: str) -> None:
    """Refuse a file without some of the columns or keys.

    Raises
    ------
    PipelineError
        Names the first that is missing, and the stage to run.
    """
    missing = [name for name in needed if name not in there]
    if missing:
        message = (
            f"metrics: {path} must hold {', '.join(needed)}, but {missing[0]} is missing; "
            f"another edition wrote it: run `dvc repro --force {stage}`"
        )
        raise PipelineError(message)
