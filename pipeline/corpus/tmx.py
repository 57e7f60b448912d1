"""Translation memories (TMX): the segments of two languages, read as a stream."""

from collections.abc import Iterator
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError

import langcodes
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from pipeline.corpus.unpack import read_packed
from pipeline.errors import PipelineError

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Elements of a segment that hold the codes of a word processor, not text.
_CODES = ("bpt", "ept", "ph", "it", "ut")
_SHOWN = 8


def read_tmx(path: str, src_lang: str, tgt_lang: str) -> tuple[tuple[list[str], list[str]], str]:
    """Return the source and the target text of every unit, and how the file was packed; the empty text where a unit has none in that language.

    The language of a segment is that of its code whatever the country (`EN-US` is `en`); of several segments in one
    language the first counts. Codes of a word processor (`<bpt>`, `<ph>` …) are left out.

    Parameters
    ----------
    path : str
        Packed or not.
    src_lang, tgt_lang : str
        ISO 639-1 or 639-3.

    Raises
    ------
    PipelineError
        If the file is no XML, declares entities, or has no unit with both languages: names those that it has.
    """
    data, packings = read_packed(path)
    wanted = [_language(lang) for lang in (src_lang, tgt_lang)]
    src: list[str] = []
    tgt: list[str] = []
    there: set[str] = set()
    try:
        for unit in _units(data):
            there |= unit.keys()
            src.append(unit.get(wanted[0], ""))
            tgt.append(unit.get(wanted[1], ""))
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        message = f"corpus.file: must be TMX (XML), but {path} is not: {_why(error)}; correct or export it again"
        raise PipelineError(message) from None
    if not any(both[0] and both[1] for both in zip(src, tgt, strict=True)):
        message = (
            f"corpus.file: a unit of TMX must have text in {src_lang} and {tgt_lang} (corpus.pair), but no unit of "
            f"{path} has both; its languages: {', '.join(sorted(there)[:_SHOWN]) or 'none'}; correct corpus.pair"
        )
        raise PipelineError(message)
    return (src, tgt), ", ".join(packings)


def _why(error: Exception) -> str:
    if isinstance(error, DefusedXmlException):
        return "it declares entities, which are not read"
    return " ".join(str(error).split())


def _units(data: bytes) -> Iterator[dict[str, str]]:
    """Yield the text of each unit by language."""
    root: Element | None = None
    for event, element in iterparse(BytesIO(data), events=("start", "end"), forbid_dtd=False, forbid_entities=True):
        if event == "start":
            root = element if root is None else root
            continue
        if _name(element) != "tu":
            continue
        texts: dict[str, str] = {}
        for variant in element:
            segment = next((child for child in variant if _name(child) == "seg"), None)
            code = variant.get(_LANG) or variant.get("lang")
            if segment is not None and code:
                texts.setdefault(_language(code), "".join(_text(segment)))
        yield texts
        element.clear()
        if root is not None and len(root):
            root[-1].clear()  # the body keeps every unit otherwise


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if _name(child) not in _CODES:
            yield from _text(child)
        yield child.tail or ""


def _language(code: str) -> str:
    """Return the shortest code of the language of a tag: `en` for `EN-US`, `eng` and `en_GB`."""
    try:
        return langcodes.get(code.replace("_", "-")).language or code.lower()
    except langcodes.tag_parser.LanguageTagError:
        return code.lower()
