"""Figure 1: attention of one sentence pair at three layers beside its transport plan, dictionary links ringed."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from pipeline.conventions import view_of
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.style import Drawing, Layout, draw
from pipeline.report.wording import number

LARGEST_CELL = 0.21  # inches
LONGEST_LABEL = 16  # letters of a word at an axis
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def example_layers(n_layers: int) -> list[int]:
    """Return the first, the middle and the last layer, each once.

    Examples
    --------
    >>> example_layers(6), example_layers(2)
    ([1, 3, 6], [1, 2])
    """
    return sorted({1, (n_layers + 1) // 2, n_layers})


def example_figure(t: TranslatorMetrics) -> tuple[Drawing, pd.DataFrame, str]:
    """Return Figure 1 in the first view of a translator; its data; its finding."""
    view, layers = t.views[0], example_layers(t.n_layers)
    blocks = {f"layer {layer}": np.array(t.example["attention"][view][str(layer)]) for layer in layers}
    level = t.example["cost_level"][str(layers[-1])]
    states = "embeddings" if level == 0 else f"states of layer {level}"
    blocks[f"plan, {states}"] = np.array(t.example["plan"][view][str(layers[-1])])
    links = np.array(t.example["links"], dtype=int).reshape(-1, 2)

    def make(layout: Layout) -> Figure:
        return _maps(layout, blocks, t.example["src_words"], t.example["tgt_words"], links)

    on_links = [
        f"{number(float(block[links[:, 1], links[:, 0]].mean()), 2)} ({title})" for title, block in blocks.items()
    ]
    alt = (
        f"Heat maps of {t.name}, {view_of(view).label}, for the sentence “{' '.join(t.example['src_words'])}” and its translation. "
        f"Mean over the {len(links)} dictionary links: {', '.join(on_links)}."
    )
    return draw(f"figure1_{t.name}", make, alt=alt), _long(blocks, t.example, links), alt


def _maps(
    layout: Layout, blocks: dict[str, np.ndarray], src_words: list[str], tgt_words: list[str], links: np.ndarray
) -> Figure:
    """Return panels of one colour scale, two beside each other where there is room, and one colour bar."""
    src_words, tgt_words = ([_short(word) for word in words] for words in (src_words, tgt_words))
    n_columns = 1 if layout.stacked else 2
    n_rows = -(-len(blocks) // n_columns)
    letters = 0.6 * layout.font / 72  # inches a letter, about
    left = min(1.5, letters * max(map(len, tgt_words)) + 0.15)
    below = min(1.5, letters * max(map(len, src_words)) + 0.15)
    right, top, gap = 0.62, 0.3, 0.25
    width = min((layout.width - left - right - (n_columns - 1) * gap) / n_columns, LARGEST_CELL * len(src_words))
    height = width * len(tgt_words) / len(src_words)
    total = n_rows * (height + top) + below + 0.05
    figure = Figure(figsize=(layout.width, total))
    norm = PowerNorm(0.5, vmin=0.0, vmax=1.0)
    for k, (title, block) in enumerate(blocks.items()):
        row, column = divmod(k, n_columns)
        x = left + column * (width + gap)
        y = below + (n_rows - 1 - row) * (height + top)
        panel = figure.add_axes((x / layout.width, y / total, width / layout.width, height / total))
        image = panel.imshow(block, norm=norm, interpolation="none", aspect="auto")
        panel.set_title(title)
        lowest = k + n_columns >= len(blocks)
        _words(panel, src_words if lowest else [], tgt_words if column == 0 else [], block.shape, layout.font)
        _rings(panel, links, width / len(src_words))
    bar_height, edge = min(height, 2.4), left + n_columns * width + (n_columns - 1) * gap
    bar = figure.add_axes(
        ((edge + 0.12) / layout.width, (total - top - bar_height) / total, 0.12 / layout.width, bar_height / total)
    )
    figure.colorbar(image, cax=bar, ticks=TICKS, format=lambda value, _: f"{value:g}")
    bar.tick_params(labelsize=layout.font - 1)
    bar.set_title("mass", fontsize=layout.font - 1, fontweight="normal")
    return figure


def _short(word: str) -> str:
    return word if len(word) <= LONGEST_LABEL else f"{word[: LONGEST_LABEL - 1]}…"


def _words(panel: Axes, below: list[str], beside: list[str], shape: tuple[int, ...], font: float) -> None:
    # A dollar sign of the corpus is a dollar sign, not the start of a formula.
    style: dict[str, Any] = {"fontsize": font - 1, "parse_math": False}
    panel.set_xticks(range(len(below)), below, rotation=90, **style)
    panel.set_yticks(range(len(beside)), beside, **style)
    panel.tick_params(length=0, pad=2)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.set_xlim(-0.5, shape[1] - 0.5)
    panel.set_ylim(shape[0] - 0.5, -0.5)


def _rings(panel: Axes, links: np.ndarray, cell: float) -> None:
    """Ring the links twice over, dark and light, so that one of the two is seen on any colour."""
    size = (0.62 * cell * 72) ** 2
    for colour, width in (("#000000", 2.0), ("#fefefe", 0.9)):
        panel.scatter(links[:, 0], links[:, 1], s=size, facecolors="none", edgecolors=colour, linewidths=width)


def _long(blocks: dict[str, np.ndarray], example: dict, links: np.ndarray) -> pd.DataFrame:
    linked = {(int(src), int(tgt)) for src, tgt in links}
    rows = [
        (title, j, i, tgt, src, round(float(block[j, i]), 4), int((i, j) in linked))
        for title, block in blocks.items()
        for j, tgt in enumerate(example["tgt_words"])
        for i, src in enumerate(example["src_words"])
    ]
    return pd.DataFrame(rows, columns=["panel", "tgt", "src", "tgt_word", "src_word", "mass", "link"])
