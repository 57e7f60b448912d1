"""A translator from a hub name or a folder, with its attention layers found and pooled to words."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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

from pipeline.attention.capture import NAME, Capture
from pipeline.attention.tokenise import check_tokenizer
from pipeline.errors import PipelineError

Reads = Literal["cross", "joint"]
Control = Literal["trained", "random_init"]

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
        message = "extract.device: 'cuda' needs a CUDA device, and this machine has none; set it to 'auto' or 'cpu'"
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
    dtype : str
        A floating type of torch, by name.

    Raises
    ------
    PipelineError
        If the model cannot be loaded, does not fit `reads`, or is of a family that is not in families.yaml.
    """
    target = choose_device(device)
    with _one_line_errors(name, revision), _quiet():
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        _check_kind(name, config, reads)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
        auto = AutoModelForSeq2SeqLM if reads == "cross" else AutoModel
        if control == "random_init":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                # A configuration object is shared by the models made from it, attention setting included.
                model = auto.from_config(copy.deepcopy(config), attn_implementation=NAME, dtype=torch.float32)
            model = model.to(getattr(torch, dtype))
        else:
            model = auto.from_pretrained(
                name,
                revision=revision,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation=NAME,
                dtype=getattr(torch, dtype),
            )
    check_tokenizer(tokenizer)
    model = model.to(target).eval()
    capture = Capture(_attention_modules(model, reads))
    return Translator(model, tokenizer, capture, reads, _first_position(model, reads))


def _check_kind(name: str, config: PretrainedConfig, reads: Reads) -> None:
    if config.is_encoder_decoder != (reads == "cross"):
        kind, fitting = ("an encoder-decoder", "cross") if config.is_encoder_decoder else ("one encoder", "joint")
        message = f"translators.reads: {name} is {kind}, which reads {fitting!r}, got {reads!r}; set reads: {fitting}"
        raise PipelineError(message)
    if config.model_type not in _FAMILIES[reads]:
        message = (
            f"translators.model: the family must be one of {sorted(_FAMILIES[reads])} for reads: {reads}, got "
            f"{config.model_type!r}; add its attention modules to pipeline/attention/families.yaml"
        )
        raise PipelineError(message)


def _base(model: PreTrainedModel) -> nn.Module:
    return model.get_submodule("model") if hasattr(model, "model") else model


def _attention_modules(model: PreTrainedModel, reads: Reads) -> dict[int, nn.Module]:
    config = model.config
    if reads == "cross":
        path = _FAMILIES["cross"][config.model_type]
        n_layers = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
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
    """Turn what the hub client raises into one line that says what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, PipelineError):
            raise
        first_line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        message = (
            f"translators.model: must be a hub name or a folder with config.json, a tokeniser and model.safetensors, "
            f"got {name!r} (revision {revision or 'latest'}): {first_line}; check the name, the connection "
            "or HF_HUB_OFFLINE"
        )
        raise PipelineError(message) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the library's notes on heads that we do not use; errors still pass."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
