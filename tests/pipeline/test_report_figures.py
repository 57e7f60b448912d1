"""Figures of the page: bytes, ids, colours, and what hostile words must not do."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from pipeline.report import wording
from pipeline.report.figures import Curves, correspondence, published_values
from pipeline.report.heatmaps import example_layers
from pipeline.report.style import NARROW, WIDE, Layout, draw, inline_svg, label_right, panels, spread
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture


def _plot(layout: Layout) -> Figure:
    figure, axes = panels(layout, 2, "share of attention <on> the translation & more, mean over linked words")
    for panel in axes:
        panel.plot([1, 2, 3], [0.1, 0.2, 0.4], color="#0072B2")
        panel.set_title('a "title" with $dollars$')
        label_right(panel, [(0.4, "trained", "#0072B2"), (0.39, "uniform", "#6a6a6a")], x=3.0, font=layout.font)
    return figure


def test_a_figure_is_the_same_bytes_each_time():
    one, two = (draw("figure5_x", _plot, alt="finding") for _ in range(2))
    assert (one.svg, one.pdf, one.wide, one.narrow) == (two.svg, two.pdf, two.wide, two.narrow)
    for text in (one.svg, one.pdf.decode("latin-1")):
        assert "Date" not in text and "Matplotlib" not in text


@pytest.mark.slow
def test_fonts_that_are_installed_do_not_change_a_byte(monkeypatch):

    from matplotlib import font_manager

    plain = draw("figure5_x", _plot, alt="finding")
    manager = font_manager.fontManager
    serif = next(entry for entry in manager.ttflist if entry.name == "DejaVu Serif")
    others = [entry for entry in manager.ttflist if entry.name != "DejaVu Sans"]
    monkeypatch.setattr(manager, "ttflist", [replace(serif, name="DejaVu Sans"), *others])
    manager.addfont(serif.fname)  # forgets what it found before
    before = list(manager.ttflist)
    other = draw("figure5_x", _plot, alt="finding")
    assert (other.svg, other.pdf) == (plain.svg, plain.pdf)
    assert manager.ttflist == before, "the fonts of other code are left as they were"


@pytest.mark.slow
def test_ids_of_two_figures_on_one_page_differ():
    one, two = (draw(stem, _plot, alt="finding") for stem in ("figure5_x", "figure6_y"))
    ids = [re.findall(r' id="([^"]+)"', text) for text in (one.wide, one.narrow, two.wide, two.narrow)]
    together = [name for names in ids for name in names]
    assert together and len(together) == len(set(together))


def test_inline_figures_follow_the_page():
    drawing = draw("figure5_x", _plot, alt='rises <from> "0.1" to 0.4')
    for text in (drawing.wide, drawing.narrow):
        assert text.startswith('<svg role="img" aria-label="rises &lt;from&gt; &quot;0.1&quot; to 0.4"')
        assert "<style" not in text and "font-family" not in text and "<metadata" not in text
        assert "var(--ink)" in text and "#1a1a1a" not in text
        assert "fill: var(--trained-text)" in text and "stroke: #0072b2" in text
        references = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", text))
        assert references <= set(re.findall(r' id="([^"]+)"', text))
    assert "<desc>rises &lt;from&gt; &quot;0.1&quot; to 0.4</desc>" in drawing.svg


def test_text_alternative_with_a_backslash_stays_as_it_is():
    svg = '<svg width="1pt" height="1pt" viewBox="0 0 1 1">\n</svg>'
    assert r'aria-label="a\1b"' in inline_svg(svg, r"a\1b")


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
    st.floats(0.01, 0.15),
)
def test_labels_are_kept_apart_and_in_order(values, gap):
    places = spread(sorted(values), gap, 0.0, 1.0)
    assert np.all(np.diff(places) >= gap - 1e-9)
    assert min(places) >= -1e-9 and max(places) <= 1 + 1e-9


def test_labels_that_have_room_stay_where_they_are():
    assert spread([0.2, 0.5, 0.9], 0.1, 0.0, 1.0) == [0.2, 0.5, 0.9]
    assert spread([0.5, 0.5], 0.2, 0.0, 1.0) == pytest.approx([0.4, 0.6])


@pytest.mark.parametrize(("n_layers", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 3, 6]), (12, [1, 6, 12])])
def test_first_middle_and_last_layer(n_layers, expected):
    assert example_layers(n_layers) == expected


def test_curves_stack_where_it_is_narrow(measured):
    t = measured.translators[0]
    rows = t.curves[(t.curves["score"] == t.score) & (t.curves["view"] == t.views[0])]
    curves = Curves({"one": rows, "two": rows}, "share")
    wide, narrow = curves.draw(WIDE), curves.draw(NARROW)
    assert len({panel.get_position().y0 for panel in wide.axes}) == 1
    assert len({panel.get_position().x0 for panel in narrow.axes}) == 1
    assert all(panel.get_ylim()[0] <= 0 for panel in wide.axes)
    names = {text.get_text().strip() for text in wide.axes[0].texts}
    assert names == {"trained", "random weights", "uniform", "position", "mispaired"}


def test_published_values_only_beside_the_papers_model_data_and_convention(measured):
    t = measured.translators[0]
    assert published_values(t, "figure5") == {}
    paper = measured.as_paper(t, "Helsinki-NLP/opus-mt-en-fr", "notebook")
    assert published_values(paper, "figure5")[5] == 0.654
    assert published_values(paper, "figure6") == {}
    assert published_values(measured.as_paper(t, "Helsinki-NLP/opus-mt-en-fr", "corrected"), "figure5") == {}
    mbert = measured.as_paper(t, "google-bert/bert-base-multilingual-cased", "notebook")
    assert published_values(mbert, "figure7")[0] == 0.797
    elsewhere = replace(mbert, corpus=mbert.corpus.model_copy(update={"source": "files"}))
    fewer = measured.with_summary(mbert, signature={**mbert.summary["signature"], "min_links": 3})
    assert published_values(elsewhere, "figure7") == published_values(fewer, "figure7") == {}


@pytest.mark.parametrize(
    ("model", "reads", "view"),
    [
        ("Helsinki-NLP/opus-mt-en-fr", "cross", "output_step"),
        ("google-bert/bert-base-multilingual-cased", "joint", "src_to_tgt"),
    ],
)
def test_published_values_stand_beside_the_view_whose_rows_the_notebook_drew(measured, model, reads, view):
    """The rows of the notebook's maps are decoder steps for Marian, and English words for mBERT."""
    t = next(one for one in measured.translators if one.spec.reads == reads)
    paper = measured.as_paper(t, model, "notebook")
    _, data, _ = correspondence(paper)
    published = data[data["control"] == "published"]
    assert len(published) >= 6
    assert set(published["view"]) == {view}


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.3301, 0.2804, 0.3812, "0.33 [0.28, 0.38]"),
        (0.44712, 0.44012, 0.45312, "0.447 [0.440, 0.453]"),
        (-0.00001, -0.12, 0.12, "0.00 [−0.12, 0.12]"),
        (61.23, 40.1, 80.9, "61 [40, 81]"),
        (float("nan"), 0.0, 1.0, "–"),
        (0.5, float("nan"), float("nan"), "0.500"),
    ],
)
def test_numbers_have_the_digits_of_their_interval(value, low, high, expected):
    assert wording.with_interval(value, low, high) == expected


def test_differences_carry_their_sign():
    assert wording.with_interval(0.2, 0.1, 0.3, sign=True) == "+0.20 [+0.10, +0.30]"
    assert wording.with_interval(-0.2, -0.3, 0.0, sign=True) == "−0.20 [−0.30, 0.00]"
