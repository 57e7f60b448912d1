"""What is right in a parameter file but may not be meant."""

import sys
from pathlib import Path

from pipeline.claims import FEWEST
from pipeline.corpus.sources import open_source
from pipeline.params import DEMO_PAIR, Params, named_paths

ENOUGH = 3 * FEWEST
"""Sentences of which either half very likely has as many as a verdict needs."""
_SMALL = 64 * 2**20  # bytes of text that are read at once to count its rows


def advise(params: Params) -> list[str]:
    """Return what is right but may not be meant: a line each."""
    notes = [
        f"translators: {listed} learned {DEMO_PAIR} and nothing else: numbers on {pair} say nothing of a translator of "
        "that pair; name one, model: owner/name or a folder"
        for pair, names in params.demo_abroad.items()
        for listed in [" and ".join(names)]
    ]
    if beyond := [key for key, path in named_paths(params).items() if ".." in Path(path).parts]:
        more = f" and {len(beyond) - 1} more" if beyond[1:] else ""
        notes.append(
            f"{beyond[0]}{more}: a path with .. leads elsewhere from the copy in which `dvc exp run --queue` works; write "
            "the whole path"
        )
    if (n_pairs := _at_most(params)) < ENOUGH:
        notes.append(
            f"sample: {n_pairs} pairs at most: layers are chosen on one half and judged on the other, and a verdict needs "
            f"{FEWEST} sentences to judge by, so that all may stay undecided; give {ENOUGH} or more, hundreds if you can"
        )
    if params.corpus.source == "wmt14" and params.corpus.revision is None:
        notes.append("corpus.revision: null reads the newest; a commit's hash makes the run repeatable")
    notes += [
        f"translators.{name}.revision: null reads the newest; a commit's hash makes the run repeatable"
        for name, spec in params.translators.items()
        if not spec.is_folder and spec.revision is None
    ]
    if params.sample.method == "head" and params.corpus.source == "wmt14":
        notes.append("sample.method: head takes the first rows; WMT14 is not shuffled, so they are of one kind")
    if "random_init" not in params.extract.controls:
        notes.append("extract.controls: without random_init the figures have no fresh-weights floor")
    return notes


def _at_most(params: Params) -> int:
    """Return how many pairs there can be: those asked for, or the rows of a text that is here and not large."""
    corpus, asked = params.corpus, params.sample.n_pairs or sys.maxsize
    files = [*(corpus.src or ()), *(corpus.tgt or ()), *([corpus.file] if corpus.file else [])]
    if not files or sum(Path(file).stat().st_size for file in files) > _SMALL:
        return asked
    return min(asked, open_source(corpus).n_rows)
