"""Configurations and training losses of the two demo translators."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    BertConfig,
    BertForMaskedLM,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipeline.mini.vocab import MAX_POSITIONS

Pair = tuple[list[int], list[int]]


@runtime_checkable
class Task(Protocol):
    """What the training loop needs to know of a model."""

    @property
    def model(self) -> PreTrainedModel:
        """The model that is trained."""
        ...

    def loss(self, pairs: list[Pair], generator: torch.Generator, *, smooth: bool) -> Float[Tensor, ""]:
        """Return the mean loss a predicted token in nats, with label smoothing where the task has it."""
        ...


def _pad(rows: list[list[int]], value: int) -> Int[Tensor, "batch length"]:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def _pad_id(model: PreTrainedModel) -> int:
    pad = model.config.pad_token_id
    assert isinstance(pad, int)  # the builders below set it
    return pad


def marian_model(tokenizer: PreTrainedTokenizerBase, *, dim: int = 192, encoder_layers: int = 3) -> MarianMTModel:
    """Return a freshly initialised Marian of 6 decoder layers and 6 heads; global torch seed."""
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=dim,
        encoder_layers=encoder_layers,
        decoder_layers=6,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        activation_function="swish",
        scale_embedding=True,
        max_position_embeddings=MAX_POSITIONS,
        # Under one pass over the data: dropout would only slow the learning down.
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        pad_token_id=pad,
        eos_token_id=eos,
        decoder_start_token_id=pad,
        forced_eos_token_id=eos,
    )
    return MarianMTModel(config)


def bert_model(tokenizer: PreTrainedTokenizerBase, *, dim: int = 192, layers: int = 6) -> BertForMaskedLM:
    """Return a freshly initialised BERT of 6 heads; global torch seed."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=6,
        intermediate_size=512,
        max_position_embeddings=MAX_POSITIONS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(config)


@dataclass
class Translation:
    """Teacher-forced translation: each target token from the source and the tokens before it."""

    model: MarianMTModel
    label_smoothing: float = 0.1

    def loss(self, pairs: list[Pair], generator: torch.Generator, *, smooth: bool) -> Float[Tensor, ""]:
        """Return the mean cross-entropy a target token, in nats; pairs are token ids that end in `</s>`."""
        pad = _pad_id(self.model)
        src = _pad([pair[0] for pair in pairs], pad)
        tgt = _pad([pair[1] for pair in pairs], pad)
        read = torch.cat([torch.full_like(tgt[:, :1], pad), tgt[:, :-1]], dim=1)
        decoded = self.model.model(
            input_ids=src, attention_mask=src.ne(pad).long(), decoder_input_ids=read, use_cache=False
        ).last_hidden_state
        kept = tgt != pad
        logits = self.model.lm_head(decoded[kept]) + self.model.final_logits_bias
        return F.cross_entropy(logits, tgt[kept], label_smoothing=self.label_smoothing if smooth else 0.0)


@dataclass
class MaskedPair:
    """Masked-language modelling on concatenated pairs, positions restarting at the target.

    In each pair a share of the tokens of one randomly chosen side is masked, so that the other side is
    where the answer stands (Conneau and Lample 2019, translation language modelling).
    """

    model: BertForMaskedLM
    cls: int
    sep: int
    mask: int
    share: float = 0.4

    def arrange(
        self, pairs: list[Pair], generator: torch.Generator
    ) -> tuple[Int[Tensor, "field batch length"], Bool[Tensor, "batch length"]]:
        """Return `[ids, position_ids, token_type_ids]` and where to predict."""
        pad = _pad_id(self.model)
        ids, positions, types, chosen = [], [], [], []
        for src, tgt in pairs:
            ids.append([self.cls, *src, self.sep, *tgt, self.sep])
            positions.append([*range(len(src) + 2), *range(1, len(tgt) + 2)])
            types.append([0] * (len(src) + 2) + [1] * (len(tgt) + 1))
            hit = torch.rand(len(ids[-1]), generator=generator) < self.share
            side = torch.zeros_like(hit)
            if torch.rand((), generator=generator) < 0.5:
                side[1 : 1 + len(src)] = True
            else:
                side[2 + len(src) : -1] = True
            chosen.append(hit & side)
        fields = torch.stack([_pad(ids, pad), _pad(positions, 0), _pad(types, 0)])
        return fields, pad_sequence(chosen, batch_first=True)

    def loss(self, pairs: list[Pair], generator: torch.Generator, *, smooth: bool) -> Float[Tensor, ""]:
        """Return the mean cross-entropy a masked token, in nats; pairs are token ids without special tokens."""
        (ids, positions, types), chosen = self.arrange(pairs, generator)
        hidden = self.model.bert(
            input_ids=ids.masked_fill(chosen, self.mask),
            position_ids=positions,
            token_type_ids=types,
            attention_mask=ids.ne(_pad_id(self.model)).long(),
        ).last_hidden_state
        return F.cross_entropy(self.model.cls(hidden[chosen]), ids[chosen])
