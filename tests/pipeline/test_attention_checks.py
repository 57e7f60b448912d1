"""Nothing silent: weights that are no numbers, ids beyond the embedding, padding, limits, results that are no numbers."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import PipelineError
from tests.pipeline.test_attention_families import BERT, LLAMA, _pair, _save, tokenizer  # noqa: F401 - a fixture


def _load(folder, reads="joint", **kwargs):
    from pipeline.attention.load import load_translator

    return load_translator(str(folder), reads=reads, device="cpu", **kwargs)


@pytest.fixture
def folder(tokenizer, tmp_path):
    _save("bert", BERT, tokenizer, tmp_path)
    return tmp_path


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_name_the_tensor(folder, value):
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.1.attention.self.query.weight"][2, 3] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    match = r"translators\.model: the weights of .* must be finite numbers, but 1 tensors hold NaN or infinity "
    with pytest.raises(
        PipelineError, match=match + r"\(the first: encoder\.layer\.1\.attention\.self\.query\.weight\)"
    ):
        _load(folder)
    assert _load(folder, control="random_init")


def test_ids_beyond_the_embedding_name_the_token(tokenizer, tmp_path):
    _save("bert", BERT | {"vocab_size": 11}, tokenizer, tmp_path)
    match = r"must give ids below 11, the rows of the model's embedding, but 'h' has 11; use the tokeniser"
    with pytest.raises(PipelineError, match=match):
        _load(tmp_path)


def _without_padding(tokenizer, tmp_path, **tokens):
    from transformers import PreTrainedTokenizerFast

    plain = PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, unk_token="<unk>", **tokens)
    _save("llama", LLAMA | {"pad_token_id": None}, plain, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("tokens", "what", "expected"),
    [({"eos_token": "</s>"}, "end", 2), ({"eos_token": "</s>", "pad_token": "<pad>"}, "padding", 1)],
)
def test_a_missing_padding_token_is_filled_and_said(tokenizer, tmp_path, tokens, what, expected):
    said = []
    translator = _load(_without_padding(tokenizer, tmp_path, **tokens), "prompt", say=said.append)
    assert translator.config.pad_token_id == expected
    assert said == [
        f"{tmp_path}: config.json has no pad_token_id; padding with the tokeniser's {what} token ({expected})"
    ]


def test_no_token_to_pad_with(tokenizer, tmp_path):
    folder = _without_padding(tokenizer, tmp_path)
    match = r"must have a padding or an end token, but .* neither; add pad_token_id to its config\.json"
    with pytest.raises(PipelineError, match=match):
        _load(folder, "prompt")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": 1}))
    assert _load(folder, "prompt").config.pad_token_id == 1


def _long(n):
    from pipeline.corpus.pairs import SentencePair

    words = ("a",) * n
    return SentencePair(0, " ".join(words), "f", words, ("f",))


@pytest.mark.parametrize(
    ("family", "positions", "of_tokeniser", "limit"),
    [("xlm-roberta", 514, 512, 512), ("xlm-roberta", 514, 600, 512), ("bert", 512, 512, 512), ("bert", 512, 100, 100)],
)
def test_the_longest_pair_is_read_and_one_token_more_is_counted(
    family, positions, of_tokeniser, limit, tokenizer, tmp_path
):
    """XLM-R has 514 position embeddings, of which the first two are never used."""
    from pipeline.attention.joint import JointReader
    from pipeline.attention.word_map import UnmappableError

    tokenizer.model_max_length, before = of_tokeniser, tokenizer.model_max_length
    _save(family, BERT | {"max_position_embeddings": positions}, tokenizer, tmp_path)
    tokenizer.model_max_length = before
    reader = JointReader(_load(tmp_path), "continue")
    assert reader.translator.max_tokens == limit
    longest = limit - 4  # <s> ... </s> f </s>
    (block,) = reader.read([reader.tokenise(_long(longest))])
    assert block.attention.shape[-1] == longest
    by = "tokeniser" if of_tokeniser < positions - 2 else "model"
    with pytest.raises(
        UnmappableError, match=rf"at most {limit} tokens \(.*{limit} by its {by}.*, got {limit + 1} for"
    ):
        reader.tokenise(_long(longest + 1))


@pytest.mark.parametrize("typed", ["</s>", "<pad>", "<unk>", "<s>"])
def test_control_words_in_a_joint_pair_are_counted(folder, typed):
    from pipeline.attention.engine import tokenise_all
    from pipeline.attention.joint import JointReader
    from pipeline.corpus.pairs import SentencePair

    reader = JointReader(_load(folder), "continue")
    pairs = [SentencePair(1, f"a {typed}", "f", ("a", typed), ("f",)), SentencePair(2, "a", typed, ("a",), (typed,))]
    examples, skipped = tokenise_all(reader, [_pair(), *pairs])
    assert len(examples) == 1
    assert skipped == {"control_words": 2}


@pytest.mark.parametrize(
    ("quantity", "place", "where"),
    [
        ("attention", (0, 1, 2, 3), "layer 2"),
        ("cost_together", (2, 0, 1), "level 2"),
        ("cosine_alone", (0, 4, 2), "level 0"),
        ("special", (1, 0), "layer 1"),
    ],
)
def test_results_that_are_no_numbers_name_translator_pair_and_layer(folder, quantity, place, where):
    from pipeline.attention.checks import check_finite
    from pipeline.attention.joint import JointReader

    reader = JointReader(_load(folder), "continue")
    blocks = reader.read([reader.tokenise(_pair())])
    assert check_finite("x", blocks) is blocks
    name, _, kind = quantity.partition("_")
    values = getattr(blocks[0], name)
    (values[kind] if kind else values)[place] = np.nan
    match = rf"attention and states of x must be finite, but {quantity} of pair 0 is nan in {where}; set extract\.dtype"
    with pytest.raises(PipelineError, match=match):
        check_finite("x", blocks)


def test_a_model_that_overflows_is_stopped(folder):
    from pipeline.attention.joint import JointReader

    reader = JointReader(_load(folder), "continue")
    with torch.no_grad():
        reader.translator.model.encoder.layer[0].output.dense.weight.fill_(3e38)
    with pytest.raises(PipelineError, match=rf"attention and states of {folder} must be finite, but \w+ of pair 0"):
        reader.read([reader.tokenise(_pair())])
