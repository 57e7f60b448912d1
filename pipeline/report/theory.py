"""Sections 4 and 5: the constructed transformer and the trained one, where their stages have run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.report import certificate_figures
from pipeline.report.sections import Block
from pipeline.report.style import draw
from pipeline.report.tables import Table
from pipeline.report.wording import MINUS, count, listed, reason

CLAIM_KEYS = ("id", "statement", "reference", "setting", "value", "threshold", "verdict", "seed")
MARKS = {"holds": "● holds", "fails": "○ fails", "vacuous": "◐ vacuous"}


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
    """

    ran: bool
    lead: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    more: list[tuple[str, list[Table]]] = field(default_factory=list)


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
    return Section(
        ran=True,
        lead=[_verdicts(claims)],
        blocks=[_figure(metrics, claims, **about) for about in FIGURES],
        tables=[_certificate_table(claims)],
        more=[("The setting of every measurement", [_settings_table(claims)])],
    )


# In the order of the page: what to draw from which table, what it shows, how to read it, and which claims decide.
FIGURES: tuple[dict, ...] = (
    {
        "title": "Figure 3",
        "make": certificate_figures.figure3,
        "shows": "Attention of the constructed transformer becomes the entropic plan as layers are added.",
        "read": "Rows are points x, columns points y; a row sums to 1. The last panel is the plan by Sinkhorn sweeps.",
        "decided_by": ("theorem_3_2_limit",),
    },
    {
        "title": "Figure 4",
        "make": certificate_figures.figure4,
        "shows": "The same weights solve problems of different sizes.",
        "read": "One row of panels a number of points, as in Figure 3; nothing was changed between them.",
        "decided_by": ("same_weights_any_n",),
    },
    {
        "title": "Depth study",
        "make": certificate_figures.depth_study,
        "table": "depth",
        "shows": "Layers until the Hilbert distance to the optimum is below 1e-6, by step size over lambda.",
        "read": "Alternating Sinkhorn sweeps on the same problems are beside them; lines are medians, bands the 10th to the "
        "90th percentile over random problems.",
        "decided_by": ("best_step_ratio_is_2", "depth_twice_sinkhorn"),
    },
    {
        "title": "Theorem D.1 and what is measured",
        "make": certificate_figures.bound,
        "table": "bound",
        "shows": "The bound of the theorem lies far above the measured distance, which shrinks geometrically.",
        "read": "Both axes are of the Hilbert distance by layer; the bound is promised only from the depth in its claim on.",
        "decided_by": ("theorem_d1_bound", "rate_is_geometric"),
    },
    {
        "title": "The memory row",
        "make": certificate_figures.drift,
        "table": "drift",
        "shows": "With a frozen memory row the layers are gradient descent to rounding; as published they leave it.",
        "read": "Largest difference between the memory of the transformer and gradient descent, by layer.",
        "decided_by": ("theorem_3_1_frozen", "theorem_3_1_free"),
    },
    {
        "title": "Sorting",
        "make": certificate_figures.sorting,
        "table": "sorting",
        "shows": "The construction sorts lists of numbers, with one set of weights for every list.",
        "read": "Share of places that hold the right number, by lambda; a line a list length.",
        "decided_by": ("sorting_1024", "sorting_general_constant", "sorting_general_annealed"),
    },
    {
        "title": "Rank of attention",
        "make": certificate_figures.rank,
        "table": "rank",
        "shows": "Attention keeps the rank of the plan however deep the transformer is.",
        "read": "Effective rank by layer; lines are medians, bands the 10th to the 90th percentile.",
        "decided_by": ("rank_kept",),
    },
)


def _figure(metrics: Path, claims: Sequence[Mapping], **about: Any) -> Block:
    """Return one figure of the certificate with the verdicts that belong to it."""
    stem = about["title"].lower().replace(" ", "").replace(".", "_") if "table" not in about else about["table"]
    path = metrics / f"certificate_{stem}.csv"
    if not path.is_file():
        message = f"metrics: the certificate's tables must be complete, but {path} is missing; run `dvc repro --force certify`"
        raise PipelineError(message)
    table = pd.read_csv(path)
    verdicts = [
        f"{claim['statement']} {MARKS.get(claim['verdict'], claim['verdict'])} (measured {_short(claim['value'])}, "
        f"limit {_short(claim['threshold'])})."
        for claim in claims
        if claim["id"] in about["decided_by"]
    ]
    name = stem if stem.startswith("figure") else f"certificate_{stem}"
    drawing = draw(name, lambda layout: about["make"](table, layout), alt=" ".join([about["shows"], *verdicts]))
    text = path.read_text(encoding="utf-8")
    return Block(
        about["title"], drawing, [about["shows"], about["read"], *verdicts], text, f"reports/metrics/{path.name}"
    )


def _verdicts(claims: Sequence[Mapping]) -> str:
    tally = Counter(claim["verdict"] for claim in claims)
    names = {
        "holds": "hold as measured",
        "fails": "fail",
        "vacuous": "are true of cases that no computer can reach (vacuous)",
    }
    parts = [f"{count(tally[verdict])} {text}" for verdict, text in names.items() if tally[verdict]]
    return (
        "The paper constructs a transformer whose layers are steps of gradient descent on the dual of optimal transport. "
        f"Of {count(len(claims))} statements about it, its own and ours, {listed(parts)}."
    )


def _certificate_table(claims: Sequence[Mapping]) -> Table:
    rows = [
        [
            MARKS.get(claim["verdict"], claim["verdict"]),
            claim["statement"],
            claim["reference"],
            _short(claim["value"]),
            f"{'≥' if '>=' in str(claim['setting'].get('rule', '<=')) else '≤'} {_short(claim['threshold'])}",
            "–" if claim["seed"] is None else str(claim["seed"]),
        ]
        for claim in claims
    ]
    head = ["verdict", "statement", "source", "measured", "holds if", "seed"]
    caption = "The certificate: every statement with what was measured and the limit that it was held to."
    return Table(head, rows, n_labels=3, caption=caption, wraps=True)


def _settings_table(claims: Sequence[Mapping]) -> Table:
    rows = [
        [
            claim["id"],
            "; ".join(
                f"{reason(key)} {_plain(value)}" for key, value in sorted(claim["setting"].items()) if key != "rule"
            ),
        ]
        for claim in claims
    ]
    return Table(
        ["id", "setting"], rows, n_labels=2, caption="Names as in reports/metrics/certificate.json.", wraps=True
    )


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


def learning_section(metrics: Path) -> Section:
    """Return section 5; a section that says so where the stage learn has not run."""
    return Section(ran=(metrics / "learn.json").is_file())
