"""What a paper takes from a run: floats, numbers and references that LaTeX reads."""

import re

from pipeline.claims_file import read_claims
from pipeline.report.page import bare
from pipeline.report.paper import figures_tex, latex, numbers_tex, write_paper
from pipeline.report.sections import plan, translations
from pipeline.report.wording import with_interval
from tests.pipeline.report_factory import measured, undrawn  # noqa: F401 - fixtures


def _blocks(measured):
    return [*translations.section(measured.translators).blocks, *plan.section(measured.translators).blocks]


def _balanced(text):
    plain = re.sub(r"\\[{}]", "", re.sub(r"(?m)^%.*$", "", text))
    return plain.count("{") == plain.count("}")


def test_every_figure_has_a_float_with_caption_and_label(measured, undrawn, tmp_path):
    text = figures_tex(_blocks(measured))
    for block in _blocks(measured):
        stem = block.picture.drawing.stem
        assert rf"\includegraphics[width=6.75in]{{{stem}.pdf}}" in text and rf"\label{{fig:{stem}}}" in text
    n_blocks = len(_blocks(measured))
    assert text.count(r"\begin{figure*}") == text.count(r"\end{figure*}") == n_blocks >= 6 and _balanced(text)
    assert "](" not in text and "`" not in text
    write_paper(tmp_path, _blocks(measured), [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.tex", "numbers.tex", "references.bib"]


def test_numbers_are_those_of_the_claims(measured):
    claims = read_claims(measured.project.metrics / "claims.json")
    text = numbers_tex(claims)
    found = dict(re.findall(r"result@([^\\#]+)\\endcsname\{(.*)\}\n", text))
    one = next(claim for claim in claims if claim.claim == "rises" and claim.view == "tgt_to_src")
    wanted = latex(with_interval(one.difference, one.low, one.high, sign=True))
    assert found["grows_with_depth/rises/mini-mbert/tgt_to_src"] == wanted
    assert len(found) == sum(claim.role == "decides" and claim.difference is not None for claim in claims) == 22
    assert _balanced(text)


def test_what_latex_would_take_for_a_command_is_printed():
    assert latex(r"a_b \x {50 %} $^~&#") == (
        r"a\_b \textbackslash{}x \{50 \%\} \$\textasciicircum{}\textasciitilde{}\&\#"
    )
    assert latex("−1 ≤ λ²") == r"\ensuremath{-}1 \ensuremath{\leq} \ensuremath{\lambda}\ensuremath{^2}"
    assert bare("a [word](plan) and `code`, [0.1, 0.2] (n)") == "a word and code, [0.1, 0.2] (n)"
