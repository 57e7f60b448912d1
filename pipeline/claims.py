"""Claims and their verdicts: what stages estimate comes in as rows, one rule decides, one file keeps the result.

A claim is estimate rows and a rule. `decide` corrects the rows of a question for their number, gives each a verdict,
and lets the weakest row of a claim decide for its translator and view, since a claim must hold against all that it is
compared with, or a rule that reads several rows together. To add a claim, make rows (`Estimate`); to replace one, make
others.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import PipelineError

FEWEST = 10
"""Sentences below which nothing is decided: resampling a handful gives intervals that are too short."""
QUESTIONS = (
    "finds_translations",
    "grows_with_depth",
    "is_a_plan",
    "translator_uses_it",
    "embeddings_match",
    "construction",
    "training",
)
OPEN = "open_question"
"""What the studies answer (`pipeline.synthetic.studies`); its claims stand beside those of a run, in files of their own."""
EVIDENCE = ("supported", "partly", "not supported", "undecided", "untested", "not testable here")
CERTIFICATE = ("holds", "fails", "vacuous")
"""Verdicts on the construction, of which there are theorems."""
ROLES = ("decides", "beside", "compared")
RULES = ("value <= threshold", "value >= threshold")
CONTROLS = {
    "trained": "trained",
    "random_init": "random weights",
    "weight_shuffled": "shuffled weights",
    "uniform": "uniform",
    "position": "position",
    "mispaired": "mispaired",
    "shuffled_lexicon": "shuffled dictionary",
    "chance": "chance",
}
"""What controls are called, in statements and on the page."""


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes
    ----------
    id : str
        One of `QUESTIONS`.
    text : str
        As a heading.
    that : str
        What a yes says, as it stands in a sentence after `that`.
    """

    id: str
    text: str
    that: str

    def __post_init__(self) -> None:
        _one_of("question", self.id, QUESTIONS)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A number that is held to a limit, where no interval decides.

    Attributes
    ----------
    value, threshold : float or str
        What was measured, and its limit; text where a number is none.
    rule : {"value <= threshold", "value >= threshold"}
        How they compare where the claim is right.
    reference : str
        Where the statement comes from.
    setting : mapping
        What it was measured on.
    seed : int or None
        First seed; None where nothing is random.
    group : {"paper", "follows", "errata", "software", ""}
        Of the certificate: a statement of the paper, what follows from it, an erratum, or a check of our software.
    """

    value: float | str
    threshold: float | str
    rule: str
    reference: str
    setting: Mapping[str, Any]
    seed: int | None
    group: str = ""


@dataclass(frozen=True)
class Correction:
    """How a p-value was corrected.

    Attributes
    ----------
    family : str
        Name of the tests that it was corrected for.
    n_tests : int
        Their number.
    p, corrected : float
        Before and after, in [0, 1].
    """

    family: str
    n_tests: int
    p: float
    corrected: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One row: a difference that its claim says is above 0, or a number that is held to a limit.

    Attributes
    ----------
    id : str
        Stable name of the comparison.
    claim, question : str
        The claim that it is a part of, and which of `QUESTIONS` that answers, or `OPEN`.
    statement, comparison : str
        The claim in our words; this row of it in our words.
    translator, view : str
        Of what; empty where there is none.
    layer : int or None
    control : str
        What it is compared with.
    where : str
        Layer, control and method in words.
    difference, low, high : float or None
        In favour of the claim, with its interval; None is no number.
    unit : str
        Of the difference, or of the value that is held to a limit.
    n_pairs : int or None
        Sentences.
    p : float or None
        Two-sided, uncorrected; None where it was not computed.
    power : float or None
        How far apart the answers are that it tells from each other, where it was computed; in its unit.
    bound : float
        What the difference must exceed, and the value that p is of.
    figure : str
        Name of the figure that shows it, empty where none does.
    role : {"decides", "beside", "compared"}
        Whether it enters the verdict of the claim, is told beside it, or is only one of the tests corrected for.
    limit : Limit or None
        Instead of difference and interval.
    """

    id: str
    claim: str
    question: str
    statement: str
    comparison: str = ""
    translator: str = ""
    view: str = ""
    layer: int | None = None
    control: str = ""
    where: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n_pairs: int | None = None
    p: float | None = None
    power: float | None = None
    bound: float = 0.0
    figure: str = ""
    role: str = "decides"
    limit: Limit | None = None

    def __post_init__(self) -> None:
        _one_of("question", self.question, (*QUESTIONS, OPEN))
        _one_of("role", self.role, ROLES)


@dataclass(frozen=True, kw_only=True)
class Claim(Estimate):
    """A row with its verdict; `role` says whether it is the one that decides.

    Attributes
    ----------
    verdict : str
        One of `EVIDENCE`, of the construction one of `CERTIFICATE`.
    why : str
        What a verdict rests on that the numbers do not show: why it is undecided or untested; empty otherwise.
    correction : Correction or None
        Of its p-value, where there is one.
    """

    verdict: str
    why: str = ""
    correction: Correction | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        known = CERTIFICATE if self.question == "construction" and self.limit is not None else EVIDENCE
        _one_of("verdict", self.verdict, known)


Rule = Callable[[Sequence[Claim], float], tuple[str, str]]
"""From the rows that decide together, and the level of corrected p-values, to verdict and reason."""


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        message = f"claims: {name} must be one of {', '.join(known)}, but is {value!r}; correct the claim, or run `dvc repro --force claims`"
        raise PipelineError(message)


def too_few(row: Estimate) -> bool:
    """Return whether a row rests on so few sentences that nothing is decided."""
    return row.n_pairs is not None and row.n_pairs < FEWEST


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for the number of tests (Holm 1979), in [0, 1]; None is no test.

    Examples
    --------
    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    tests = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for step, (p, place) in enumerate(tests):
        highest = max(highest, p * (len(tests) - step))
        corrected[place] = min(highest, 1.0)
    return corrected


def correct(estimates: Sequence[Estimate]) -> list[Correction | None]:
    """Return the correction of every row: Holm over all rows of its question, across translators and views."""
    out: list[Correction | None] = [None] * len(estimates)
    for question in (*QUESTIONS, OPEN):
        rows = [place for place, row in enumerate(estimates) if row.question == question and row.p is not None]
        p_values = [estimates[place].p for place in rows]
        for place, p, corrected in zip(rows, p_values, holm(p_values), strict=True):
            if p is not None and corrected is not None:
                out[place] = Correction(question, len(rows), p, corrected)
    return out


def verdict_of(estimate: Estimate, corrected: float | None = None, *, level: float = 0.95) -> tuple[str, str]:
    """Return verdict and reason of one row.

    The interval of a difference lies above its bound (supported), below it (not supported) or decides nothing; a limit
    is kept (supported) or not.

    Parameters
    ----------
    estimate : Estimate
        The row.
    corrected : float or None
        Its corrected p-value, where there is one.
    level : float
        Of the intervals: a corrected p-value above 1 - level leaves a difference undecided.

    Examples
    --------
    >>> row = {"id": "a", "claim": "a", "question": "is_a_plan", "statement": "A.", "n_pairs": 100}
    >>> verdict_of(Estimate(**row, low=0.1, high=0.2)), verdict_of(Estimate(**row, low=-0.1, high=0.1))
    (('supported', ''), ('undecided', 'the interval holds 0'))
    """
    if estimate.limit is not None:
        return ("supported" if _kept(estimate.limit) else "not supported"), ""
    low, high = estimate.low, estimate.high
    if too_few(estimate):
        return "undecided", f"too few sentences: {estimate.n_pairs}, at least {FEWEST} are needed"
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "undecided", "there is no interval"
    if low == high:
        return "undecided", "the interval has no width"
    if low <= estimate.bound <= high:
        return "undecided", f"the interval holds {estimate.bound:g}"
    if corrected is not None and corrected > 1 - level:
        return "undecided", "it does not survive the correction for many tests"
    return ("supported" if low > estimate.bound else "not supported"), ""


def _kept(limit: Limit) -> bool:
    """Return whether a number keeps its limit; one that is none does not."""
    value, threshold = float(limit.value), float(limit.threshold)
    return value >= threshold if limit.rule == RULES[1] else value <= threshold


def decide(estimates: Sequence[Estimate], *, level: float, rules: Mapping[str, Rule] | None = None) -> list[Claim]:
    """Return the claims in the order of their questions: of each those that decide, then those beside.

    Parameters
    ----------
    estimates : sequence of Estimate
        All that is compared, over all translators and views: rows with the role `compared` are only corrected for. Of
        those with the role `decides` the weakest of each claim, translator and view decides; the others stand beside.
    level : float
        Of the intervals.
    rules : mapping of claim to Rule, optional
        Claims that several rows decide together: the first row of each translator and view has the verdict of the
        rule, which is given all rows with the role `decides`; with too few sentences it is undecided.
    """
    rules = rules or {}
    claims = []
    for row, correction in zip(estimates, correct(estimates), strict=True):
        if row.role != "compared":
            verdict, why = verdict_of(row, correction.corrected if correction else None, level=level)
            claims.append(Claim(**vars(row), verdict=verdict, why=why, correction=correction))
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        groups.setdefault((claim.question, claim.claim, claim.translator, claim.view), []).append(claim)
    ranked = [
        claim
        for (_, name, *_), group in groups.items()
        for claim in (_by_rule(group, rules[name], level) if name in rules else _weakest_first(group))
    ]
    order = {key[:2]: place for place, key in enumerate(groups)}
    asked = (*QUESTIONS, OPEN)
    return sorted(ranked, key=lambda c: (asked.index(c.question), order[c.question, c.claim], ROLES.index(c.role)))


def _by_rule(group: Sequence[Claim], rule: Rule, level: float) -> list[Claim]:
    """Return a group with its first row in front, which has the verdict of all that decide, and every other beside."""
    deciding = [claim for claim in group if claim.role == "decides"]
    if not deciding:
        return list(group)
    front, few = deciding[0], [claim for claim in deciding if too_few(claim)]
    verdict, why = (few[0].verdict, few[0].why) if few else rule(deciding, round(1 - level, 10))
    others = [replace(claim, role="beside") for claim in group if claim is not front]
    return [replace(front, verdict=verdict, why=why), *others]


def _weakest_first(group: Iterable[Claim]) -> list[Claim]:
    """Return a group with the one that decides in front, and every other beside it."""
    ranked = sorted(group, key=lambda claim: (ROLES.index(claim.role), _low(claim)))
    return [replace(claim, role="beside") if place else claim for place, claim in enumerate(ranked)]


def _low(claim: Claim) -> float:
    return claim.low if claim.low is not None and math.isfinite(claim.low) else -math.inf


def untested(question: str, claim: str, statement: str, *, why: str) -> Claim:
    """Return a claim of which nothing was measured."""
    return Claim(id=claim, claim=claim, question=question, statement=statement, verdict="untested", why=why)
