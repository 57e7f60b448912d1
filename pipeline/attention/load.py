"""A translator from a hub name or a folder, with its attention layers found and pooled to words."""

import copy
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as library

from pipeline.attention.capture import NAME, Capture
from pipeline.attention.checks import check_cross, check_filled, check_vocabulary, check_weights, fill_padding
from pipeline.attention.families import Reads, attention_modules, family_of, first_position
from pipeline.attention.fetch import model_folder
from pipeline.attention.fresh import shuffle_weights
from pipeline.attention.languages import Languages, Request, set_languages
from pipeline.attention.tokenise import check_tokenizer
from pipeline.errors import PipelineError
from pipeline.params import Extract, Family
from pipeline.params import Translator as TranslatorSpec

T = TypeVar("T")
Control = Literal["trained", "random_init", "weight_shuffled"]

# Parts that sit on top of the states that we read: encoders are often published without them.
_NEVER_READ = re.compile(r"(^|\.)(pooler|lm_head|cls|final_logits_bias)(\.|$)")
_BODIES: dict[Reads, Any] = {"cross": AutoModelForSeq2SeqLM, "joint": AutoModel, "prompt": AutoModel}
_WITH_HEADS: dict[Reads, Any] = {
    "cross": AutoModelForSeq2SeqLM,
    "joint": AutoModelForMaskedLM,
    "prompt": AutoModelForCausalLM,
}


class MissingHeadError(PipelineError):
    """A checkpoint without the head that tells words from states, which the library would fill with random numbers."""


@dataclass(frozen=True)
class Translator:
    """A model in evaluation mode whose word-level attention can be captured."""

    name: str
    """Hub name or folder."""
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    capture: Capture
    reads: Reads
    first_position: int | None
    """Number of the first position, `None` where positions cannot be set."""
    revision: str | None
    """The hub's commit, `None` for a folder."""
    languages: Languages
    """Codes and prefix that it is given."""
    half: torch.dtype | None = None
    """The type in which the model's products are computed, `None` for that of its weights."""

    def forward(self, run: Callable[[], T]) -> T:
        """Return what `run`, a forward pass, returns, computed in the precision asked for."""
        if self.half is None:
            return run()
        with torch.autocast(self.device.type, dtype=self.half):
            return run()

    @property
    def config(self) -> PretrainedConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device

    @property
    def limits(self) -> dict[str, int]:
        """Longest sequence by what limits it: positions of the model, and what the tokeniser was made for.

        A model that counts positions from 2 (XLM-R) has two embeddings that no token takes.
        """
        positions = getattr(self.config, "max_position_embeddings", None)
        tokeniser = {"tokeniser": self.tokenizer.model_max_length}
        return tokeniser if positions is None else {"model": positions - (self.first_position or 0), **tokeniser}

    @property
    def max_tokens(self) -> int:
        """Longest sequence that the model takes."""
        return min(self.limits.values())

    def decoder_start(self, target: tuple[int, ...]) -> int:
        """Return the id that the decoder reads before a target: the library's own shift of the labels knows it.

        mBART begins with the last label, which is the language code; others with a token of their configuration.
        """
        shift = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
        if shift is None:
            return self.config.decoder_start_token_id
        return int(shift(labels=torch.tensor([target]))[0, 0])  # not on a card: it would wait for all its work

    @property
    def n_layers(self) -> int:
        """Number of attention layers that are read."""
        return len(self.capture.layers)


def choose_device(device: str) -> torch.device:
    """Return the device of a setting `auto`, `cpu` or `cuda`.

    Raises
    ------
    PipelineError
        If CUDA is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        message = "extract.device: 'cuda' needs a CUDA device, and there is none; set it to 'auto' or 'cpu'"
        raise PipelineError(message)
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def load_spec(
    spec: TranslatorSpec,
    settings: Extract,
    *,
    pair: str | None,
    control: Control = "trained",
    head: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Translator:
    """Return the translator that an entry of `translators:` describes, for text of a language pair such as en-fr."""
    translator = load_translator(
        spec.model,
        reads=spec.reads,
        revision=spec.revision,
        control=control,
        seed=settings.seed,
        device=settings.device,
        dtype=settings.dtype,
        request=Request(pair, spec.src_code, spec.tgt_code, spec.prefix),
        family=spec.family,
        head=head,
        say=say,
    )
    # A pair that is too long is left out, counted and told of: the library need not say it too.
    translator.tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return translator


def load_translator(
    name: str,
    *,
    reads: Reads,
    revision: str | None = None,
    control: Control = "trained",
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    request: Request = Request(),  # noqa: B008 - frozen
    family: Family | None = None,
    head: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Translator:
    """Return a translator ready for capture; weights are safetensors only, remote code is never run.

    Parameters
    ----------
    name : str
        Hub name or folder in Hugging Face layout.
    reads : {"cross", "joint", "prompt"}
        Decoder over encoder, one encoder over the concatenated pair, or a language model over a prompt.
    control : {"trained", "random_init", "weight_shuffled"}
        `random_init` gives the same configuration fresh weights drawn with `seed`; `weight_shuffled` permutes each
        trained tensor with it.
    dtype : {"float32", "float64", "bfloat16", "float16"}
        Of weights and computation. With the two of 16 bits the weights stay in float32 and only products are
        computed in 16 bits (autocast); attention is measured in float32.
    request : Request
        Languages of the text, with the codes and the prefix that the user sets.
    family : Family, optional
        Where its attention is, if families.yaml does not say it.
    head : bool
        Whether an encoder or a language model comes with the head that tells words from states; `cross` always does.
    say : callable
        Gets a line before a download, with its size, and one if a padding token had to be chosen.

    Raises
    ------
    MissingHeadError
        If the head is asked for and the weights have none.
    PipelineError
        If the model cannot be loaded, does not fit `reads`, has no attention where it should be, weights that are
        no numbers or ids beyond its embedding, or if it needs a language code that cannot be found.
    """
    target = choose_device(device)
    half = getattr(torch, dtype) if dtype in ("bfloat16", "float16") else None
    weights = torch.float32 if half else getattr(torch, dtype)
    # Everything is fetched before, so that nothing below asks the hub (for a converted copy, for example).
    folder, commit = model_folder(name, revision=revision, weights=control != "random_init", say=say)
    local = {"local_files_only": True, "trust_remote_code": False}
    with _one_line_errors(name, revision), _quiet():
        config = AutoConfig.from_pretrained(folder, **local)
        place = family_of(name, config, reads, family)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        check_tokenizer(tokenizer)
        languages = set_languages(name, tokenizer, config, request) if reads == "cross" else Languages()
        auto = (_WITH_HEADS if head else _BODIES)[reads]
        if control == "random_init":
            model = _fresh(auto, config, seed, weights)
        else:
            model, info = auto.from_pretrained(
                folder,
                **local,
                use_safetensors=True,
                attn_implementation=NAME,
                dtype=weights,
                output_loading_info=True,
            )
            gaps = [*info["missing_keys"], *(str(key) for key, *_ in info["mismatched_keys"])]
            if head:
                _check_head(name, model, gaps)
            check_filled(name, sorted(key for key in gaps if not _NEVER_READ.search(key)))
    check_weights(name, model)
    if control == "weight_shuffled":
        shuffle_weights(model, seed)
    check_vocabulary(name, model, tokenizer)
    fill_padding(name, model, tokenizer, say)
    model = model.to(target).eval()
    translator = Translator(
        name=name,
        model=model,
        tokenizer=tokenizer,
        capture=Capture(attention_modules(model, place, reads)),
        reads=reads,
        first_position=first_position(model, place) if reads == "joint" else None,
        revision=commit,
        languages=languages,
        half=half,
    )
    if family is not None and reads == "cross":
        check_cross(translator)
    return translator


def _check_head(name: str, model: PreTrainedModel, gaps: Sequence[str]) -> None:
    body = next((f"{key}." for key, part in model.named_children() if part is model.base_model), None)
    # Where the body is the model itself (T5), its head has this name.
    lost = [key for key in gaps if (key.startswith("lm_head") if body is None else not key.startswith(body))]
    lost = [key for key in lost if key != "final_logits_bias"]  # zeros, where it is missing
    if lost:
        message = (
            f"translators.model: the weights of {name} must hold its head, but {len(lost)} tensors are missing "
            f"(the first: {sorted(lost)[0]}); name a checkpoint that has it"
        )
        raise MissingHeadError(message)


def _fresh(auto: Any, config: PretrainedConfig, seed: int, dtype: torch.dtype) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # A configuration object is shared by the models made from it, attention setting included.
        model = auto.from_config(copy.deepcopy(config), attn_implementation=NAME, dtype=torch.float32)
    return model.to(dtype=dtype)


@contextmanager
def _one_line_errors(name: str, revision: str | None) -> Iterator[None]:
    """Turn what the library raises about the files into one line that says what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, PipelineError):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first_line = lines[0] if lines else type(error).__name__
        message = (
            "translators.model: must be a hub name or a folder with config.json, a tokeniser and "
            f"model.safetensors, got {name!r} (revision {revision or 'newest'}): {first_line}; correct the "
            "files or name another"
        )
        raise PipelineError(message) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the library's bars, and its notes on heads that we do not use; errors still pass."""
    logger = logging.getLogger("transformers")
    level, bars = logger.level, library.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    library.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            library.enable_progress_bar()
