"""A translator with the head that it was trained with, and the way its loss is taken."""

from collections.abc import Callable
from typing import Any

from transformers import AutoModelForMaskedLM, PreTrainedModel

from pipeline.attention.fetch import model_folder
from pipeline.attention.load import load_translator
from pipeline.intervention.hook import NAME
from pipeline.intervention.inputs import CrossEncode, Encode, MaskedEncode
from pipeline.params import Translator as TranslatorSpec

SCORES = {
    "cross": "teacher-forced loss of the reference, nats a target word",
    "joint": "loss of masked target words (40 % of them, whole), nats a masked word",
}


def load_with_head(
    spec: TranslatorSpec, *, device: str, seed: int, say: Callable[[str], None] = lambda line: None
) -> tuple[PreTrainedModel, Encode] | None:
    """Return the model in float32 and how it reads a pair; `None` for an encoder without a masked-word head.

    Parameters
    ----------
    spec : Translator
    device : {"auto", "cpu", "cuda"}
    seed : int
        Of the words that are masked.
    say : callable
        Gets a line before a download, with its size.

    Raises
    ------
    PipelineError
        If the model cannot be loaded or does not fit `spec.reads`.
    """
    loaded = load_translator(spec.model, reads=spec.reads, revision=spec.revision, device=device, say=say)
    if spec.reads == "cross":
        loaded.model.set_attn_implementation(NAME)
        start = getattr(loaded.config, "decoder_start_token_id", None)
        return loaded.model, CrossEncode(loaded.tokenizer, start, loaded.max_tokens)
    model = _masked_head(spec, say)
    if model is None or loaded.tokenizer.mask_token_id is None:
        return None
    encode = MaskedEncode(
        loaded.tokenizer,
        first_position=loaded.first_position,
        restart=spec.positions == "restart",
        max_tokens=loaded.max_tokens,
        seed=seed,
    )
    return model.to(loaded.device).eval(), encode


def _masked_head(spec: TranslatorSpec, say: Callable[[str], None]) -> Any:
    """Return the model, `None` where its masked-word head is not among the weights."""
    folder, _ = model_folder(spec.model, revision=spec.revision, weights=True, say=say)
    model, info = AutoModelForMaskedLM.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        attn_implementation=NAME,
        dtype="float32",
        output_loading_info=True,
    )
    # The library fills a missing head with random numbers and says so in a note only.
    return None if info["missing_keys"] or info["mismatched_keys"] else model
