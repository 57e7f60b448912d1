"""Cross-attention of an encoder-decoder, read under teacher forcing in one pass."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

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
from pipeline.attention.tokenise import tokenise
from pipeline.attention.word_map import mean_rows, merge_end, word_map
from pipeline.conventions import CORRECTED, VIEWS, Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words


class CrossReader:
    """Reads pairs with an encoder-decoder.

    Two views: row j of `output_step` is the step that predicts target token j (the paper's), row j of
    `input_step` the step that reads it, one later.

    Parameters
    ----------
    translator : Translator
        With `reads="cross"`.
    convention : Convention
        Its tokeniser of the target, end token and cost.
    """

    views = VIEWS["cross"]

    def __init__(self, translator: Translator, convention: Convention = CORRECTED) -> None:
        self.translator = translator
        self.convention = convention
        self.conventions = {
            "tokens_to_words": "sum over source tokens, mean over target tokens, special tokens dropped",
            "target_tokens": f"{convention.target_tokens} tokeniser",
            "cost": f"{COSTS[convention.cost]}; "
            "level 0: input embeddings of both sides; level l: last encoder states against decoder states "
            "after layer l, at the step that reads the word",
        }
        if convention.end_token == "last_word":
            self.conventions["tokens_to_words"] += "; the special token after the last word is given to it"

    def tokenise(self, pair: SentencePair) -> Example:
        """Return the pair as ids of encoder and decoder.

        Raises
        ------
        UnmappableError
            If a side is too long or its words cannot be found in its tokens.
        """
        tokenizer = self.translator.tokenizer
        src = tokenise(tokenizer, pair.src_text, "src")
        tgt = tokenise(tokenizer, pair.tgt_text, "src" if self.convention.target_tokens == "source" else "tgt")
        # One more for the start token, so that the last word has a step that reads it.
        check_length(self.translator, max(len(src.ids), len(tgt.ids) + 1), pair.src_text)
        start = self.translator.config.decoder_start_token_id
        src_map = word_map(locate_words(pair.src_text, list(pair.src_words)), src, pair.src_text)
        tgt_map = word_map(locate_words(pair.tgt_text, list(pair.tgt_words)), tgt, pair.tgt_text)
        if self.convention.end_token == "last_word":
            src_map, tgt_map = merge_end(src_map, src), merge_end(tgt_map, tgt)
        return Example(
            pair_id=pair.pair_id,
            rows={"src": list(src.ids), "tgt": [tgt.ids[-1] if start is None else start, *tgt.ids]},
            src=src_map,
            tgt=tgt_map,
            special=(src_map.sum(0) == 0).tolist(),
        )

    def read(self, examples: Sequence[Example]) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs; padding changes nothing."""
        device, pad = self.translator.device, self.translator.config.pad_token_id
        src_ids = pad_ids([example.rows["src"] for example in examples], pad, device)
        tgt_ids = pad_ids([example.rows["tgt"] for example in examples], pad, device)
        # Not `ids != pad`: Marian starts the decoder with the padding token.
        lengths = torch.tensor([len(example.rows["src"]) for example in examples], device=device)
        mask = (torch.arange(src_ids.shape[1], device=device) < lengths[:, None]).long()
        mean = [mean_rows(example.tgt) for example in examples]
        steps = tgt_ids.shape[1]
        output_step = pad_matrices(mean, self.translator, columns=steps)
        # Row j + 1 of the decoder reads what row j predicts.
        input_step = pad_matrices([np.pad(m, ((0, 0), (1, 0))) for m in mean], self.translator, columns=steps)
        seen = pad_matrices([example.src for example in examples], self.translator, columns=src_ids.shape[1])
        special = pad_matrices([np.array([e.special]) for e in examples], self.translator, columns=src_ids.shape[1])
        views = [View(looks, seen, special[:, 0]) for looks in (output_step, input_step)]

        with torch.inference_mode():
            forward = partial(self.translator.forward, lambda: self._forward(src_ids, mask, tgt_ids))
            pooled, outputs = self.translator.capture.run(views, forward)
            src_mean = pad_matrices([mean_rows(e.src) for e in examples], self.translator, columns=src_ids.shape[1])
            distances = self._distances(outputs, src_mean, input_step, examples)
            return unpack(
                examples,
                [ViewBlocks.of(pooled, row, view.query_side) for row, view in enumerate(self.views)],
                distances,
            )

    def _forward(self, src_ids: Tensor, mask: Tensor, tgt_ids: Tensor) -> Any:
        model = self.translator.model
        # Without the language-model head where the class lets us: its product over the vocabulary is wasted.
        body = model.model if hasattr(model, "model") else model
        return body(
            input_ids=src_ids,
            attention_mask=mask,
            decoder_input_ids=tgt_ids,
            output_hidden_states=True,
            use_cache=False,
            return_dict=True,
        )

    def _distances(
        self,
        outputs: Any,
        src_mean: Float[Tensor, "batch src src_token"],
        tgt_mean: Float[Tensor, "batch tgt tgt_token"],
        examples: Sequence[Example],
    ) -> tuple[Tensor, Tensor]:
        encoder, decoder = outputs.encoder_hidden_states, outputs.decoder_hidden_states
        src_levels = [encoder[0]] + [encoder[-1]] * (len(decoder) - 1)
        cost, cosine = word_distances(src_levels, decoder, src_mean, tgt_mean)
        if self.convention.cost == "mean_of_distances":
            cost = token_distances(src_levels, decoder, src_mean, tgt_mean)
        return cost, cosine
