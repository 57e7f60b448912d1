"""Every letter and line of every figure is seen in both themes: at least 3:1 against the page."""

import re

import pytest

from pipeline.claims_file import read_claims
from pipeline.report.page import TEMPLATES
from pipeline.report.sections import construction, embeddings, learning, plan, translations
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow
LEAST = 3.0
RINGS = {"#000000", "#fefefe"}  # drawn over each other on maps, so that one of the two is seen on any colour


def theme(dark):
    """Return the variables of the page in one of its themes."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{([^}]*)\}", css)
    return {name: value for block in blocks[: 1 + dark] for name, value in re.findall(r"--([\w-]+): (#\w+)", block)}


def luminance(colour):
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(colour, opacity, paper):
    """Return a colour as it is seen through its opacity."""
    mixed = [round(opacity * int(colour[k : k + 2], 16) + (1 - opacity) * int(paper[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def faint(svg, colours):
    """Return what is drawn with less contrast than it needs: element, colour, contrast."""
    found = []
    for tag, style in re.findall(r'<(\w+)[^>]*? style="([^"]*)"', svg):
        of = dict(re.findall(r"([\w-]+): ([^;]+)", style))
        painted = of.get("fill", "#000000") if tag == "text" else of.get("stroke", "none")
        if (painted in {"none", *RINGS} and tag != "text") or of.get("stroke-width") == "0":
            continue
        variable = re.match(r"var\(--([\w-]+)\)", painted)
        colour = colours[variable[1]] if variable else painted
        opacity = float(of.get("opacity", 1)) * float(of.get("stroke-opacity", 1))
        value = contrast(over(colour, opacity, colours["paper"]), colours["paper"])
        if value < LEAST:
            found.append((tag, painted, round(value, 2)))
    return sorted(set(found))


def test_the_measure_finds_what_is_faint():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    svg = '<path d="" style="fill: none; stroke: #dedede"/><text style="fill: var(--quiet)">a</text>'
    assert [tag for tag, *_ in faint(svg, theme(False))] == ["path"]
    assert faint('<path style="stroke: #0072b2; stroke-opacity: 0.3"/>', theme(False))


@pytest.fixture(scope="module")
def figures(measured, project):
    t = measured.translators
    metrics = project / "reports" / "metrics"
    claims = read_claims(metrics / "claims.json")
    sections = [
        translations.section(t[:1]), plan.section(t[:1]), embeddings.section(t[:1]), construction.section(claims, metrics),
        learning.section(learning.read_learned(claims, metrics), metrics),
    ]  # fmt: skip
    return {block.picture.drawing.stem: block.picture.drawing for section in sections for block in section.blocks}


@pytest.mark.parametrize("dark", [False, True])
def test_letters_and_lines_of_figures_are_seen(figures, dark):
    colours = theme(dark)
    assert len(figures) >= 15
    assert {stem: found for stem, drawing in figures.items() if (found := faint(drawing.inline, colours))} == {}


@pytest.mark.parametrize("dark", [False, True])
def test_letters_of_the_page_are_read(dark):
    """Running text needs more: 4.5:1."""
    colours = theme(dark)
    for name in ("ink", "quiet", "link", "trained-text", "random-text"):
        for paper in ("paper", "shade"):
            assert contrast(colours[name], colours[paper]) >= 4.5, (name, paper)
