"""Single sentence pairs to look at: what align wrote of each translator, joined, small enough for one offline page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline._output import read_object
from pipeline.columns import FIGURE1_ID
from pipeline.errors import PipelineError
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.wording import SCORES, count, reason

BUDGET = 900_000
"""Characters of the explorer's data; pairs that do not fit are left out and counted."""
KEYS = ("heads", "layers", "maps", "n_selected", "pairs", "views")
RTL = frozenset(["ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "ps", "sd", "syr", "ug", "ur", "yi"])
"""Languages that are written from right to left."""


@dataclass(frozen=True)
class Explorer:
    """What the explorer holds.

    Attributes
    ----------
    pairs : list of dict
        Words, dictionary links, hand-made links; in the order of the corpus.
    translators : list of dict
        Name, views, number of layers and heads; of every pair the packed maps and score (None where it was not read);
        the corpus beside them.
    n_wanted, n_selected : int
        Pairs asked for, and pairs that there are.
    example : int or None
        Number of the pair of Figure 1 among them.
    n_heads : int
        The first so many pairs have the maps of single heads.
    """

    pairs: list[dict] = field(default_factory=list)
    translators: list[dict] = field(default_factory=list)
    n_wanted: int = 0
    n_selected: int = 0
    example: int | None = None
    n_heads: int = 0

    @property
    def n_corpus(self) -> int:
        """How many of the pairs are of the corpus: the sentence of the paper's Figure 1 is not."""
        return sum(pair["id"] != FIGURE1_ID for pair in self.pairs)

    def as_json(self) -> Markup:
        """Return the data for a script element: whatever the corpus holds, it cannot end the element."""
        return script_json({"pairs": self.pairs, "translators": self.translators, "example": self.example})


def read_explorer(
    translators: Sequence[TranslatorMetrics], data: Path, *, n_wanted: int, budget: int = BUDGET
) -> Explorer:
    """Return the pairs that every translator's `explorer.json` shows, as many as fit.

    Parameters
    ----------
    translators : sequence of TranslatorMetrics
        At least one.
    data : Path
        Holds `NAME/explorer.json` of each.
    n_wanted : int
        `report.explorer_pairs`.
    budget : int
        At most about this many characters; fewer pairs are shown if they do not fit.

    Raises
    ------
    PipelineError
        If a file is missing, from another edition, or about other sentences than the first translator's.
    """
    read = {t.name: read_object(data / t.name / "explorer.json", KEYS, f"align@{t.name}") for t in translators}
    first = next(iter(read.values()))
    for name, one in read.items():
        if one["pairs"] != first["pairs"]:
            message = (
                f"data/explorer/{name}: must show the pairs of the other translators, but shows others; "
                f"run `dvc repro --force align@{name}`"
            )
            raise PipelineError(message)
    fits, n_heads = fitting(first["pairs"], [one["maps"] for one in read.values()], budget)
    shown = [_translator(t, read[t.name], trimmed(read[t.name]["maps"], fits, n_heads)) for t in translators]
    ids = [entry["id"] for entry in first["pairs"][:fits]]
    chosen = translators[0].example["pair_id"]
    example = ids.index(chosen) if chosen in ids else None
    return Explorer(first["pairs"][:fits], shown, n_wanted, first["n_selected"], example, n_heads)


Maps = Sequence[Mapping[str, Any] | None]


def fitting(pairs: Sequence[Mapping], maps: Sequence[Maps], budget: int) -> tuple[int, int]:
    """Return how many pairs fit into so many characters, and how many of these with the maps of single heads.

    Parameters
    ----------
    pairs : sequence of mapping
        Words and links.
    maps : sequence of sequence of mapping or None
        By translator, beside each pair, as `pipeline.alignment.explorer.explore` writes them.
    budget : int
        Pairs come first, then heads.

    Examples
    --------
    >>> pair, maps = {"src": ["a"]}, {"blocks": "x" * 60, "heads": "x" * 200, "score": None}
    >>> fitting([pair, pair, pair], [[maps, maps, None]], 500)
    (3, 1)
    """
    size = np.array([len(json.dumps(pair)) + sum(_size(one[k]) for one in maps) for k, pair in enumerate(pairs)])
    fits = int((size.cumsum() <= budget).sum())
    heads = np.array([sum(_size(one[k], heads=True) - _size(one[k]) for one in maps) for k in range(fits)])
    with_heads = (heads.cumsum() <= budget - size[:fits].sum()) & (heads > 0)
    return fits, int(np.logical_and.accumulate(with_heads).sum())


def _size(maps: Mapping[str, Any] | None, *, heads: bool = False) -> int:
    return len(json.dumps(maps and {**maps, "heads": maps["heads"] if heads else None}))


def trimmed(maps: Maps, fits: int, n_heads: int) -> list[Mapping[str, Any] | None]:
    """Return the maps of the first pairs, those of single heads for fewer of them."""
    return [
        entry and {**entry, "heads": entry["heads"] if k < n_heads else None} for k, entry in enumerate(maps[:fits])
    ]


def _translator(t: TranslatorMetrics, one: Mapping[str, Any], maps: Maps) -> dict[str, Any]:
    skipped = {name: n for name, n in t.extraction.get("skipped", {}).items() if n}
    lost = ", ".join(f"{count(n)} {reason(name)}" for name, n in sorted(skipped.items()))
    return {
        "name": t.name,
        "views": one["views"],
        "layers": one["layers"],
        "heads": one["heads"],
        "maps": list(maps),
        "score": SCORES[t.score].name,
        "corpus": [_corpus(t, view, t.score, "trained", ("value", "low", "high")) for view in t.views],
        "position": [_corpus(t, view, "mean_mass", "position", ("value",)) for view in t.views],
        "skipped": lost or "the stage extract counted no reason",
    }


def _corpus(
    t: TranslatorMetrics, view: str, score: str, control: str, columns: Sequence[str]
) -> list[list[float | None]]:
    """Return the values of a curve by layer, None for no number."""
    of = t.curves[(t.curves["view"] == view) & (t.curves["score"] == score) & (t.curves["control"] == control)]
    rows = of.sort_values("layer")[list(columns)].to_numpy(dtype=float)
    return [[round(float(value), 4) if np.isfinite(value) else None for value in row] for row in rows]


def direction(language: str) -> str:
    """Return the direction in which a language is written.

    Examples
    --------
    >>> direction("ar"), direction("fr")
    ('rtl', 'ltr')
    """
    return "rtl" if language in RTL else "ltr"


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
