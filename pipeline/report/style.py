"""How figures look, and how they become bytes that are the same each time: SVG for the page, SVG and PDF to keep."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.fonts import bundled_fonts

TRAINED = "#0072B2"
RANDOM = "#D55E00"
INK, QUIET, PAPER = "#1a1a1a", "#6a6a6a", "#ffffff"
CMAP = "viridis"
Colour = str | tuple[float, ...]
# The page gives these colours their value by the reader's setting, light or dark.
_VARIABLES = {INK: "var(--ink)", QUIET: "var(--quiet)", PAPER: "none"}
# Letters need more contrast than lines do.
_LETTERS = {TRAINED: "var(--trained-text)", RANDOM: "var(--random-text)"}
_FONTS = ["DejaVu Sans", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"]
_NO_DATES = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}


@dataclass(frozen=True)
class Layout:
    """The room that a figure has.

    Attributes
    ----------
    name : {"wide", "column"}
        Over both columns of a paper, panels beside each other; or one column, panels below each other.
    width : float
        In inches.
    font : float
        Size of the letters, in points.
    """

    name: Literal["wide", "column"]
    width: float
    font: float

    @property
    def stacked(self) -> bool:
        """Whether panels stand below each other."""
        return self.name == "column"


WIDE = Layout("wide", width=6.75, font=8.0)
COLUMN = Layout("column", width=3.25, font=8.0)


@dataclass(frozen=True)
class Drawing:
    """One figure in all its forms.

    Attributes
    ----------
    stem : str
        File name without its ending, such as `figure5_mini-marian`.
    files : dict of str to bytes
        Whole SVG and PDF files by name: `<stem>` is 6.75 in wide, `<stem>_column` 3.25 in.
    inline : str
        `<svg>` element for the page, coloured by its variables.
    lines : list of dict
        Of every panel with named lines: `title`, `x` (its name), `box` (left, top, width, height in the view box),
        `limits` (of x, of y), `logs` (whether each is logarithmic) and `lines` (name, values of x, values of y).
    """

    stem: str
    files: dict[str, bytes]
    inline: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the files."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def draw(stem: str, make: Callable[[Layout], Figure], *, alt: str) -> Drawing:
    """Return a figure as files and as elements of the page.

    Parameters
    ----------
    stem : str
        File name without its ending; also the seed of the ids in the SVG.
    make : callable
        Returns the figure for a layout; called in the style of the page.
    alt : str
        What the figure shows, for those who do not see it.
    """
    files: dict[str, bytes] = {}
    lines: list[dict[str, Any]] = []
    for layout, name in ((WIDE, stem), (COLUMN, f"{stem}_column")):
        with figure_style(layout, name):
            figure = make(layout)
            files[f"{name}.svg"] = titled_svg(_bytes(figure, "svg").decode(), alt).encode()
            files[f"{name}.pdf"] = _bytes(figure, "pdf")
        if layout is WIDE:
            lines = [_named(axes) for axes in figure.axes if _named(axes)["lines"]]
    return Drawing(stem, files, inline_svg(files[f"{stem}.svg"].decode(), alt), lines)


def _named(axes: Axes) -> dict[str, Any]:
    """Return where a panel stands and what its named lines hold, for readers who point at them."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    width, height = 72 * figure.get_size_inches()
    place = axes.get_position()
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]

    def plain(values: object) -> list[float | None]:
        found = np.asarray(values, dtype=float)
        return [float(f"{value:.4g}") if np.isfinite(value) else None for value in found]

    return {
        "title": axes.get_title("left"),
        "x": axes.get_xlabel(),
        "box": plain([place.x0 * width, (1 - place.y1) * height, place.width * width, place.height * height]),
        "limits": [plain(axes.get_xlim()), plain(axes.get_ylim())],
        "logs": [axes.get_xscale() == "log", axes.get_yscale() == "log"],
        "lines": [[line.get_label(), plain(line.get_xdata()), plain(line.get_ydata())] for line in lines],
    }


@contextmanager
def figure_style(layout: Layout, salt: str) -> Iterator[None]:
    """Set the style of all figures for as long as one is made and saved.

    Parameters
    ----------
    layout : Layout
        Gives the size of the letters.
    salt : str
        Different for every figure of a page, so that their ids are.
    """
    settings: dict = {
        "font.family": "sans-serif",
        "font.sans-serif": _FONTS,
        "font.size": layout.font,
        **{f"{part}size": layout.font for part in ("axes.label", "axes.title", "xtick.label", "ytick.label")},
        **{f"{part}color": INK for part in ("text.", "axes.label", "axes.title", "xtick.label", "ytick.label")},
        **{f"{part}color": QUIET for part in ("axes.edge", "xtick.", "ytick.")},
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.linewidth": 0.8,
        "axes.unicode_minus": True,
        "image.cmap": CMAP,
        "svg.fonttype": "none",  # letters stay letters: they can be searched, and take the reader's font
        "svg.hashsalt": salt,
        "pdf.fonttype": 42,
    }
    with warnings.catch_warnings(), bundled_fonts(), sns.axes_style("ticks"), mpl.rc_context(settings):
        # The reader's own fonts draw the letters that ours lack (SVG); the PDF shows a box for them.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def _bytes(figure: Figure, form: Literal["svg", "pdf"]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata=_NO_DATES[form])
    return buffer.getvalue()


def titled_svg(svg: str, alt: str) -> str:
    """Return an SVG file with a description for those who do not see it."""
    return re.sub(r"(<svg [^>]*>)", rf"\1\n <desc>{_literal(escape(alt))}</desc>", svg, count=1)


def inline_svg(svg: str, alt: str) -> str:
    """Return the `<svg>` element of a file for the page: its text alternative, fonts and colours, no unused ids."""
    body = svg[svg.index("<svg ") :]
    body = re.sub(r"<(metadata|desc)>.*?</\1>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<style .*?</style>", "", body, flags=re.DOTALL)  # it would apply to the whole page
    body = re.sub(r"font-family: [^;\"]*;?\s*", "", body)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", body))
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(f": {colour}", f": {variable}")
    for colour, variable in _LETTERS.items():
        body = re.sub(rf'(<text style="[^"]*fill: ){colour.lower()}', rf"\1{variable}", body)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)
    assert size is not None  # matplotlib always writes one
    head = (
        f'<svg role="img" aria-label="{escape(alt, quote=True)}" viewBox="0 0 {size[1]} {size[2]}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    body = re.sub(r"<svg [^>]*>", _literal(head), body, count=1)
    # Text of the figure keeps its spaces: only breaks between tags go.
    return re.sub(r">\n\s*<", "><", body).replace("\n", " ").strip()


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")
