"""A translator from a hub name or a folder, with its attention layers found and pooled to words."""

import copy
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
import yaml
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as library

from pipeline.attention.capture import NAME, Capture
from pipeline.attention.fetch import model_folder
from pipeline.attention.tokenise import check_tokenizer
from pipeline.errors import PipelineError

T = TypeVar("T")
Reads = Literal["cross", "joint"]
Control = Literal["trained", "random_init"]

# Parts that sit on top of the states that we read: encoders are often published without them.
_NEVER_READ = re.compile(r"(^|\.)(pooler|lm_head|cls|final_logits_bias)(\.|$)")
_FAMILIES = yaml.safe_load((Path(__file__).parent / "families.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Translator:
    """A model in evaluation mode whose word-level attention can be captured."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    capture: Capture
    reads: Reads
    first_position: int | None
    """Number of the first position, `None` where positions cannot be set."""
    revision: str | None
    """The hub's commit, `None` for a folder."""
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
    def max_tokens(self) -> int:
        """Longest sequence that the model takes."""
        known = [getattr(self.config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        return min(n for n in known if n) - (self.first_position or 0)

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


def load_translator(
    name: str,
    *,
    reads: Reads,
    revision: str | None = None,
    control: Control = "trained",
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    say: Callable[[str], None] = lambda line: None,
) -> Translator:
    """Return a translator ready for capture; weights are safetensors only, remote code is never run.

    Parameters
    ----------
    name : str
        Hub name or folder in Hugging Face layout.
    reads : {"cross", "joint"}
        Decoder over encoder, or one encoder over the concatenated pair.
    control : {"trained", "random_init"}
        `random_init` gives the same configuration fresh weights drawn with `seed`.
    dtype : {"float32", "float64", "bfloat16", "float16"}
        Of weights and computation. With the two of 16 bits the weights stay in float32 and only products are
        computed in 16 bits (autocast); attention is measured in float32.
    say : callable
        Gets a line before a download, with its size.

    Raises
    ------
    PipelineError
        If the model cannot be loaded, does not fit `reads`, or is of a family that is not in families.yaml.
    """
    target = choose_device(device)
    half = getattr(torch, dtype) if dtype in ("bfloat16", "float16") else None
    weights = torch.float32 if half else getattr(torch, dtype)
    # Everything is fetched before, so that nothing below asks the hub (for a converted copy, for example).
    folder, commit = model_folder(name, revision=revision, weights=control == "trained", say=say)
    local = {"local_files_only": True, "trust_remote_code": False}
    with _one_line_errors(name, revision), _quiet():
        config = AutoConfig.from_pretrained(folder, **local)
        _check_kind(name, config, reads)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        auto = AutoModelForSeq2SeqLM if reads == "cross" else AutoModel
        if control == "random_init":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                # A configuration object is shared by the models made from it, attention setting included.
                model = auto.from_config(copy.deepcopy(config), attn_implementation=NAME, dtype=torch.float32)
            model = model.to(weights)
        else:
            model, info = auto.from_pretrained(
                folder,
                **local,
                use_safetensors=True,
                attn_implementation=NAME,
                dtype=weights,
                output_loading_info=True,
            )
            _check_filled(name, info)
    check_tokenizer(tokenizer)
    model = model.to(target).eval()
    capture = Capture(_attention_modules(model, reads))
    return Translator(model, tokenizer, capture, reads, _first_position(model, reads), commit, half)


def _check_filled(name: str, info: dict) -> None:
    """Refuse weights with gaps: the library would fill them with random numbers and say so in a note only."""
    gaps = [*info["missing_keys"], *(str(key) for key, *_ in info["mismatched_keys"])]
    gaps = sorted(key for key in gaps if not _NEVER_READ.search(key))
    if gaps:
        message = (
            f"translators.model: the weights of {name} must fill the whole model, but {len(gaps)} tensors "
            f"are missing or of another shape (the first: {gaps[0]}); name another model or revision"
        )
        raise PipelineError(message)


def _check_kind(name: str, config: PretrainedConfig, reads: Reads) -> None:
    if config.is_encoder_decoder != (reads == "cross"):
        joint = ("one encoder", "joint")
        kind, fitting = ("an encoder-decoder", "cross") if config.is_encoder_decoder else joint
        message = f"translators.reads: {name} is {kind}, which reads {fitting!r}, got {reads!r}; set reads: {fitting}"
        raise PipelineError(message)
    if config.model_type not in _FAMILIES[reads]:
        message = (
            f"translators.model: the family must be one of {sorted(_FAMILIES[reads])} for reads: {reads}, "
            f"got {config.model_type!r}; add its attention modules to pipeline/attention/families.yaml"
        )
        raise PipelineError(message)


def _base(model: PreTrainedModel) -> nn.Module:
    return model.get_submodule("model") if hasattr(model, "model") else model


def _attention_modules(model: PreTrainedModel, reads: Reads) -> dict[int, nn.Module]:
    config = model.config
    if reads == "cross":
        path = _FAMILIES["cross"][config.model_type]
        n_layers = getattr(config, "decoder_layers", None) or config.num_decoder_layers
    else:
        path, n_layers = _FAMILIES["joint"][config.model_type]["module"], config.num_hidden_layers
    return {layer + 1: _base(model).get_submodule(path.format(layer=layer)) for layer in range(n_layers)}


def _first_position(model: PreTrainedModel, reads: Reads) -> int | None:
    if reads == "cross":
        return None
    rule = _FAMILIES["joint"][model.config.model_type]["position"]
    return model.config.pad_token_id + 1 if rule == "padding_idx + 1" else rule


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
