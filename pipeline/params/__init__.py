"""The schema of params.yaml: one frozen model a block; what cannot be is refused before any stage runs."""

import shlex
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from pipeline._messages import explain
from pipeline._yaml import read_yaml
from pipeline.conventions import ConventionName, convention_of
from pipeline.errors import PipelineError
from pipeline.methods import SHOWN, STORED
from pipeline.migrate import refuse_outdated
from pipeline.params.base import Block, refuse
from pipeline.params.measures import Align, Certify, Intervene, Learn, Report, Studies, StudyName
from pipeline.params.models import ControlName, Extract, Family, Ray, Translator, demo_translators, means_folder
from pipeline.params.texts import (
    DEMO_PAIR,
    DEMO_PAIRS,
    MUSE_PAIRS,
    MUSE_WITH_EACH_OTHER,
    MUSE_WITH_ENGLISH,
    TABLE_SUFFIXES,
    WMT14_PAIRS,
    Corpus,
    Gold,
    GoldSets,
    Lexicon,
    LinkFormat,
    Sample,
    Words,
    table_suffix,
)

__all__ = [
    "DEMO_PAIR",
    "DEMO_PAIRS",
    "MUSE_PAIRS",
    "TABLE_SUFFIXES",
    "WMT14_PAIRS",
    "Align",
    "Certify",
    "ControlName",
    "Corpus",
    "Extract",
    "Family",
    "Gold",
    "Intervene",
    "Learn",
    "Lexicon",
    "LinkFormat",
    "Params",
    "Ray",
    "Report",
    "Sample",
    "Studies",
    "StudyName",
    "Translator",
    "Words",
    "load_params",
    "means_folder",
    "named_paths",
    "table_suffix",
]

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
        default_factory=demo_translators
    )
    extract: Extract = Extract()
    ray: Ray = Ray()
    align: Align = Align()
    intervene: Intervene = Intervene()
    gold: GoldSets = (Gold(),)
    certify: Certify = Certify()
    learn: Learn = Learn()
    studies: Studies = Studies()
    report: Report = Report()

    @property
    def demo_abroad(self) -> dict[str, list[str]]:
        """Return the names of the demo's translators by each language pair that they read and have not learned."""
        names = [name for name, spec in self.translators.items() if spec.is_demo]
        pairs = dict.fromkeys([self.corpus.pair, *(gold.pair for gold in self.gold)])
        return {pair: names for pair in pairs if pair != DEMO_PAIR and names}

    @model_validator(mode="after")
    def _agrees(self) -> "Params":
        if self.lexicon.source == "demo" and self.corpus.pair != DEMO_PAIR:
            refuse(
                f"lexicon.source: the demo lexicon is {DEMO_PAIR}, but corpus.pair is {self.corpus.pair!r}; "
                "use source: files with the path of a dictionary"
                + (", or source: muse" if self.corpus.pair in MUSE_PAIRS else "")
            )
        if self.lexicon.source == "muse" and self.corpus.pair not in MUSE_PAIRS:
            refuse(
                f"lexicon.source: muse has no {self.corpus.pair} (corpus.pair), only English with "
                f"{len(MUSE_WITH_ENGLISH)} languages and {', '.join(MUSE_WITH_EACH_OTHER)} with each other; "
                "use source: files with a dictionary of your own"
            )
        if self.sample.method == "full" and self.corpus.source != "wmt14":
            refuse(
                f"sample.method: full is for corpus.source: wmt14, but the source is {self.corpus.source}; "
                "use rows, which gives the same sentences"
            )
        if self.sample.n_pairs is None and self.corpus.source == "wmt14":
            refuse("sample.n_pairs: a number for corpus.source: wmt14, which has millions, but it is None; write one")
        if self.sample.n_pairs is not None and (self.report.pair or 0) >= self.sample.n_pairs:
            refuse(
                f"report.pair: below sample.n_pairs ({self.sample.n_pairs}), but it is {self.report.pair}; "
                "lower it, or set it to null"
            )
        if self.extract.keep == "sums":
            self._check_stored()
        if self.words.lemmas == "simplemma":
            self._check_lemmas()
        if self.words.lemmas == "none" and convention_of(self.convention).text == "lemmas":
            refuse(
                f"words.lemmas: convention: {self.convention} reads lemmatised text, but it is none; "
                "use simplemma, or convention: corrected"
            )
        return self

    def _check_lemmas(self) -> None:
        """Refuse a language without dictionary forms; where a convention reads these, none is no way out."""
        pairs, remedy = {"corpus.pair": self.corpus.pair}, "none"
        if convention_of(self.convention).text == "lemmas":
            pairs |= {f"gold.{i}.pair": gold.pair for i, gold in enumerate(self.gold)}
            remedy = f"none with convention: corrected ({self.convention} reads lemmatised text)"
        for key, pair in pairs.items():
            for lang in pair.split("-"):
                if not _has_lemmas(lang):
                    refuse(f"words.lemmas: simplemma does not know the language {lang!r} of {key}; use {remedy}")

    def _check_stored(self) -> None:
        """Refuse single pairs beyond those whose blocks are stored where only sums are kept."""
        limits = {
            "align.transport_pairs": (self.align.transport_pairs, STORED),
            "align.plan_pairs": (self.align.plan_pairs, STORED),
            "extract.heads_pairs": (self.extract.heads_pairs, STORED),
            "report.explorer_pairs": (self.report.explorer_pairs, SHOWN),
            "report.pair": (self.report.pair or 0, SHOWN - 1),
        }
        for key, (value, most) in limits.items():
            if value > most:
                with_engine = " with engine: local" if self.extract.engine == "ray" else ""
                refuse(
                    f"{key}: at most {most} where extract.keep is sums, but it is {value}; lower it, or "
                    f"keep: blocks{with_engine}"
                )


def _has_lemmas(lang: str) -> bool:
    from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

    return lang in SUPPORTED_LANGUAGES


def named_paths(params: Params) -> dict[str, str]:
    """Return every path that the parameters name as `{key: path}`, models on the hub left out."""
    corpus = params.corpus
    paths: dict[str, str] = {}
    for key, files in (("src", corpus.src or ()), ("tgt", corpus.tgt or ())):
        paths |= {f"corpus.{key}[{i}]": file for i, file in enumerate(files)}
    paths |= {"corpus.file": corpus.file} if corpus.file else {}
    paths |= {"lexicon.path": params.lexicon.path} if params.lexicon.path else {}
    for i, gold in enumerate(params.gold):
        paths |= {f"gold.{i}.text" + (f"[{j}]" if j else ""): file for j, file in enumerate(gold.text)}
        paths |= {f"gold.{i}.links": gold.links}
    folders = {name: entry.model for name, entry in params.translators.items() if entry.is_folder}
    return paths | {f"translators.{name}.model": folder for name, folder in folders.items()}


def load_params(path: str | Path = "params.yaml", *, check_paths: bool = True, complete: bool = True) -> Params:
    """Return the checked parameters of a file.

    Parameters
    ----------
    path : str or Path
        A YAML file with every block of `Params`.
    check_paths : bool
        Whether the files and folders that it names must exist (seen from the current folder, the project).
    complete : bool
        Whether every block must be there; if not, one that is missing has its defaults.

    Raises
    ------
    PipelineError
        If the file cannot be read or breaks a rule: one line a problem, with the key, the rule, what arrived
        and, for a key that is not known, the nearest one that is. A file of an older version has one line.
    """
    raw = read_yaml(Path(path), blocks=Params.model_fields)
    refuse_outdated(Path(path), raw)
    missing = [name for name in Params.model_fields if name not in raw] if complete else []
    remedy = f"this block is missing; run `python -m pipeline validate --fill {shlex.quote(str(path))}`"
    problems = [f"{name}: {remedy}" for name in missing]
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
