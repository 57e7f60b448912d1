"""Checksums of the files that the parameters name, so that DVC notices a change wherever they lie."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline._output import replacing, write_json
from pipeline.params import Params, named_paths

AGAIN = "tried again"


def write_sources(
    params: Params, folder: Path, memory: Path, *, attempts: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Write `text.json` (sentences, dictionary, hand-made links) and `translators/NAME.json` below `folder`.

    The first maps the keys of the parameters to sha256, the others the names of a model's files. A model of the hub has
    no files here: its revision says what it is.

    Parameters
    ----------
    params : Params
        Whose paths are there (`load_params` sees to it).
    memory : Path
        A JSON file that keeps checksums by size and time of change, so that only changed files are read.
    attempts : mapping of str to int
        How often translators have been tried again, which is written beside their files.
    """
    known = _remembered(memory)
    seen: dict[str, Any] = {}
    text: dict[str, str] = {}
    models: dict[str, dict[str, str]] = {name: {} for name in params.translators}
    for key, path in named_paths(params).items():
        found = _digests(Path(path).expanduser(), known, seen)
        block, name, *_ = key.split(".")
        if block == "translators":
            models[name] = {Path(file).name: digest for file, digest in found.items()}
        else:
            (text[key],) = found.values()
    with replacing(folder) as part:
        (part / "translators").mkdir()
        write_json(part / "text.json", text)
        for name, files in models.items():
            again = {AGAIN: attempts[name]} if name in attempts else {}
            write_json(part / "translators" / f"{name}.json", files | again)
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_json(memory, seen)


def _remembered(memory: Path) -> dict[str, Any]:
    """Return what the last run noted; nothing if it is damaged, so that every file is read again."""
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digests(path: Path, known: dict[str, Any], seen: dict[str, Any]) -> dict[str, str]:
    """Return the sha256 of a file, or of the files at the top of a folder: those a model is loaded from."""
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    for file in files:
        stat = file.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        before = known.get(str(file), [])
        digest = before[2] if before[:2] == stamp else _sha256(file)
        seen[str(file)] = [*stamp, digest]
    return {str(file): seen[str(file)][2] for file in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
