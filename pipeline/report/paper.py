"""What a paper takes from a run beside its figures: captions, numbers by name, and references, as LaTeX and BibTeX."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.claims import Claim
from pipeline.report.page import TEMPLATES, Block, bare
from pipeline.report.wording import MINUS, with_interval

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: r"\ensuremath{-}", "λ": r"\ensuremath{\lambda}",
    "γ": r"\ensuremath{\gamma}", "√": r"\ensuremath{\surd}", "²": r"\ensuremath{^2}", "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}", "●": "", "○": "", "◌": "",
}  # fmt: skip


def latex(text: str) -> str:
    r"""Return a text for LaTeX: what it would take for a command is printed.

    Examples
    --------
    >>> latex("50 % of a_b")
    '50 \\% of a\\_b'
    """
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def figures_tex(blocks: Sequence[Block]) -> str:
    r"""Return a float for every figure: over both columns, with caption and finding; `\input` what is needed."""
    lines = [
        r"% Each figure as a float over both columns; <name>_column.pdf is for one column.",
        r"% Needs \usepackage{graphicx}, UTF-8, and \graphicspath to the folder of this file.",
    ]
    for block in blocks:
        stem = block.picture.drawing.stem
        caption = latex(" ".join([*map(bare, block.caption[:2]), block.picture.finding]))
        lines += [
            "",
            r"\begin{figure*}",
            rf"  \centering\includegraphics[width=6.75in]{{{stem}.pdf}}",
            rf"  \caption{{{caption}}}",
            rf"  \label{{fig:{stem}}}",
            r"\end{figure*}",
        ]
    return "\n".join(lines) + "\n"


def numbers_tex(claims: Sequence[Claim]) -> str:
    r"""Return `\result{NAME}` for every number that decides a claim."""
    lines = [
        r"% \result{question/claim/translator/view} is a difference with its interval; \result{id} the number of a",
        r"% statement that is held to a limit. A name that is not here is an error.",
        r"\newcommand{\result}[1]{\ifcsname result@#1\endcsname\csname result@#1\endcsname",
        r"  \else\errmessage{no result of the name #1}\fi}",
    ]
    lines += [rf"\expandafter\def\csname result@{name}\endcsname{{{latex(value)}}}" for name, value in _numbers(claims)]
    return "\n".join(lines) + "\n"


def _numbers(claims: Sequence[Claim]) -> Iterator[tuple[str, str]]:
    for claim in claims:
        if claim.role != "decides":
            continue
        name = "/".join(filter(None, (claim.claim, claim.translator, claim.view)))
        if claim.limit is not None:
            value = claim.limit.value
            yield name, (f"{value:.3g}" if isinstance(value, int | float) else str(value)).replace("-", MINUS)
        elif None not in (claim.difference, claim.low, claim.high):
            low, high = float(claim.low or 0.0), float(claim.high or 0.0)
            yield f"{claim.question}/{name}", with_interval(float(claim.difference or 0.0), low, high, sign=True)


def write_paper(folder: Path, blocks: Sequence[Block], claims: Sequence[Claim]) -> None:
    """Write `figures.tex`, `numbers.tex` and `references.bib`."""
    references = (TEMPLATES / "references.bib").read_text(encoding="utf-8")
    for name, text in (
        ("figures.tex", figures_tex(blocks)),
        ("numbers.tex", numbers_tex(claims)),
        ("references.bib", references),
    ):
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
