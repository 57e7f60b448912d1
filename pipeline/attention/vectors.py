"""Word vectors themselves, level by level, where distances between them do not say enough: for probes."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from pipeline.attention.load import Translator
from pipeline.attention.reader import Example
from pipeline.attention.word_map import mean_rows
from pipeline.errors import PipelineError


class WordVectors(NamedTuple):
    """Means over the tokens of each word; level 0 is what enters the first layer.

    Attributes
    ----------
    src : float array, shape (level, src_word, dim)
        Of an encoder-decoder: the encoder's, which never see the target.
    tgt : float array, shape (level, tgt_word, dim)
        Of an encoder-decoder: the decoder's at the step that reads the word.
    """

    src: Float[np.ndarray, "src_level src_word dim"]
    tgt: Float[np.ndarray, "tgt_level tgt_word dim"]


def word_vectors(translator: Translator, example: Example) -> WordVectors:
    """Return the vectors of the words of one pair, read together, in float32 at least.

    Parameters
    ----------
    translator : Translator
        With `reads` ``cross`` or ``joint``.
    example : Example
        Of the translator's reader.

    Raises
    ------
    PipelineError
        If it reads in another way.
    """
    if translator.reads not in ("cross", "joint"):
        message = (
            f"translators.reads: word vectors are those of cross or joint readers, but {translator.name} reads "
            f"{translator.reads}; leave it out"
        )
        raise PipelineError(message)
    src_mean, tgt_mean = mean_rows(example.src), mean_rows(example.tgt)
    with torch.inference_mode():
        if translator.reads == "joint":
            levels = _joint(translator, example)
            return WordVectors(*(np.stack([mean @ level for level in levels]) for mean in (src_mean, tgt_mean)))
        encoder, decoder = _cross(translator, example)
    # Row j + 1 of the decoder reads what row j predicts.
    return WordVectors(
        np.stack([src_mean @ level for level in encoder]), np.stack([tgt_mean @ level[1:] for level in decoder])
    )


def _ids(translator: Translator, row: list[int]) -> torch.Tensor:
    return torch.tensor([row], device=translator.device)


def _cross(translator: Translator, example: Example) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the states of the encoder's and of the decoder's tokens."""
    model = translator.model
    body = model.model if hasattr(model, "model") else model
    inputs = {
        "input_ids": _ids(translator, example.rows["src"]),
        "decoder_input_ids": _ids(translator, example.rows["tgt"]),
    }
    out = translator.forward(lambda: body(**inputs, output_hidden_states=True, use_cache=False, return_dict=True))
    return _arrays(out.encoder_hidden_states), _arrays(out.decoder_hidden_states)


def _joint(translator: Translator, example: Example) -> list[np.ndarray]:
    """Return the states of the tokens of the concatenated pair."""
    inputs = {"input_ids": _ids(translator, example.rows["ids"])}
    if translator.first_position is not None:
        inputs["position_ids"] = _ids(translator, example.rows["positions"])
    if getattr(translator.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = _ids(translator, example.rows["types"])
    out = translator.forward(lambda: translator.model(**inputs, output_hidden_states=True, return_dict=True))
    return _arrays(out.hidden_states)


def _arrays(levels: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    return [level[0].to(torch.promote_types(level.dtype, torch.float32)).cpu().numpy() for level in levels]
