"""Language models read as translators: every family against its eager attention, the prompt spelled out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.pipeline.test_attention_families import LLAMA, PROMPT, _pair

TEMPLATE = "a {src} b {tgt}"


@pytest.fixture(scope="module")
def tokenizer():
    """A fast tokeniser of letters with a begin token and no end: `<s> a b`."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghij \n:"
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3} | {letter: 4 + i for i, letter in enumerate(letters)}
    words = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = Split(pattern="", behavior="isolated")
    words.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>",
        model_max_length=40,
    )  # fmt: skip


PAIRS = [_pair("cd e fgh", "i jc"), _pair("h", "dddd eee f", 1), _pair("ab ab", "ab", 2)]


def _save(family, tokenizer, folder, **more):
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    more = {"head_dim": 2} if family == "deepseek_v3" else more  # that of the rotary part
    model = AutoModel.from_config(AutoConfig.for_model(family, **PROMPT[family] | more))
    for name, parameter in model.named_parameters():  # far from uniform attention, sinks that matter
        torch.nn.init.normal_(parameter, std=0.6) if parameter.ndim > 1 or "sinks" in name else None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _reader(folder, tokenizer, prompt=TEMPLATE, dtype="float64", **asked):
    from pipeline.attention.load import load_translator
    from pipeline.attention.prompt import Prompt, PromptReader
    from pipeline.attention.reader import Asked

    prompt = Prompt(prompt) if isinstance(prompt, str) else prompt
    # Some families load a class of tokenisers of their own.
    translator = replace(load_translator(folder, reads="prompt", device="cpu", dtype=dtype), tokenizer=tokenizer)
    return PromptReader(translator, prompt, asked=Asked(**asked))


def _places(text, start, words):
    """Return the places of each word's letters, and of the blank before a word that is not the first, the slow way."""
    places, at = [], start
    for word in words:
        places.append([1 + i for i in range(at, at + len(word) + (text[at] == " "))])
        at += len(places[-1])
    return places


def _pool(attention, rows, columns):
    return np.array([[attention[..., row, :][..., column].sum(-1).mean(-1) for column in columns] for row in rows])


@pytest.mark.parametrize("family", PROMPT)
def test_attention_and_heads_of(family, tokenizer, tmp_path):
    from transformers import AutoModel

    folder = _save(family, tokenizer, tmp_path)
    # The experts of these have no double precision.
    dtype, exact = ("float32", 1e-5) if family in {"gpt_oss", "deepseek_v3"} else ("float64", 1e-6)
    reader = _reader(folder, tokenizer, dtype=dtype)
    blocks = reader.read([reader.tokenise(pair) for pair in PAIRS], heads=True)
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=getattr(torch, dtype)).eval()
    for pair, block in zip(PAIRS, blocks, strict=True):
        text = f"a {pair.src_text} b {pair.tgt_text}"
        with torch.no_grad():
            out = eager(**tokenizer(text, return_tensors="pt"), output_attentions=True, output_hidden_states=True)
        src = _places(text, 2, pair.src_words)
        tgt = _places(text, 5 + len(pair.src_text), pair.tgt_words)
        before = [[place - 1 for place in places] for places in tgt]
        assert len(out.attentions) == block.heads.shape[1] >= 2
        for layer, attention in enumerate(out.attentions):
            heads = attention[0].double().numpy()
            for view, rows in enumerate((before, tgt)):
                plain = _pool(heads, rows, src).transpose(2, 0, 1)
                np.testing.assert_allclose(block.heads[view, layer], plain, atol=exact)
                np.testing.assert_allclose(block.attention[view, layer], plain.mean(0), atol=exact)
                special = np.array([heads[:, row, 0].mean() for row in rows]).mean()
                np.testing.assert_allclose(block.special[view, layer], special, atol=exact)
            assert heads.std() > 0.01, "attention that is uniform would prove nothing"
        assert (block.attention.sum(-1) <= 1 + 1e-6).all()
        for level, states in enumerate(out.hidden_states):
            vectors = (states[0, 0] if states.ndim == 4 else states[0]).double().numpy()
            own = np.array([vectors[places].mean(0) for places in src])
            for kind, rows in (("output_step", before), ("input_step", tgt)):
                other = np.array([vectors[places].mean(0) for places in rows])
                squared = ((own[:, None] - other[None]) ** 2).sum(-1)
                np.testing.assert_allclose(
                    block.cost[kind][level], squared, rtol=1e-4, atol=10 * exact * vectors.max() ** 2
                )
                raw = own @ other.T / np.linalg.norm(own, axis=1)[:, None] / np.linalg.norm(other, axis=1)
                np.testing.assert_allclose(block.cosine_raw[kind][level], raw, atol=1e-4)


def test_sinks_take_their_share(tokenizer, tmp_path):
    reader = _reader(_save("gpt_oss", tokenizer, tmp_path), tokenizer, dtype="float32")
    from pipeline.attention.capture import Pooling

    example = reader.tokenise(PAIRS[0])
    n = len(example.rows["ids"])
    everything = torch.eye(n)[None]
    inputs = {"input_ids": torch.tensor([example.rows["ids"]])}
    with torch.no_grad():
        pooled, _ = reader.translator.capture.run(
            [Pooling(everything, everything, torch.zeros(1, n))],
            lambda: reader.translator.model(**inputs, use_cache=False),
        )
    for layer in pooled:
        rows = layer[0].block.sum(-1)
        assert (rows < 1).all() and (rows < 0.9).any(), "the rest of a row is the sink's"


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss"])
def test_layers_that_are_not_watched_compute_the_same(family, tokenizer, tmp_path):
    from transformers import AutoModel

    folder = _save(family, tokenizer, tmp_path, attn_logit_softcapping=0.5)
    reader = _reader(folder, tokenizer, dtype="float32")
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = torch.tensor([reader.tokenise(PAIRS[0]).rows["ids"]])
    with torch.no_grad():  # nothing is being captured: no view is asked for
        ours, plain = (model(input_ids=ids, use_cache=False)[0] for model in (reader.translator.model, eager))
    np.testing.assert_allclose(ours, plain, atol=1e-4)


def test_a_window_that_does_not_hold_the_source_is_marked(tokenizer, tmp_path):
    folder = _save(
        "gemma3_text", tokenizer, tmp_path, sliding_window=9, layer_types=["sliding_attention", "full_attention"]
    )
    reader = _reader(folder, tokenizer)
    short, long = _pair("c", "d"), _pair("cd e fgh", "i jc", 1)
    blocks = reader.read([reader.tokenise(pair) for pair in (short, long)], heads=True)
    assert np.isfinite(blocks[0].attention).all()
    for array in (blocks[1].attention, blocks[1].heads):
        assert np.isnan(array[:, 0]).all()
        assert np.isfinite(array[:, 1]).all()


def test_the_manifest_counts_what_a_layer_cannot_see(tokenizer, tmp_path):
    from pipeline.attention.extract import extract
    from pipeline.params import Extract, Translator

    folder = _save(
        "gemma3_text", tokenizer, tmp_path / "model", sliding_window=9,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    spec = Translator(model=folder, reads="prompt", template=TEMPLATE)
    pairs = [_pair("c", "d"), _pair("cd e fgh", "i jc", 1), _pair("e", "f", 2)]
    manifest = extract(
        "x", spec, Extract(device="cpu"), pairs, control="trained", split="trained", shots=pairs[2:],
        work=tmp_path / "work", target=tmp_path / "done",
    )  # fmt: skip
    assert manifest["skipped"] == {"shot": 1}
    assert manifest["levels"] == {"output_step": 3, "input_step": 3}
    assert manifest["cannot_see"]["output_step"][1] == 0
    assert manifest["cannot_see"]["input_step"][0] >= 1
    assert (manifest["conventions"]["template"], manifest["conventions"]["shots"]) == (TEMPLATE, "1")


def test_the_prompt_is_spelled_out(tokenizer, tmp_path):
    from pipeline.attention.prompt import Prompt

    shots = (_pair("c", "d", 7), _pair("e", "f", 8))
    prompt = Prompt("a: {src}\nb: {tgt}", shots)
    pair = _pair("ab b", "b ab")
    text, src, tgt = prompt.fill(pair, tokenizer)
    assert text == "a: c\nb: d\n\na: e\nb: f\n\na: ab b\nb: b ab"
    assert (text[slice(*src)], text[slice(*tgt)]) == ("ab b", "b ab")
    assert src[0] == text.rindex("ab b\n"), "not the first place where it could stand"
    reader = _reader(_save("llama", tokenizer, tmp_path), tokenizer, prompt)
    example = reader.tokenise(pair)
    ids = example.rows["ids"]
    assert ids == [0, *(tokenizer.convert_tokens_to_ids(list(text)))]
    assert example.src.shape == example.tgt.shape == (2, len(ids))
    assert [np.flatnonzero(row).tolist() for row in example.src] == [[src[0] + 1, src[0] + 2], [src[0] + 3, src[0] + 4]]
    assert np.flatnonzero(example.tgt[0]).tolist() == [tgt[0] + 1]
    assert example.special == [True] + [False] * (len(ids) - 1)


def test_pieces_with_their_blank_belong_to_their_word_only(tmp_path):
    """Pieces of several letters that begin with a blank, or with the line before."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    pieces = ["A:", " le", " chat", "\nB:", " the", " cat", ".\n", ".", "B:"]
    words = Tokenizer(WordLevel({piece: i for i, piece in enumerate([*pieces, "<unk>"])}, unk_token="<unk>"))
    words.pre_tokenizer = Split(Regex(r"\.\n|\n?\w+:| \w+|\."), "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<unk>", unk_token="<unk>", model_max_length=40
    )
    from pipeline.attention.prompt import Prompt
    from pipeline.corpus.pairs import SentencePair

    reader = _reader(_save("llama", tokenizer, tmp_path), tokenizer, Prompt("A: {src}\nB: {tgt}"))
    pair = SentencePair(0, "le chat.", "the cat.", ("le", "chat", "."), ("the", "cat", "."))
    example = reader.tokenise(pair)
    assert tokenizer.convert_ids_to_tokens(example.rows["ids"]) == [
        "A:",
        " le",
        " chat",
        ".\n",
        "B:",
        " the",
        " cat",
        ".",
    ]
    np.testing.assert_array_equal(example.src, np.eye(8)[[1, 2, 3]])
    np.testing.assert_array_equal(example.tgt, np.eye(8)[[5, 6, 7]])


def test_a_chat_is_the_tokenisers_own(tokenizer, tmp_path):
    from pipeline.attention.prompt import Prompt

    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}i{{ m['content'] | trim }}{% else %}"
        "j{{ m['content'] }}{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}j{% endif %}"
    )
    try:
        prompt = Prompt("a: {src}\nb: {tgt}", (_pair("c", "d", 7),), chat=True)
        pair = _pair("ab b", "b ab")
        text, src, tgt = prompt.fill(pair, tokenizer)
        assert text == "<s>ia: c\nb:\njd\nia: ab b\nb:\njb ab"
        assert (text[slice(*src)], text[slice(*tgt)]) == ("ab b", "b ab")
        example = _reader(_save("llama", tokenizer, tmp_path), tokenizer, prompt).tokenise(pair)
        assert example.rows["ids"].count(0) == 1, "one begin token, the template's"
        assert example.special[0] is True
    finally:
        tokenizer.chat_template = None


def test_the_houses_template_names_the_languages():
    from pipeline.attention.prompt import house_template
    from pipeline.errors import PipelineError

    assert house_template("de-ro") == "German: {src}\nRomanian: {tgt}"
    for unknown in ("en-xx", "qqz-en"):
        with pytest.raises(
            PipelineError, match=r"translators\.template: .*but '(xx|qqz)' is none.*; set template to a"
        ):
            house_template(unknown)


def test_norms_of_shared_values_equal_a_plain_loop(tokenizer, tmp_path):
    from transformers import AutoModel

    folder = _save("llama", tokenizer, tmp_path)
    assert LLAMA["num_key_value_heads"] < LLAMA["num_attention_heads"]
    reader = _reader(folder, tokenizer, norms=True)
    (block,) = reader.read([reader.tokenise(PAIRS[0])], heads=True)
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64).eval()
    text = f"a {PAIRS[0].src_text} b {PAIRS[0].tgt_text}"
    values = {}
    for number, layer in enumerate(eager.layers):
        layer.self_attn.v_proj.register_forward_hook(lambda m, i, o, n=number: values.__setitem__(n, o[0]))
    with torch.no_grad():
        out = eager(**tokenizer(text, return_tensors="pt"), output_attentions=True)
    src = _places(text, 2, PAIRS[0].src_words)
    tgt = _places(text, 5 + len(PAIRS[0].src_text), PAIRS[0].tgt_words)
    for number, layer in enumerate(eager.layers):
        weight = layer.self_attn.o_proj.weight.detach().numpy()
        heads, n = out.attentions[number][0].double().numpy(), len(values[number])
        value = values[number].numpy()  # one head's, shared by both
        vectors = np.stack([value @ weight[:, 4 * head : 4 * head + 4].T for head in range(2)])
        taken = heads[..., None] * vectors[:, None]  # head, query, key, dim
        by_head, whole = np.linalg.norm(taken, axis=-1), np.linalg.norm(taken.sum(0), axis=-1)
        assert whole.shape == (n, n)
        np.testing.assert_allclose(block.norm_heads[1, number], _pool(by_head, tgt, src).transpose(2, 0, 1), rtol=1e-5)
        np.testing.assert_allclose(block.norm[1, number], _pool(whole, tgt, src), rtol=1e-5)


def test_batches_over_one_another_give_the_same_shards(tokenizer, tmp_path):
    from pipeline.attention.engine import write_shards

    reader = _reader(_save("llama", tokenizer, tmp_path / "model"), tokenizer, dtype="float32", norms=True)
    write = {"tokens_per_batch": 32, "advance": lambda n: None, "heads_pairs": 2}
    plain, ahead = (write_shards(reader, PAIRS, tmp_path / f"{over}", **write, overlap=over) for over in (False, True))
    assert plain == ahead
    assert plain[2] == len(PAIRS)
