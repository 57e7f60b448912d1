"""The text of a file: UTF-8, UTF-16 or UTF-32, with or without a byte order mark; of other encodings a guess, to refuse."""

import codecs
import shlex
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.corpus.unpack import read_packed
from pipeline.errors import PipelineError

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# Byte order marks that someone read as Latin-1, and wrote as UTF-8.
_MISREAD = tuple(mark.encode() for mark in ("\u00ff\u00fe", "\u00fe\u00ff", "\u00ef\u00bb\u00bf"))
# Encodings of one byte a character that text is found in, by how often; and the East Asian ones.
_USUAL = (
    "cp1252", "cp1250", "cp1251", "iso8859_2", "cp1254", "cp1253", "koi8_r", "cp1255", "cp1256", "cp874",
    "gb18030", "cp932", "shift_jis", "euc_jp", "big5", "cp949", "euc_kr",
)  # fmt: skip
_LOOKED_AT = 1 << 16
# What unpacks from the standard input; gzip and zstd would look at a name's ending.
_UNPACK = {"gzip": "gzip -dc", "zip": "funzip", "zstd": "zstd -dc", "xz": "xz -dc", "bzip2": "bzip2 -dc"}
_SHOWN = 40


@dataclass(frozen=True)
class Text:
    """The text of a file, without a byte order mark."""

    text: str
    read_as: str
    """How the bytes were read where that is not plain UTF-8 (`gzip, utf-16-le`), else empty."""

    def lines(self) -> list[str]:
        r"""Return the lines, which end in `\n` or `\r\n`; in `\r` where no line ends otherwise."""
        end = "\r" if "\r" in self.text and "\n" not in self.text else "\n"
        lines = self.text.split(end)
        return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def read_text(path: str | Path) -> Text:
    """Return the text of a file, unpacked and decoded.

    Raises
    ------
    PipelineError
        If the file cannot be read or unpacked, is in another encoding (says which one it may be), or was converted
        from the wrong one.
    """
    data, packings = read_packed(path)
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", ""))
    body = data.removeprefix(mark)
    if body.startswith(_MISREAD):
        _refuse_misread(_File(path, packings), body)
    encoding = encoding or (_wide(body) if b"\0" in body else "utf-8")
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        _refuse_bytes(_File(path, packings), body, encoding, error.start)
    text = text.removeprefix("\ufeff").removesuffix("\x1a")  # the end of a file under DOS
    return Text(text, ", ".join([*packings, *([encoding] if encoding != "utf-8" else [])]))


def _wide(data: bytes) -> str:
    """Return which of UTF-8, UTF-16 and UTF-32 makes most of bytes with zeros among them, which Latin text lacks."""

    def worth(encoding: str) -> float:
        text = data[:_LOOKED_AT].decode(encoding, errors="replace")
        strange = sum(unicodedata.category(char) in ("Cc", "Cn", "Co") and char not in "\t\n\r" for char in text)
        plain = sum("\x20" <= char <= "\x7e" or char in "\t\n\r" for char in text)
        return (plain - 10 * strange - 10 * text.count("\ufffd")) / max(1, len(text))

    # UTF-8 comes first: of two that are worth the same, it is meant.
    return max(("utf-8", *_WIDE), key=worth)


@dataclass(frozen=True)
class _File:
    """What messages name."""

    path: str | Path
    packings: list[str]

    def convert(self, options: str) -> str:
        """Return the command that writes the file anew, unpacked and in another encoding."""
        path = shlex.quote(str(self.path))
        if not self.packings:
            return f"`iconv {options} {path} > NEW`"
        outer, *inner = self.packings
        first = f"unzip -p {path}" if outer == "zip" else f"{_UNPACK[outer]} < {path}"
        return f"`{' | '.join([first, *(_UNPACK[packing] for packing in inner), f'iconv {options}'])} > NEW`"


def _refuse_bytes(file: _File, data: bytes, encoding: str, start: int) -> NoReturn:
    if encoding != "utf-8":
        message = (
            f"{file.path}: must be text, by its first bytes or its zeros {encoding}, but byte {start} is none in it; "
            "name a text file, or download it again if it was cut off"
        )
        raise PipelineError(message)
    begin, line = data.rfind(b"\n", 0, start) + 1, data.count(b"\n", 0, start) + 1
    where = f"line {line} has byte 0x{data[start]:02x} at place {start - begin + 1}"
    known = data.decode("utf-8", errors="ignore")
    broken = len(data.decode("utf-8", errors="replace")) - len(known)
    if sum(not char.isascii() for char in known) > 2 * broken:
        message = (
            f"{file.path}: must be UTF-8, but {where}; {broken} such places in a text that is UTF-8 otherwise: correct "
            f"them, or leave them out by {file.convert('-c -f utf-8 -t utf-8')}"
        )
        raise PipelineError(message)
    guess = guess_encoding(data)
    known_to_iconv = guess.replace("_", "-")
    shown = data[begin:].split(b"\n", 1)[0].rstrip(b"\r").decode(guess, errors="replace")[:_SHOWN]
    message = (
        f"{file.path}: must be UTF-8, but {where}; it may be {guess}, in which the line begins {shown!r}: "
        f"if that is right, convert it by {file.convert(f'-f {known_to_iconv} -t utf-8')}"
    )
    raise PipelineError(message)


def guess_encoding(data: bytes) -> str:
    """Return the name of the encoding that bytes which are not UTF-8 may have, as Python knows it.

    The usual one that charset-normalizer finds least garbled, and most like a language; of equals the more usual, and
    Windows' for western Europe, or Latin-1, where the text is the same in it.
    """
    from charset_normalizer import from_bytes

    found = list(from_bytes(data[:_LOOKED_AT], cp_isolation=list(_USUAL)))
    found.sort(key=lambda one: (round(one.chaos, 2), -round(one.coherence, 2), _USUAL.index(one.encoding)))
    if found:
        name = codecs.lookup(found[0].encoding).name
        if data.decode(name, errors="replace") != data.decode("cp1252", errors="replace"):
            return name
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "iso8859-1"
    return "cp1252"


def _refuse_misread(file: _File, data: bytes) -> NoReturn:
    source = "UTF-8" if data.startswith(_MISREAD[2]) else "UTF-16"
    message = (
        f"{file.path}: must be text, but it begins with {data[:4].decode()!r}, the byte order mark of {source} read as Latin-1: it "
        f"was converted from the wrong encoding; name the original, which is read as it is, or go back by "
        f"{file.convert('-f utf-8 -t iso8859-1')}"
    )
    raise PipelineError(message)
