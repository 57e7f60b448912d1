"""The five lines of "In short": the claims about translators, as the stage claims decided them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.claims import Claim
from pipeline.conventions import label_of

LINES = ("grows_with_depth", "above_controls", "embeddings_match", "attention_is_plan", "below_position_error")


@dataclass(frozen=True)
class Line:
    """One line of "In short".

    Attributes
    ----------
    id, statement : str
        Of the claim.
    claims : tuple of Claim
        The deciding comparison of every translator and view; empty where nothing was measured.
    missing : str
        Why there is none, otherwise empty.
    """

    id: str
    statement: str
    claims: tuple[Claim, ...]
    missing: str = ""

    @property
    def verdict(self) -> str:
        """What the claims have in common; how many are supported if they differ; `not measured` without any."""
        verdicts = {claim.verdict for claim in self.claims}
        if len(verdicts) <= 1:
            return verdicts.pop() if verdicts else "not measured"
        n_supported = sum(claim.verdict == "supported" for claim in self.claims)
        return f"mixed: {n_supported} of {len(self.claims)} supported"


def in_short(claims: Sequence[Claim], translators: Sequence[str]) -> list[Line]:
    """Return the lines.

    Parameters
    ----------
    claims : sequence of Claim
        From `claims.json`.
    translators : sequence of str
        Their names, in the order of the rows.
    """
    lines = []
    for name in LINES:
        found = [claim for claim in claims if claim.claim == name and claim.role == "decides"]
        measured = [claim for claim in found if claim.verdict != "untested"]
        rows = tuple(sorted(measured, key=lambda claim: translators.index(claim.translator)))
        lines.append(Line(name, found[0].statement, rows, "" if rows else found[0].why))
    return lines


def view_name(claim: Claim) -> str:
    """Return the view of a claim in words, empty where it has none."""
    return label_of(claim.view) if claim.view else ""
