"""Section 4: the constructed transformer and its certificate, where the stage certify has run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.claims import Claim, Limit
from pipeline.report.certificate_blocks import GROUPS, certificate_blocks
from pipeline.report.sections import Block
from pipeline.report.tables import Table
from pipeline.report.wording import MINUS, count, listed, reason

MARKS = {
    "holds": "●\N{NO-BREAK SPACE}holds",
    "fails": "○\N{NO-BREAK SPACE}fails",
    "vacuous": "◐\N{NO-BREAK SPACE}vacuous",
    "supported": "●\N{NO-BREAK SPACE}supported",
    "not supported": "○\N{NO-BREAK SPACE}not\N{NO-BREAK SPACE}supported",
}


@dataclass(frozen=True)
class Section:
    """What a section shows.

    Attributes
    ----------
    ran : bool
        Whether its stage has.
    lead : list of str
        Sentences at its start.
    blocks : list of Block
        Figures.
    tables : list of Table
        Below them.
    more : list of (str, list of Table)
        Behind a click.
    after : list of Block
        Figures below the tables.
    """

    ran: bool
    lead: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    more: list[tuple[str, list[Table]]] = field(default_factory=list)
    after: list[Block] = field(default_factory=list)


def certificate_section(claims: Sequence[Claim], metrics: Path) -> Section:
    """Return section 4; a section that says so where the stage certify has not run.

    Parameters
    ----------
    claims : sequence of Claim
        From `claims.json`.
    metrics : Path
        Holds the tables of the certificate.

    Raises
    ------
    PipelineError
        If a table is missing.
    """
    claims = held_to_limits(claims, "construction")
    if not claims:
        return Section(ran=False)
    decided: dict[str, list[str]] = {}
    for claim in claims:
        decided.setdefault(claim.figure, []).append(_decided(claim))
    first, then = certificate_blocks(metrics, decided)
    return Section(
        ran=True,
        lead=[_verdicts(claims)],
        blocks=first,
        tables=[
            claims_table(chosen, heading)
            for group, heading in GROUPS.items()
            if (chosen := [claim for claim in claims if _limit_of(claim).group == group])
        ],
        more=[
            (
                "The setting of every measurement",
                [settings_table(claims, "Names as in reports/metrics/certificate.json.")],
            )
        ],
        after=then,
    )


def held_to_limits(claims: Sequence[Claim], question: str) -> list[Claim]:
    """Return the claims of a question in which a number is held to a limit."""
    return [claim for claim in claims if claim.question == question and claim.limit is not None]


def _decided(claim: Claim) -> str:
    """Return a claim in one sentence, with what was measured and the limit."""
    return (
        f"{MARKS[claim.verdict]}: {claim.statement} Measured {_short(_limit_of(claim).value)}, limit {_limit(claim)}."
    )


def _limit_of(claim: Claim) -> Limit:
    assert claim.limit is not None  # as chosen by `held_to_limits`
    return claim.limit


def _limit(claim: Claim) -> str:
    limit = _limit_of(claim)
    return f"{'≥' if '>=' in limit.rule else '≤'} {_short(limit.threshold)}"


def _verdicts(claims: Sequence[Claim]) -> str:
    tally = Counter(claim.verdict for claim in claims)
    names = {
        "holds": ("holds", "hold"),
        "fails": ("fails", "fail"),
        "vacuous": (
            "is vacuous: it says nothing about any case that was run",
            "are vacuous: they say nothing about any case that was run",
        ),
    }
    parts = [f"{count(n)} {names[verdict][n > 1]}" for verdict in names if (n := tally[verdict])]
    return (
        "The paper constructs a transformer whose layers are steps of gradient descent on the dual of optimal transport. "
        f"Of {count(len(claims))} statements about it, its own and ours, {listed(parts)}."
    )


def claims_table(claims: Sequence[Claim], caption: str) -> Table:
    """Return verdict, statement, source, what was measured and the limit of every claim."""
    rows = [
        [
            MARKS[claim.verdict],
            claim.statement,
            limit.reference,
            _short(limit.value),
            _limit(claim),
            "–" if limit.seed is None else str(limit.seed),
        ]
        for claim in claims
        for limit in [_limit_of(claim)]
    ]
    head = ["verdict", "statement", "source", "measured", "holds if", "seed"]
    return Table(head, rows, n_labels=3, caption=caption, wraps=True)


def settings_table(claims: Sequence[Claim], caption: str) -> Table:
    """Return on what every claim was measured."""
    rows = [
        [
            claim.id,
            "; ".join(f"{reason(key)} {_plain(value)}" for key, value in sorted(_limit_of(claim).setting.items())),
        ]
        for claim in claims
    ]
    return Table(["id", "setting"], rows, n_labels=2, caption=caption, wraps=True)


def _short(value: object) -> str:
    """Return three digits of a number; infinities are stored as text."""
    text = f"{value:.3g}" if isinstance(value, int | float) else str(value)
    return text.replace("-", MINUS)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{reason(str(key))} {_plain(part)}" for key, part in sorted(value.items()))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
