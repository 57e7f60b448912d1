"""Single sentence pairs to look at: attention of every translator, view and layer, small enough for one offline page."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from markupsafe import Markup

from pipeline.alignment.collect import attention_by_convention
from pipeline.alignment.gold import GoldLinks
from pipeline.attention.store import read_blocks, read_manifest
from pipeline.conventions import Convention, view_of
from pipeline.corpus.pairs import SentencePair

BUDGET = 2_500_000
"""Characters of the explorer's data; pairs that do not fit are left out and counted."""


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


def build_explorer(
    pairs: Sequence[SentencePair],
    links: Mapping[int, np.ndarray],
    gold: Mapping[tuple[tuple[str, ...], tuple[str, ...]], GoldLinks],
    folders: Mapping[str, Path],
    *,
    convention: Convention,
    n_pairs: int,
    budget: int = BUDGET,
) -> Explorer:
    """Return the first pairs of the corpus with the trained attention of every translator.

    Parameters
    ----------
    pairs : sequence of SentencePair
        The selected sentences.
    links : mapping of pair_id to int array, shape (link, 2)
        Dictionary links.
    gold : mapping of (source words, target words) to GoldLinks
        Hand-made links of sentences that have them.
    folders : mapping of str to Path
        Blocks of every translator (`data/attention/<translator>/trained`).
    convention : Convention
        How tokens were pooled to words for the scores.
    n_pairs : int
        At most this many pairs.
    budget : int
        At most about this many characters; fewer pairs are shown if they do not fit.
    """
    wanted = list(pairs[:n_pairs])
    packed = {name: _pack_all(folder, wanted, convention) for name, folder in folders.items()}
    entries = [_entry(pair, links, gold) for pair in wanted]
    sizes = [
        len(json.dumps(entry)) + sum(len(of_pair.get(pair.pair_id, "")) for of_pair in packed.values())
        for pair, entry in zip(wanted, entries, strict=True)
    ]
    fits = int((np.cumsum(sizes) <= budget).sum())
    translators = []
    for name, folder in folders.items():
        manifest = read_manifest(folder)
        translators.append(
            {
                "name": name,
                "views": [
                    {"id": name, "name": view_of(name).label, "looks": view_of(name).what} for name in manifest["views"]
                ],
                "layers": manifest["n_layers"],
                "blocks": [packed[name].get(pair.pair_id) for pair in wanted[:fits]],
            }
        )
    return Explorer(entries[:fits], translators, n_wanted=n_pairs, n_selected=len(pairs))


def _pack_all(folder: Path, wanted: Sequence[SentencePair], convention: Convention) -> dict[int, str]:
    ids = {pair.pair_id for pair in wanted}
    # Blocks come in the order of the pairs, so nothing is read beyond the last one wanted.
    last = max(ids, default=-1)
    found: dict[int, str] = {}
    if not ids:
        return found
    views = [view_of(name) for name in read_manifest(folder)["views"]]
    for block in read_blocks(folder):
        if block.pair_id in ids:
            attention = attention_by_convention(block, views, convention)
            found[block.pair_id] = base64.b64encode(pack(attention).tobytes()).decode("ascii")
        if block.pair_id == last or len(found) == len(ids):
            break
    return found


def pack(attention: Float[np.ndarray, "view layer tgt src"]) -> UInt8[np.ndarray, "view layer tgt src"]:
    """Return masses in [0, 1] as 255 times their square root, rounded: wrong by at most 0.004, and less where small.

    Examples
    --------
    >>> pack(np.array([0.0, 0.01, 0.25, 1.0]).reshape(1, 1, 2, 2)).ravel().tolist()
    [0, 26, 128, 255]
    """
    return np.rint(255 * np.sqrt(np.clip(attention, 0.0, 1.0))).astype(np.uint8)


def _entry(
    pair: SentencePair,
    links: Mapping[int, np.ndarray],
    gold: Mapping[tuple[tuple[str, ...], tuple[str, ...]], GoldLinks],
) -> dict:
    by_hand = gold.get((pair.src_words, pair.tgt_words))
    dictionary = links.get(pair.pair_id, np.empty((0, 2), dtype=np.int64))
    return {
        "id": pair.pair_id,
        "src": list(pair.src_words),
        "tgt": list(pair.tgt_words),
        "links": dictionary.tolist(),
        "gold": None if by_hand is None else {"sure": by_hand.sure.tolist(), "possible": by_hand.possible.tolist()},
    }


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
