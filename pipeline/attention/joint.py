"""Self-attention of one encoder over the concatenated pair, in both directions between the sides."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from pipeline.attention.capture import View
from pipeline.attention.load import Translator
from pipeline.attention.reader import (
    COSTS,
    Example,
    ViewBlocks,
    check_length,
    pad_ids,
    pad_matrices,
    token_distances,
    unpack,
    word_distances,
)
from pipeline.attention.store import PairBlocks
from pipeline.attention.tokenise import tokenise_pair
from pipeline.attention.word_map import Tokens, mean_rows, word_map
from pipeline.conventions import CORRECTED, VIEWS, Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words
from pipeline.errors import PipelineError

Positions = Literal["continue", "restart"]


class JointReader:
    """Reads pairs with an encoder such as multilingual BERT.

    Parameters
    ----------
    translator : Translator
        With `reads="joint"`.
    positions : {"continue", "restart"}
        Position numbers of the target: running on after the source (BERT), or starting again with the
        number of the first source token (translation language modelling).
    convention : Convention
        Its cost.

    Raises
    ------
    PipelineError
        If positions shall restart in a model whose positions cannot be set.
    """

    views = VIEWS["joint"]

    def __init__(self, translator: Translator, positions: Positions, convention: Convention = CORRECTED) -> None:
        if positions == "restart" and translator.first_position is None:
            message = (
                f"translators.positions: 'restart' needs a model with numbered positions, and "
                f"{translator.config.model_type!r} has none that can be set; use 'continue'"
            )
            raise PipelineError(message)
        self.translator = translator
        self.positions = positions
        self.convention = convention
        self.conventions = {
            "tokens_to_words": "sum over the tokens of a key word, mean over those of a query word, special tokens dropped",
            "cost": f"{COSTS[convention.cost]}; states after layer l of source and target words in the same sequence",
            "positions": positions,
        }

    def tokenise(self, pair: SentencePair) -> Example:
        """Return the pair as one sequence of ids.

        Raises
        ------
        UnmappableError
            If the sequence is too long or words cannot be found in its tokens.
        """
        coded = tokenise_pair(self.translator.tokenizer, pair.src_text, pair.tgt_text)
        tokens, sides = coded.tokens, coded.sides
        check_length(self.translator, len(tokens.ids), pair.src_text)
        maps = []
        for side, text, words in ((0, pair.src_text, pair.src_words), (1, pair.tgt_text, pair.tgt_words)):
            own = Tokens(tokens.ids, tuple(s if o == side else None for s, o in zip(tokens.spans, sides, strict=True)))
            maps.append(word_map(locate_words(text, list(words)), own, text))
        return Example(
            pair_id=pair.pair_id,
            rows={"ids": list(tokens.ids), "positions": self._numbers(sides), "types": coded.types},
            src=maps[0],
            tgt=maps[1],
            special=((maps[0].sum(0) == 0) & (maps[1].sum(0) == 0)).tolist(),
        )

    def _numbers(self, sides: list[int | None]) -> list[int]:
        first = self.translator.first_position or 0
        numbers = list(range(first, first + len(sides)))
        if self.positions == "restart":
            src_start, tgt_start = sides.index(0), sides.index(1)
            numbers[tgt_start:] = range(numbers[src_start], numbers[src_start] + len(sides) - tgt_start)
        return numbers

    def read(self, examples: Sequence[Example]) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs; padding changes nothing."""
        translator = self.translator
        ids = pad_ids([e.rows["ids"] for e in examples], translator.config.pad_token_id, translator.device)
        width = ids.shape[1]
        lengths = torch.tensor([len(e.rows["ids"]) for e in examples], device=ids.device)
        inputs = {
            "input_ids": ids,
            "attention_mask": (torch.arange(width, device=ids.device) < lengths[:, None]).long(),
        }
        if translator.first_position is not None:
            inputs["position_ids"] = pad_ids([e.rows["positions"] for e in examples], 0, ids.device)
        if getattr(translator.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = pad_ids([e.rows["types"] for e in examples], 0, ids.device)
        src_sum, src_mean, tgt_sum, tgt_mean = (
            pad_matrices(matrices, translator, columns=width)
            for matrices in (
                [e.src for e in examples],
                [mean_rows(e.src) for e in examples],
                [e.tgt for e in examples],
                [mean_rows(e.tgt) for e in examples],
            )
        )
        special = pad_matrices([np.array([e.special]) for e in examples], translator, columns=width)[:, 0]
        views = [View(tgt_mean, src_sum, special), View(src_mean, tgt_sum, special)]
        with torch.inference_mode():
            run: Callable[[], Any] = partial(translator.model, **inputs, output_hidden_states=True, return_dict=True)
            pooled, outputs = translator.capture.run(views, partial(translator.forward, run))
            levels = outputs.hidden_states
            cost, cosine = word_distances(levels, levels, src_mean, tgt_mean)
            if self.convention.cost == "mean_of_distances":
                cost = token_distances(levels, levels, src_mean, tgt_mean)
            blocks = [ViewBlocks.of(pooled, row, view.query_side) for row, view in enumerate(self.views)]
            return unpack(examples, blocks, (cost, cosine))
