"""Self-attention of a language model that is asked for a translation and given it: target words look at source words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from langcodes import Language
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
    pad_inputs,
    pad_matrices,
    part,
    read_staged,
)
from pipeline.attention.states import COSTS, Distances, WordStates, word_distances
from pipeline.attention.store import PairBlocks
from pipeline.attention.tokenise import check_control_words
from pipeline.attention.word_map import Tokens, UnmappableError, mean_rows, word_map
from pipeline.conventions import CORRECTED, INPUT_STEP, OUTPUT_STEP, STATES, VIEWS, Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import Span, locate_words
from pipeline.errors import PipelineError

UNNAMED = "Unknown language"  # what langcodes calls a language that it does not know
BETWEEN = "\n\n"
"""Stands between an example and what follows it."""
_MARKS = ("\ue000", "\ue001")
"""Private characters that stand for a turn of a chat while its own template is filled."""


def house_template(pair: str) -> str:
    r"""Return the template for a language pair such as en-fr.

    Raises
    ------
    PipelineError
        If a language has no name here.

    Examples
    --------
    >>> house_template("en-fr")
    'English: {src}\nFrench: {tgt}'
    """
    named = [Language.get(code) for code in pair.split("-")]
    if unknown := [language.to_tag() for language in named if UNNAMED in language.display_name()]:
        message = (
            f"translators.template: the house's names both languages of corpus.pair by ISO 639, but {unknown[0]!r} is "
            "none that is known; set template to a text with {src} and {tgt}"
        )
        raise PipelineError(message)
    src, tgt = (language.display_name() for language in named)
    return f"{src}: {{src}}\n{tgt}: {{tgt}}"


@dataclass(frozen=True)
class Prompt:
    """How a language model is asked.

    Attributes
    ----------
    template : str
        With `{src}`, then `{tgt}`, once each, as `house_template` makes it.
    shots : tuple of SentencePair
        Examples before the pair, which are never measured.
    chat : bool
        Whether what stands before the translation is the user's turn in the tokeniser's own chat template.
    """

    template: str
    shots: tuple[SentencePair, ...] = ()
    chat: bool = False

    def fill(self, pair: SentencePair, tokenizer: Any) -> tuple[str, Span, Span]:
        """Return the text that is read, and the spans of source and target in it.

        Spans are known from filling the template, never searched for: a sentence may stand in it twice.
        """
        before, between, after = self._parts()
        if self.chat:
            start, answered = self._chat_parts(tokenizer)
            head, middle, tail = start + before, between.rstrip() + answered, ""
        else:
            shots = [before + shot.src_text + between + shot.tgt_text + after + BETWEEN for shot in self.shots]
            head, middle, tail = "".join(shots) + before, between, after
        src = len(head), len(head) + len(pair.src_text)
        tgt = src[1] + len(middle), src[1] + len(middle) + len(pair.tgt_text)
        return head + pair.src_text + middle + pair.tgt_text + tail, src, tgt

    def _parts(self) -> tuple[str, str, str]:
        before, rest = self.template.split("{src}")
        between, after = rest.split("{tgt}")
        return before, between, after

    def _chat_parts(self, tokenizer: Any) -> tuple[str, str]:
        """Return what the chat's template puts before the user's last turn, and between it and the answer."""
        before, between, _ = self._parts()
        turns = []
        for shot in self.shots:
            asked = (before + shot.src_text + between).rstrip()
            turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": shot.tgt_text}]
        turns.append({"role": "user", "content": "".join(_MARKS)})
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        start, answered = text.split("".join(_MARKS))
        return start, answered


class PromptReader:
    """Reads pairs with a decoder-only language model under teacher forcing, in one pass.

    Query words are the target's, key words the source's. Row j of `output_step` is the token before target token j
    (the first one's is the template's last token), row j of `input_step` that token itself.

    Parameters
    ----------
    translator : Translator
        With `reads="prompt"`.
    prompt : Prompt
        Template, examples, chat.
    convention : Convention
        Its cost.
    asked : Asked
        Kinds of states, and whether norms are read.
    """

    views = VIEWS["prompt"]

    def __init__(
        self, translator: Translator, prompt: Prompt, convention: Convention = CORRECTED, asked: Asked = DEFAULT
    ) -> None:
        self.translator = translator
        self.prompt = prompt
        self.convention = convention
        self.states = tuple(kind for kind in STATES["prompt"] if kind in asked.states)
        if asked.norms:
            translator.capture.weigh(translator.model)
        self.conventions = {
            "tokens_to_words": "sum over source tokens, mean over target tokens",
            "cost": COSTS[convention.cost],
            "template": prompt.template,
            "shots": str(len(prompt.shots)),
            "chat": "yes" if prompt.chat else "no",
            "special": "the first token of the sequence and special tokens; what is missing to 1 beside them and the "
            "source words lies on the template, the examples, the target's own words or a sink",
            "states_output_step": "level l after layer l, of the source word and, for the target word, of the step that "
            "predicts it, in the same sequence",
            "states_input_step": "the same at the step that reads the word",
        }

    def tokenise(self, pair: SentencePair) -> Example:
        """Return the whole prompt as one sequence of ids: pieces depend on what stands before them.

        Raises
        ------
        UnmappableError
            `shot` if the pair is one of the examples, `too_long`, `control_words`, or a word that cannot be found.
        """
        if any((pair.src_text, pair.tgt_text) == (shot.src_text, shot.tgt_text) for shot in self.prompt.shots):
            message = f"shots: the examples of the prompt are not measured, and {pair.src_text!r} is one of them"
            raise UnmappableError("shot", message)
        tokenizer = self.translator.tokenizer
        for text in (pair.src_text, pair.tgt_text):
            check_control_words(tokenizer, text)
        text, src, tgt = self.prompt.fill(pair, tokenizer)
        # A chat's template writes its own first token.
        coded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=not self.prompt.chat)
        ids = coded["input_ids"]
        check_length(self.translator, len(ids), pair.src_text)
        maps = [
            word_map(locate_words(own, list(words)), Tokens(tuple(ids), _within(coded["offset_mapping"], span)), own)
            for own, words, span in ((pair.src_text, pair.src_words, src), (pair.tgt_text, pair.tgt_words, tgt))
        ]
        controls = set(tokenizer.all_special_ids)
        special = [place == 0 or token in controls for place, token in enumerate(ids)]
        return Example(pair_id=pair.pair_id, rows={"ids": ids}, src=maps[0], tgt=maps[1], special=special, alone={})

    def read(self, examples: Sequence[Example], *, heads: bool = False) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs, with every head's own if asked; padding changes nothing."""
        return read_staged(self, examples, heads=heads)

    def inputs(self, examples: Sequence[Example]) -> Tensors:
        """Return what the model reads, and how tokens make words."""
        pair = pad_inputs([e.rows["ids"] for e in examples], self.translator, HOST)
        words = {
            "keys": [e.src for e in examples],
            "src_mean": [mean_rows(e.src) for e in examples],
            OUTPUT_STEP.states: [_one_earlier(mean_rows(e.tgt)) for e in examples],
            INPUT_STEP.states: [mean_rows(e.tgt) for e in examples],
            "special": [np.array([e.special]) for e in examples],
        }
        width = pair["input_ids"].shape[1]
        return {f"pair.{key}": tensor for key, tensor in pair.items()} | {
            name: pad_matrices(matrices, self.translator, columns=width) for name, matrices in words.items()
        }

    def find(self, inputs: Tensors, *, heads: bool = False) -> Found:
        """Return attention from target to source words at both steps, and distances of their states."""
        translator, special = self.translator, inputs["special"][:, 0]
        steps = {step.states: inputs[step.states] for step in (OUTPUT_STEP, INPUT_STEP)}
        views = [Pooling(queries, inputs["keys"], special) for queries in steps.values()]
        run: Callable[[], Any] = partial(
            translator.model, **part(inputs, "pair"), output_hidden_states=True, use_cache=False, return_dict=True
        )
        pooled, outputs = translator.capture.run(views, partial(translator.forward, run), heads=heads)
        levels = self._levels(outputs.hidden_states)
        distances: dict[str, Distances] = {
            kind: word_distances(WordStates(levels, levels, inputs["src_mean"], steps[kind]), self.convention.cost)
            for kind in self.states
        }
        blocks = [ViewBlocks.of(pooled, row, view.query_side) for row, view in enumerate(self.views)]
        return Found(blocks, distances)

    def _levels(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Return one state a token and level: of the parallel streams of Gemma 3n, the one that layers work on."""
        active = getattr(self.translator.config, "altup_active_idx", 0)
        return [level[active] if level.ndim == 4 else level for level in states]


def _within(offsets: Sequence[Span], span: Span) -> tuple[Span | None, ...]:
    """Return the offsets as seen from a part of the text, cut to it; `None` for tokens that lie outside."""
    start, end = span
    cut = [(max(first, start) - start, min(last, end) - start) for first, last in offsets]
    return tuple(own if own[0] < own[1] else None for own in cut)


def _one_earlier(rows: Float[np.ndarray, "word token"]) -> Float[np.ndarray, "word token"]:
    """Return the weights moved to the tokens before."""
    return np.pad(rows[:, 1:], ((0, 0), (0, 1)))
