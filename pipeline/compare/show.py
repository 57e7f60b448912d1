"""Tables for a terminal; where the output is piped, plain columns that nothing cuts or folds."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.compare.tables import Shown

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
