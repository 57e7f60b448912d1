"""`python -m pipeline init`: from options to a params.yaml, here or in a copy of the project."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpus.pretokenised import Pretokenised
from pipeline.errors import PipelineError
from pipeline.init.compose import Own, name_of
from pipeline.init.folder import copy_project, stage
from pipeline.init.write import Written, write_params
from pipeline.params import Translator, demo_translators, means_folder


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was typed; paths are seen from where it was typed."""

    pair: str
    src: Sequence[str] = ()
    tgt: Sequence[str] = ()
    file: str | None = None
    dictionary: str | None = None
    gold: str | None = None
    gold_text: Sequence[str] = ()
    gold_base: int | None = None
    translators: Sequence[str] = ()
    reads: str | None = None
    positions: str | None = None
    words: Pretokenised = "auto"
    n_pairs: int | None = None


def begin(options: Options, *, into: Path | None, force: bool, say: Callable[[str], None]) -> Written:
    """Write params.yaml, say what was written and what comes next, and return it.

    Parameters
    ----------
    options : Options
    into : Path or None
        A new folder for a copy of the project; None writes into this folder.
    force : bool
        Whether an edited params.yaml may be replaced.
    say : callable
        Gets the lines.

    Raises
    ------
    PipelineError
        If an option is missing or wrong, or a file cannot be read; there is no new file and no copy then.
    """
    own = own_of(options, apart=into is not None, say=say)
    if into is None:
        written = write_params(own, n_pairs=options.n_pairs, force=force, say=say)
    else:
        copy_project(into)
        try:
            written = write_params(own, into, n_pairs=options.n_pairs, force=True, say=say)
            stage(into)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise
    _tell(written, into, say)
    return written


def own_of(options: Options, *, apart: bool, say: Callable[[str], None] = lambda line: None) -> Own:
    """Return what the options say, with paths that hold where params.yaml will lie.

    A path inside this folder stays as it is typed; one outside is written whole, since a queued experiment works in a
    copy elsewhere. With `apart` all are written whole.

    Raises
    ------
    PipelineError
        If hand-made links come without the number of their first word, or a translator's name says nothing.
    """
    if options.gold is not None and options.gold_base is None:
        message = "--gold-base: 0 or 1, the number of the first word in --gold, but it is left out; add it"
        raise PipelineError(message)
    if options.gold is None and (options.gold_text or options.gold_base is not None):
        message = "--gold: the links that --gold-text and --gold-base are about, but it is left out; add it, or leave these out"
        raise PipelineError(message)

    def place(path: str) -> str:
        full = Path(path).expanduser().resolve()
        inside = not apart and full.is_relative_to(Path.cwd().resolve())
        return os.path.relpath(full) if inside else str(full)

    return Own(
        pair=options.pair,
        src=[place(path) for path in options.src],
        tgt=[place(path) for path in options.tgt],
        file=options.file and place(options.file),
        gold=options.gold and place(options.gold),
        gold_text=[place(path) for path in options.gold_text],
        gold_base=options.gold_base or 0,
        dictionary=options.dictionary and place(options.dictionary),
        translators=_translators(options, place, say),
        words=options.words,
    )


def _translators(options: Options, place: Callable[[str], str], say: Callable[[str], None]) -> dict[str, Translator]:
    """Return the entries of the translators named, none for the demo's two."""
    found: dict[str, Translator] = {}
    demo = demo_translators()
    for name in options.translators:
        if name in demo:
            found[name] = demo[name]
            continue
        from pipeline.use.translators import Named, spec_of

        spec = spec_of(name, Named(options.reads, options.positions), say)
        if means_folder(name):
            spec = spec.model_copy(update={"model": place(name)})
        found[name_of(name, list(found))] = spec
    return found


def _tell(written: Written, into: Path | None, say: Callable[[str], None]) -> None:
    """Say what was written and what comes next."""
    where = into or Path()
    if into:
        say(f"{into}: a copy of the project, on a git branch of its own; this folder has not changed")
    if written.kept:
        say(f"{where / written.kept}: the params.yaml that was here")
    say(f"{where / 'params.yaml'}: written and checked")
    say(f"  text: {written.text}")
    say(f"  dictionary: {written.dictionary}")
    say(f"  hand-made links: {written.gold}")
    for note in written.notes:
        say(f"note: {note}")
    activate = Path(sys.prefix) / "bin" / "activate"
    steps = [f"cd {into}"] * bool(into) + [f". {activate}"] * (activate.is_file() and not shutil.which("dvc"))
    say(f"next: {' && '.join([*steps, 'dvc repro'])}, then open {where / 'reports/index.html'}")
    if into:
        say("      git add -A && git commit -m 'A run of my own' keeps its results; data/ stays out of git")
    else:
        say(
            "      it changes results that git tracks: `git switch -c my-run` before, or init --into FOLDER, keeps them apart"
        )
