"""A translator by what a user calls it: an entry of params.yaml, a folder, or a name on the hub."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from transformers import AutoConfig

from pipeline._messages import explain
from pipeline.attention.extract import make_reader
from pipeline.attention.families import FAMILIES, fitting, is_certain
from pipeline.attention.fetch import model_folder
from pipeline.attention.load import Translator, load_spec
from pipeline.attention.reader import DEFAULT, Asked, Reader
from pipeline.conventions import CORRECTED, Reads
from pipeline.errors import PipelineError
from pipeline.methods import METHODS, MatchSettings
from pipeline.params import Extract, Params, load_params, means_folder
from pipeline.params import Translator as TranslatorSpec

PARAMS = Path("params.yaml")


@dataclass(frozen=True)
class Named:
    """How a translator that is not in params.yaml is read, where its files do not say it.

    Attributes
    ----------
    reads : {"cross", "joint", "prompt"}, optional
        A decoder over an encoder, one encoder over both sides, or a language model that is asked for a translation;
        the first two are found from its configuration where that is certain.
    positions : {"continue", "restart"}, optional
        Position numbers of the target, for `joint` only: as BERT, which is taken if nothing is said, or as XLM.
    revision : str, optional
        The hub's commit; the newest if nothing is said.
    """

    reads: str | None = None
    positions: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Opened:
    """A translator that is loaded, for text of one language pair; what one call opened, the next can use.

    Attributes
    ----------
    name : str
        As the user calls it.
    languages : str
        Source-target, such as `en-fr`.
    spec : pipeline.params.Translator
        What params.yaml says or would say of it.
    settings : Extract
        How it is run.
    methods : tuple of str
        Those that a development set chooses among.
    options : MatchSettings
        Options of the methods.
    translator : pipeline.attention.load.Translator
        The model.
    """

    name: str
    languages: str
    spec: TranslatorSpec
    settings: Extract
    methods: tuple[str, ...]
    options: MatchSettings
    translator: Translator

    @property
    def reads(self) -> Reads:
        """Return how it is read."""
        return self.spec.reads

    def reader(self, states: tuple[str, ...] | None = None) -> Reader:
        """Return a reader that gives the kinds of word vectors asked for, all kinds that there are if none is named."""
        asked = DEFAULT if states is None else Asked(states)
        return make_reader(self.translator, self.spec, CORRECTED, asked, languages=self.languages)


def open_translator(
    name: str,
    languages: str = "en-fr",
    *,
    named: Named = Named(),
    params: Path | str = PARAMS,
    say: Callable[[str], None] = lambda line: None,
) -> Opened:
    """Return a translator ready to read pairs.

    Parameters
    ----------
    name : str
        An entry of `translators:` in the parameter file, a folder in Hugging Face layout, or owner/name on the hub.
    languages : str
        Of the text, source-target, two codes such as `en-fr`.
    named : Named
        What files do not say of a folder or a model on the hub; an entry says it itself.
    params : Path or str
        The parameter file; without it there are no entries, and settings are the defaults.
    say : callable
        Gets a line before a download, with its size.

    Raises
    ------
    PipelineError
        If there is no such translator, it cannot be loaded, or how to read it is not certain.
    """
    _check_languages(languages)
    found = load_params(params, check_paths=False) if Path(params).is_file() else None
    entries = found.translators if found else {}
    if found and name in entries:
        spec = _entry(name, entries[name].for_pair(languages, found.corpus.pair), named)
    elif Path(name).expanduser().is_dir() or "/" in name:
        spec = spec_of(name, named, say)
    else:
        message = (
            f"translator: must be an entry of {params} ({', '.join(entries) or 'there is none'}), a folder, or owner/name "
            f"on the hub, but it is {name!r}; name one of these"
        )
        raise PipelineError(message)
    settings = found or Params()
    loaded = load_spec(spec, settings.extract, pair=languages, say=say)
    methods = tuple(method for method in METHODS if method in settings.align.methods)
    return Opened(name, languages, spec, settings.extract, methods, settings.align.method_settings, loaded)


def _check_languages(languages: str) -> None:
    codes = languages.split("-")
    if len(codes) != 2 or not all(code.isalpha() and code.islower() and len(code) in (2, 3) for code in codes):
        message = f"languages: must be two codes, source-target, but it is {languages!r}; write en-fr, say"
        raise PipelineError(message)


def _entry(name: str, spec: TranslatorSpec, named: Named) -> TranslatorSpec:
    if named != Named():
        message = (
            f"reads, positions, revision: are for a folder or a model on the hub, but {name} is an entry of the "
            "parameter file, which says them; leave them out"
        )
        raise PipelineError(message)
    if spec.shots:
        message = (
            f"translators.{name}.shots: must be 0 for sentences of one's own, which bring no examples, but it is "
            f"{spec.shots}; set it to 0"
        )
        raise PipelineError(message)
    return spec


def spec_of(name: str, named: Named = Named(), say: Callable[[str], None] = lambda line: None) -> TranslatorSpec:
    """Return what params.yaml says of a folder or a model on the hub; how it is read is found from its configuration.

    Raises
    ------
    PipelineError
        If that is not certain, or `named` says what such a model does not have.
    """
    if named.revision and means_folder(name):
        message = f"revision: only a model on the hub has one, but {name} is a folder; leave it out"
        raise PipelineError(message)
    reads = named.reads or _guess(name, named.revision, say)
    if named.positions and reads != "joint":
        message = f"positions: only a model that reads joint has them, but {name} reads {reads}; leave them out"
        raise PipelineError(message)
    said = {"model": name, "reads": reads, "positions": named.positions, "revision": named.revision}
    try:
        return TranslatorSpec.model_validate(said)
    except ValidationError as error:
        message = explain(error.errors()[0], TranslatorSpec)
        raise PipelineError(message) from None


def _guess(name: str, revision: str | None, say: Callable[[str], None]) -> Reads:
    folder, _ = model_folder(name, revision=revision, weights=False, say=say)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        message = (
            f"translator: must be a model in Hugging Face layout, but {name} has no config.json that can be read "
            f"({str(error).splitlines()[0]}); name another"
        )
        raise PipelineError(message) from None
    kind = fitting(config)
    if kind == "cross":
        return "cross"
    if kind == "joint" and config.model_type in FAMILIES["joint"]:
        return "joint"
    remedy = "--reads joint if it is an encoder, or --reads prompt if it is a language model"
    message = (
        f"reads: cannot be told for sure from the configuration of {name} ({config.model_type}), which must be an "
        f"encoder-decoder or a known encoder; add {f'--reads {kind}' if is_certain(config) else remedy}"
    )
    raise PipelineError(message)
