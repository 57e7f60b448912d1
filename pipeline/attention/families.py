"""Which modules of a model hold the attention that is read: families.yaml, or what the user says of their own."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from pipeline.errors import PipelineError
from pipeline.params import Family

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

Reads = Literal["cross", "joint", "prompt"]
KINDS = {
    "cross": "an encoder-decoder",
    "joint": "one encoder",
    "prompt": "a language model without an encoder",
}
FAMILIES = yaml.safe_load((Path(__file__).parent / "families.yaml").read_text(encoding="utf-8"))


def fitting(config: "PretrainedConfig") -> Reads:
    """Return the one way in which a model of this configuration can be read."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    if config.is_encoder_decoder:
        return "cross"
    # Encoders can be made causal too, so that many stand in both lists.
    decoder = config.model_type in CAUSAL and config.model_type not in MASKED
    return "prompt" if config.model_type in FAMILIES["prompt"] or decoder else "joint"


def is_certain(config: "PretrainedConfig") -> bool:
    """Return whether `fitting` knows; of a kind of model in no list it takes an encoder, which may be a language model."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    listed = (CAUSAL, MASKED, FAMILIES["joint"], FAMILIES["prompt"])
    return config.is_encoder_decoder or any(config.model_type in names for names in listed)


def family_of(name: str, config: "PretrainedConfig", reads: Reads, own: Family | None) -> Family:
    """Return where a model keeps its attention.

    Parameters
    ----------
    name : str
        The model, for messages.
    own : Family, optional
        What the user says; it goes before families.yaml.

    Raises
    ------
    PipelineError
        If the model is of another kind than `reads`, or its family is refused or not known.
    """
    kind = fitting(config)
    if kind != reads and (reads == "cross" or is_certain(config)):
        message = f"translators.reads: {name} is {KINDS[kind]}, which reads {kind!r}, got {reads!r}; set reads: {kind}"
        raise PipelineError(message)
    known = FAMILIES[reads]
    if own is not None:
        return own
    found = known.get(config.model_type)
    if found is None:
        message = (
            f"translators.model: the family must be one of {_readable(known)} for reads: {reads}, got "
            f"{config.model_type!r}; say where its attention is, "
            f"family: {{module: {next(entry['module'] for entry in known.values() if 'module' in entry)!r}}}, say"
        )
        raise PipelineError(message)
    if "refused" in found:
        message = (
            f"translators.model: {name} is of the family {config.model_type}, which cannot be read: "
            f"{found['refused']}; use one of {_readable(known)}"
        )
        raise PipelineError(message)
    return Family(module=found["module"], position=found.get("position"))


def _readable(families: dict[str, dict]) -> list[str]:
    return sorted(family for family, entry in families.items() if "module" in entry)


def attention_modules(model: "PreTrainedModel", family: Family, reads: Reads) -> dict[int, "nn.Module"]:
    """Return the attention modules by layer, from 1.

    Raises
    ------
    PipelineError
        If a layer has no module of that name: names those that are near.
    """
    modules = dict(model.base_model.named_modules())
    paths = [family.module.format(layer=layer) for layer in range(_n_layers(model.config, reads))]
    missing = [path for path in paths if path not in modules]
    if missing:
        near = difflib.get_close_matches(family.module, _patterns(modules, len(paths), reads), n=3, cutoff=0.3)
        message = (
            f"translators.family.module: must name a module of each of {len(paths)} layers of "
            f"{type(model).__name__}, but {family.module!r} gives {missing[0]}, which is not there; "
            + (f"near names: {', '.join(near)}" if near else "no other name is that of each layer; name another model")
        )
        raise PipelineError(message)
    return {layer: modules[path] for layer, path in enumerate(paths, start=1)}


def _n_layers(config: "PretrainedConfig", reads: Reads) -> int:
    names = ("decoder_layers", "num_decoder_layers") if reads == "cross" else ()
    # A model of text and images keeps the numbers of its language model in a part of the configuration.
    parts = (config, config.get_text_config())
    return next(n for key in (*names, "num_hidden_layers") for part in parts if (n := getattr(part, key, None)))


def _patterns(modules: Mapping[str, "nn.Module"], n_layers: int, reads: Reads) -> list[str]:
    """Return names of attention modules that every layer has, with its number as `{layer}`; innermost ones only.

    None that says of itself that it is self-attention where that is not what is read. Where no class says that it is
    attention, those of all modules.
    """
    numbered = {re.sub(r"(?<=\.)\d+(?=\.)", "{layer}", name, count=1): part for name, part in modules.items()}
    whole = {
        name: "attention" in type(part).__name__.lower()
        for name, part in numbered.items()
        if "{layer}" in name and all(name.format(layer=layer) in modules for layer in range(n_layers))
    }
    attention = [name for name, is_attention in whole.items() if is_attention]
    inner = [name for name in attention if not any(other.startswith(f"{name}.") for other in attention)]
    return sorted(name for name in inner or whole if not (reads == "cross" and "self" in name.lower()))


def first_position(model: "PreTrainedModel", family: Family) -> int | None:
    """Return the number of the first position, `None` where positions cannot be set."""
    if family.position == "padding_idx + 1":
        return model.config.pad_token_id + 1
    return family.position
