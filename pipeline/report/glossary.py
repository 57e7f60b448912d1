"""Terms that the page explains, and where each explanation stands."""

import re
import tomllib
from functools import cache

from pipeline.report.page import TEMPLATES


@cache
def glossary() -> dict[str, str]:
    """Return what each term means, in the order in which they stand."""
    found = tomllib.loads((TEMPLATES / "glossary.toml").read_text(encoding="utf-8"))
    return {term: " ".join(meaning.split()) for term, meaning in found.items()}


def anchor(term: str) -> str:
    """Return the id of a term.

    Examples
    --------
    >>> anchor("Holm’s correction")
    'term-holm-s-correction'
    """
    return "term-" + re.sub(r"[^a-z]+", "-", term.lower()).strip("-")
