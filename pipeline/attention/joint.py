"""Self-attention of one encoder over the concatenated pair, in both directions between the sides."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.attention.capture import Pooling
from pipeline.attention.levels import states_at
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
    to_device,
)
from pipeline.attention.states import COSTS, WordStates, word_distances
from pipeline.attention.store import Cosines, PairBlocks
from pipeline.attention.tokenise import tokenise, tokenise_pair
from pipeline.attention.word_map import Tokens, mean_rows, word_map
from pipeline.conventions import CORRECTED, STATES, VIEWS, Convention, Side
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words
from pipeline.errors import PipelineError

Positions = Literal["continue", "restart"]
SIDES: tuple[Side, Side] = ("src", "tgt")


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
    asked : Asked
        Kinds of states (`together`, in the concatenated pair, and `alone`, each sentence by itself), and whether
        norms are read.

    Raises
    ------
    PipelineError
        If positions shall restart in a model whose positions cannot be set.
    """

    views = VIEWS["joint"]

    def __init__(
        self,
        translator: Translator,
        positions: Positions,
        convention: Convention = CORRECTED,
        asked: Asked = DEFAULT,
    ) -> None:
        if positions == "restart" and translator.first_position is None:
            message = (
                f"translators.positions: 'restart' needs a model with numbered positions, and "
                f"{translator.config.model_type!r} has none that can be set; use 'continue'"
            )
            raise PipelineError(message)
        self.translator = translator
        self.positions = positions
        self.convention = convention
        self.states = tuple(kind for kind in STATES["joint"] if kind in asked.states)
        if asked.norms:
            translator.capture.weigh(translator.model)
        self.conventions = {
            "tokens_to_words": "sum over the tokens of a key word, mean over those of a query word, special tokens dropped",
            "cost": COSTS[convention.cost],
            "states_together": "level l after layer l, of source and target words in the same sequence",
            "states_alone": "the same, each sentence read by itself",
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
        rows = {"ids": list(tokens.ids), "positions": self._numbers(sides), "types": coded.types}
        alone: dict[Side, np.ndarray] = {}
        if "alone" in self.states:
            sides_of: tuple[tuple[Side, str, tuple[str, ...]], ...] = (
                ("src", pair.src_text, pair.src_words),
                ("tgt", pair.tgt_text, pair.tgt_words),
            )
            for name, text, words in sides_of:
                own = tokenise(self.translator.tokenizer, text, "src")
                rows[name] = list(own.ids)
                alone[name] = word_map(locate_words(text, list(words)), own, text)
        return Example(
            pair_id=pair.pair_id,
            rows=rows,
            src=maps[0],
            tgt=maps[1],
            special=((maps[0].sum(0) == 0) & (maps[1].sum(0) == 0)).tolist(),
            alone=alone,
        )

    def _numbers(self, sides: list[int | None]) -> list[int]:
        first = self.translator.first_position or 0
        numbers = list(range(first, first + len(sides)))
        if self.positions == "restart":
            src_start, tgt_start = sides.index(0), sides.index(1)
            numbers[tgt_start:] = range(numbers[src_start], numbers[src_start] + len(sides) - tgt_start)
        return numbers

    def read(self, examples: Sequence[Example], *, heads: bool = False) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs, with every head's own if asked; padding changes nothing."""
        return read_staged(self, examples, heads=heads)

    def inputs(self, examples: Sequence[Example]) -> Tensors:
        """Return what the model reads, `pair.`, `src.` and `tgt.`, and how tokens make words."""
        translator = self.translator
        inputs = self._inputs("pair", [e.rows["ids"] for e in examples])
        width = inputs["pair.input_ids"].shape[1]
        if translator.first_position is not None:
            inputs["pair.position_ids"] = pad_ids([e.rows["positions"] for e in examples], 0, HOST)
        if "pair.token_type_ids" in inputs:
            inputs["pair.token_type_ids"] = pad_ids([e.rows["types"] for e in examples], 0, HOST)
        words = {
            "src_sum": [e.src for e in examples],
            "src_mean": [mean_rows(e.src) for e in examples],
            "tgt_sum": [e.tgt for e in examples],
            "tgt_mean": [mean_rows(e.tgt) for e in examples],
            "special": [np.array([e.special]) for e in examples],
        }
        inputs |= {name: pad_matrices(matrices, translator, columns=width) for name, matrices in words.items()}
        for side in SIDES if "alone" in self.states else ():
            inputs |= self._inputs(side, [e.rows[side] for e in examples])
            width = inputs[f"{side}.input_ids"].shape[1]
            means = [mean_rows(e.alone[side]) for e in examples]
            inputs[f"{side}_alone_mean"] = pad_matrices(means, translator, columns=width)
        return inputs

    def cosines(self, examples: Sequence[Example], kind: str, level: int) -> list[Cosines]:
        """Return the cosines of the word vectors of one level, as `read` gives them, and run no layer above it.

        Parameters
        ----------
        examples : sequence of Example
            A batch.
        kind : {"together", "alone"}
            One of `states`.
        level : int
            0 (what enters layer 1) to the number of layers.

        Raises
        ------
        PipelineError
            If a number is not finite, as `read`.
        """
        translator = self.translator
        with torch.inference_mode():
            inputs = {name: to_device(tensor, translator.device) for name, tensor in self.inputs(examples).items()}

            def own(name: str) -> list[Tensor]:
                run = partial(translator.model, **part(inputs, name), return_dict=True)
                return [states_at(translator, level, run)]

            if kind == "alone":
                src_mean, tgt_mean = (inputs[f"{side}_alone_mean"] for side in SIDES)
                states = WordStates(own("src"), own("tgt"), src_mean, tgt_mean)
            else:
                levels = own("pair")
                states = WordStates(levels, levels, inputs["src_mean"], inputs["tgt_mean"])
            distances = word_distances(states)
            pairs = zip(distances.cosine[:, 0].cpu().numpy(), distances.cosine_raw[:, 0].cpu().numpy(), strict=True)
            found = [
                Cosines(*(one[: len(e.src), : len(e.tgt)] for one in both))
                for e, both in zip(examples, pairs, strict=True)
            ]
        if not all(np.isfinite(one).all() for both in found for one in both):
            self.read(examples)  # says which
        return found

    def find(self, inputs: Tensors, *, heads: bool = False) -> Found:
        """Return attention between the sides, and distances of words together and alone."""
        special = inputs["special"][:, 0]
        src_mean, tgt_mean = inputs["src_mean"], inputs["tgt_mean"]
        views = [Pooling(tgt_mean, inputs["src_sum"], special), Pooling(src_mean, inputs["tgt_sum"], special)]
        run = partial(self._levels, part(inputs, "pair"))
        pooled, levels = self.translator.capture.run(views, run, heads=heads)
        distances = {}
        if "together" in self.states:
            together = WordStates(levels, levels, src_mean, tgt_mean)
            distances["together"] = word_distances(together, self.convention.cost)
        if "alone" in self.states:
            src, tgt = (self._levels(part(inputs, side)) for side in SIDES)
            alone = WordStates(src, tgt, *(inputs[f"{side}_alone_mean"] for side in SIDES))
            distances["alone"] = word_distances(alone, self.convention.cost)
        blocks = [ViewBlocks.of(pooled, row, view.query_side) for row, view in enumerate(self.views)]
        return Found(blocks, distances)

    def _inputs(self, name: str, rows: Sequence[Sequence[int]]) -> Tensors:
        """Return what the model takes, named NAME.something, all in segment 0, where it has segments."""
        inputs = pad_inputs(rows, self.translator, HOST)
        if getattr(self.translator.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
        return {f"{name}.{key}": tensor for key, tensor in inputs.items()}

    def _levels(self, inputs: Tensors) -> Sequence[Tensor]:
        run: Callable[[], Any] = partial(self.translator.model, **inputs, output_hidden_states=True, return_dict=True)
        return self.translator.forward(run).hidden_states
