"""Links for sentences of one's own, in batches: what is kept at any time is one batch of blocks."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from jaxtyping import Float

from pipeline.attention.engine import batches
from pipeline.attention.joint import JointReader
from pipeline.attention.reader import Example, Reader
from pipeline.attention.store import PairBlocks
from pipeline.attention.word_map import UnmappableError
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks, Links, format_links
from pipeline.corpus.pretokenised import Pretokenised
from pipeline.errors import PipelineError
from pipeline.methods import MatchSettings
from pipeline.use.choice import Ask, Choice, choose
from pipeline.use.text import Texts, pairs_of
from pipeline.use.translators import Opened, open_translator

CHUNK = 512  # pairs that are brought into batches of like length together


@dataclass(frozen=True, eq=False)
class Aligned:
    """The links of one pair.

    Attributes
    ----------
    links : int array, shape (link, 2)
        Source word, target word, from 0, in ascending order.
    scores : float array, shape (link,)
        Similarity of the two words, in [0, 1]: attention, or (1 + cosine) / 2.
    left_out : str
        Why the pair could not be read (`too_long` and others); empty if it was, or if a side of it is blank.
    """

    links: Links = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    scores: Float[np.ndarray, " link"] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    left_out: str = ""

    def to_pharaoh(self) -> str:
        """Return the links as `i-j`, separated by spaces."""
        return format_links(GoldLinks(self.links, self.links[:0]))

    def to_scores(self) -> str:
        """Return the links with the score of each behind it, `i-j:0.9312`."""
        return " ".join(f"{i}-{j}:{score:.4f}" for (i, j), score in zip(self.links.tolist(), self.scores, strict=True))


def align(
    translator: str | Opened,
    src: Sequence[str],
    tgt: Sequence[str],
    *,
    languages: str = "en-fr",
    ask: Ask | Choice = Ask(),  # noqa: B008 - frozen
    pretokenised: Pretokenised = "auto",
    settled: Callable[[Choice], None] = lambda choice: None,
) -> Iterator[Aligned]:
    """Return an iterator over the links of sentence pairs, in their order.

    Parameters
    ----------
    translator : str or Opened
        An entry of params.yaml, a folder, a name on the hub, or what `open_translator` returned, which knows its
        languages itself.
    src, tgt : sequence of str
        Sentences and their translations, as many on either side; a blank one gives no links.
    languages : str
        Of the text, source-target.
    ask : Ask or Choice
        Where links come from; `Ask()` is the default of `Ask.settle` and `choose`.
    pretokenised : {"auto", True, False}
        Whether words stand between spaces already; `auto` decides by the first sentences.
    settled : callable
        Gets the choice once it is certain.

    Raises
    ------
    PipelineError
        At the call if sides differ in length or the translator cannot be opened; while going through the pairs if it
        has no such layer, view, head or word vectors.

    Examples
    --------
    >>> from pipeline import align
    >>> [pair.to_pharaoh() for pair in align("mini-mbert", ["A dog barks."], ["Un chien aboie."])]
    ['0-0 1-1 2-2 3-3']
    """
    texts = Texts(src, tgt)
    opened = open_translator(translator, languages) if isinstance(translator, str) else translator
    pairs = pairs_of(texts, texts.sides(opened.languages, pretokenised))
    return _align(opened, pairs, ask, settled)


def _align(
    opened: Opened,
    pairs: Iterable[SentencePair | None],
    ask: Ask | Choice,
    settled: Callable[[Choice], None],
) -> Iterator[Aligned]:
    reader, heads = reader_for(opened, ask)
    choice = ask if isinstance(ask, Choice) else None
    wanted = ask if isinstance(ask, Choice) else ask.settle(opened.reads, kinds_of(opened))
    stream = iter(pairs)
    while chunk := list(islice(stream, CHUNK)):
        found = [Aligned()] * len(chunk)
        at: dict[int, int] = {}
        examples = []
        for row, pair in enumerate(chunk):
            if pair is not None:
                example = _tokenised(reader, pair)
                if isinstance(example, str):
                    found[row] = Aligned(left_out=example)
                else:
                    at[pair.pair_id] = row
                    examples.append(example)
        if choice is None and examples:
            assert isinstance(wanted, Ask)
            choice = choose(wanted, reader.read(examples[:1], heads=heads)[0], reader.views, opened.reads)
            settled(choice)
        if choice is not None:
            for pair_id, matrix in _matrices(reader, examples, choice, opened.settings.tokens_per_batch):
                found[at[pair_id]] = _linked(choice, matrix, opened.options)
        yield from found


def kinds_of(opened: Opened) -> tuple[str, ...]:
    """Return the kinds of word vectors that a translator has."""
    return tuple(getattr(opened.reader(), "states", ()))


def reader_for(opened: Opened, ask: Ask | Choice) -> tuple[Reader, bool]:
    """Return a reader of no more than a choice needs, and whether it needs single heads."""
    if isinstance(ask, Choice):
        kind = ask.place if ask.origin == "states" else None
    else:
        kind = ask.settle(opened.reads, kinds := kinds_of(opened)).states
        if kind is not None and kind not in kinds:
            message = f"states: this translator has {', '.join(kinds)}, but it is {kind!r}; choose one"
            raise PipelineError(message)
    return opened.reader(() if kind is None else (kind,)), ask.head is not None


def _tokenised(reader: Reader, pair: SentencePair) -> Example | str:
    """Return the pair as the model reads it, or why it cannot."""
    try:
        return reader.tokenise(pair)
    except UnmappableError as error:
        return error.reason


def blocks_of(
    reader: Reader, examples: Sequence[Example], tokens_per_batch: int, *, heads: bool = False
) -> Iterator[PairBlocks]:
    """Yield the blocks of examples, in batches of like length; not in their order."""
    for batch in batches(examples, tokens_per_batch):
        yield from reader.read(batch, heads=heads)


def _matrices(
    reader: Reader, examples: Sequence[Example], choice: Choice, tokens_per_batch: int
) -> Iterator[tuple[int, Float[np.ndarray, "src tgt"]]]:
    """Yield number and similarities of every pair; of an encoder's word vectors no more is computed than these."""
    for batch in batches(examples, tokens_per_batch):
        if choice.origin == "states" and isinstance(reader, JointReader):
            for example, cosines in zip(batch, reader.cosines(batch, choice.place, choice.layer), strict=True):
                yield example.pair_id, choice.similarity(cosines)
        else:
            for block in reader.read(batch, heads=choice.head is not None):
                yield block.pair_id, choice.matrix(block, reader.views)


def _linked(choice: Choice, matrix: Float[np.ndarray, "src tgt"], options: MatchSettings) -> Aligned:
    linked = choice.linked(matrix, options)
    return Aligned(left_out="cannot_see") if linked is None else Aligned(*linked)


def describe_left_out(reasons: Counter[str], n_pairs: int) -> str:
    """Return one line on the pairs that could not be read.

    Examples
    --------
    >>> describe_left_out(Counter({"too_long": 2}), 9)
    '2 of 9 pairs could not be read and have no links: too_long 2'
    """
    counts = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
    return f"{reasons.total()} of {n_pairs} pairs could not be read and have no links: {counts}"
