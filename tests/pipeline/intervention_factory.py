"""A translator made by hand whose one head does all the work, and random ones of every kind."""

import numpy as np
import torch

N_WORDS, N_LAYERS, N_HEADS, HEAD_DIM = 6, 2, 6, 10
PAD = 2 * N_WORDS + 1
PLANTED = (2, 3)
"""Layer and head."""


def token(kind, colour):
    """Return the id of the word of a kind in one of two colours."""
    return 1 + 2 * kind + colour


def translator(model, reads):
    """Return a model as the scorer takes it, with our attention; its tokeniser is never asked."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    from pipeline.attention.capture import Capture
    from pipeline.attention.languages import Languages
    from pipeline.attention.load import Translator
    from pipeline.intervention.hook import NAME

    model.set_attn_implementation(NAME)
    return Translator(
        name="small",
        model=model.eval(),
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a"))),
        capture=Capture({}),
        reads=reads,
        first_position=0 if reads == "joint" else None,
        revision=None,
        languages=Languages(),
    )


def _item(pair_id, rows, *, src, labels, queries, links, n_words=None):
    from pipeline.attention.reader import Example
    from pipeline.intervention.items import Item

    example = Example(
        pair_id=pair_id, rows=rows, src=src, tgt=queries[-1], special=(src.sum(0) == 0).tolist(), alone={}
    )
    return Item(example=example, labels=labels, n_words=n_words or queries.shape[1], queries=queries, links=links)


def planted_item(pair_id):
    """Return a pair: the source has a word of each kind in random order, the target the same words in order.

    The colours are random, so that a word can be told from the source only, and its place from its kind only.
    """
    rng = np.random.default_rng(pair_id)
    order, colours = rng.permutation(N_WORDS).tolist(), rng.integers(2, size=N_WORDS).tolist()
    labels = [*(token(kind, colours[kind]) for kind in range(N_WORDS)), 0]
    return _item(
        pair_id,
        {"src": [*(token(kind, colours[kind]) for kind in order), 0], "tgt": [PAD, *labels[:-1]]},
        src=np.eye(N_WORDS, N_WORDS + 1),
        labels=labels,
        queries=np.stack([np.eye(N_WORDS, N_WORDS + 1), np.eye(N_WORDS, N_WORDS + 1, k=1)]),
        links=np.stack([np.argsort(order), np.arange(N_WORDS)], axis=1),
    )


def marian(*, d_model=N_HEADS * HEAD_DIM):
    """Return a small Marian model with random weights."""
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=2 * N_WORDS + 2, d_model=d_model, encoder_layers=1, decoder_layers=N_LAYERS,
        encoder_attention_heads=N_HEADS, decoder_attention_heads=N_HEADS, encoder_ffn_dim=8, decoder_ffn_dim=8,
        max_position_embeddings=16, pad_token_id=PAD, eos_token_id=0, decoder_start_token_id=PAD, init_std=0.4,
    )  # fmt: skip
    return MarianMTModel(config).double().eval()


@torch.no_grad()
def planted(*, used=True, hub=0.0, sharp=6.0):
    """Return a model whose head `PLANTED` looks from place i of the target at the word of kind i and copies it.

    Parameters
    ----------
    used : bool
        Whether what the head copies reaches the output.
    hub : float
        Added to the scores of the word of kind 0: as large as `sharp`, all rows look there, though each likes its
        own word best of the others.
    sharp : float
        How far the score of the right word is above the others.
    """
    model = marian()
    for name, weight in model.named_parameters():
        weight.zero_()
        if name.endswith("layer_norm.weight"):
            weight.fill_(1.0)
    kinds, colours, places = range(N_WORDS + 1), range(N_WORDS + 1, N_WORDS + 3), range(N_WORDS + 3, 2 * N_WORDS + 4)
    embedding = model.model.shared.weight
    for kind in range(N_WORDS):
        for colour in (0, 1):
            embedding[token(kind, colour), [kinds[kind], colours[colour]]] = 1.0
    embedding[0, [kinds[N_WORDS]]] = 1.0
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions.weight.zero_()
    model.model.decoder.embed_positions.weight[list(kinds), list(places)] = 1.0
    layer, head = PLANTED
    for block in model.model.decoder.layers:
        for part in ("q_proj", "k_proj", "v_proj"):
            getattr(block.encoder_attn, part).weight.normal_(0, 0.1)
        block.encoder_attn.out_proj.weight.normal_(0, 0.02)
    attention = model.model.decoder.layers[layer - 1].encoder_attn
    own = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        part.weight[own] = 0.0
    attention.out_proj.weight[:, own] = 0.0
    start, scale = head * HEAD_DIM, HEAD_DIM**0.5
    # States are normalised: a coordinate that was 1 is about 4 to 7 by then, so that 16 of them make one unit.
    for kind in kinds:
        attention.q_proj.weight[start + kind, places[kind]] = sharp / 16 * scale
        attention.k_proj.weight[start + kind, kinds[kind]] = 1.0
    attention.q_proj.bias[start + HEAD_DIM - 1] = scale
    attention.k_proj.weight[start + HEAD_DIM - 1, kinds[0]] = hub / 4
    for place, coordinate in enumerate([*kinds, *colours]):
        attention.v_proj.weight[start + place, coordinate] = 1.0
        attention.out_proj.weight[coordinate, start + place] = 10.0 if used else 0.0
    model.model.decoder.layers[-1].final_layer_norm.weight.fill_(4.0)
    return model


def random_items(lengths, *, seed=3):
    """Return pairs of random ids for `marian`, one a pair of lengths (source, target)."""
    rng, items = np.random.default_rng(seed), []
    for pair_id, (n, m) in enumerate(lengths):
        src, tgt = ([*rng.integers(1, PAD, size=size).tolist(), 0] for size in (n, m))
        items.append(
            _item(
                pair_id,
                {"src": src, "tgt": [PAD, *tgt[:-1]]},
                src=np.eye(n, n + 1),
                labels=tgt,
                queries=np.stack([np.eye(m, m + 1), np.eye(m, m + 1, k=1)]),
                links=np.array([[i % n, i] for i in range(0, m, 2)]),
            )
        )
    return items


def bert():
    """Return a small BERT with a masked-word head and random weights."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=6, intermediate_size=16,
        max_position_embeddings=40, initializer_range=0.4, pad_token_id=0,
    )  # fmt: skip
    return BertForMaskedLM(config).double().eval()


def masked_items(lengths, *, seed=3):
    """Return pairs for `bert`: [1] source [2] target [2] with every other target token masked (3)."""
    from pipeline.intervention.items import IGNORED

    rng, items = np.random.default_rng(seed), []
    for pair_id, (n, m) in enumerate(lengths):
        src, tgt = (rng.integers(4, 30, size=size).tolist() for size in (n, m))
        size = n + m + 3
        ids, labels = [1, *src, 2, *tgt, 2], [IGNORED] * size
        for place in range(n + 2, n + 2 + m, 2):
            ids[place], labels[place] = 3, ids[place]
        items.append(
            _item(
                pair_id,
                {"ids": ids, "types": [0] * (n + 2) + [1] * (m + 1), "positions": list(range(size))},
                src=np.eye(n, size, k=1),
                labels=labels,
                n_words=sum(label != IGNORED for label in labels),
                queries=np.eye(m, size, k=n + 2)[None],
                links=np.array([[i % n, i] for i in range(0, m, 2)]),
            )
        )
    return items


def llama():
    """Return a small language model with random weights, two heads of keys and values for six of queries."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        intermediate_size=16, max_position_embeddings=60, initializer_range=0.4, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).double().eval()


def prompted_items(lengths, *, seed=3):
    """Return pairs for `llama`: [1] source [2] [3] target [4], scored on the target's tokens."""
    from pipeline.intervention.items import IGNORED

    rng, items = np.random.default_rng(seed), []
    for pair_id, (n, m) in enumerate(lengths):
        src, tgt = (rng.integers(5, 30, size=size).tolist() for size in (n, m))
        size = n + m + 4
        items.append(
            _item(
                pair_id,
                {"ids": [1, *src, 2, 3, *tgt, 4]},
                src=np.eye(n, size, k=1),
                labels=[IGNORED] * (n + 2) + tgt + [IGNORED] * 2,
                queries=np.stack([np.eye(m, size, k=n + 2), np.eye(m, size, k=n + 3)]),
                links=np.array([[i % n, i] for i in range(0, m, 2)]),
            )
        )
    return items
