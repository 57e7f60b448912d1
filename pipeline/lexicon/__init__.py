"""Dictionaries, and which words of a sentence pair they link."""

from collections.abc import Callable

from pipeline.lexicon.demo import demo_lexicon
from pipeline.lexicon.files import Lexicon, read_lexicon
from pipeline.lexicon.muse import LICENCE, fetch_muse
from pipeline.params import Lexicon as Settings


def load_lexicon(settings: Settings, *, pair: str, say: Callable[[str], None] = lambda line: None) -> Lexicon:
    """Return the dictionary that the parameters name.

    Parameters
    ----------
    settings : pipeline.params.Lexicon
        The block `lexicon` of params.yaml.
    pair : str
        The languages, source-target: `en-fr`.
    say : callable
        Gets a line before a download.

    Raises
    ------
    PipelineError
        If it cannot be read or downloaded.
    """
    if settings.source == "demo":
        return demo_lexicon()
    if settings.source == "muse":
        path = fetch_muse(pair, mirror=settings.mirror, say=say)
        return read_lexicon(path, source="muse", licence=LICENCE)
    assert settings.path is not None  # the schema saw to it
    return read_lexicon(settings.path)


__all__ = ["Lexicon", "load_lexicon"]
