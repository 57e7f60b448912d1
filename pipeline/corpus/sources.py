"""From the block `corpus` of params.yaml to rows of raw text."""

from collections.abc import Callable, Iterable

from pipeline.corpus.demo import demo_rows
from pipeline.corpus.files import parallel_files, table_file
from pipeline.corpus.select import Source
from pipeline.params import Corpus


def open_source(
    corpus: Corpus,
    *,
    method: str = "rows",
    track: Callable[[Iterable], Iterable] = iter,
    say: Callable[[str], None] = lambda line: None,
) -> Source:
    """Return the rows that the parameters name.

    Parameters
    ----------
    corpus : Corpus
        The block of params.yaml.
    method : str
        `sample.method`; with `full`, what is on the hub is downloaded as a whole.
    track, say : callable
        Draw the progress of a download, and say what it costs before it starts, or how a file was read.

    Raises
    ------
    PipelineError
        If they cannot be read.
    """
    if corpus.source == "demo":
        return demo_rows()
    if corpus.source == "wmt14":
        from pipeline.corpus.wmt14 import Wmt14Rows  # what reads the hub takes a second to import

        whole = method == "full"
        return Wmt14Rows(corpus.pair, corpus.revision, whole=whole, track=track, say=say)
    if corpus.file is not None:
        rows = table_file(corpus.file, src_lang=corpus.src_lang, tgt_lang=corpus.tgt_lang)
    else:
        rows = parallel_files(corpus.src or (), corpus.tgt or ())
    for file, how in rows.read_as:
        say(f"corpus: {file} was read as {how}")
    return rows
