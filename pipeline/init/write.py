"""Writing params.yaml for text of one's own: composed, checked against the files, and only then put in place."""

from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from pipeline._output import whole_file, write_text
from pipeline._yaml import replace_value
from pipeline.advice import advise
from pipeline.corpus.gold import read_gold_sets
from pipeline.corpus.select import Source, select_pairs
from pipeline.corpus.sources import open_source
from pipeline.errors import PipelineError
from pipeline.init.compose import MANY, Own, compose
from pipeline.lexicon.files import read_lexicon
from pipeline.params import Params, load_params

PARAMS, OLD = Path("params.yaml"), Path("params.yaml.old")
SHIPPED = Path(__file__).resolve().parents[2] / "params"


@dataclass(frozen=True)
class Written:
    """What a user is told of the new file.

    Attributes
    ----------
    text, dictionary, gold : str
        What will be read, in words.
    notes : list of str
        What is right but may not be meant.
    kept : Path or None
        Where the file lies that was replaced, if it was not one of params/.
    """

    text: str
    dictionary: str
    gold: str
    notes: list[str]
    kept: Path | None


def write_params(
    own: Own,
    folder: Path = Path(),
    *,
    n_pairs: int | None = None,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Written:
    """Write `params.yaml` in a project's folder, and return what a run will read.

    Parameters
    ----------
    own : Own
        Its paths are seen from `folder`.
    folder : Path
    n_pairs : int or None
        Pairs to keep; None is all there are, up to 10,000.
    force : bool
        Whether an edited file may be replaced; it is kept as params.yaml.old.
    say : callable
        Gets a line about how a file was read.

    Raises
    ------
    PipelineError
        If there is an edited file and `force` was not given, or what would be written breaks a rule, names a file that
        is not there, or a file cannot be read as it says. Nothing is written then.
    """
    with chdir(folder):
        edited = _is_edited()
        if edited and not force:
            message = (
                f"{PARAMS}: replaced only if it is one of params/, so that nothing is lost, but it was edited; add "
                f"--force, which keeps it as {OLD}, or --into FOLDER, which leaves this folder as it is"
            )
            raise PipelineError(message)
        text = compose(own, n_pairs=n_pairs)
        with whole_file(PARAMS) as part:
            params = _checked(part, text)
            source = open_source(params.corpus, say=say)
            if n_pairs is None and source.n_rows > MANY:
                say(f"init: of {source.n_rows} rows {MANY} pairs will be read; --n-pairs asks for another number")
                params = _checked(part, replace_value(text, ("sample", "n_pairs"), MANY))
            told = _told(params, source, say)
            if edited:
                write_text(OLD, PARAMS.read_text(encoding="utf-8"))
        return Written(*told, advise(params), OLD if edited else None)


def _is_edited() -> bool:
    """Return whether there is a params.yaml that says anything but one of params/, byte for byte."""
    return PARAMS.is_file() and PARAMS.read_bytes() not in {path.read_bytes() for path in SHIPPED.glob("*.yaml")}


def _checked(part: Path, text: str) -> Params:
    """Return what the text says, which is written to a file, and checked with all paths that it names."""
    part.write_text(text, encoding="utf-8", newline="\n")
    try:
        return load_params(part)
    except PipelineError as error:
        message = str(error).replace(f"{part}: ", "")
        raise PipelineError(message) from None


def _told(params: Params, source: Source, say: Callable[[str], None]) -> tuple[str, str, str]:
    """Return what text, dictionary and hand-made links are, all of which can be read."""
    corpus, lexicon = params.corpus, params.lexicon
    pairs, found = select_pairs(
        source,
        params.sample,
        src_lang=corpus.src_lang,
        tgt_lang=corpus.tgt_lang,
        pretokenised=params.words.pretokenised,
        say=say,
    )
    dropped = ", ".join(f"{n} {reason}" for reason, n in found["dropped"].items() if n) or "none"
    text = f"{corpus.pair}, {len(pairs)} pairs of {found['n_rows']} rows (dropped: {dropped})"
    if lexicon.path:
        words = f"{lexicon.path}, {read_lexicon(lexicon.path).n_entries} entries"
    else:
        words = f"MUSE {corpus.pair}, downloaded once by the stage links (CC BY-NC 4.0); --dictionary names your own"
    gold = [f"{one.links}, {len(read_gold_sets([one]))} pairs" for one in params.gold]
    return text, words, "".join(gold) or "none: what rests on it stays untested"
