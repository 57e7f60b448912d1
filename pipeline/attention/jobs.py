"""What one translator reads: the corpus with every kind of weights, and each set of hand-aligned sentences."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.attention.load import Control
from pipeline.corpus.gold import GoldPair, by_set
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.params import Extract

_GOLD = "gold-"
FIGURE1 = "figure1"
"""The split of the sentence of the paper's Figure 1."""


@dataclass(frozen=True)
class Job:
    """Sentences to be read with one kind of weights.

    Attributes
    ----------
    split : str
        The folder of the blocks: a control's name, with a number from its second seed on, `gold-SET`, or `figure1`.
    control : str
        Which weights.
    settings : Extract
        With the seed of this draw, and how many pairs keep every head: all but for the corpus.
    pairs : sequence of SentencePair
    languages : str
        Of the sentences, source-target.
    """

    split: str
    control: Control
    settings: Extract
    pairs: Sequence[SentencePair]
    languages: str

    @property
    def of_gold(self) -> bool:
        """Whether these are the sentences of a gold set."""
        return self.split.startswith(_GOLD)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the gold set in an error: its languages may be none that the translator knows.

        Raises
        ------
        PipelineError
            What was raised, with the set before it.
        """
        try:
            yield
        except PipelineError as error:
            if not self.of_gold:
                raise
            message = f"gold set {self.split.removeprefix(_GOLD)} ({self.languages}): {error}; or leave the set out"
            raise PipelineError(message) from None


def jobs(
    settings: Extract,
    pairs: Sequence[SentencePair],
    gold: Sequence[GoldPair],
    languages: str,
    *,
    figure1: Sequence[SentencePair] = (),
) -> list[Job]:
    """Return what is to be read, the corpus (in its languages) first, if there is any.

    Gold sets, and the sentence of the paper's Figure 1 where there is one, are read with the trained weights.
    """
    found = [
        Job(split, control, settings.model_copy(update={"seed": seed}), pairs, languages)
        for split, control, seed in (settings.splits if pairs else ())
    ]
    for name, own in by_set(gold).items():
        all_heads = settings.model_copy(update={"heads_pairs": len(own)})
        found.append(Job(f"{_GOLD}{name}", "trained", all_heads, [item.pair for item in own], own[0].languages))
    if figure1:
        all_heads = settings.model_copy(update={"heads_pairs": len(figure1)})
        found.append(Job(FIGURE1, "trained", all_heads, figure1, languages))
    return found


def told(manifests: Mapping[str, Mapping]) -> str:
    """Return on one line how many pairs were read in each split, and how many were left out.

    Examples
    --------
    >>> told({"trained": {"n_pairs": 9, "skipped": {"too_long": 2}}, "gold-demo": {"n_pairs": 5, "skipped": {}}})
    'trained 9 pairs (left out: 2 too long), gold-demo 5 pairs'
    """
    parts = []
    for split, manifest in manifests.items():
        left = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in manifest["skipped"].items() if n)
        parts.append(f"{split} {manifest['n_pairs']} pairs{f' (left out: {left})' if left else ''}")
    return ", ".join(parts) or "nothing, which is the stage sums' work"
