"""What things are called on the page, and numbers with as many digits as their interval supports."""

import math
from typing import NamedTuple, SupportsInt

from pipeline.claims import CONTROLS as CONTROLS


class Score(NamedTuple):
    """How a score is called: in a table, on an axis, in a sentence."""

    name: str
    axis: str
    what: str


SCORES = {
    "mass": Score(
        "mass on links",
        "attention on the translation, sum over linked words",
        "attention summed over the dictionary links of a sentence (corr, eq. 8)",
    ),
    "mean_mass": Score(
        "mean mass",
        "share of attention on the translation, mean over linked words",
        "share of a word’s attention that lies on its dictionary translation, mean over the linked words of a sentence",
    ),
    "cosine": Score(
        "cosine",
        "cosine with the identity on linked words",
        "cosine between attention among the linked words and the identity",
    ),
    "excess": Score(
        "cosine above uniform",
        "cosine with the identity minus 1/√(number of links)",
        "cosine between attention among the linked words and the identity, less that of uniform attention",
    ),
}

CONTROL_NOTES = {
    "random_init": "the same model with fresh weights",
    "weight_shuffled": "the same model with the entries of every weight matrix shuffled",
    "uniform": "as much attention on the other side, spread evenly",
    "position": "as much attention, as a Gaussian on the same relative position; knows only the order of words",
    "mispaired": "the trained attention, scored on the links of another sentence pair",
    "shuffled_lexicon": "the trained attention, scored on a dictionary that gives every word another's translations",
    "chance": "one over the number of linked words",
}
MARKS = {
    "supported": "●",
    "holds": "●",
    "partly": "◑",
    "not supported": "○",
    "fails": "○",
    "vacuous": "◌",
    "undecided": "◐",
    "untested": "–",
    "not testable here": "–",
}
"""By verdict; told apart in print, and by those who see no colours."""
MINUS = "\N{MINUS SIGN}"


def digits(low: float, high: float) -> int:
    """Return the decimals that an interval supports: two digits of its half width up to 0.35, above that one; 0 to 4.

    The rule of the Particle Data Group; without an interval, 3.

    Examples
    --------
    >>> digits(0.31, 0.35), digits(0.31, 0.41), digits(0.318, 0.322), digits(20.0, 80.0)
    (3, 2, 4, 0)
    """
    half = float(high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return 3
    place = math.floor(math.log10(half))
    return min(max(-place + (half / 10**place < 3.55), 0), 4)


def number(value: float, decimals: int, *, sign: bool = False) -> str:
    """Return a number in print: a minus sign that is one, no negative zero, a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    value = round(value, decimals) + 0.0
    text = f"{value:+.{decimals}f}" if sign and value else f"{value:.{decimals}f}"
    return text.replace("-", MINUS)


def with_interval(value: float, low: float, high: float, *, sign: bool = False, decimals: int | None = None) -> str:
    """Return a value and its interval, with the digits that the interval supports unless told how many.

    Examples
    --------
    >>> with_interval(0.3301, 0.2804, 0.3812)
    '0.33 [0.28, 0.38]'
    """
    if not math.isfinite(value):
        return "–"
    decimals = digits(low, high) if decimals is None else decimals
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(value, decimals, sign=sign)
    ends = f"[{number(low, decimals, sign=sign)}, {number(high, decimals, sign=sign)}]"
    return f"{number(value, decimals, sign=sign)} {ends}"


def count(n: SupportsInt) -> str:
    """Return a whole number with its thousands set apart."""
    return f"{int(n):,}"


def reason(name: str) -> str:
    """Return the name of a reason or key as words."""
    return name.replace("_", " ")


def listed(items: list[str]) -> str:
    """Return `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def marked(verdict: str) -> str:
    """Return a verdict with its mark, on one line.

    Examples
    --------
    >>> marked("not supported").split()
    ['○', 'not', 'supported']
    """
    return f"{MARKS[verdict]} {verdict}".replace(" ", "\N{NO-BREAK SPACE}")
