"""The blocks of params.yaml about text: corpus, sample, words, dictionary and hand-made links."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_serializer, model_validator

from pipeline.params.base import Block, Count, Seed, Text, Texts, only_for, refuse, unique

TABLE_SUFFIXES = (".tsv", ".parquet", ".jsonl", ".tmx")
PACKED_SUFFIXES = (".gz", ".zip", ".zst", ".xz", ".bz2")
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

LanguagePair = Annotated[str, Field(pattern=r"^[a-z]{2,3}-[a-z]{2,3}$")]
# The name becomes part of a folder's name.
GoldName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
LinkFormat = Literal["auto", "pharaoh", "ids", "naacl", "xlwa", "table"]
"""Forms of a file of links; `pipeline.corpus.link_formats` reads them."""


def table_suffix(path: str) -> str:
    """Return which kind of table a file name says, packed or not: `.tsv` of `text.tsv.gz`; empty if none."""
    name = path.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return next((suffix for suffix in TABLE_SUFFIXES if name.endswith(suffix)), "")


class Corpus(Block):
    """Where the sentences come from."""

    source: Literal["demo", "files", "wmt14"] = "demo"
    pair: LanguagePair = DEMO_PAIR
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
            if not table_suffix(self.file):
                refuse(
                    f"file: must end in {', '.join(TABLE_SUFFIXES)} (packed: {', '.join(PACKED_SUFFIXES)} behind it), "
                    f"but it is {self.file!r}; rename or convert it"
                )
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

    n_pairs: Count | None = 240
    method: Literal["rows", "full", "head"] = "rows"
    seed: Seed = 2026
    min_words: Count = 5
    max_words: Count = 40
    min_links: Count = 3

    def wanted(self, n_rows: int) -> int:
        """Return how many pairs are kept of a source with so many rows, if all are fit."""
        return n_rows if self.n_pairs is None else self.n_pairs

    @model_validator(mode="after")
    def _agrees(self) -> "Sample":
        if self.min_words > self.max_words:
            refuse(
                f"min_words: at most max_words ({self.max_words}), but it is {self.min_words}; lower it, or raise max_words"
            )
        if self.min_links > self.max_words:
            refuse(f"min_links: at most max_words ({self.max_words}), but it is {self.min_links}; lower it")
        return self


def _no_number(value: object) -> object:
    """Return the value, but a number as text: to Python, 1 is True."""
    return value if isinstance(value, bool) or not isinstance(value, int | float) else str(value)


class Words(Block):
    """What the words of a sentence are, and how they are looked up."""

    pretokenised: Annotated[Literal["auto", True, False], BeforeValidator(_no_number)] = "auto"
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
    """A set of hand-made links to score against; languages, and how its words are split, are its own."""

    name: GoldName = "demo"
    pair: LanguagePair = DEMO_PAIR
    text: Texts = (DEMO_PAIRS,)
    links: Text = DEMO_PAIRS
    format: LinkFormat = "auto"
    base: Annotated[int, Field(ge=0, le=1)] = 0
    direction: Literal["forward", "reverse"] = "forward"

    @property
    def src_lang(self) -> str:
        """Return the language code of the source side."""
        return self.pair.split("-")[0]

    @property
    def tgt_lang(self) -> str:
        """Return the language code of the target side."""
        return self.pair.split("-")[1]

    @field_serializer("text")
    def _one_file_stands_alone(self, text: tuple[str, ...]) -> str | list[str]:
        return text[0] if len(text) == 1 else list(text)

    @model_validator(mode="after")
    def _agrees(self) -> "Gold":
        if self.src_lang == self.tgt_lang:
            refuse(f"pair: two different languages, source-target, but it is {self.pair!r}; write en-fr, say")
        own = (*self.text, self.links) != (DEMO_PAIRS, DEMO_PAIRS)
        if missing := [key for key in ("name", "pair") if own and key not in self.model_fields_set]:
            refuse(f"{missing[0]}: a set of your own has a name and a pair (en-fr, say), but it is missing; add it")
        if len(self.text) > 2:
            refuse(
                f"text: one file with both sides, or two, source then target, but there are {len(self.text)}; "
                "remove the others"
            )
        if DEMO_PAIRS in (*self.text, self.links) and self.pair != DEMO_PAIR:
            refuse(f"pair: the demo's links are {DEMO_PAIR}, but it is {self.pair!r}; name files of your own")
        return self


def as_sets(value: object) -> object:
    """Return a tuple for a list of gold sets, and an empty one for null; anything else is left to be refused."""
    return () if value is None else tuple(value) if isinstance(value, list) else value


def check_set_names(sets: tuple[Gold, ...]) -> tuple[Gold, ...]:
    """Refuse two gold sets of one name, which rows and folders are told apart by."""
    unique("name", tuple(gold.name for gold in sets))
    return sets


GoldSets = Annotated[tuple[Gold, ...], BeforeValidator(as_sets), AfterValidator(check_set_names)]
