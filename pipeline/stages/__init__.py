"""One thin script a DVC stage: read the parameters, call a room, write the outputs."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from pipeline._output import what_to_do
from pipeline.errors import PipelineError
from pipeline.params import Params

T = TypeVar("T")
_STAGES = "pipeline.stages."


def run_stage(main: Callable[[], object]) -> None:
    """Run a stage; what the user can mend is said on stderr, one line a problem, with exit code 1."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    script = spec.name if spec else ""
    try:
        if script.startswith(_STAGES):  # the command of dvc.yaml, not a test's call
            with alone("@".join([script.removeprefix(_STAGES), *sys.argv[1:]])):
                main()
        else:
            main()
    except OSError as error:
        if (line := what_to_do(error)) is None:
            raise
        _end(line)
    except MemoryError:
        _end("memory: not enough for this stage; set a lower extract.tokens_per_batch or sample.n_pairs in params.yaml")
    except KeyboardInterrupt:
        _end("stopped; run `dvc repro` to go on")
    except PipelineError as error:
        _end(str(error))


def _end(lines: str) -> None:
    for line in lines.splitlines():
        say(f"error: {line}")
    sys.exit(1)


@contextmanager
def alone(stage: str) -> Iterator[None]:
    """Keep other runs of a stage out of this project until the block ends, however it ends.

    Raises
    ------
    PipelineError
        If another run is at work.
    """
    from filelock import FileLock, Timeout

    path = Path("work") / f"{quote(stage, safe='@')}.lock"
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        message = (
            f"{stage}: one run at a time in a project, but another is at work; let it end, or end it, and run again"
        )
        raise PipelineError(message) from None
    try:
        yield
    finally:
        lock.release()


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
