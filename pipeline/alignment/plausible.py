"""Whether links and hand-made links fit together far better when read another way: numbered, turned or placed wrongly.

A wrong base, direction or line makes a good aligner look bad, and says nothing of itself. What gives it away is that
the same files score far better with one of these readings changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.alignment.gold import AlignmentCounts, Compared
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, Links, SomeLinks

FAR = 0.75
"""An error rate below this share of the one found is far better..."""
FEWEST = 3
"""...if so many more links are right; a handful of links fits something else by chance."""
_LINKED = Mapping[int, SomeLinks]


class Reading(NamedTuple):
    """Another way to read the same links, and the error rate in [0, 1] that they then have."""

    name: str
    """Of `READINGS`: words numbered one `up` or `down`, sides `turned`, both, or a line `later` or `earlier`."""
    aer: float
    gained: int
    """Links that are right then, beyond those that are right now."""


def _turned(found: _LINKED) -> _LINKED:
    return {i: links[:, ::-1] for i, links in found.items()}


def _moved(by: int) -> Callable[[_LINKED], _LINKED]:
    return lambda found: {i: links + by for i, links in found.items()}


def _from_line(by: int) -> Callable[[_LINKED], _LINKED]:
    """Return what gives every sentence the links of one before or after it, and none at the end."""

    def take(found: _LINKED) -> _LINKED:
        order = sorted(found)
        empty = np.empty((0, 2), dtype=np.int64)
        there = dict(enumerate(order))
        return {i: found[there[place + by]] if place + by in there else empty for place, i in enumerate(order)}

    return take


READINGS: dict[str, Callable[[_LINKED], _LINKED]] = {
    "up": _moved(1),
    "down": _moved(-1),
    "turned": _turned,
    "turned up": lambda found: _moved(1)(_turned(found)),
    "turned down": lambda found: _moved(-1)(_turned(found)),
    "later": _from_line(1),
    "earlier": _from_line(-1),
}


def read_otherwise(gold: Mapping[int, GoldLinks], found: _LINKED) -> tuple[float, dict[str, Reading]]:
    """Return the error rate of links as they are, and every other reading by its name.

    Parameters
    ----------
    gold : mapping of int to GoldLinks
        By sentence.
    found : mapping of int to int array, shape (link, 2)
        The same sentences.
    """
    now = AlignmentCounts.compare(gold, found)
    right = now.total()["hits_possible"]
    readings = {}
    for name, read in READINGS.items():
        counts = AlignmentCounts.compare(gold, read(found))
        readings[name] = Reading(name, float(counts.score().aer), counts.total()["hits_possible"] - right)
    return float(now.score().aer), readings


def far_better(aer: float, readings: Mapping[str, Reading]) -> Reading | None:
    """Return the reading of lowest error rate if it is far better than what was found, else None."""
    best = min(readings.values(), key=lambda reading: reading.aer)
    return best if best.aer < FAR * aer and best.gained >= FEWEST else None


def _percent(aer: float) -> str:
    return f"{100 * aer:.2f}"


@dataclass(frozen=True)
class Said:
    """What was said of two files, for advice in the words of who said it.

    Attributes
    ----------
    gold, links : LinkForm
        Base and direction of either file.
    """

    gold: LinkForm
    links: LinkForm

    def advice(self, reading: Reading, compared: Compared) -> str:
        """Return which option of the command gives a reading."""
        if reading.name in ("later", "earlier"):
            return f"with every line of LINKS set one line {'up' if reading.name == 'later' else 'down'}"
        options = []
        if "turned" in reading.name:
            options.append(f"{'without' if self.links.reverse else 'with'} --reverse")
        if reading.name != "turned":
            options.append(f"with {self._base('up' in reading.name, compared)}")
        return " and ".join(options)

    def _base(self, up: bool, compared: Compared) -> str:
        """Return the option that moves the links up or down against the hand-made ones."""
        links, gold = ("--links-base 0", "--gold-base 1") if up else ("--links-base 1", "--gold-base 0")
        links_can, gold_can = self.links.base == up, self.gold.base != up
        if links_can and gold_can:  # a file that starts at 1 and is said to start at 0 has no first word
            links_can = not no_first_word(compared.gold) if up else no_first_word(compared.found)
        if links_can:
            return links
        return gold if gold_can else f"every word of LINKS numbered one {'higher' if up else 'lower'}"


def no_first_word(links: Mapping[int, GoldLinks]) -> bool:
    """Return whether no link touches the first word of either side, in `FEWEST` or more sentences with links."""
    linked = [own.all for own in links.values() if len(own.all)]
    return len(linked) >= FEWEST and min(int(own.min()) for own in linked) > 0


def doubts(compared: Compared, said: Said) -> list[str]:
    """Return what is implausible about two files, a line each with the figure of the other reading; mostly nothing.

    The signs: far better with another base, direction or line; no link at the first word of a file said to start at
    0; possible links in the predicted file alone.
    """
    aer, readings = read_otherwise(compared.gold, compared.links)
    found = []
    if better := far_better(aer, readings):
        advice = said.advice(better, compared)
        found.append(f"the error rate is {_percent(aer)}, but {_percent(better.aer)} {advice}; which is right?")
    found += _first_words(compared, said, aer, readings, better)
    if any(len(own.possible) for own in compared.found.values()) and not any(
        len(own.possible) for own in compared.gold.values()
    ):
        swapped = AlignmentCounts.compare(compared.found, {i: own.all for i, own in compared.gold.items()})
        found.append(
            f"possible links (p) are in LINKS alone; the error rate is {_percent(aer)}, and "
            f"{_percent(float(swapped.score().aer))} with the two files exchanged; which is hand-made?"
        )
    return found


def _first_words(
    compared: Compared, said: Said, aer: float, readings: Mapping[str, Reading], better: Reading | None
) -> list[str]:
    files = {
        "GOLD": (compared.gold, said.gold, "--gold-base 1", "up"),
        "LINKS": (compared.found, said.links, "--links-base 1", "down"),
    }
    silent = {name: parts for name, parts in files.items() if parts[1].base == 0 and no_first_word(parts[0])}
    if len(silent) == 2:
        return [
            f"no link of either file touches word 0; the error rate stays {_percent(aer)} if both start at 1: then say "
            "--gold-base 1 --links-base 1"
        ]
    return [
        f"no link of {name} touches word 0, though it is said to start there; the error rate is {_percent(aer)}, and "
        f"{_percent(readings[other].aer)} with {option}"
        for name, (_, _, option, other) in silent.items()
        if better is None or better.name != other
    ]


def doubt_of_set(gold: Mapping[int, GoldLinks], found: Mapping[int, Links]) -> dict[str, float | str] | None:
    """Return the far better reading of a gold set beside a translator's links, None where there is none.

    `reading` (of `READINGS`), `aer` and `aer_read_so` in [0, 1], and `says`: what to look at in params.yaml.
    """
    aer, readings = read_otherwise(gold, found)
    better = far_better(aer, readings)
    if better is None:
        return None
    where = {
        "up": "every word of its links numbered one lower (base: 1 in place of 0)",
        "down": "every word of its links numbered one higher (base: 0 in place of 1)",
        "turned": "its sides exchanged (direction, or the order of the text files)",
        "later": "its links set one line down",
        "earlier": "its links set one line up",
    }
    where |= {f"turned {way}": f"{where['turned']} and {where[way]}" for way in ("up", "down")}
    says = f"the error rate is {_percent(aer)}, but {_percent(better.aer)} with {where[better.name]}; is it described rightly?"
    return {"reading": better.name, "aer": aer, "aer_read_so": better.aer, "says": says}
