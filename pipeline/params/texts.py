"""The blocks of params.yaml about text: corpus, sample, words, dictionary and hand-made links."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.base import Block, Count, Seed, Text, Texts, only_for, refuse

TABLE_SUFFIXES = (".tsv", ".parquet", ".jsonl")
DEMO_PAIR = "en-fr"
DEMO_PAIRS = "data/demo/pairs.tsv"
# The pairs that the hub's wmt/wmt14 holds, each of which can be read in either direction.
WMT14_PAIRS = ("cs-en", "de-en", "fr-en", "hi-en", "ru-en")
# The dictionaries that MUSE publishes: English with 44 languages, both ways; five of them with each other.
_MUSE_LANGUAGES = """
    af ar bg bn bs ca cs da de el es et fa fi fr he hi hr hu id it ja
    ko lt lv mk ms nl no pl pt ro ru sk sl sq sv ta th tl tr uk vi zh
"""
MUSE_WITH_ENGLISH = tuple(_MUSE_LANGUAGES.split())
MUSE_WITH_EACH_OTHER = ("de", "es", "fr", "it", "pt")
MUSE_PAIRS = frozenset(
    {f"en-{lang}" for lang in MUSE_WITH_ENGLISH}
    | {f"{lang}-en" for lang in MUSE_WITH_ENGLISH}
    | {f"{one}-{other}" for one in MUSE_WITH_EACH_OTHER for other in MUSE_WITH_EACH_OTHER if one != other}
)


class Corpus(Block):
    """Where the sentences come from."""

    source: Literal["demo", "files", "wmt14"] = "demo"
    pair: Annotated[str, Field(pattern=r"^[a-z]{2,3}-[a-z]{2,3}$")] = DEMO_PAIR
    src: Texts | None = None
    tgt: Texts | None = None
    file: Text | None = None
    revision: Text | None = None

    @property
    def src_lang(self) -> str:
        """Return the language code of the source side."""
        return self.pair.split("-")[0]

    @property
    def tgt_lang(self) -> str:
        """Return the language code of the target side."""
        return self.pair.split("-")[1]

    @model_validator(mode="after")
    def _agrees(self) -> "Corpus":
        if self.src_lang == self.tgt_lang:
            refuse(f"pair: two different languages, source-target, but it is {self.pair!r}; write en-fr, say")
        if self.source != "wmt14":
            only_for(self, ("revision",), "only source: wmt14 has a revision")
        if self.source == "files":
            self._files_agree()
            return self
        only_for(self, ("src", "tgt", "file"), f"source: {self.source} takes no files (source: files does)")
        if self.source == "demo" and self.pair != DEMO_PAIR:
            refuse(f"pair: the demo text is {DEMO_PAIR}, but it is {self.pair!r}; use source: files")
        if self.source == "wmt14" and not {self.pair, f"{self.tgt_lang}-{self.src_lang}"} & set(WMT14_PAIRS):
            refuse(f"pair: wmt14 has {', '.join(WMT14_PAIRS)} either way round, but it is {self.pair!r}; use one")
        return self

    def _files_agree(self) -> None:
        if self.file is not None:
            only_for(self, ("src", "tgt"), "either src and tgt or file, not both")
            if Path(self.file).suffix not in TABLE_SUFFIXES:
                refuse(f"file: must end in {', '.join(TABLE_SUFFIXES)}, but it is {self.file!r}")
        elif self.src is None or self.tgt is None:
            missing = [key for key in ("src", "tgt") if getattr(self, key) is None]
            refuse(f"{missing[0]}: source: files needs src and tgt, or file, but it is null; name the text files")
        elif len(self.src) != len(self.tgt):
            refuse(
                "src, tgt: as many files on either side, in the same order, "
                f"but there are {len(self.src)} and {len(self.tgt)}; add or remove one"
            )


class Sample(Block):
    """Which sentence pairs are kept."""

    n_pairs: Count = 240
    method: Literal["rows", "full", "head"] = "rows"
    seed: Seed = 2026
    min_words: Count = 5
    max_words: Count = 40
    min_links: Count = 3

    @model_validator(mode="after")
    def _agrees(self) -> "Sample":
        if self.min_words > self.max_words:
            refuse(f"min_words: at most max_words ({self.max_words}), but it is {self.min_words}")
        if self.min_links > self.max_words:
            refuse(f"min_links: at most max_words ({self.max_words}), but it is {self.min_links}")
        return self


class Words(Block):
    """How words are looked up."""

    lemmas: Literal["simplemma", "stanza", "none"] = "simplemma"


class Lexicon(Block):
    """Where the dictionary comes from and how it links words."""

    source: Literal["demo", "muse", "files"] = "demo"
    path: Text | None = None
    mirror: Annotated[str, Field(pattern=r"^https?://")] | None = None
    policy: Literal["one_to_one", "first_occurrence"] = "one_to_one"

    @model_validator(mode="after")
    def _agrees(self) -> "Lexicon":
        if self.source != "muse":
            only_for(self, ("mirror",), "only source: muse has a mirror")
        if self.source != "files":
            only_for(self, ("path",), "only source: files has a path")
        elif self.path is None:
            refuse("path: source: files needs the path of a dictionary, but it is null; name a MUSE file")
        return self


class Gold(Block):
    """Hand-made links to score against."""

    text: Text = DEMO_PAIRS
    links: Text = DEMO_PAIRS
    base: Annotated[int, Field(ge=0, le=1)] = 0
