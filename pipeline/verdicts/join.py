"""All claims of a run, and the tables that join translators and prompts."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline import failures
from pipeline._output import write_json, write_text
from pipeline.claims import QUESTIONS, Claim, decide, untested
from pipeline.claims_file import write_claims
from pipeline.columns import TRANSLATOR
from pipeline.verdicts.certificate import certificate_claims
from pipeline.verdicts.evidence import RULES
from pipeline.verdicts.intervention import use_claims
from pipeline.verdicts.questions import ASKED_OF_ALL
from pipeline.verdicts.reading import read_table, read_translator
from pipeline.verdicts.training import learning_estimates, merge_learn
from pipeline.verdicts.translators import translator_estimates, unmeasured, unread

UNTESTED = {
    "construction": ("The constructed transformer transports.", "the stage certify has not run"),
    "training": ("Training finds a transformer that transports.", "no training of which anything is claimed has run"),
}
"""Statement of a question that nothing answers, and why nothing does."""


def write_verdicts(metrics: Path, translators: Sequence[str], *, level: float) -> list[Claim]:
    """Write `claims.json`, `learn.json` and `aer.csv`, and return the claims.

    Parameters
    ----------
    metrics : Path
        Holds `translators/NAME` and `intervene/NAME`, and what certify and learn wrote, if they have run.
    translators : sequence of str
        Their names, in the order of params.yaml.
    level : float
        Of the intervals: a corrected p-value above 1 - level leaves a claim undecided.

    Raises
    ------
    PipelineError
        If metrics are missing or from another version, or no translator could be measured.
    """
    failed = failures.unmeasured(metrics, translators)
    translators = [name for name in translators if name not in failed]
    learned = merge_learn((metrics / "learn").glob("*.json"))
    measured = [read_translator(metrics / "translators" / name, name) for name in translators]
    used = [use_claims(metrics / "intervene" / name, name) for name in translators]
    estimates = [
        *translator_estimates(measured),
        *(row for rows, _ in used for row in rows),
        *learning_estimates(learned["prompts"]),
    ]
    claims = [
        *decide(estimates, level=level, rules=RULES),
        *(claim for _, settled in used for claim in settled),
        *unmeasured(estimates),
        *(claim for name, failure in failed.items() for claim in unread(name, str(failure))),
        *certificate_claims(metrics / "certificate.json"),
    ]
    claims += [
        untested(question, question, statement, why=why)
        for question, (statement, why) in UNTESTED.items()
        if not any(claim.question == question for claim in claims)
    ]
    claims.sort(key=lambda claim: QUESTIONS.index(claim.question))
    errors = _joined_errors(metrics / "translators", translators)
    write_claims(metrics / "claims.json", claims, ASKED_OF_ALL)
    write_json(metrics / "learn.json", learned)
    write_text(metrics / "aer.csv", errors)
    return claims


def _joined_errors(folder: Path, translators: Sequence[str]) -> str:
    """Return the `aer.csv` of all translators as one table, column `translator` first."""
    lines: list[str] = []
    for name in translators:
        path = folder / name / "aer.csv"
        read_table(path, TRANSLATOR["aer"], f"align@{name}")
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        lines += [f"translator,{head}"] if not lines else []
        lines += [f"{name},{row}" for row in rows]  # names hold no comma
    return "".join(f"{line}\n" for line in lines)


def tally(claims: Sequence[Claim]) -> str:
    """Return how many of the deciding claims have each verdict, most first."""
    verdicts = Counter(claim.verdict for claim in claims if claim.role == "decides")
    return f"{verdicts.total()} verdicts, {', '.join(f'{n} {word}' for word, n in verdicts.most_common())}"
