"""The sentences that the project wrote itself (data/demo/pairs.tsv, CC0)."""

from pipeline.corpus.files import TextRows, table_file
from pipeline.params import DEMO_PAIR, DEMO_PAIRS


def demo_rows(path: str = DEMO_PAIRS) -> TextRows:
    """Return the demo sentences, English to French.

    Raises
    ------
    PipelineError
        If the file is not there: the command was started outside the project's folder.
    """
    src_lang, tgt_lang = DEMO_PAIR.split("-")
    return table_file(path, src_lang=src_lang, tgt_lang=tgt_lang, name="demo")
