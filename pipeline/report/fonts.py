"""The fonts that come with matplotlib, so that figures do not depend on those that a machine has."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager


@cache
def _bundled() -> list[font_manager.FontEntry]:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return [font_manager.ttfFontProperty(font_manager.get_font(path)) for path in sorted(folder.glob("*.ttf"))]


@contextmanager
def bundled_fonts() -> Iterator[None]:
    """Let matplotlib find its own fonts only; those of the machine come back at the end.

    Two files may carry one name (a system's DejaVu Sans and matplotlib's), and which is found first depends on the
    machine and on a cache in the user's home.
    """
    manager = font_manager.fontManager
    installed = manager.ttflist
    manager.ttflist = list(_bundled())
    _forget(manager)
    try:
        yield
    finally:
        _forget(manager)
        manager.ttflist = installed


def _forget(manager: font_manager.FontManager) -> None:
    """Make the manager look fonts up anew: adding one is the public way."""
    manager.addfont(_bundled()[0].fname)
