"""Work of a run that was cut off: found again if it is what was written, else done again."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from pipeline._output import whole_file

_DIGEST = hashlib.sha256().digest_size


def keep(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays with their checksum behind them, whole or not at all."""
    data = save(dict(arrays))
    with whole_file(path) as part:
        part.write_bytes(data + hashlib.sha256(data).digest())


def kept(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file that `keep` wrote; None if it is not there, cut short or changed in any byte."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    data, digest = content[:-_DIGEST], content[-_DIGEST:]
    return load(data) if hashlib.sha256(data).digest() == digest else None
