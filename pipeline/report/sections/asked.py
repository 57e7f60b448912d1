"""Sections that are claims and no more: growth with depth, use by the translator, and what stays open."""

from collections.abc import Sequence

from pipeline.claims import Claim
from pipeline.report.matrix import Answer, claims_of
from pipeline.report.page import Section, Table, text
from pipeline.report.wording import marked

HEAD = ["translator", "verdict", "difference", "at", "n", "why"]
ROWS = 6
"""Of a table that stands open; the others are behind a click."""


def section(answer: Answer, name: str) -> Section:
    """Return the section of a question without figures of its own; `name` is that of its texts."""
    rows = claims_of(answer)
    caption = text(name, "table")
    parts = [Table(HEAD, rows[:ROWS], n_labels=2, caption=caption, wraps=True)] if rows else []
    more = [("Every translator and view", [Table(HEAD, rows, n_labels=2, caption=caption, wraps=True)])]
    return Section(answer.question.id, lead=[text(name, "lead")], parts=parts, more=more if rows[ROWS:] else [])


def open_section(claims: Sequence[Claim]) -> Section:
    """Return what no verdict answers: claims that are undecided, untested or vacuous, each with its reason."""
    rows = [
        [claim.statement, " ".join(filter(None, (claim.translator, claim.view.replace("_", " ")))) or "–",
         marked(claim.verdict), claim.why or text("open", claim.verdict)]
        for claim in claims
        if claim.role == "decides" and claim.verdict in {"undecided", "untested", "not testable here", "vacuous"}
    ]  # fmt: skip
    head = ["statement", "of", "verdict", "why"]
    finding = text("open", "finding", n=len(rows)) if rows else text("open", "none")
    caption = text("open", "table")
    parts = [Table(head, rows[:ROWS], n_labels=4, caption=caption, wraps=True)] if rows else []
    more = [("All open questions", [Table(head, rows, n_labels=4, caption=caption, wraps=True)])]
    return Section("open", "Open questions", finding, parts=parts, more=more if rows[ROWS:] else [])
