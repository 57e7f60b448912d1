"""One offline page to look at pairs of one's own: the explorer of the report, without a run."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline._output import write_text
from pipeline.alignment.explorer import Wanted, explore
from pipeline.alignment.inputs import Split
from pipeline.attention.reader import Example
from pipeline.attention.word_map import UnmappableError
from pipeline.conventions import CORRECTED, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pretokenised import Pretokenised
from pipeline.errors import PipelineError
from pipeline.report.explorer import BUDGET, Explorer, direction, fitting, linked_words, trimmed
from pipeline.report.page import TEMPLATES
from pipeline.report.render import EXPLORER
from pipeline.use.align import blocks_of
from pipeline.use.choice import Ask, choose
from pipeline.use.text import Texts, pairs_of
from pipeline.use.translators import Opened

MOST = 200
"""Pairs that a page shows at most."""


class Shown(NamedTuple):
    """What the page holds of one translator: its entry, and of every pair words and links, with where these are from."""

    entry: dict
    pairs: list[dict]
    links: list[str]


def write_page(
    translators: Sequence[Opened],
    texts: Texts,
    out: Path | str,
    *,
    words: Pretokenised = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Write one HTML file that needs no network, and return how many pairs it shows.

    Parameters
    ----------
    translators : sequence of Opened
        One or more, for the same languages.
    texts : Texts
        The sentences; the first that fit are shown, at most `MOST`.
    out : Path or str
        The file.
    words : {"auto", True, False}
        Whether words stand between spaces already.
    say : callable
        Gets a line for each pair that is left out because a translator cannot read it, and one if not all fit.

    Raises
    ------
    PipelineError
        If no pair is left, or the file cannot be written.
    """
    languages = translators[0].languages
    given = list(islice(pairs_of(texts, texts.sides(languages, words)), MOST))
    pairs, examples = _readable(translators, given, say)
    if not pairs:
        message = (
            f"src, tgt: at least one pair must be one that every translator can read, but none of {len(given)} is; "
            "shorten the sentences, or leave a translator out"
        )
        raise PipelineError(message)
    shown = [_shown(opened, pairs, own) for opened, own in zip(translators, examples, strict=True)]
    n, n_heads = fitting(shown[0].pairs, [one.entry["maps"] for one in shown], BUDGET)
    n = max(n, 1)  # so that there is something to see
    if n + len(given) - len(pairs) < len(texts):
        say(f"the page shows the first {n} pairs of {len(texts)}: more would make it too large")
    entries = [{**one.entry, "maps": trimmed(one.entry["maps"], n, n_heads)} for one in shown]
    explorer = Explorer(shown[0].pairs[:n], entries, n_wanted=n, n_selected=n, n_heads=n_heads)
    links = [[(one.entry["name"], one.links[row]) for one in shown] for row in range(n)]
    try:
        write_text(out, _page(explorer, links, languages))
    except OSError as error:
        message = f"--out: must be a file that can be written, but {out} cannot ({error.strerror}); name another"
        raise PipelineError(message) from None
    return n


def _readable(
    translators: Sequence[Opened], given: Sequence[SentencePair | None], say: Callable[[str], None]
) -> tuple[list[SentencePair], list[list[Example]]]:
    """Return the pairs that every translator can read, and for each translator what it reads."""
    readers = [opened.reader() for opened in translators]
    pairs: list[SentencePair] = []
    found: list[list[Example]] = [[] for _ in readers]
    for row, pair in enumerate(given):
        try:
            if pair is None:
                message = "a side of it is blank"
                raise UnmappableError("blank", message)
            own = [reader.tokenise(pair) for reader in readers]
        except UnmappableError as error:
            say(f"pair {row} is left out: {error}")
            continue
        pairs.append(pair)
        for examples, example in zip(found, own, strict=True):
            examples.append(example)
    return pairs, found


def _shown(opened: Opened, pairs: Sequence[SentencePair], examples: Sequence[Example]) -> Shown:
    reader = opened.reader()
    by_id = {
        block.pair_id: block for block in blocks_of(reader, examples, opened.settings.tokens_per_batch, heads=True)
    }
    blocks = [by_id[pair.pair_id] for pair in pairs]
    manifest = {
        "views": names(reader.views),
        "n_layers": blocks[0].attention.shape[1],
        "levels": {kind: len(cost) for kind, cost in blocks[0].cost.items()},
    }
    nothing = pd.DataFrame(columns=["pair_id", CORRECTED.score])
    found = explore(Wanted(pairs, len(pairs), {}, {}), Split(manifest, blocks), nothing, CORRECTED)
    choice = choose(Ask().settle(opened.reads, tuple(blocks[0].cosine)), blocks[0], reader.views, opened.reads)
    links = []
    for entry, block in zip(found["pairs"], blocks, strict=True):
        linked = choice.links(block, reader.views, opened.options)
        of_pair = np.empty((0, 2), dtype=np.int64) if linked is None else linked[0]
        links.append(linked_words({**entry, "links": of_pair.tolist()}, most=len(of_pair)))
    n_views, n_layers = len(reader.views), manifest["n_layers"]
    entry = {
        "name": opened.name,
        "views": found["views"],
        "layers": n_layers,
        "heads": found["heads"],
        "maps": found["maps"],
        "score": "",
        "corpus": [[[None] * 3 for _ in range(n_layers)] for _ in range(n_views)],
        "position": [[[None] for _ in range(n_layers)] for _ in range(n_views)],
        "skipped": "",
    }
    return Shown(entry, found["pairs"], links)


def _page(explorer: Explorer, links: list[list[tuple[str, str]]], languages: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["direction"] = direction
    src_lang, tgt_lang = languages.split("-")
    return environment.get_template("typed.html.j2").render(
        explorer=explorer,
        links=links,
        src_lang=src_lang,
        tgt_lang=tgt_lang,
        style=_asset("page.css"),
        scripts=[_asset(f"{name}.js") for name in EXPLORER],
    )


def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
