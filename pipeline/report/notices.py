"""What a reader must know before the first number: translators that are missing, and numbers that mean little."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.claims import FEWEST, Claim, too_few
from pipeline.failures import Failure
from pipeline.params import DEMO_PAIR, Params
from pipeline.report.page import text
from pipeline.report.wording import count, listed


class Notice(NamedTuple):
    """One of them: what it is about, and a sentence or two."""

    about: str
    says: str


def notices(params: Params, claims: Sequence[Claim], failed: Mapping[str, Failure]) -> list[Notice]:
    """Return what is to be said of a run, the most serious first.

    Parameters
    ----------
    params : Params
    claims : sequence of Claim
        All of them: verdicts that too few sentences kept from being taken are counted.
    failed : mapping of str to Failure
        Translators of which nothing was measured.
    """
    found = [
        Notice(text("notices", "missing", name=name), text("notices", "failed", stage=failure.stage, why=failure.why))
        for name, failure in failed.items()
    ]
    deciding = [claim for claim in claims if claim.role == "decides" and claim.n_pairs is not None]
    if few := [claim for claim in deciding if too_few(claim)]:
        says = text("notices", "few", n=count(len(few)), all=count(len(deciding)), fewest=FEWEST)
        found.append(Notice(text("notices", "too_few"), says))
    others = {pair: [name for name in names if name not in failed] for pair, names in params.demo_abroad.items()}
    for pair, names in others.items():
        if names:
            says = text("notices", "abroad", names=listed(names), own=DEMO_PAIR, pair=pair)
            found.append(Notice(text("notices", "language"), says))
    return found
