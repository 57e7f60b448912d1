"""What is measured of one translator: blocks by split, links, sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.attention.store import PairBlocks, read_blocks, read_manifest
from pipeline.conventions import View, view_of
from pipeline.corpus.gold import GoldPair
from pipeline.corpus.pairs import SentencePair, read_pairs
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.lexicon.links import read_links


class StoredBlocks:
    """The blocks of a folder, read anew each time they are gone through."""

    def __init__(self, folder: Path | str, *, heads: bool = False) -> None:
        self.folder, self.heads = Path(folder), heads

    def __iter__(self) -> Iterator[PairBlocks]:
        return read_blocks(self.folder, heads=self.heads)


@dataclass(frozen=True)
class Split:
    """Blocks, and the manifest: translator, views, n_layers, n_pairs, skipped, conventions."""

    manifest: Mapping
    blocks: Iterable[PairBlocks]

    @classmethod
    def read(cls, folder: Path | str) -> "Split":
        """Return the split of a folder; blocks are read as they are needed.

        Raises
        ------
        PipelineError
            If the folder holds no finished extraction.
        """
        return cls(read_manifest(folder), StoredBlocks(folder))

    @property
    def with_heads(self) -> Iterable[PairBlocks]:
        """Return the blocks, with those of every head where they are kept."""
        return StoredBlocks(self.blocks.folder, heads=True) if isinstance(self.blocks, StoredBlocks) else self.blocks

    @property
    def views(self) -> tuple[View, ...]:
        """Return the ways to look, in the order of the blocks."""
        return tuple(view_of(name) for name in self.manifest["views"])

    @property
    def label(self) -> str:
        """Return what progress bars call it."""
        return f"{self.manifest.get('translator', 'translator')} {self.manifest.get('split', 'blocks')}"


@dataclass(frozen=True)
class GoldSet:
    """A set of hand-made links, its sentences and their blocks.

    Attributes
    ----------
    name, languages : str
        Of the set, as in params.yaml.
    links : mapping of pair_id to GoldLinks
        Of every annotated sentence.
    split : Split
        Blocks of the sentences.
    pairs : sequence of SentencePair
        The sentences.
    """

    name: str
    languages: str
    links: Mapping[int, GoldLinks]
    split: Split
    pairs: Sequence[SentencePair]

    @classmethod
    def of(cls, name: str, gold: Sequence[GoldPair], folder: Path | str) -> "GoldSet":
        """Return a set of the corpus with the blocks of a folder.

        Raises
        ------
        PipelineError
            If the folder holds no finished extraction.
        """
        links = {item.pair.pair_id: item.links for item in gold}
        return cls(name, gold[0].languages, links, Split.read(folder), [item.pair for item in gold])


@dataclass(frozen=True)
class Figure1:
    """The sentence of the paper's Figure 1, which is looked at and enters no score.

    Attributes
    ----------
    pair : SentencePair
        The sentence and its translation.
    links : int array, shape (link, 2)
        Dictionary links, source word then target word.
    split : Split
        Its blocks, by the trained weights.
    """

    pair: SentencePair
    links: SomeLinks
    split: Split

    @classmethod
    def read(cls, corpus: Path, links: Path, blocks: Path) -> "Figure1 | None":
        """Return the pair with links and blocks from `figure1` in each folder, None where the corpus has no such pair.

        Raises
        ------
        PipelineError
            If a stage that makes one of them has not run.
        """
        for pair in read_pairs(corpus / "figure1.parquet"):
            own = read_links(links / "figure1.parquet")[pair.pair_id]
            return cls(pair, own, Split.read(blocks / "figure1"))
        return None


@dataclass(frozen=True)
class Inputs:
    """What is measured.

    Attributes
    ----------
    pairs : sequence of SentencePair
        The selected sentences.
    links : mapping of pair_id to int array, shape (link, 2)
        Dictionary links, source word then target word.
    trained : Split
        Blocks of the translator.
    controls : mapping of name to Split
        The same with other weights: `random_init` and its further seeds, `weight_shuffled`.
    shuffled_links : mapping of pair_id to int array, or None
        Links of the dictionary whose translations were dealt out anew.
    gold_sets : sequence of GoldSet
        Hand-made links; the first set is the one that claims are decided on.
    link_policy : str
        For the signature.
    min_links : int
        Pairs with fewer links are dropped.
    """

    pairs: Sequence[SentencePair]
    links: Mapping[int, SomeLinks]
    trained: Split
    controls: Mapping[str, Split] = field(default_factory=dict)
    shuffled_links: Mapping[int, SomeLinks] | None = None
    gold_sets: Sequence[GoldSet] = ()
    link_policy: str = "unstated"
    min_links: int = 1
