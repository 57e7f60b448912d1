"""What all downloads share: the folder they are kept in, tries, and sizes in words."""

import os
from pathlib import Path

WAITS = (1, 2, 4, 8)
"""Seconds between tries: a server that is busy for a quarter of a minute does not end a run."""


def cache_folder() -> Path:
    """Return the folder of downloads that are not in the hub's own cache.

    It is the value of ATTENTION_TRANSPORT_CACHE, or else the cache folder of the user.
    """
    import pooch

    return Path(os.environ.get("ATTENTION_TRANSPORT_CACHE") or pooch.os_cache("attention-transport"))


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
