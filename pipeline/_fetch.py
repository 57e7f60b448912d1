"""What all downloads share: the folder they are kept in, tries, and sizes in words."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# Seconds between tries: a server that is busy for a quarter of a minute does not end a run.
WAITS = (1, 2, 4, 8)


def cache_folder() -> Path:
    """Return the folder of downloads that are not in the hub's own cache.

    It is the value of ATTENTION_TRANSPORT_CACHE, or else the cache folder of the user.
    """
    import pooch

    return Path(os.environ.get("ATTENTION_TRANSPORT_CACHE") or pooch.os_cache("attention-transport"))


def retrying(call: Callable[[], T], transient: Callable[[Exception], bool]) -> T:
    """Return what `call` returns, after as many tries as `WAITS` allows.

    Parameters
    ----------
    call : callable
        The work.
    transient : callable
        Whether an error may pass by itself; any other is raised at once.
    """
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            if not transient(error):
                raise
        time.sleep(wait)
    return call()


def in_words(n_bytes: int) -> str:
    """Return a size as people say it, in powers of 1000.

    Examples
    --------
    >>> in_words(7_688_812_445)
    '7.7 GB'
    """
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if size >= 9.95 or units[0] == "B" else f"{size:.1f} {units[0]}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
