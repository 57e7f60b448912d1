"""Cross-attention of an encoder-decoder, read under teacher forcing in one pass."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from pipeline.attention.capture import Pooling
from pipeline.attention.load import Translator
from pipeline.attention.reader import (
    DEFAULT,
    HOST,
    Asked,
    Example,
    Found,
    Tensors,
    ViewBlocks,
    check_length,
    pad_ids,
    pad_inputs,
    pad_matrices,
    part,
    read_staged,
)
from pipeline.attention.states import COSTS, Distances, WordStates, word_distances
from pipeline.attention.store import PairBlocks
from pipeline.attention.tokenise import has_sides, tokenise
from pipeline.attention.word_map import mean_rows, merge_end, word_map
from pipeline.conventions import CORRECTED, INPUT_STEP, OUTPUT_STEP, STATES, VIEWS, Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words


class CrossReader:
    """Reads pairs with an encoder-decoder.

    Two views: row j of `output_step` is the step that predicts target token j (the paper's), row j of
    `input_step` the step that reads it, one later. The states of a step are the decoder's there, level 0 entering
    its first layer (at `output_step` the word before), against the encoder's last of the source word at every level.
    `embeddings` are those of the words themselves; `encoder` is each side alone through the encoder.

    Parameters
    ----------
    translator : Translator
        With `reads="cross"`.
    convention : Convention
        Its tokeniser of the target, end token and cost.
    asked : Asked
        Kinds of states, and whether norms are read.
    """

    views = VIEWS["cross"]

    def __init__(self, translator: Translator, convention: Convention = CORRECTED, asked: Asked = DEFAULT) -> None:
        self.translator = translator
        self.convention = convention
        separate = not getattr(translator.config, "share_encoder_decoder_embeddings", True)
        self.states = tuple(
            kind for kind in STATES["cross"] if kind in asked.states and not (kind == "encoder" and separate)
        )
        if asked.norms:
            translator.capture.weigh(translator.model)
        self.conventions = {
            "tokens_to_words": "sum over source tokens, mean over target tokens, special tokens dropped",
            "target_tokens": f"{convention.target_tokens} tokeniser",
            "cost": COSTS[convention.cost],
            "states_output_step": "decoder states at the step that predicts the word, level 0 entering layer 1, "
            "against the encoder's last states",
            "states_input_step": "the same at the step that reads the word",
            "states_embeddings": "input embeddings of both words",
            "states_encoder": "none: the encoder has no embeddings of the target's vocabulary"
            if separate
            else "each side alone through the encoder, which may have been trained on the source language only",
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
        source_pieces = self.convention.target_tokens == "source" and has_sides(tokenizer)
        src = tokenise(tokenizer, pair.src_text, "src", self.translator.languages.before)
        tgt = tokenise(tokenizer, pair.tgt_text, "src" if source_pieces else "tgt")
        # One more for the start token, so that the last word has a step that reads it.
        check_length(self.translator, max(len(src.ids), len(tgt.ids) + 1), pair.src_text)
        src_map = word_map(locate_words(pair.src_text, list(pair.src_words)), src, pair.src_text)
        tgt_map = word_map(locate_words(pair.tgt_text, list(pair.tgt_words)), tgt, pair.tgt_text)
        if self.convention.end_token == "last_word":
            src_map, tgt_map = merge_end(src_map, src), merge_end(tgt_map, tgt)
        return Example(
            pair_id=pair.pair_id,
            rows={"src": list(src.ids), "tgt": [self.translator.decoder_start(tgt.ids), *tgt.ids]},
            src=src_map,
            tgt=tgt_map,
            special=(src_map.sum(0) == 0).tolist(),
            alone={"tgt": tgt_map},
        )

    def read(self, examples: Sequence[Example], *, heads: bool = False) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs, with every head's own if asked; padding changes nothing."""
        return read_staged(self, examples, heads=heads)

    def inputs(self, examples: Sequence[Example]) -> Tensors:
        """Return what encoder and decoder read, and how tokens make words."""
        translator = self.translator
        src = pad_inputs([example.rows["src"] for example in examples], translator, HOST)
        # What is padded comes after the last step that is read.
        tgt_ids = pad_ids([example.rows["tgt"] for example in examples], 0, HOST)
        mean = [mean_rows(example.tgt) for example in examples]
        columns, steps = src["input_ids"].shape[1], tgt_ids.shape[1]
        inputs = {f"src.{key}": tensor for key, tensor in src.items()} | {
            "tgt_ids": tgt_ids,
            "output_mean": pad_matrices(mean, translator, columns=steps),
            # Row j + 1 of the decoder reads what row j predicts.
            "input_mean": pad_matrices([np.pad(m, ((0, 0), (1, 0))) for m in mean], translator, columns=steps),
            "keys": pad_matrices([example.src for example in examples], translator, columns=columns),
            "special": pad_matrices([np.array([e.special]) for e in examples], translator, columns=columns),
            "src_mean": pad_matrices([mean_rows(e.src) for e in examples], translator, columns=columns),
        }
        if "encoder" in self.states:
            alone = pad_inputs([example.rows["tgt"][1:] for example in examples], translator, HOST)
            inputs |= {f"alone.{key}": tensor for key, tensor in alone.items()}
            means = [mean_rows(e.alone["tgt"]) for e in examples]
            inputs["alone_mean"] = pad_matrices(means, translator, columns=alone["input_ids"].shape[1])
        return inputs

    def find(self, inputs: Tensors, *, heads: bool = False) -> Found:
        """Return cross-attention at both steps, and distances of every kind of states."""
        src_mean, output_step, input_step = inputs["src_mean"], inputs["output_mean"], inputs["input_mean"]
        special = inputs["special"][:, 0]
        views = [Pooling(queries, inputs["keys"], special) for queries in (output_step, input_step)]
        run = partial(self._forward, part(inputs, "src"), inputs["tgt_ids"])
        pooled, outputs = self.translator.capture.run(views, partial(self.translator.forward, run), heads=heads)
        distances = self._distances(outputs, src_mean, output_step, input_step)
        if "encoder" in self.states:
            distances["encoder"] = self._alone(outputs.encoder_hidden_states, src_mean, inputs)
        blocks = [ViewBlocks.of(pooled, row, view.query_side) for row, view in enumerate(self.views)]
        return Found(blocks, distances)

    def _forward(self, src: Tensors, tgt_ids: Tensor) -> Any:
        model = self.translator.model
        # Without the language-model head where the class lets us: its product over the vocabulary is wasted.
        body = model.model if hasattr(model, "model") else model
        return body(**src, decoder_input_ids=tgt_ids, output_hidden_states=True, use_cache=False, return_dict=True)

    def _distances(
        self, outputs: Any, src_mean: Tensor, output_step: Tensor, input_step: Tensor
    ) -> dict[str, Distances]:
        encoder, decoder = outputs.encoder_hidden_states, outputs.decoder_hidden_states
        last = [encoder[-1]] * len(decoder)
        states = {
            OUTPUT_STEP.states: WordStates(last, decoder, src_mean, output_step),
            INPUT_STEP.states: WordStates(last, decoder, src_mean, input_step),
            "embeddings": WordStates(encoder[:1], decoder[:1], src_mean, input_step),
        }
        return {
            kind: word_distances(of_kind, self.convention.cost)
            for kind, of_kind in states.items()
            if kind in self.states
        }

    def _alone(self, src_states: Sequence[Tensor], src_mean: Tensor, inputs: Tensors) -> Distances:
        encoder = self.translator.model.get_encoder()
        run = partial(encoder, **part(inputs, "alone"), output_hidden_states=True, return_dict=True)
        states = WordStates(src_states, self.translator.forward(run).hidden_states, src_mean, inputs["alone_mean"])
        return word_distances(states, self.convention.cost)
