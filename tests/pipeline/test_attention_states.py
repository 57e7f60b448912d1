"""Norm-weighted attention and word vectors of every kind against plain forward passes and loops."""

import numpy as np
import pytest
import torch

from pipeline.errors import PipelineError
from tests.pipeline.test_attention_families import CROSS, JOINT, PROMPT, SRC, TGT, _pair, _save, tokenizer

__all__ = ["tokenizer"]  # a fixture
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def _reader(folder, reads, **asked):
    from pipeline.attention.cross import CrossReader
    from pipeline.attention.joint import JointReader
    from pipeline.attention.load import load_translator
    from pipeline.attention.reader import Asked

    translator = load_translator(folder, reads=reads, device="cpu", dtype="float64")
    asked = Asked(**asked)
    return (
        CrossReader(translator, asked=asked) if reads == "cross" else JointReader(translator, "continue", asked=asked)
    )


def _between(src, tgt):
    """Return squared distances, centred and raw cosines of word vectors, the plain way."""
    squared = ((src[:, None] - tgt[None]) ** 2).sum(-1)
    cosines = []
    for one, other in ((src - src.mean(0), tgt - tgt.mean(0)), (src, tgt)):
        lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
        cosines.append(one @ other.T / lengths)
    return squared, *cosines


def _check(block, kind, src_levels, tgt_levels):
    assert len(block.cost[kind]) == len(src_levels) == len(tgt_levels)
    for level, (src, tgt) in enumerate(zip(src_levels, tgt_levels, strict=True)):
        squared, centred, raw = _between(src.numpy(), tgt.numpy())
        np.testing.assert_allclose(block.cost[kind][level], squared, **EXACT)
        np.testing.assert_allclose(block.cosine[kind][level], centred, **EXACT)
        np.testing.assert_allclose(block.cosine_raw[kind][level], raw, **EXACT)


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_states_of_an_encoder_decoder(family, tokenizer, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    folder = _save_seq2seq(family, tokenizer, tmp_path)
    reader = _reader(folder, "cross")
    (block,) = reader.read([reader.tokenise(_pair())])
    eager = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float64).eval()
    src, tgt = (tokenizer(text, return_tensors="pt")["input_ids"] for text in (SRC, TGT))
    start = torch.tensor([[eager.config.decoder_start_token_id]])
    with torch.no_grad():
        out = eager(input_ids=src, decoder_input_ids=torch.cat([start, tgt], dim=1), output_hidden_states=True)
        alone = eager.get_encoder()(input_ids=tgt, output_hidden_states=True).hidden_states
    # The encoder reads <s> a b c d e </s>, the decoder <start> <s> f g h </s>.
    encoder, decoder = ([states[0] for states in out[f"{part}_hidden_states"]] for part in ("encoder", "decoder"))
    last = [encoder[-1][1:6]] * 3
    _check(block, "output_step", last, [states[1:4] for states in decoder])
    _check(block, "input_step", last, [states[2:5] for states in decoder])
    _check(block, "embeddings", [encoder[0][1:6]], [decoder[0][2:5]])
    _check(block, "encoder", [states[1:6] for states in encoder], [states[0, 1:4] for states in alone])


def test_an_encoder_that_cannot_read_the_target_says_so(tokenizer, tmp_path):
    folder = _save_seq2seq("marian", tokenizer, tmp_path, share_encoder_decoder_embeddings=False)
    reader = _reader(folder, "cross")
    (block,) = reader.read([reader.tokenise(_pair())])
    assert set(block.cost) == {"output_step", "input_step", "embeddings"}
    assert reader.conventions["states_encoder"].startswith("none: the encoder has no embeddings of the target's")


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "distilbert"])
def test_states_of_a_joint_encoder(family, tokenizer, tmp_path):
    from transformers import AutoModel

    folder = _save(family, JOINT[family], tokenizer, tmp_path)
    reader = _reader(folder, "joint")
    (block,) = reader.read([reader.tokenise(_pair())])
    eager = AutoModel.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.no_grad():
        together, src, tgt = (
            eager(input_ids=torch.tensor([tokenizer(*texts)["input_ids"]]), output_hidden_states=True, **types(texts))
            for types in [lambda texts: _types(eager, tokenizer, texts)]
            for texts in ((SRC, TGT), (SRC,), (TGT,))
        )
    # <s> a b c d e </s> f g h </s>
    states = [level[0] for level in together.hidden_states]
    _check(block, "together", [level[1:6] for level in states], [level[7:10] for level in states])
    alone = [[level[0, 1:-1] for level in out.hidden_states] for out in (src, tgt)]
    _check(block, "alone", *alone)


def _types(model, tokenizer, texts):
    if getattr(model.config, "type_vocab_size", 0) < 2:
        return {}
    return {"token_type_ids": torch.tensor([tokenizer(*texts)["token_type_ids"]])}


def test_only_what_is_asked_for_is_there(tokenizer, tmp_path):
    reader = _reader(_save("bert", JOINT["bert"], tokenizer, tmp_path), "joint", states=("together",))
    example = reader.tokenise(_pair())
    (block,) = reader.read([example])
    assert set(block.cost) == {"together"}
    assert set(example.rows) == {"ids", "positions", "types"}
    assert block.heads is block.norm is block.norm_heads is None


def _save_seq2seq(family, tokenizer, folder, **more):
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **CROSS[family] | more)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _norms(attention, value, weight):
    """Return the lengths of what is taken, by head and for the layer: one query, key and head after the other."""
    n_heads, queries, keys = attention.shape
    by_head, whole = np.empty(attention.shape), np.empty((queries, keys))
    width = weight.shape[1] // n_heads
    for query in range(queries):
        for key in range(keys):
            taken = [
                attention[head, query, key]
                * (weight[:, head * width : (head + 1) * width] @ value[key, head * width : (head + 1) * width])
                for head in range(n_heads)
            ]
            by_head[:, query, key] = [np.linalg.norm(part) for part in taken]
            whole[query, key] = np.linalg.norm(sum(taken))
    return by_head, whole


@pytest.mark.parametrize(("family", "value", "output"), [("bart", "v_proj", "out_proj"), ("t5", "v", "o")])
def test_norms_of_cross_attention(family, value, output, tokenizer, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    from pipeline.attention.families import FAMILIES

    folder = _save_seq2seq(family, tokenizer, tmp_path)
    reader = _reader(folder, "cross", norms=True)
    (block,) = reader.read([reader.tokenise(_pair())], heads=True)
    eager = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64).eval()
    body = eager.model if hasattr(eager, "model") else eager
    modules = [body.get_submodule(FAMILIES["cross"][family]["module"].format(layer=layer)) for layer in range(2)]
    found = {}
    for number, module in enumerate(modules):
        getattr(module, value).register_forward_hook(lambda m, i, o, n=number: found.__setitem__(n, o[0].numpy()))
    src, tgt = (tokenizer(text, return_tensors="pt")["input_ids"] for text in (SRC, TGT))
    start = torch.tensor([[eager.config.decoder_start_token_id]])
    with torch.no_grad():
        out = eager(input_ids=src, decoder_input_ids=torch.cat([start, tgt], dim=1), output_attentions=True)
    for number, module in enumerate(modules):
        weight = getattr(module, output).weight.detach().numpy()
        by_head, whole = _norms(out.cross_attentions[number][0].numpy(), found[number], weight)
        np.testing.assert_allclose(block.norm_heads[0, number], by_head[:, 1:4, 1:6], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(block.norm[1, number], whole[2:5, 1:6], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("family", "value", "output"),
    [
        ("bert", "attention.self.value", "attention.output.dense"),
        ("distilbert", "attention.v_lin", "attention.out_lin"),
    ],
)
def test_norms_within_an_encoder(family, value, output, tokenizer, tmp_path):
    from transformers import AutoModel

    folder = _save(family, JOINT[family], tokenizer, tmp_path)
    reader = _reader(folder, "joint", norms=True)
    (block,) = reader.read([reader.tokenise(_pair())], heads=True)
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64).eval()
    layers = eager.encoder.layer if family == "bert" else eager.transformer.layer
    found = {}
    for number, layer in enumerate(layers):
        layer.get_submodule(value).register_forward_hook(lambda m, i, o, n=number: found.__setitem__(n, o[0].numpy()))
    with torch.no_grad():
        ids = torch.tensor([tokenizer(SRC, TGT)["input_ids"]])
        out = eager(input_ids=ids, output_attentions=True, **_types(eager, tokenizer, (SRC, TGT)))
    for number, layer in enumerate(layers):
        weight = layer.get_submodule(output).weight.detach().numpy()
        by_head, whole = _norms(out.attentions[number][0].numpy(), found[number], weight)
        np.testing.assert_allclose(block.norm_heads[0, number], by_head[:, 7:10, 1:6], rtol=1e-9)
        np.testing.assert_allclose(block.norm[1, number], whole[1:6, 7:10].T, rtol=1e-7)


@pytest.mark.parametrize(
    ("family", "reads"),
    [
        *((family, "cross") for family in CROSS),
        *((family, "joint") for family in JOINT),
        *((f, "prompt") for f in PROMPT),
    ],
)
def test_every_family_has_an_output_projection(family, reads):
    from transformers import AutoConfig, AutoModel

    from pipeline.attention.capture import Capture
    from pipeline.attention.families import attention_modules, family_of

    settings = {"cross": CROSS, "joint": JOINT, "prompt": PROMPT}[reads][family]
    config = AutoConfig.for_model(family, **settings)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    capture = Capture(attention_modules(model, family_of("x", config, reads, None), reads))
    capture.weigh(model)
    assert list(capture.projections) == capture.layers
    for weight in capture.projections.values():
        assert weight.shape[1] == 8, "the width of the states"


def test_a_module_without_a_projection_says_so():
    from pipeline.attention.norms import output_projection
    from pipeline.errors import PipelineError

    with pytest.raises(PipelineError, match=r"extract\.weights: norm needs the output projection of 0, one of o_proj"):
        output_projection(torch.nn.Sequential(torch.nn.ReLU()), "0")


def test_shuffled_weights_keep_each_tensors_numbers_and_lose_their_order(tokenizer, tmp_path):
    from pipeline.attention.load import load_translator

    folder = _save("bert", JOINT["bert"], tokenizer, tmp_path)
    trained, shuffled, again, other = (
        dict(load_translator(folder, reads="joint", device="cpu", **kwargs).model.named_parameters())
        for kwargs in ({}, *({"control": "weight_shuffled", "seed": seed} for seed in (1, 1, 2)))
    )
    moved = 0
    for name, tensor in trained.items():
        assert torch.equal(tensor.flatten().sort().values, shuffled[name].flatten().sort().values)
        assert torch.equal(shuffled[name], again[name])
        moved += not torch.equal(tensor, shuffled[name])
    assert moved > 10
    assert any(not torch.equal(shuffled[name], other[name]) for name in trained)


def test_splits_are_named_after_control_and_seed():
    from pipeline.params import Extract

    settings = Extract(controls=("trained", "random_init", "weight_shuffled"), seed=7, seeds=2)
    assert settings.splits == (
        ("trained", "trained", 7), ("random_init", "random_init", 7), ("random_init_2", "random_init", 8),
        ("weight_shuffled", "weight_shuffled", 7), ("weight_shuffled_2", "weight_shuffled", 8),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"states: must hold those of the views .*but together is missing"):
        Extract(states=("output_step", "input_step"))
    with pytest.raises(ValueError, match=r"weights: must hold attention \(and may hold norm\), but it is \['norm'\]"):
        Extract(weights=("norm",))


@pytest.mark.parametrize(("family", "reads"), [("bart", "cross"), ("bert", "joint")])
def test_word_vectors_have_the_distances_of_the_blocks(family, reads, tokenizer, tmp_path):
    from pipeline.attention.vectors import word_vectors

    folder = (
        _save_seq2seq(family, tokenizer, tmp_path)
        if reads == "cross"
        else _save(family, JOINT[family], tokenizer, tmp_path)
    )
    reader = _reader(folder, reads)
    example = reader.tokenise(_pair())
    (block,) = reader.read([example])
    src, tgt = word_vectors(reader.translator, example)

    def squared(own, other):
        return ((own[:, None] - other[None]) ** 2).sum(-1)

    if reads == "joint":
        assert len(src) == len(tgt) == len(block.cost["together"])
        for level, cost in enumerate(block.cost["together"]):
            np.testing.assert_allclose(squared(src[level], tgt[level]), cost, **EXACT)
        return
    np.testing.assert_allclose(squared(src[0], tgt[0]), block.cost["embeddings"][0], **EXACT)
    for level, cost in enumerate(block.cost["input_step"]):
        np.testing.assert_allclose(squared(src[-1], tgt[level]), cost, **EXACT)


def test_word_vectors_of_a_language_model_are_refused(tokenizer, tmp_path):
    from pipeline.attention.load import load_translator
    from pipeline.attention.vectors import word_vectors

    name, config = next(iter(PROMPT.items()))
    folder = _save(name, config, tokenizer, tmp_path)
    translator, reader = load_translator(folder, reads="prompt", device="cpu"), _reader(folder, "prompt")
    with pytest.raises(
        PipelineError, match=r"reads: word vectors are those of cross or joint.*reads prompt; leave it out"
    ):
        word_vectors(translator, reader.tokenise(_pair()))


def test_all_levels_at_once_as_on_a_card():
    from pipeline.attention import states

    points = list(torch.randn(3, 2, 4 + 5 + 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    one_by_one, at_once = states._one_by_one(points, 4), states._at_once(points, 4)
    for plain, whole in zip(one_by_one, at_once, strict=True):
        assert plain.shape == whole.shape == (2, 3, 4, 5)
        torch.testing.assert_close(whole, plain, rtol=1e-12, atol=1e-12)
