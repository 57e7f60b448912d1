"""Single sentence pairs to look at: what align wrote of each translator, joined, small enough for one offline page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipeline._output import read_object
from pipeline.errors import PipelineError

BUDGET = 2_500_000
"""Characters of the explorer's data; pairs that do not fit are left out and counted."""
KEYS = ("layers", "maps", "n_selected", "pairs", "views")


@dataclass(frozen=True)
class Explorer:
    """What the explorer holds.

    Attributes
    ----------
    pairs : list of dict
        Words, dictionary links, hand-made links; in the order of the corpus.
    translators : list of dict
        Name, views, number of layers, and the packed attention of every pair (null where it was not read).
    n_wanted, n_selected : int
        Pairs asked for, and pairs that there are.
    """

    pairs: list[dict] = field(default_factory=list)
    translators: list[dict] = field(default_factory=list)
    n_wanted: int = 0
    n_selected: int = 0

    def as_json(self) -> Markup:
        """Return the data for a script element: whatever the corpus holds, it cannot end the element."""
        return script_json({"pairs": self.pairs, "translators": self.translators})


def read_explorer(folders: Mapping[str, Path], *, n_wanted: int, budget: int = BUDGET) -> Explorer:
    """Return the pairs that every translator's `explorer.json` shows, as many as fit.

    Parameters
    ----------
    folders : mapping of str to Path
        `data/explorer/NAME` of every translator, at least one.
    n_wanted : int
        `report.explorer_pairs`.
    budget : int
        At most about this many characters; fewer pairs are shown if they do not fit.

    Raises
    ------
    PipelineError
        If a file is missing, from another edition, or about other sentences than the first translator's.
    """
    read = {name: read_object(folder / "explorer.json", KEYS, f"align@{name}") for name, folder in folders.items()}
    first = next(iter(read.values()))
    for name, one in read.items():
        if one["pairs"] != first["pairs"]:
            message = (
                f"data/explorer/{name}: must show the pairs of the other translators, but shows others; "
                f"run `dvc repro --force align@{name}`"
            )
            raise PipelineError(message)
    packed = {
        name: [None if entry is None else entry["attention"] for entry in one["maps"]] for name, one in read.items()
    }
    sizes = [
        len(json.dumps(entry)) + sum(len(blocks[k] or "") for blocks in packed.values())
        for k, entry in enumerate(first["pairs"])
    ]
    fits = int((np.cumsum(sizes) <= budget).sum())
    translators = [
        {"name": name, "views": one["views"], "layers": one["layers"], "blocks": packed[name][:fits]}
        for name, one in read.items()
    ]
    return Explorer(first["pairs"][:fits], translators, n_wanted=n_wanted, n_selected=first["n_selected"])


def linked_words(entry: Mapping, *, most: int = 60) -> str:
    """Return the dictionary links of a pair as text, for readers without scripts."""
    links = islice(entry["links"], most)
    return ", ".join(f"{entry['src'][src]} – {entry['tgt'][tgt]}" for src, tgt in links)


def script_json(value: object) -> Markup:
    r"""Return JSON that may stand in a script element: `<`, `>`, `&` and the line separators of Unicode are escaped.

    Examples
    --------
    >>> script_json({"word": "</script>"})
    Markup('{"word":"\\u003c/script\\u003e"}')
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
