"""Which language codes and prefix a translator is given: rules of its tokeniser, looked up in its own vocabulary.

`sides`: the tokeniser has a source and a target language and puts a code before or after each side (NLLB, mBART,
M2M100). `before`: a code of the target language stands before the source (`>>fra<<`, `<2fr>`). `prefix`: words that
name the task stand there (T5). Which code fits a language is found among the tokeniser's own codes by their meaning
as language tags (IETF BCP 47), so that `fr` becomes `fra_Latn`, `fr_XX`, `fr` or `>>fra<<`.
"""

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

# Language, and script, country or XX for none: eng_Latn, en_XX, en.
_SIDE_CODE = re.compile(r"[a-z]{2,3}(_[A-Za-z]{2,4})?")
_BEFORE_CODES = (re.compile(r">>([a-z]{2,3}([_-]\w+)?)<<"), re.compile(r"<2([a-z]{2,3}([_-]\w+)?)>"))
_TASK = re.compile(r"translation_([a-z]+)_to_([a-z]+)")
# Of langcodes.closest_match: 5 is another usual script or country, from 6 on it is another language.
_FARTHEST = 5


@dataclass(frozen=True)
class Request:
    """What the parameters say: the languages of the text, and what shall be used in place of the rules."""

    pair: str | None = None
    """Source-target, ISO 639-1 or 639-3, such as `en-fr`; `None` if nothing was said."""
    src_code: str | None = None
    tgt_code: str | None = None
    prefix: str | None = None
    """Text before each source sentence; the empty one is none at all."""

    def language(self, side: int) -> str | None:
        """Return the language of side 0 (source) or 1 (target)."""
        return self.pair.split("-")[side] if self.pair else None


@dataclass(frozen=True)
class Languages:
    """What the translator is given beside the sentences."""

    src_code: str | None = None
    tgt_code: str | None = None
    before: str = ""
    """Stands before every source sentence, its last blank included."""

    @property
    def told(self) -> dict[str, str]:
        """Return what a reader of the numbers must know; empty if the sentences stand alone."""
        told = {"source_code": self.src_code, "target_code": self.tgt_code, "before_source": self.before}
        return {name: value for name, value in told.items() if value}

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {value!r}" for name, value in self.told.items()) or "none"


def set_languages(
    name: str, tokenizer: "PreTrainedTokenizerBase", config: "PretrainedConfig", request: Request
) -> Languages:
    """Return the codes and the prefix that fit, after setting the codes in a tokeniser that has sides.

    Parameters
    ----------
    name : str
        The model, for messages.
    tokenizer : PreTrainedTokenizerBase
        Changed in place if it has a source and a target language.
    config : PretrainedConfig
        Whose `task_specific_params` may name prefixes.
    request : Request
        The languages, and what the user sets in place of the rules.

    Raises
    ------
    PipelineError
        If a code or prefix is needed and none fits, or one is given that the tokeniser cannot use.
    """
    if hasattr(tokenizer, "src_lang"):
        _no_use(name, request, ("prefix",), "takes language codes")
        src, tgt = (_side_code(name, tokenizer, request, side) for side in (0, 1))
        tokenizer.src_lang, tokenizer.tgt_lang = src, tgt
        return Languages(src, tgt)
    codes = _before_codes(tokenizer)
    if codes and request.prefix is None:
        _no_use(name, request, ("src_code",), "takes a code of the target language only")
        code = codes[_fitting(name, "tgt_code", list(codes), request.tgt_code, request.language(1))]
        return Languages(None, code, f"{code} ")
    _no_use(name, request, ("src_code", "tgt_code"), "has no language codes" if not codes else "has a prefix set")
    prefix = _task_prefix(name, config, request.pair) if request.prefix is None else request.prefix
    return Languages(before=f"{prefix.rstrip()} " if prefix.strip() else "")


def _no_use(name: str, request: Request, keys: tuple[str, ...], why: str) -> None:
    for key in keys:
        if getattr(request, key) is not None:
            message = (
                f"translators.{key}: must be null for {name}, whose tokeniser {why}, but it is "
                f"{getattr(request, key)!r}; set it to null"
            )
            raise PipelineError(message)


def _side_code(name: str, tokenizer: "PreTrainedTokenizerBase", request: Request, side: int) -> str:
    named = getattr(tokenizer, "lang_code_to_id", None) or tokenizer.all_special_tokens
    codes = [code for code in named if _SIDE_CODE.fullmatch(code)]
    key = ("src_code", "tgt_code")[side]
    return _fitting(name, key, codes, getattr(request, key), request.language(side))


def _before_codes(tokenizer: "PreTrainedTokenizerBase") -> dict[str, str]:
    """Return the tokens that name a target language, by the language's code in them."""
    vocabulary = sorted(tokenizer.get_vocab())
    return {match[1]: token for rule in _BEFORE_CODES for token in vocabulary if (match := rule.fullmatch(token))}


def _fitting(name: str, key: str, codes: list[str], given: str | None, language: str | None) -> str:
    """Return the given code if there is such a one, else the one that means the language."""
    if given is not None:
        plain = re.sub(r"^(>>|<2)|(<<|>)$", "", given)
        return plain if plain in codes else _refuse(name, key, codes, given, "but it is")
    found = None if language is None else closest_code(language, codes)
    if found is not None:
        return found
    how = "and none fits corpus.pair's" if language else "no pair is given:"
    return _refuse(
        name, key, codes, language or "", how, where=f" where corpus.pair has {language!r}" if language else ""
    )


def closest_code(language: str, codes: list[str]) -> str | None:
    """Return the code that means a language, `None` if none does.

    Of several, the one in the language's usual script and country: `zh` is `zho_Hans` rather than `zho_Hant`. One
    in another script is taken if it is the only one of its language.

    Parameters
    ----------
    language : str
        ISO 639-1 or 639-3.
    codes : list of str
        In the tokeniser's spelling.
    """
    import langcodes

    readable = [code for code in codes if _readable(code)]
    found, distance = langcodes.closest_match(language, readable, max_distance=_FARTHEST)
    if distance <= _FARTHEST:
        return found
    wanted = langcodes.get(language).language
    same = [code for code in readable if langcodes.get(code).language == wanted]
    return same[0] if len(same) == 1 else None


def _readable(code: str) -> bool:
    import langcodes

    try:
        langcodes.get(code)
    except langcodes.tag_parser.LanguageTagError:
        return False
    return True


def _refuse(name: str, key: str, codes: list[str], arrived: str, how: str, *, where: str = "") -> NoReturn:
    """Refuse a language without a code; `where` says which text a code in the parameters holds for."""
    near = difflib.get_close_matches(arrived, codes, n=3, cutoff=0.4) or sorted(codes)[:3]
    message = (
        f"translators.{key}: must be one of the {len(codes)} language codes of the tokeniser of {name}, "
        f"{how} {arrived!r}; set {key} to {', '.join(near)} or another of its codes{where}"
    )
    raise PipelineError(message)


def _task_prefix(name: str, config: "PretrainedConfig", pair: str | None) -> str:
    """Return the prefix that the configuration names for the pair; the empty one if it names none at all."""
    tasks = getattr(config, "task_specific_params", None) or {}
    prefixes = {
        f"{match[1]}-{match[2]}": task.get("prefix", "")
        for key, task in tasks.items()
        if (match := _TASK.fullmatch(key))
    }
    if not prefixes or pair in prefixes:
        return prefixes.get(pair or "", "")
    message = (
        f"translators.prefix: {name} is told the languages by a prefix and names those of {', '.join(sorted(prefixes))}, "
        f"but the pair is {pair!r}; set prefix to the words that it was trained with (such as "
        f"{next(iter(prefixes.values()))!r}) where corpus.pair is {pair!r}, or to '' for none"
    )
    raise PipelineError(message)
