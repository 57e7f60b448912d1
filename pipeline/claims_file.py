"""The one reader and writer of claims.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline._output import SCHEMA, read_object, write_json
from pipeline.claims import Claim, Correction, Limit, Question
from pipeline.errors import PipelineError

DIGITS = 6


def write_claims(path: Path, claims: Sequence[Claim], questions: Sequence[Question] = ()) -> None:
    """Write `claims.json`: schema, questions and one record a claim; the same claims give the same bytes."""
    asked = [vars(question) for question in questions]
    write_json(path, {"schema": SCHEMA, "questions": asked, "claims": [claim_record(claim) for claim in claims]})


def claim_record(claim: Claim) -> dict[str, Any]:
    """Return a claim as `claims.json` holds it."""
    record = {key: _plain(value) for key, value in vars(claim).items() if key != "p"}  # stands in the correction
    correction, limit = claim.correction, claim.limit
    record["correction"] = correction and {key: _plain(value) for key, value in vars(correction).items()}
    record["limit"] = limit and {key: _significant(value) for key, value in vars(limit).items()}
    return record


def _significant(value: object) -> object:
    """Return a number with 10 digits, text for one that is none; anything else as it is."""
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else str(value)
    return value


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def read_claims(path: Path) -> list[Claim]:
    """Return the claims of a file.

    Raises
    ------
    PipelineError
        If it is missing, of another schema, or lacks a key.
    """
    found = read_object(path, ("claims",), "claims")
    return [claim_of(record, path) for record in found["claims"]]


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a file, in their order.

    Raises
    ------
    PipelineError
        If it is missing, of another schema, or lacks them.
    """
    return [Question(**question) for question in read_object(path, ("questions",), "claims")["questions"]]


def claim_of(record: Mapping[str, Any], path: Path, *, stage: str = "claims") -> Claim:
    """Return the claim of a record.

    Raises
    ------
    PipelineError
        If a key is missing or too many; names the stage that writes the file.
    """
    keys = {field.name for field in fields(Claim)} - {"p"}
    if odd := sorted(keys.symmetric_difference(record)):
        message = (
            f"metrics: every claim of {path} must have {', '.join(sorted(keys))}, but it is otherwise with {odd[0]}; "
            f"run `dvc repro --force {stage}`"
        )
        raise PipelineError(message)
    correction, limit = record["correction"], record["limit"]
    return Claim(
        **{key: value for key, value in record.items() if key not in {"correction", "limit"}},
        p=correction and correction["p"],
        correction=correction and Correction(**correction),
        limit=limit and Limit(**limit),
    )
