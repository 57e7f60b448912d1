"""Sections that are claims and no more: growth with depth, use by the translator, and what stays undecided."""

from collections.abc import Sequence

from pipeline.claims import Claim
from pipeline.report.mathematics import with_math
from pipeline.report.matrix import Answer, claims_of, who
from pipeline.report.page import Section, Table, has_text, text
from pipeline.report.wording import marked

HEAD = ["translator", "verdict", "difference", "at", "n", "why"]


def section(answer: Answer) -> Section:
    """Return the section of a question without figures of its own; captions.toml may introduce it by its id."""
    name = answer.question.id
    rows = claims_of(answer)
    table = Table(HEAD, rows, n_labels=len(HEAD), caption=text("asked", "table"), wraps=True)
    return Section(name, lead=[text(name, "lead")] if has_text(name) else [], parts=[table] if rows else [])


def open_section(claims: Sequence[Claim]) -> Section:
    """Return what no verdict answers: claims that are undecided, untested or vacuous, each with its reason."""
    rows = [
        [with_math(claim.statement), who(claim) or "–", marked(claim.verdict), claim.why or text("open", claim.verdict)]
        for claim in claims
        if claim.role == "decides" and claim.verdict in {"undecided", "untested", "not testable here", "vacuous"}
    ]
    head = ["statement", "of", "verdict", "why"]
    finding = text("open", "finding", n=len(rows)) if rows else text("open", "none")
    table = Table(head, rows, n_labels=4, caption=text("open", "table"), wraps=True)
    return Section("open", "What stays undecided", finding, parts=[table] if rows else [])
