"""MUSE dictionaries, downloaded once and checked (Conneau et al. 2018)."""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline._fetch import WAITS, cache_folder
from pipeline.errors import PipelineError
from pipeline.params import MUSE_PAIRS

PUBLISHED = "https://dl.fbaipublicfiles.com/arrival/dictionaries"
LICENCE = "CC BY-NC 4.0"
TYPICAL_SIZE = 1_900_000  # bytes of a dictionary that is not here yet
# Of the files that we could look at; the others are checked for arriving whole.
_SHA256 = {
    "en-fr": "044952e1ab346efbc843a1204bcf5dd774e48c78254173ee36c16e36f0021d6d",
    "fr-en": "8fd71b3f8ee20b4fe85d3f694153c9b6bcff59a7a595570787c926ac7e1260f0",
}


def _say_nothing(line: str) -> None:
    pass


def muse_file(pair: str) -> Path:
    """Return where the dictionary of a pair lies once it is downloaded."""
    return cache_folder() / "muse" / f"{pair}.txt"


def fetch_muse(pair: str, *, mirror: str | None = None, say: Callable[[str], None] = _say_nothing) -> Path:
    """Return the path of a full MUSE dictionary in the user's cache; downloads it the first time.

    Parameters
    ----------
    pair : str
        One of `MUSE_PAIRS`, source-target.
    mirror : str, optional
        Address of a folder that holds `en-fr.txt` and the others; the default is the value of MUSE_MIRROR, or
        else where they are published.
    say : callable
        Gets a line about the licence before a download.

    Raises
    ------
    PipelineError
        If the pair was not published, the server cannot be reached, or the file there is not the known one.
    """
    import pooch
    import requests

    if pair not in MUSE_PAIRS:
        message = (
            f"corpus.pair: muse has {len(MUSE_PAIRS)} pairs, most of them with English (en-fr, fr-en, en-de, "
            f"...), but it is {pair!r}; use lexicon.source: files with a dictionary of your own"
        )
        raise PipelineError(message)
    path = muse_file(pair)
    address = (mirror or os.environ.get("MUSE_MIRROR") or PUBLISHED).rstrip("/")
    if not path.exists():
        say(f"lexicon: downloading MUSE's {path.name} (Conneau et al. 2018; {LICENCE}: no commercial use)")
    shelf = pooch.create(
        path=path.parent,
        base_url=f"{address}/",
        registry={path.name: _sha256(pair)},
        retry_if_failed=len(WAITS),
    )
    try:
        shelf.fetch(path.name)
    except (OSError, ValueError, requests.RequestException) as error:
        message = (
            f"lexicon.source: muse reads {address}/{path.name}, but {' '.join(str(error).split())}; check "
            "the connection or lexicon.mirror, or save the file yourself and use source: files with its path"
        )
        raise PipelineError(message) from None
    return path


def _sha256(pair: str) -> str | None:
    return f"sha256:{_SHA256[pair]}" if pair in _SHA256 else None
