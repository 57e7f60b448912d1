"""The bytes of a file, unpacked: gzip, zip, zstd, xz and bzip2 are told by what the file holds, not by its name."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pyarrow as pa

from pipeline.errors import PipelineError

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    pa.ArrowException,
)
_LAYERS = 3
"""Packed so often at most: a zip of gzipped text has two layers."""


class _MembersError(Exception):
    """A zip that does not hold one file."""


def _unzip(data: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = members(archive)
        if len(names) != 1:
            raise _MembersError(", ".join(names[:5]) or "none")
        return archive.read(names[0])


def members(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the files in a zip, without folders and what macOS adds."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    return [name for name in names if not name.startswith("__MACOSX/") and Path(name).name != ".DS_Store"]


def _unzstd(data: bytes) -> bytes:
    return pa.input_stream(pa.BufferReader(data), compression="zstd").read()


_PACKINGS: tuple[tuple[bytes, str, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b\x08", "gzip", gzip.decompress),
    (b"PK\x03\x04", "zip", _unzip),
    (b"PK\x05\x06", "zip", _unzip),  # an empty one
    (b"\x28\xb5\x2f\xfd", "zstd", _unzstd),
    (b"\xfd7zXZ\x00", "xz", lzma.decompress),
    (b"BZh", "bzip2", bz2.decompress),
)
# What is neither text nor packed in a way that is read here: where its mark stands, the mark, what it is.
_FOREIGN = (
    (257, b"ustar", "a tar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a rar archive"),
    (0, b"\x1f\x9d", "packed by compress"),
    (0, b"\x04\x22\x4d\x18", "packed by lz4"),
    (0, b"%PDF-", "a PDF"),
    (0, b"\xd0\xcf\x11\xe0", "a document of an older Office"),
    (0, b"{\\rtf", "rich text"),
)


def read_packed(path: str | Path) -> tuple[bytes, list[str]]:
    """Return the bytes of a file, unpacked if it is packed, and the names of its packings from the outside in.

    Raises
    ------
    PipelineError
        If the file cannot be read, is damaged, is a zip of more files than one, or of another kind (tar, PDF).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        message = f"{path}: must be a text file that can be read, but {error.strerror}; correct the path"
        raise PipelineError(message) from None
    found: list[str] = []
    while len(found) < _LAYERS:
        packing = next((one for one in _PACKINGS if data.startswith(one[0])), None)
        if packing is None or (packing[1] == "bzip2" and data[4:10] not in (b"1AY&SY", b"\x17rE8P\x90")):
            break
        data = _unpacked(path, data, packing[1], packing[2])
        found.append(packing[1])
    for place, mark, what in _FOREIGN:
        if data.startswith(mark, place):
            message = f"{path}: must be text, but it is {what}; unpack or export it, and name the text file"
            raise PipelineError(message)
    return data, found


def _unpacked(path: str | Path, data: bytes, name: str, unpack: Callable[[bytes], bytes]) -> bytes:
    try:
        return unpack(data)
    except _MembersError as error:
        message = f"{path}: a zip must hold one file, but it holds {error}; unpack it and name the files that are meant"
        raise PipelineError(message) from None
    except _BROKEN as error:
        why = " ".join(str(error).split()) or type(error).__name__
        message = f"{path}: must be a whole {name} file, but it cannot be unpacked ({why}); download or pack it again"
        raise PipelineError(message) from None
