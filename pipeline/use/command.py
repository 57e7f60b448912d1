"""What `python -m pipeline align` writes: a line a pair, while it is being read."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from rich.console import Console
from rich.progress import track

from pipeline._output import whole_file
from pipeline.corpus.pretokenised import Pretokenised
from pipeline.errors import PipelineError
from pipeline.use.align import align, describe_left_out
from pipeline.use.choice import Ask, Choice
from pipeline.use.text import Texts
from pipeline.use.translators import Opened


class Outputs(NamedTuple):
    """Where lines go: links, by default the standard output, and links with their scores, by default nowhere."""

    links: Path | None = None
    scores: Path | None = None


STANDARD_OUTPUT = Outputs()


def write_links(
    opened: Opened,
    texts: Texts,
    ask: Ask | Choice,
    outputs: Outputs = STANDARD_OUTPUT,
    *,
    words: Pretokenised = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> Counter[str]:
    """Write the links of all pairs, each file whole or not at all, and return how many could not be read, by reason.

    Parameters
    ----------
    opened : Opened
        The translator.
    texts : Texts
        The sentences.
    ask : Ask or Choice
        Where links come from.
    outputs : Outputs
        Where lines go.
    words : {"auto", True, False}
        Whether words stand between spaces already.
    say : callable
        Gets the choice that was made, and how many pairs could not be read.

    Raises
    ------
    PipelineError
        As `align`, or if a file cannot be written.
    """
    reasons = Counter[str]()
    with ExitStack() as files:
        links = files.enter_context(_whole(outputs.links, "--out")) if outputs.links else sys.stdout
        scores = files.enter_context(_whole(outputs.scores, "--scores")) if outputs.scores else None
        found = align(
            opened,
            texts.src,
            texts.tgt,
            ask=ask,
            pretokenised=words,
            settled=lambda choice: say(f"links from {choice}"),
        )
        console = Console(stderr=True)
        shown = track(
            found, "align", total=len(texts), console=console, transient=True, disable=not console.is_terminal
        )
        for pair in shown:
            links.write(f"{pair.to_pharaoh()}\n")
            if scores:
                scores.write(f"{pair.to_scores()}\n")
            if pair.left_out:
                reasons[pair.left_out] += 1
    if reasons:
        say(describe_left_out(reasons, len(texts)))
    return reasons


@contextmanager
def _whole(path: Path, name: str) -> Iterator[IO[str]]:
    """Yield a file that takes the place of `path` when the block ends without an error."""
    try:
        with whole_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as handle:
            yield handle
    except OSError as error:
        message = f"{name}: must be a file that can be written, but {path} cannot ({error.strerror}); name another"
        raise PipelineError(message) from None
