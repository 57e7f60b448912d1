"""What a model or its results may silently get wrong: each is one line that names the place."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.attention.capture import Pooling
from pipeline.attention.store import PairBlocks
from pipeline.attention.tokenise import language_tokens
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pipeline.attention.load import Translator


def check_filled(name: str, gaps: Sequence[str]) -> None:
    """Refuse weights with gaps: the library would fill them with random numbers and say so in a note only.

    Raises
    ------
    PipelineError
        If there is any name of a tensor in `gaps`.
    """
    if gaps:
        message = (
            f"translators.model: the weights of {name} must fill the whole model, but {len(gaps)} tensors "
            f"are missing or of another shape (the first: {gaps[0]}); name another model or revision"
        )
        raise PipelineError(message)


def check_weights(name: str, model: "PreTrainedModel") -> None:
    """Refuse weights that are no numbers.

    Raises
    ------
    PipelineError
        Names the first tensor that holds NaN or infinity.
    """
    broken = [key for key, tensor in model.named_parameters() if not tensor.isfinite().all()]
    if broken:
        message = (
            f"translators.model: the weights of {name} must be finite numbers, but {len(broken)} tensors hold NaN or "
            f"infinity (the first: {broken[0]}); download or save them again, or name another model or revision"
        )
        raise PipelineError(message)


def check_vocabulary(name: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> None:
    """Refuse a tokeniser whose ids go beyond the rows of the model's embedding.

    Raises
    ------
    PipelineError
        Names the token with the largest id.
    """
    n_rows = len(model.get_input_embeddings().state_dict()["weight"])
    vocabulary = tokenizer.get_vocab() | language_tokens(tokenizer)
    token, largest = max(vocabulary.items(), key=lambda item: item[1])
    if largest >= n_rows:
        message = (
            f"translators.model: the tokeniser of {name} must give ids below {n_rows}, the rows of the model's "
            f"embedding, but {token!r} has {largest}; use the tokeniser that the model was trained with"
        )
        raise PipelineError(message)


def fill_padding(
    name: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", say: Callable[[str], None]
) -> None:
    """Give a configuration without a padding token the tokeniser's, or else its end token; padding is masked.

    Raises
    ------
    PipelineError
        If there is neither.
    """
    if getattr(model.config, "pad_token_id", None) is not None:
        return
    for what, token in (("padding", tokenizer.pad_token_id), ("end", tokenizer.eos_token_id)):
        if token is not None:
            model.config.pad_token_id = token
            say(f"{name}: config.json has no pad_token_id; padding with the tokeniser's {what} token ({token})")
            return
    message = (
        f"translators.model: {name} must have a padding or an end token, but config.json and tokeniser have neither; "
        "add pad_token_id to its config.json"
    )
    raise PipelineError(message)


def check_cross(translator: "Translator") -> None:
    """Refuse modules that the user names but that are not attention of the decoder to the encoder.

    Two tokens are read to three: the decoder's attention to itself, which would pass for the other in a pair of equal
    lengths, looks at three.

    Raises
    ------
    PipelineError
        If a module looks at other tokens than those of the source, or cannot be watched.
    """
    model = translator.model
    precision = torch.promote_types(model.dtype, torch.float32)
    ones = partial(torch.ones, dtype=precision, device=translator.device)
    token = translator.tokenizer.eos_token_id or 0
    src, tgt = (torch.full((1, n), token, device=translator.device) for n in (2, 3))
    run = partial(model, input_ids=src, decoder_input_ids=tgt, use_cache=False)
    with torch.inference_mode():
        translator.capture.run([Pooling(ones(1, 1, 3), ones(1, 1, 2), ones(1, 2))], partial(translator.forward, run))


def check_finite(name: str, blocks: list[PairBlocks]) -> list[PairBlocks]:
    """Return the blocks if all of their numbers are finite.

    Parameters
    ----------
    name : str
        The translator.
    blocks : list of PairBlocks

    Raises
    ------
    PipelineError
        Names translator, pair, quantity and layer of the first that is not.
    """
    for block in blocks:
        for field in fields(block):
            found = getattr(block, field.name)
            by_kind = found if isinstance(found, dict) else {"": found}
            for kind, values in by_kind.items():
                if isinstance(values, np.ndarray) and not np.isfinite(values).all():
                    quantity = f"{field.name}_{kind}" if kind else field.name
                    raise PipelineError(_not_finite(name, block.pair_id, quantity, values))
    return blocks


def _not_finite(name: str, pair_id: int, quantity: str, values: np.ndarray) -> str:
    # Distances have levels first (0: embeddings), attention a view and then layers (from 1).
    place = np.argwhere(~np.isfinite(values))[0]
    by_level = quantity.startswith(("cost", "cosine"))
    layer = f"level {place[0]}" if by_level else f"layer {place[1] + 1}" if values.ndim > 1 else "no layer"
    return (
        f"translators.model: attention and states of {name} must be finite, but {quantity} of pair {pair_id} is "
        f"{values[tuple(place)]} in {layer}; set extract.dtype: float32, or name another model"
    )
