"""Whether a translator uses its alignment, and whether it would serve it to be a plan: rows from `intervene@NAME`.

Decided by the four heads that align best (evidence of other numbers of heads, of other targets and sweeps is only
corrected for). "Uses alignment": without these heads the loss is higher than with them, higher than without as many
other heads of the same layers, and higher where they look by position, as in another pair, or at wrong words. "Being a
plan matters": the loss is lower with scores that Sinkhorn has made a plan than with scores that a temperature has made
as flat; nothing else decides it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline._output import read_object
from pipeline.claims import Claim, Estimate
from pipeline.columns import INTERVENTION
from pipeline.verdicts.reading import number, read_table

QUESTION = "translator_uses_it"
USES, PLAN = "uses_alignment", "plan_matters"
STATEMENTS = {
    USES: "The translator uses its alignment: it needs the heads that align best, and needs them to look where they do.",
    PLAN: "Being a transport plan matters to the translator: it loses less with attention that is one than with "
    "attention that is as flat.",
}
UNIT = "nats a word"
RIVALS = {"position": "position", "mispaired": "another sentence's attention", "permuted": "links to wrong words"}
"""Where the best heads are made to look, in words."""
FLAT = {
    "tempered": "scores at a temperature that makes the pair's attention as flat",
    "tempered_by_row": "scores at temperatures that make every word's attention as flat",
}
"""What a plan is held against, in words; the first decides."""
TESTED = "tested"
_EFFECT = ("effect", "low", "high", "p")
SUMMARY = ("status", "translator")

Row = dict[str, str]


def use_claims(folder: Path, name: str) -> tuple[list[Estimate], list[Claim]]:
    """Return the rows of a translator, and the claims that are settled without any.

    Parameters
    ----------
    folder : Path
        What the stage `intervene@NAME` wrote.
    name : str
        Of the translator.

    Raises
    ------
    PipelineError
        If a file is missing, or has other columns or keys.
    """
    stage = f"intervene@{name}"
    summary = read_object(folder / "summary.json", SUMMARY, stage)
    sets = read_table(folder / "sets.csv", INTERVENTION["sets"], stage)
    replaced = read_table(folder / "replacements.csv", INTERVENTION["replacements"], stage)
    if summary["status"] != TESTED:
        return [], [_settled(name, claim, summary["status"], summary["why"]) for claim in STATEMENTS]
    n_pairs = summary["n_pairs"]["half_b"]
    rows = [*_off(sets, summary["settings"]["deciding_k"]), *_elsewhere(replaced), *_as_a_plan(replaced)]
    return [replace(row, translator=name, n_pairs=n_pairs) for row in rows], []


def _settled(name: str, claim: str, verdict: str, why: str) -> Claim:
    return Claim(
        id=claim,
        claim=claim,
        question=QUESTION,
        statement=STATEMENTS[claim],
        translator=name,
        verdict=verdict,
        why=why,
    )


def _estimate(claim: str, row: Row, *, prefix: str = "", sign: int = 1, **about: Any) -> Estimate:
    """Return a row in favour of a claim; with sign -1 it favours that the effect is below 0."""
    value, low, high, p = (number(row[prefix + name]) for name in _EFFECT)
    if sign < 0:
        value, low, high = (None if end is None else -end for end in (value, high, low))
    return Estimate(
        **{"claim": claim, "question": QUESTION, "statement": STATEMENTS[claim], "unit": UNIT, **about},
        difference=value,
        low=low,
        high=high,
        p=p,
    )


def _off(sets: Sequence[Row], deciding: int) -> Iterator[Estimate]:
    for row in sets:
        if row["set"] != "top":
            continue
        role = "decides" if int(row["k"]) == deciding else "compared"
        heads = f"heads {row['heads']}"
        yield _estimate(
            USES,
            row,
            id="best_heads_off",
            comparison="Without the heads that align best it loses more than with them.",
            control="off",
            where=f"{heads} off",
            role=role,
        )
        yield _estimate(
            USES,
            row,
            prefix="above_",
            id="best_heads_off_above_draws",
            comparison="Without them it loses more than without as many others of the same layers, drawn at random.",
            control="draws",
            where=f"{heads} off, over {row['n_draws'] or 0} sets of others",
            role=role,
        )


def _elsewhere(replaced: Sequence[Row]) -> Iterator[Estimate]:
    for row in replaced:
        if row["replacement"] in RIVALS:
            name = RIVALS[row["replacement"]]
            yield _estimate(
                USES,
                row,
                id=f"own_above_{row['replacement']}",
                comparison=f"Its best heads serve it better where they look than with {name}.",
                control=row["replacement"],
                where=f"heads {row['heads']}, {name}",
                role="decides" if row["target"] == "top" else "compared",
            )


def _as_a_plan(replaced: Sequence[Row]) -> Iterator[Estimate]:
    most = max(int(row["sweeps"]) for row in replaced if row["sweeps"])
    for row in replaced:
        rival = row["replacement"].removeprefix("balanced_minus_")
        if rival == row["replacement"]:
            continue
        decides = row["target"] == "all" and int(row["sweeps"]) == most
        yield _estimate(
            PLAN,
            row,
            sign=-1,
            id=f"plan_above_{rival}",
            comparison=f"All heads serve it better with Sinkhorn than with {FLAT[rival]}.",
            control=rival,
            where=f"{row['target']} heads, {row['sweeps']} sweeps",
            role=("decides" if rival == "tempered" else "beside") if decides else "compared",
        )
