"""Tables for a terminal; where the output is piped, plain columns that nothing cuts or folds."""

from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline._output import write_text
from pipeline.compare.tables import Shown
from pipeline.errors import PipelineError

_PAGE = 180  # characters a line of a page
_WIDE = 10_000  # characters a line of piped output may have before it is folded


def show(tables: Iterable[Shown], console: Console | None = None) -> None:
    """Print every table with its heading before and its note after it; one without rows says `none`."""
    console = console or Console(highlight=False)
    piped = not console.is_terminal
    if piped:
        console.width = _WIDE
    for shown in tables:
        table = Table(box=None if piped else box.SIMPLE_HEAD, pad_edge=False)
        for column in shown.columns:
            table.add_column(column, no_wrap=piped, overflow="fold")
        for row in shown.rows:
            # As Text: what stands in brackets is an interval, not markup.
            table.add_row(*map(Text, row))
        console.print(Text(shown.title, style="bold"))
        console.print(table if shown.rows else Text("none"))
        if shown.note:
            console.print(Text(shown.note))
        console.print()


def save(tables: Iterable[Shown], path: Path) -> None:
    """Write the tables as one HTML page that needs no other file; the same tables give the same bytes.

    Raises
    ------
    PipelineError
        If it is no .html file in a folder that is there.
    """
    if path.suffix != ".html" or not path.parent.is_dir():
        message = f"--out: must be an .html file in a folder that is there, but is {path}; make the folder, or give another name"
        raise PipelineError(message)
    console = Console(highlight=False, record=True, force_terminal=True, width=_PAGE, file=StringIO())
    show(tables, console)
    write_text(path, console.export_html())
