"""Parameter files, read as DVC reads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError


def read_yaml(path: Path, *, blocks: Iterable[str]) -> dict[str, Any]:
    """Return the mapping that a parameter file holds.

    Parameters
    ----------
    path : Path
    blocks : iterable of str
        What it should hold, for the message.

    Raises
    ------
    PipelineError
        If the file is missing, is not YAML in UTF-8 (with the line), or is no mapping.
    """
    # DVC reads YAML 1.2 with this same library: `1e-3` is a number, `no` a word, a key given twice an error.
    from ruamel.yaml import YAML, YAMLError

    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = f"{path}: no such parameter file; run in the project's folder, or copy one from params/"
        raise PipelineError(message) from None
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        message = f"{where}: not valid YAML in UTF-8: {getattr(error, 'problem', None) or error}"
        raise PipelineError(message) from None
    if not isinstance(raw, dict):
        message = f"{path}: must hold the blocks {', '.join(blocks)}, but is {type(raw).__name__}"
        raise PipelineError(message)
    return raw
