"""How figures look, and how they become bytes that are the same each time: SVG for the page, SVG and PDF to keep."""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal, SupportsFloat

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from pipeline.report.fonts import bundled_fonts

TRAINED = "#0072B2"
RANDOM = "#D55E00"
INK, QUIET, RULE, PAPER = "#1a1a1a", "#6a6a6a", "#dedede", "#ffffff"
CMAP = "viridis"
Colour = str | tuple[float, ...]
# The page gives these colours their value by the reader's setting, light or dark.
_VARIABLES = {INK: "var(--ink)", QUIET: "var(--quiet)", RULE: "var(--rule)", PAPER: "none"}
# Letters need more contrast than lines do.
_LETTERS = {TRAINED: "var(--trained-text)", RANDOM: "var(--random-text)"}
_FONTS = ["DejaVu Sans", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"]
_NO_DATES = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}


@dataclass(frozen=True)
class Layout:
    """The room that a figure has.

    Attributes
    ----------
    name : {"wide", "narrow"}
        Panels beside each other, or below each other for a telephone.
    width : float
        In inches.
    font : float
        Size of the letters, in points.
    """

    name: Literal["wide", "narrow"]
    width: float
    font: float

    @property
    def stacked(self) -> bool:
        """Whether panels stand below each other."""
        return self.name == "narrow"


WIDE = Layout("wide", width=8.6, font=9.0)
NARROW = Layout("narrow", width=4.2, font=10.0)


@dataclass(frozen=True)
class Drawing:
    """One figure in all its forms.

    Attributes
    ----------
    stem : str
        File name without its ending, such as `figure5_mini-marian`.
    svg : str
        A whole SVG file.
    pdf : bytes
        A whole PDF file.
    wide, narrow : str
        `<svg>` elements for the page, coloured by its variables.
    """

    stem: str
    svg: str
    pdf: bytes
    wide: str
    narrow: str

    def write(self, folder: Path) -> None:
        """Write `<stem>.svg` and `<stem>.pdf`."""
        (folder / f"{self.stem}.svg").write_text(self.svg, encoding="utf-8", newline="\n")
        (folder / f"{self.stem}.pdf").write_bytes(self.pdf)


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
    with figure_style(WIDE, stem):
        figure = make(WIDE)
        svg, pdf = _bytes(figure, "svg").decode(), _bytes(figure, "pdf")
    with figure_style(NARROW, f"{stem}-narrow"):
        narrow = _bytes(make(NARROW), "svg").decode()
    return Drawing(stem, titled_svg(svg, alt), pdf, inline_svg(svg, alt), inline_svg(narrow, alt))


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
        "grid.color": RULE,
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
    """Return the `<svg>` element of a file for the page: text alternative, the page's fonts and colours, no unused ids."""
    body = svg[svg.index("<svg ") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
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
    head = f'<svg role="img" aria-label="{escape(alt, quote=True)}" viewBox="0 0 {size[1]} {size[2]}" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    body = re.sub(r"<svg [^>]*>", _literal(head), body, count=1)
    # Text of the figure keeps its spaces: only breaks between tags go.
    return re.sub(r">\n\s*<", "><", body).replace("\n", " ").strip()


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")


def panels(layout: Layout, n_panels: int, ylabel: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of one y axis, beside or below each other.

    Margins are fixed rather than fitted: fitting draws every figure several times.

    Parameters
    ----------
    layout : Layout
        Beside each other where it is wide.
    n_panels : int
        At least 1.
    ylabel : str
        Name of the y axis with its unit; written across the top, where it can be read without turning one's head.
    """
    n_rows, n_columns = (n_panels, 1) if layout.stacked else (1, n_panels)
    lines = textwrap.wrap(ylabel, int(layout.width * 72 / layout.font / 0.55))
    line = 1.3 * layout.font / 72
    left, right, height, gap, bottom = 0.45, 1.25, 2.6, 0.8, 0.5
    top = 0.4 + len(lines) * line
    total = n_rows * height + (n_rows - 1) * gap + top + bottom
    figure = Figure(figsize=(layout.width, total))
    figure.text(0.0, 1.0, "\n".join(lines), va="top", ha="left", fontsize=layout.font)
    axes = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel().tolist()
    panel_width = (layout.width - n_columns * (left + right)) / n_columns
    for number, panel in enumerate(axes):
        row, column = divmod(number, n_columns)
        x = left + column * (panel_width + left + right)
        y = bottom + (n_rows - 1 - row) * (height + gap)
        panel.set_position([x / layout.width, y / total, panel_width / layout.width, height / total])
        panel.tick_params(labelleft=True)
    sns.despine(fig=figure)
    return figure, axes


def label_right(
    panel: Axes, labels: Sequence[tuple[SupportsFloat, str, Colour]], *, x: SupportsFloat, font: float
) -> list[Annotation]:
    """Write the names of lines beside their right ends, moved apart where they would overlap.

    Parameters
    ----------
    panel : Axes
        With its limits and scales set.
    labels : sequence of (y, text, colour)
        Where each line ends, in units of the data.
    x : float
        Where the lines end.
    font : float
        Size of the letters, in points.
    """
    figure = panel.get_figure()
    assert isinstance(figure, Figure)
    gap = 1.25 * font / (panel.get_position().height * figure.get_size_inches()[1] * 72)
    to_fraction = panel.transData + panel.transAxes.inverted()
    ends = [(to_fraction.transform((float(x), float(y)))[1], text, colour, float(y)) for y, text, colour in labels]
    ends.sort(key=lambda end: end[0])
    texts: list[Annotation] = []
    for (height, text, colour, y), place in zip(ends, spread([end[0] for end in ends], gap, 0.0, 1.0), strict=True):
        moved = abs(place - height) > 0.35 * gap
        line = {"arrowstyle": "-", "color": RULE, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
        texts.append(
            panel.annotate(
                text,
                xy=(float(x), y),
                xytext=(1.0, place),
                textcoords="axes fraction",
                va="center",
                ha="left",
                color=colour,
                fontsize=font,
                annotation_clip=False,
                arrowprops=line if moved else None,
            )
        )
    return texts


def spread(values: list[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending values moved as little as needed to be at least `gap` apart, kept between the ends if they fit.

    Examples
    --------
    >>> spread([0.1, 0.1, 0.9], 0.2, 0.0, 1.0)
    [0.0, 0.2, 0.9]
    """

    def inside(centre: float, size: int) -> tuple[float, int]:
        half = gap * (size - 1) / 2
        return min(max(centre, low + half), max(high - half, low + half)), size

    groups: list[tuple[float, int]] = []  # centre and number of labels that stand together
    for value in values:
        centre, size = inside(value, 1)
        while groups and centre - groups[-1][0] < gap * (size + groups[-1][1]) / 2 - 1e-12:
            other, n = groups.pop()
            centre, size = inside((centre * size + other * n) / (size + n), size + n)
        groups.append((centre, size))
    return [centre + gap * (k - (size - 1) / 2) for centre, size in groups for k in range(size)]
