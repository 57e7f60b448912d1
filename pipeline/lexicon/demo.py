"""The dictionary that the project wrote itself (data/demo/lexicon.txt, CC0)."""

from pipeline.lexicon.files import Lexicon, read_lexicon

DEMO_LEXICON = "data/demo/lexicon.txt"


def demo_lexicon(path: str = DEMO_LEXICON) -> Lexicon:
    """Return the demo dictionary, English to French.

    Raises
    ------
    PipelineError
        If the file is not there: the command was started outside the project's folder.
    """
    return read_lexicon(path, source="demo")
