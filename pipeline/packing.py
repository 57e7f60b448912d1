"""Bytes as short text that a browser unpacks by itself: zlib, in base64."""

import base64
import zlib


def packed(data: bytes) -> str:
    """Return bytes as text; the same bytes give the same text."""
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def unpacked(text: str) -> bytes:
    """Return what `packed` was given.

    Examples
    --------
    >>> unpacked(packed(b"a,b"))
    b'a,b'
    """
    return zlib.decompress(base64.b64decode(text))
