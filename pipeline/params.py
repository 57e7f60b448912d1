"""The schema of params.yaml: one frozen model a block; what cannot be is refused before any stage runs."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline._messages import explain
from pipeline._yaml import read_yaml
from pipeline.conventions import ConventionName, convention_of
from pipeline.errors import PipelineError

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
_WITH_ENGLISH = tuple(_MUSE_LANGUAGES.split())
_WITH_EACH_OTHER = ("de", "es", "fr", "it", "pt")
MUSE_PAIRS = frozenset(
    {f"en-{lang}" for lang in _WITH_ENGLISH}
    | {f"{lang}-en" for lang in _WITH_ENGLISH}
    | {f"{one}-{other}" for one in _WITH_EACH_OTHER for other in _WITH_EACH_OTHER if one != other}
)

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def _as_tuple(value: object) -> object:
    """Return a tuple for a YAML list, and for one value that stands alone."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


def _refuse(message: str) -> None:
    raise PipelineError(message)


def _only_for(block: BaseModel, keys: tuple[str, ...], rule: str) -> None:
    """Refuse the keys that are set although the rest of the block has no use for them."""
    given = [key for key in keys if getattr(block, key) is not None]
    if given:
        _refuse(f"{given[0]}: {rule}, but it is {getattr(block, given[0])!r}; set it to null or leave it out")


def _unique(name: str, values: tuple[str | int, ...]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        _refuse(f"{name}: each value at most once, but {twice[0]!r} is there twice; remove one")


def means_folder(model: str) -> bool:
    """Return whether a model's name is a folder, there or mistyped, rather than `owner/name` on the hub."""
    path = Path(model).expanduser()
    in_folder = "/" in model and path.parent.is_dir()
    return (
        path.is_dir() or in_folder or model.startswith((".", "/", "~")) or model.endswith("/") or model.count("/") > 1
    )


class Block(BaseModel):
    """What all blocks share: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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
            _refuse(f"pair: two different languages, source-target, but it is {self.pair!r}; write en-fr, say")
        if self.source != "wmt14":
            _only_for(self, ("revision",), "only source: wmt14 has a revision")
        if self.source == "files":
            self._files_agree()
            return self
        _only_for(self, ("src", "tgt", "file"), f"source: {self.source} takes no files (source: files does)")
        if self.source == "demo" and self.pair != DEMO_PAIR:
            _refuse(f"pair: the demo text is {DEMO_PAIR}, but it is {self.pair!r}; use source: files")
        if self.source == "wmt14" and not {self.pair, f"{self.tgt_lang}-{self.src_lang}"} & set(WMT14_PAIRS):
            _refuse(f"pair: wmt14 has {', '.join(WMT14_PAIRS)} either way round, but it is {self.pair!r}; use one")
        return self

    def _files_agree(self) -> None:
        if self.file is not None:
            _only_for(self, ("src", "tgt"), "either src and tgt or file, not both")
            if Path(self.file).suffix not in TABLE_SUFFIXES:
                _refuse(f"file: must end in {', '.join(TABLE_SUFFIXES)}, but it is {self.file!r}")
        elif self.src is None or self.tgt is None:
            missing = [key for key in ("src", "tgt") if getattr(self, key) is None]
            _refuse(f"{missing[0]}: source: files needs src and tgt, or file, but it is null; name the text files")
        elif len(self.src) != len(self.tgt):
            _refuse(
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
            _refuse(f"min_words: at most max_words ({self.max_words}), but it is {self.min_words}")
        if self.min_links > self.max_words:
            _refuse(f"min_links: at most max_words ({self.max_words}), but it is {self.min_links}")
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
            _only_for(self, ("mirror",), "only source: muse has a mirror")
        if self.source != "files":
            _only_for(self, ("path",), "only source: files has a path")
        elif self.path is None:
            _refuse("path: source: files needs the path of a dictionary, but it is null; name a MUSE file")
        return self


class Translator(Block):
    """One model whose attention is read: `cross` from decoder to encoder, `joint` within one encoder."""

    model: Text
    reads: Literal["cross", "joint"]
    positions: Literal["continue", "restart"] | None = None
    revision: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _positions_of_joint(cls, value: Any) -> Any:
        """Give a joint encoder that says nothing the position numbers that BERT was trained with."""
        if isinstance(value, dict) and value.get("reads") == "joint" and value.get("positions") is None:
            return {**value, "positions": "continue"}
        return value

    @property
    def is_folder(self) -> bool:
        """Return whether the name is meant as a folder here, rather than as `owner/name` on the hub."""
        return means_folder(self.model)

    @model_validator(mode="after")
    def _agrees(self) -> "Translator":
        if self.reads == "cross":
            _only_for(self, ("positions",), "only reads: joint has positions")
        if self.is_folder:
            _only_for(self, ("revision",), "only a model on the hub has a revision")
        return self


class Extract(Block):
    """How the models are run."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    tokens_per_batch: Count = 4096
    controls: Annotated[tuple[Literal["trained", "random_init"], ...], BeforeValidator(_as_tuple)] = (
        "trained",
        "random_init",
    )
    seed: Seed = 2026

    @model_validator(mode="after")
    def _agrees(self) -> "Extract":
        _unique("controls", self.controls)
        if "trained" not in self.controls:
            _refuse(f"controls: must hold trained (and may hold random_init), but it is {list(self.controls)}")
        return self


class Align(Block):
    """How attention is scored; `transport_pairs` and `resamples` bound the work."""

    transport_pairs: Count = 240
    resamples: Count = 2000
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: Seed = 2026


class Intervene(Block):
    """Putting heads off and making them look elsewhere; `pairs` and `draws` bound the work."""

    pairs: Annotated[int, Field(ge=4)] = 60
    ks: Annotated[tuple[Count, ...], BeforeValidator(_as_tuple)] = (1, 2, 4, 8)
    draws: Count = 12
    sweeps: Annotated[tuple[Count, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = (1, 20)
    seed: Seed = 2026

    @model_validator(mode="after")
    def _agrees(self) -> "Intervene":
        _unique("ks", self.ks)
        _unique("sweeps", self.sweeps)
        if 4 not in self.ks:
            _refuse(f"ks: must hold 4, which decides, but it is {list(self.ks)}; add it")
        return self


class Gold(Block):
    """Hand-made links to score against."""

    text: Text = DEMO_PAIRS
    links: Text = DEMO_PAIRS
    base: Annotated[int, Field(ge=0, le=1)] = 0


class Certify(Block):
    """The constructed transformer of the theorem."""

    reg: Positive = 0.05
    step_ratio: Positive = 2.0
    depth: Count = 4000
    seeds: Count = 20


class Learn(Block):
    """Training transformers to transport."""

    preset: Literal["notebook", "paper", "preprint"] = "notebook"
    prompts: Annotated[tuple[Literal["engineered", "plain", "plain_notebook"], ...], BeforeValidator(_as_tuple)] = (
        Field(default=("engineered", "plain"), min_length=1)
    )
    n: Annotated[int, Field(ge=2)] = 7
    dim: Count = 1
    depth: Annotated[int, Field(ge=2)] = 20
    mixing: Literal["fixed", "trained"] = "fixed"
    steps: Count = 4000
    batch: Count = 64
    rate: Positive | None = 5e-3
    schedule: Literal["constant", "linear"] = "linear"
    seeds: Count = 4
    seed: Seed = 2026
    diverged_above: Positive = 10.0
    log_every: Count = 50
    test_sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], BeforeValidator(_as_tuple)] = Field(
        default=(5, 7, 8, 9, 15, 30), min_length=1
    )
    test_problems: Count = 512
    reg: Positive = 0.005
    device: Literal["cpu", "cuda"] = "cpu"

    @model_validator(mode="after")
    def _agrees(self) -> "Learn":
        _unique("prompts", self.prompts)
        return self


class Report(Block):
    """What the page shows of single sentences."""

    pair: Annotated[int, Field(ge=0)] = 0
    explorer_pairs: Annotated[int, Field(ge=0)] = 40


def _demo_translators() -> dict[str, Translator]:
    return {
        "mini-marian": Translator(model="data/demo/mini-marian", reads="cross"),
        "mini-mbert": Translator(model="data/demo/mini-mbert", reads="joint", positions="restart"),
    }


# The name becomes a folder and the name of a DVC stage.
TranslatorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Params(Block):
    """All blocks of params.yaml; `Params()` is the demo."""

    convention: ConventionName = "corrected"
    corpus: Corpus = Corpus()
    sample: Sample = Sample()
    words: Words = Words()
    lexicon: Lexicon = Lexicon()
    translators: Annotated[dict[TranslatorName, Translator], Field(min_length=1)] = Field(
        default_factory=_demo_translators
    )
    extract: Extract = Extract()
    align: Align = Align()
    intervene: Intervene = Intervene()
    gold: Gold | None = Gold()
    certify: Certify = Certify()
    learn: Learn = Learn()
    report: Report = Report()

    @model_validator(mode="after")
    def _agrees(self) -> "Params":
        if self.lexicon.source == "demo" and self.corpus.pair != DEMO_PAIR:
            _refuse(f"lexicon.source: the demo lexicon is {DEMO_PAIR}, but corpus.pair is {self.corpus.pair!r}")
        if self.lexicon.source == "muse" and self.corpus.pair not in MUSE_PAIRS:
            _refuse(
                f"lexicon.source: muse has no {self.corpus.pair} (corpus.pair), only English with "
                f"{len(_WITH_ENGLISH)} languages and {', '.join(_WITH_EACH_OTHER)} with each other; "
                "use source: files with a dictionary of your own"
            )
        if self.gold and DEMO_PAIRS in (self.gold.text, self.gold.links) and self.corpus.pair != DEMO_PAIR:
            _refuse(f"gold: the demo's links are {DEMO_PAIR}, but corpus.pair is {self.corpus.pair!r}; use null")
        if self.sample.method == "full" and self.corpus.source != "wmt14":
            _refuse(
                f"sample.method: full is for corpus.source: wmt14, but the source is {self.corpus.source}; "
                "use rows, which gives the same sentences"
            )
        if self.report.pair >= self.sample.n_pairs:
            _refuse(f"report.pair: below sample.n_pairs ({self.sample.n_pairs}), but it is {self.report.pair}")
        if self.words.lemmas == "simplemma":
            _check_lemmas(self.corpus)
        if self.words.lemmas == "none" and convention_of(self.convention).text == "lemmas":
            _refuse(f"words.lemmas: convention: {self.convention} reads lemmatised text, but it is none; use simplemma")
        return self


def _check_lemmas(corpus: Corpus) -> None:
    from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

    for lang in (corpus.src_lang, corpus.tgt_lang):
        if lang not in SUPPORTED_LANGUAGES:
            _refuse(f"words.lemmas: simplemma does not know the language {lang!r} of corpus.pair; use none")


def named_paths(params: Params) -> dict[str, str]:
    """Return every path that the parameters name as `{key: path}`, models on the hub left out."""
    corpus, gold = params.corpus, params.gold
    paths: dict[str, str] = {}
    for key, files in (("src", corpus.src or ()), ("tgt", corpus.tgt or ())):
        paths |= {f"corpus.{key}[{i}]": file for i, file in enumerate(files)}
    paths |= {"corpus.file": corpus.file} if corpus.file else {}
    paths |= {"lexicon.path": params.lexicon.path} if params.lexicon.path else {}
    paths |= {"gold.text": gold.text, "gold.links": gold.links} if gold else {}
    folders = {name: entry.model for name, entry in params.translators.items() if entry.is_folder}
    return paths | {f"translators.{name}.model": folder for name, folder in folders.items()}


def load_params(path: str | Path = "params.yaml", *, check_paths: bool = True) -> Params:
    """Return the checked parameters of a file.

    Parameters
    ----------
    path : str or Path
        A YAML file with every block of `Params`.
    check_paths : bool
        Whether the files and folders that it names must exist (seen from the current folder, the project).

    Raises
    ------
    PipelineError
        If the file cannot be read or breaks a rule: one line a problem, with the key, the rule, what arrived
        and, for a key that is not known, the nearest one that is.
    """
    raw = read_yaml(Path(path), blocks=Params.model_fields)
    missing = [name for name in Params.model_fields if name not in raw]
    problems = [f"{name}: this block is missing; copy it from the params.yaml of the project" for name in missing]
    params = None
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        problems = [explain(details, Params) for details in error.errors()] + problems
    if params and check_paths:
        problems += [
            f"{key}: must be there (seen from the project's folder), but {file!r} is not; correct it"
            for key, file in named_paths(params).items()
            if not Path(file).exists()
        ]
    if problems or params is None:
        message = "\n".join(f"{path}: {problem}" for problem in problems)
        raise PipelineError(message)
    return params
