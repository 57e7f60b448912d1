"""The first screen: what the claims of `claims.json` answer, in one sentence and as a matrix of verdicts."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.claims import EVIDENCE, Claim, Question
from pipeline.conventions import label_of
from pipeline.report.wording import MARKS, MINUS, listed, marked, number, with_interval

ORDER = ("supported", "holds", "partly", "not supported", "fails", "vacuous", *EVIDENCE[3:])
"""Of verdicts, in tallies."""
UNDECIDABLE = frozenset({"untested", "not testable here"})
"""Verdicts on what was not measured, or could not have told the answers apart."""


@dataclass(frozen=True)
class Entry:
    """One verdict in a cell.

    Attributes
    ----------
    mark, verdict : str
        The verdict as a mark and in words.
    difference, interval, unit : str
        In print; empty where there is none.
    where : str
        Layer and control, or what was counted.
    why : str
        Why it is undecided or was not measured; empty otherwise.
    href : str
        Where its figure stands.
    statement : str
        What is claimed.
    """

    mark: str
    verdict: str
    difference: str
    interval: str
    unit: str
    where: str
    why: str
    href: str
    statement: str


@dataclass(frozen=True)
class Cell:
    """Verdicts on one question.

    Attributes
    ----------
    span : int
        How many columns it stands for.
    head : str
        Translator and view, where it is one of both.
    entries : list of Entry
        The verdicts.
    """

    span: int
    head: str
    entries: list[Entry]


@dataclass(frozen=True)
class Answer:
    """What answers a question.

    Attributes
    ----------
    question : Question
        What is asked.
    claims : list of Claim
        Those that decide, in the order of the translators.
    """

    question: Question
    claims: list[Claim]

    @property
    def measured(self) -> list[Claim]:
        """The claims of which something was measured, though it may decide nothing."""
        return [claim for claim in self.claims if _has_number(claim) or claim.verdict not in UNDECIDABLE]

    @property
    def of_translators(self) -> bool:
        """Whether it is asked of translators."""
        return any(claim.translator for claim in self.claims)

    @property
    def finding(self) -> str:
        """The answer in one sentence, or why there is none."""
        if not self.measured:
            reasons = listed(sorted({claim.why for claim in self.claims} - {""}))
            return f"Not measured{f': {reasons}' if reasons else ''}."
        if not self.of_translators:
            return f"Of {len(self.claims)} statements {tally(self.claims)}."
        groups: dict[str, list[Claim]] = {}
        for claim in self.measured:
            groups.setdefault(claim.claim, []).append(claim)
        return "; ".join(_told(group) for group in groups.values()) + "."


def answers(claims: Sequence[Claim], questions: Sequence[Question], translators: Sequence[str]) -> list[Answer]:
    """Return what answers each question.

    Parameters
    ----------
    claims : sequence of Claim
        From `claims.json`.
    questions : sequence of Question
        From there too.
    translators : sequence of str
        Their names, in the order of the columns.
    """
    place = {name: k for k, name in enumerate(translators)}
    return [
        Answer(
            question,
            sorted(
                (claim for claim in claims if (claim.question, claim.role) == (question.id, "decides")),
                key=lambda claim: place.get(claim.translator, -1),
            ),
        )
        for question in questions
    ]


def tally(claims: Sequence[Claim]) -> str:
    """Return how many claims have each verdict, in words."""
    found = Counter(claim.verdict for claim in claims)
    verbs = {"holds": ("holds", "hold"), "fails": ("fails", "fail")}
    parts = []
    for verdict in ORDER:
        if n := found[verdict]:
            one, more = verbs.get(verdict, (f"is {verdict}", f"are {verdict}"))
            parts.append(f"{n} {one if n == 1 else more}")
    return listed(parts)


def _told(group: Sequence[Claim]) -> str:
    """Return a claim with how many translators and views support it, and by how much."""
    supported = [claim for claim in group if claim.verdict == "supported"]
    statement = group[0].statement.rstrip(".")
    if not supported:
        return f"{statement}: {tally(group)} ({'; '.join(map(who, group))})"
    by = [claim.difference for claim in supported if claim.difference is not None]
    much = ""
    if by:
        low, high = (number(value, 2, sign=True) for value in (min(by), max(by)))
        much = f", by {low if low == high else f'{low} to {high}'} {supported[0].unit}"
    others = [claim for claim in group if claim.verdict != "supported"]
    but = "".join(f"; {claim.verdict}: {who(claim)}" for claim in others)
    return f"{statement}: supported in {len(supported)} of {len(group)}{much}{but and f' ({but[2:]})'}"


def who(claim: Claim) -> str:
    """Return translator and view of a claim in words, empty where it has none."""
    return ", ".join(filter(None, (claim.translator, claim.view and label_of(claim.view))))


def sentence(found: Sequence[Answer], translators: Sequence[str], *, demo: bool) -> str:
    """Return the answer to the title of the page, computed from the verdicts on translators.

    Parameters
    ----------
    found : sequence of Answer
        Of all questions.
    translators : sequence of str
        Their names.
    demo : bool
        Whether they were trained for the demo.
    """
    asked = [answer for answer in found if answer.of_translators or not answer.measured]
    of = f"{'the demo translators ' if demo else ''}{listed(list(translators))}"
    states: dict[str, list[str]] = {"all": [], "some": [], "none": [], "unclear": [], "open": []}
    for answer in asked:
        verdicts = [claim.verdict for claim in answer.measured]
        n, n_supported, n_partly = len(verdicts), verdicts.count("supported"), verdicts.count("partly")
        against = "none" if "not supported" in verdicts else "unclear"
        state = "open" if not n else "all" if n_supported == n else "some" if n_supported + n_partly else against
        counts = [f"{n_supported} of {n}"] * bool(n_supported) + [f"{n_partly} of {n} partly"] * bool(n_partly)
        share = f" ({', '.join(counts)})" if state == "some" else ""
        states[state].append(f"{answer.question.that}{share}")
    words = {
        "all": "{} throughout",
        "some": "only in part, {}",
        "none": "it is not supported that {}",
        "unclear": "whether {} could not be decided",
        "open": "whether {} was not measured",
    }
    parts = [words[state].format(listed(that)) for state, that in states.items() if that]
    measured = {state for state, that in states.items() if that and state != "open"}
    word = {
        frozenset({"all"}): "Yes",
        frozenset({"none"}): "No",
        frozenset({"unclear"}): "Undecided",
        frozenset(): "Nothing is known",
    }
    return f"{word.get(frozenset(measured), 'In part')}, for {of}: {'; '.join(parts)}."


def matrix(
    found: Sequence[Answer], views: Mapping[str, Sequence[str]], figures: Collection[str]
) -> list[tuple[Question, list[Cell]]]:
    """Return the cells of every question.

    Parameters
    ----------
    found : sequence of Answer
        Of all questions.
    views : mapping of str to sequence of str
        Names of the views by translator, in the order of the columns.
    figures : collection of str
        Names of the figures on the page: a verdict on another leads to its section.
    """
    return [(answer.question, list(_cells(answer, views, figures))) for answer in found]


def _cells(answer: Answer, views: Mapping[str, Sequence[str]], figures: Collection[str]) -> Iterator[Cell]:
    """Yield a cell a view; one a translator, or one for all, where claims are not about views."""
    claims, section = answer.claims, answer.question.id
    if not answer.of_translators:
        entries = [_counted(claims, verdict, section) for verdict in ORDER if _has(claims, verdict)]
        yield Cell(sum(map(len, views.values())), "", entries)
        return
    for translator, names in views.items():
        own = [claim for claim in claims if claim.translator in {translator, ""}]
        apart = {name: [claim for claim in own if claim.view == name] for name in names}
        together = [claim for claim in own if claim.view not in names]
        if together or not any(apart.values()):
            yield Cell(len(names), translator, [_entry(claim, figures) for claim in own])
        else:
            for name, some in apart.items():
                yield Cell(1, f"{translator}, {label_of(name)}", [_entry(claim, figures) for claim in some])


def _has_number(claim: Claim) -> bool:
    return claim.difference is not None or claim.limit is not None


def _has(claims: Sequence[Claim], verdict: str) -> bool:
    return any(claim.verdict == verdict for claim in claims)


def _counted(claims: Sequence[Claim], verdict: str, section: str) -> Entry:
    """Return the number of statements with one verdict."""
    some = [claim for claim in claims if claim.verdict == verdict]
    if verdict in UNDECIDABLE:
        return Entry(MARKS[verdict], "not measured", "", "", "", "", some[0].why, f"#{section}", "")
    total = f"{len(some)} of {len(claims)}"
    return Entry(MARKS[verdict], verdict, total, "", "statements", "", "", f"#{section}", "")


def _entry(claim: Claim, figures: Collection[str]) -> Entry:
    low, high = (math.nan if end is None else end for end in (claim.low, claim.high))
    shown = "" if claim.difference is None else with_interval(claim.difference, low, high, sign=True)
    difference, _, interval = shown.rstrip("]").partition(" [")
    href = claim.figure if claim.figure in figures else claim.question
    why = claim.why
    if why and claim.power is not None:
        power = f"{claim.power:.2g}".replace("-", MINUS)
        why = f"{why}; the two differ by {power} {claim.unit} there"
    open_ = claim.verdict == "untested" and not _has_number(claim)
    verdict = "not measured" if open_ else marked(claim.verdict)[2:]
    return Entry(
        MARKS[claim.verdict], verdict, difference, interval, claim.unit if shown else "", claim.where, why,
        f"#{href}", claim.statement,
    )  # fmt: skip


def claims_of(answer: Answer) -> list[list[str]]:
    """Return rows of translator and view, verdict, difference with unit, where, n and why."""
    rows = []
    for claim in answer.measured:
        entry = _entry(claim, ())
        rows.append(
            [
                who(claim) or "–",
                marked(claim.verdict),
                f"{entry.difference}{entry.interval and f' [{entry.interval}]'} {entry.unit}".strip() or "–",
                claim.where or "–",
                "–" if claim.n_pairs is None else f"{claim.n_pairs:,}",
                claim.why or "–",
            ]
        )
    return rows
