"""Section 4: the constructed transformer and its certificate, where the stage certify has run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.report.certificate_blocks import GROUPS, certificate_blocks
from pipeline.report.sections import Block
from pipeline.report.tables import Table
from pipeline.report.wording import MINUS, count, listed, reason

CLAIM_KEYS = ("id", "statement", "reference", "setting", "value", "threshold", "verdict", "seed", "group")
MARKS = {
    "holds": "●\N{NO-BREAK SPACE}holds",
    "fails": "○\N{NO-BREAK SPACE}fails",
    "vacuous": "◐\N{NO-BREAK SPACE}vacuous",
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


def certificate_section(metrics: Path) -> Section:
    """Return section 4; a section that says so where the stage certify has not run.

    Parameters
    ----------
    metrics : Path
        Holds certificate.json and its tables.

    Raises
    ------
    PipelineError
        If the certificate is from another version.
    """
    path = metrics / "certificate.json"
    if not path.is_file():
        return Section(ran=False)
    claims = json.loads(path.read_text(encoding="utf-8"))
    for claim in claims:
        missing = [key for key in CLAIM_KEYS if key not in claim]
        if missing:
            message = (
                f"metrics: every claim of {path} must have {', '.join(CLAIM_KEYS)}, but {missing[0]} is missing; "
                "run `dvc repro --force certify`"
            )
            raise PipelineError(message)
    first, then = certificate_blocks(metrics, {claim["id"]: _decided(claim) for claim in claims})
    return Section(
        ran=True,
        lead=[_verdicts(claims)],
        blocks=first,
        tables=[
            claims_table(chosen, heading)
            for group, heading in GROUPS.items()
            if (chosen := [claim for claim in claims if claim["group"] == group])
        ],
        more=[
            (
                "The setting of every measurement",
                [settings_table(claims, "Names as in reports/metrics/certificate.json.")],
            )
        ],
        after=then,
    )


def _decided(claim: Mapping) -> str:
    """Return a claim in one sentence, with what was measured and the limit."""
    mark = MARKS.get(claim["verdict"], claim["verdict"])
    return f"{mark}: {claim['statement']} Measured {_short(claim['value'])}, limit {_limit(claim)}."


def _limit(claim: Mapping) -> str:
    sign = "≥" if ">=" in str(claim["setting"].get("rule", "<=")) else "≤"
    return f"{sign} {_short(claim['threshold'])}"


def _verdicts(claims: Sequence[Mapping]) -> str:
    tally = Counter(claim["verdict"] for claim in claims)
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


def claims_table(claims: Sequence[Mapping], caption: str) -> Table:
    """Return verdict, statement, source, what was measured and the limit of every claim."""
    rows = [
        [
            MARKS.get(claim["verdict"], claim["verdict"]),
            claim["statement"],
            claim["reference"],
            _short(claim["value"]),
            _limit(claim),
            "–" if claim["seed"] is None else str(claim["seed"]),
        ]
        for claim in claims
    ]
    head = ["verdict", "statement", "source", "measured", "holds if", "seed"]
    return Table(head, rows, n_labels=3, caption=caption, wraps=True)


def settings_table(claims: Sequence[Mapping], caption: str) -> Table:
    """Return on what every claim was measured."""
    rows = [
        [
            claim["id"],
            "; ".join(
                f"{reason(key)} {_plain(value)}" for key, value in sorted(claim["setting"].items()) if key != "rule"
            ),
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
