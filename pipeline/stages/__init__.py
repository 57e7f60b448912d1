"""One thin script a DVC stage: read the parameters, call a room, write the outputs."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pipeline.errors import PipelineError
from pipeline.failures import IN_THE_WAY
from pipeline.params import Params

T = TypeVar("T")


def run_stage(main: Callable[[], object]) -> None:
    """Run a stage; what the user can mend is said on stderr, one line a problem, with exit code 1."""
    try:
        main()
    except IN_THE_WAY as error:
        if error.filename is None:  # nothing that a user could move
            raise
        wanted = "a file or folder that may be read and written is needed"
        say(
            f"error: {error.filename}: {wanted}, but: {error.strerror}; move away what is there, or change its permissions"
        )
        sys.exit(1)
    except PipelineError as error:
        for line in str(error).splitlines():
            say(f"error: {line}")
        sys.exit(1)


def check_translator(params: Params, name: str) -> None:
    """Refuse a translator's name that the parameters do not know.

    Raises
    ------
    PipelineError
        Lists those that there are.
    """
    if name not in params.translators:
        message = f"translators: one of {', '.join(params.translators)}, but {name!r} was asked for; correct the name"
        raise PipelineError(message)


def say(line: str) -> None:
    """Write one line for the person who watches."""
    sys.stderr.write(line + "\n")


def track(description: str, total: int | None = None) -> Callable[[Iterable[T]], Iterator[T]]:
    """Return a function that passes items on and draws a progress bar, on a terminal only."""

    def pass_on(items: Iterable[T]) -> Iterator[T]:
        from rich.console import Console
        from rich.progress import track as draw

        console = Console(stderr=True)
        yield from draw(
            items, description, total=total, console=console, transient=True, disable=not console.is_terminal
        )

    return pass_on
