"""Every family of families.yaml against its own eager attention, with one token a word.

Pairs are read in one batch, with padding on either side, and held against eager attention of each pair by itself.
"""

import numpy as np
import pytest
import torch

SRC, TGT = "a b c d e", "f g h"
TEXTS = [(SRC, TGT), ("h c", "b a f e d g"), ("d", "a c")]
SMALL = {"vocab_size": 32, "max_position_embeddings": 40, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0}
BART = SMALL | {
    "d_model": 8, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "init_std": 0.5, "decoder_start_token_id": 2,
}  # fmt: skip
T5 = {
    "vocab_size": 32, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_decoder_layers": 2, "num_heads": 2,
    "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "initializer_factor": 5.0,
}  # fmt: skip
BERT = SMALL | {
    "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8,
    "initializer_range": 0.5,
}  # fmt: skip
DISTIL = SMALL | {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 8, "initializer_range": 0.5}
MODERN = BERT | {"num_hidden_layers": 4, "local_attention": 64, "cls_token_id": 0, "sep_token_id": 2}
EURO = BERT | {"num_key_value_heads": 2, "head_dim": 4}
CROSS = {"bart": BART, "m2m_100": BART, "marian": BART, "mbart": BART, "mt5": T5, "pegasus": BART, "t5": T5, "umt5": T5}
LLAMA = SMALL | {
    "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
    "intermediate_size": 8,
}  # fmt: skip
LIKE_LLAMA = (
    "cohere", "cohere2", "gemma", "gemma2", "gemma3_text", "gpt_neox", "granite", "llama", "mistral", "olmo2", "phi3",
    "qwen2", "qwen3", "smollm3",
)  # fmt: skip
PROMPT = dict.fromkeys(LIKE_LLAMA, LLAMA) | {
    "gpt2": {"n_embd": 8, "n_layer": 2, "n_head": 2, "vocab_size": 32, "n_positions": 40, "eos_token_id": 2},
    "opt": LLAMA | {"ffn_dim": 8, "word_embed_proj_dim": 8},
    "gpt_oss": LLAMA | {"num_local_experts": 2, "num_experts_per_tok": 1},
    "gemma3n_text": LLAMA | {
        "num_hidden_layers": 4, "num_kv_shared_layers": 2, "vocab_size_per_layer_input": 32, "laurel_rank": 2,
        "hidden_size_per_layer_input": 4, "activation_sparsity_pattern": [0.0] * 4, "altup_num_inputs": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "gemma4_text": LLAMA | {
        "vocab_size_per_layer_input": 32, "hidden_size_per_layer_input": 4, "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "deepseek_v3": LLAMA | {
        "num_key_value_heads": 2, "q_lora_rank": 4, "kv_lora_rank": 4, "qk_nope_head_dim": 2, "qk_rope_head_dim": 2,
        "v_head_dim": 4, "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2,
        "moe_intermediate_size": 8, "first_k_dense_replace": 1,
    },
}  # fmt: skip
JOINT = {
    "bert": BERT, "camembert": BERT, "electra": BERT, "roberta": BERT, "xlm-roberta": BERT, "distilbert": DISTIL,
    "modernbert": MODERN, "eurobert": EURO,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    """A fast tokeniser with one token a letter: `<s> a </s>` alone, `<s> a </s> b </s>` as a pair."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3} | {letter: 4 + i for i, letter in enumerate("abcdefgh")}
    words = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>",
        model_max_length=40, model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def test_every_family_is_tested():
    from pipeline.attention.families import FAMILIES

    readable = {reads: {name for name, entry in FAMILIES[reads].items() if "module" in entry} for reads in FAMILIES}
    assert readable == {"cross": set(CROSS), "joint": set(JOINT), "prompt": set(PROMPT)}


def _pair(src=SRC, tgt=TGT, pair_id=0):
    from pipeline.corpus.pairs import SentencePair

    return SentencePair(pair_id, src, tgt, tuple(src.split()), tuple(tgt.split()))


def _read(reader):
    """Return the blocks of all texts, read in one batch."""
    pairs = [_pair(*texts, pair_id) for pair_id, texts in enumerate(TEXTS)]
    return reader.read([reader.tokenise(pair) for pair in pairs], heads=True)


def _check(block, layer, heads, exact):
    """Compare a layer of both views with the attention of each head, (head, tgt, src)."""
    for view, own in enumerate(heads):
        np.testing.assert_allclose(block.heads[view, layer], own, atol=exact)
        np.testing.assert_allclose(block.attention[view, layer], own.mean(0), atol=exact)


@pytest.mark.parametrize("family", CROSS)
def test_cross_attention_of(family, tokenizer, tmp_path):
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    from pipeline.attention.cross import CrossReader
    from pipeline.attention.load import load_translator

    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **CROSS[family])).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reader = CrossReader(load_translator(str(tmp_path), reads="cross", device="cpu", dtype="float64"))
    eager = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float64).eval()
    for (src, tgt), block in zip(TEXTS, _read(reader), strict=True):
        inputs, labels = tokenizer(src, return_tensors="pt"), tokenizer(text_target=tgt, return_tensors="pt")
        start = torch.tensor([[eager.config.decoder_start_token_id]])
        with torch.no_grad():
            out = eager(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], output_attentions=True,
                decoder_input_ids=torch.cat([start, labels["input_ids"]], dim=1),
            )  # fmt: skip
        assert len(out.cross_attentions) == block.attention.shape[1] == 2
        n_tgt = len(tgt.split())
        for layer, attention in enumerate(out.cross_attentions):
            heads = attention[0][:, :, 1:-1].numpy()
            # The target reads <start> <s> f g h </s>; the step that predicts f is the one that reads <s>.
            _check(block, layer, (heads[:, 1 : n_tgt + 1], heads[:, 2 : n_tgt + 2]), 1e-12)
            assert attention.std() > 1e-4, "attention that is uniform would prove nothing"


@pytest.mark.parametrize("family", PROMPT)
def test_language_models_have_attention_in_each_layer(family):
    from transformers import AutoConfig, AutoModel

    from pipeline.attention.families import attention_modules, family_of

    config = AutoConfig.for_model(family, **PROMPT[family])
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    modules = attention_modules(model, family_of("x", config, "prompt", None), "prompt")
    assert list(modules) == list(range(1, config.num_hidden_layers + 1))
    assert all("Attention" in type(module).__name__ for module in modules.values())


@pytest.mark.parametrize("positions", ["continue", "restart"])
@pytest.mark.parametrize("family", JOINT)
def test_joint_attention_of(family, positions, tokenizer, tmp_path):
    from transformers import AutoConfig, AutoModel

    from pipeline.attention.joint import JointReader
    from pipeline.attention.load import load_translator
    from pipeline.errors import PipelineError

    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(family, **JOINT[family])).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    translator = load_translator(str(tmp_path), reads="joint", device="cpu", dtype="float64")
    if positions == "restart" and family == "distilbert":
        with pytest.raises(PipelineError, match=r"'restart' needs a model with numbered positions.*use 'continue'"):
            JointReader(translator, positions)
        return
    reader = JointReader(translator, positions)
    eager = AutoModel.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float64).eval()
    exact = 1e-6 if family in {"modernbert", "eurobert"} else 1e-12  # the eager softmax of these is in 32 bits
    for (src, tgt), block in zip(TEXTS, _read(reader), strict=True):
        inputs = dict(tokenizer(src, tgt, return_tensors="pt"))
        if getattr(eager.config, "type_vocab_size", 0) < 2:
            del inputs["token_type_ids"]
        # <s> a b c d e </s> f g h </s>
        n_src, n_tgt = len(src.split()), len(tgt.split())
        if positions == "restart":
            # The families of RoBERTa count from padding_idx + 1.
            first = 2 if "rob" in family or family == "camembert" else 0
            inputs["position_ids"] = torch.tensor([[*range(n_src + 2), *range(1, n_tgt + 2)]]) + first
        with torch.no_grad():
            out = eager(**inputs, output_attentions=True)
        src_words, tgt_words = slice(1, n_src + 1), slice(n_src + 2, n_src + n_tgt + 2)
        for layer, attention in enumerate(out.attentions):
            heads = attention[0].numpy()
            ways = heads[:, tgt_words, src_words], heads[:, src_words, tgt_words].transpose(0, 2, 1)
            _check(block, layer, ways, exact)
            assert attention.std() > 1e-4, "attention that is uniform would prove nothing"


@pytest.mark.parametrize("family", JOINT)
def test_word_vectors_of_one_level_are_those_of_a_whole_pass(family, tokenizer, tmp_path):
    from transformers import AutoConfig, AutoModel

    from pipeline.attention.joint import JointReader
    from pipeline.attention.load import load_translator

    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(family, **JOINT[family])).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reader = JointReader(load_translator(str(tmp_path), reads="joint", device="cpu", dtype="float64"), "continue")
    blocks = _read(reader)
    examples = [reader.tokenise(_pair(*texts, pair_id)) for pair_id, texts in enumerate(TEXTS)]
    layers = [reader.translator.model.get_submodule(path) for path in reader.translator.capture.places(reader.translator.model).values()]  # fmt: skip
    run = []
    for number, layer in enumerate(layers, start=1):
        layer.register_forward_hook(lambda *_, number=number: run.append(number))
    for kind in ("together", "alone"):
        for level in range(len(layers) + 1):
            run.clear()
            for block, found in zip(blocks, reader.cosines(examples, kind, level), strict=True):
                np.testing.assert_allclose(found.cosine, block.cosine[kind][level], atol=1e-6)
                np.testing.assert_allclose(found.cosine_raw, block.cosine_raw[kind][level], atol=1e-6)
            assert set(run) == set(range(1, level + 1)), "no layer above the level is run"
        spread = [np.abs(blocks[0].cosine[kind][level] - blocks[0].cosine[kind][level - 1]).max() for level in range(1, len(layers) + 1)]  # fmt: skip
        assert min(spread) > 1e-4, "levels that are alike would prove nothing"


def _save(family, settings, tokenizer, folder):
    """Save a tiny model of a family in its own class with a head, if it has one."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    from pipeline.attention.families import fitting

    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **settings)
    auto = AutoModelForCausalLM if fitting(config) == "prompt" else AutoModel
    auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_family_of_ones_own_reads_as_a_shipped_one(tokenizer, tmp_path):
    from pipeline.attention.joint import JointReader
    from pipeline.attention.load import load_translator
    from pipeline.errors import PipelineError
    from pipeline.params import Family

    bert, ernie = (_save(family, BERT, tokenizer, tmp_path / family) for family in ("bert", "ernie"))
    with pytest.raises(
        PipelineError, match=r"family must be one of \['bert', .*got 'ernie'; say where .*family: {module: '"
    ):
        load_translator(ernie, reads="joint", device="cpu")
    family = Family(module="encoder.layer.{layer}.attention.self", position=0)
    one, other = (
        JointReader(load_translator(name, reads="joint", device="cpu", dtype="float64", family=own), "restart")
        for name, own in ((bert, None), (ernie, family))
    )
    for own, shipped in zip(other.translator.model.parameters(), one.translator.model.parameters(), strict=False):
        assert own.isfinite().all() and shipped.isfinite().all()
    (block,) = other.read([other.tokenise(_pair())])
    assert other.translator.n_layers == 2 and other.translator.first_position == 0
    assert block.attention.shape == one.read([one.tokenise(_pair())])[0].attention.shape


def test_a_module_that_is_not_there_names_those_that_are_near(tokenizer, tmp_path):
    from pipeline.attention.load import load_translator
    from pipeline.errors import PipelineError
    from pipeline.params import Family

    folder = _save("bert", BERT, tokenizer, tmp_path)
    match = (
        r"translators\.family\.module: must name a module of each of 2 layers of BertModel, but "
        r"'encoder\.layers\.{layer}\.attention\.self' gives encoder\.layers\.0\.attention\.self, which is not there; "
        r"near names: .*encoder\.layer\.{layer}\.attention\.self"
    )
    with pytest.raises(PipelineError, match=match) as caught:
        load_translator(
            folder, reads="joint", device="cpu", family=Family(module="encoder.layers.{layer}.attention.self")
        )
    for near in str(caught.value).split("near names: ")[1].split(", "):
        assert load_translator(folder, reads="joint", device="cpu", family=Family(module=near)).n_layers == 2


@pytest.mark.parametrize(
    ("family", "settings", "reads", "kind"),
    [
        ("llama", LLAMA, "cross", "a language model without an encoder"),
        ("gpt2", PROMPT["gpt2"], "joint", "a language model without an encoder"),
        ("bert", BERT, "prompt", "one encoder"),
        ("bert", BERT, "cross", "one encoder"),
    ],
)
def test_the_one_way_to_read_a_model_is_named_and_works(family, settings, reads, kind, tokenizer, tmp_path):
    from pipeline.attention.load import load_translator
    from pipeline.errors import PipelineError

    folder = _save(family, settings, tokenizer, tmp_path)
    with pytest.raises(PipelineError, match=rf"is {kind}, which reads '\w+', got '{reads}'; set reads: \w+") as caught:
        load_translator(folder, reads=reads, device="cpu")
    translator = load_translator(folder, reads=str(caught.value).rsplit(" ", 1)[1], device="cpu")
    assert translator.n_layers == 2
    assert not hasattr(translator.model, "lm_head"), "the head over the vocabulary is never computed"


def test_what_cannot_be_read_says_why(tokenizer, tmp_path):
    from pipeline.attention.families import FAMILIES
    from pipeline.attention.load import load_translator
    from pipeline.errors import PipelineError

    folder = _save("deberta-v2", BERT, tokenizer, tmp_path)
    with pytest.raises(PipelineError, match=r"family deberta-v2, which cannot be read: its attention .*; use one of"):
        load_translator(folder, reads="joint", device="cpu")
    assert {"deberta", "deberta-v2", "xlm"} <= {name for name, entry in FAMILIES["joint"].items() if "refused" in entry}


@pytest.mark.parametrize(("reads", "family"), [
    ("joint", "deberta"), ("joint", "deberta-v2"), ("joint", "xlm"), ("cross", "fsmt"), ("cross", "prophetnet"),
    ("prompt", "bloom"), ("prompt", "falcon"), ("prompt", "mpt"), ("prompt", "xglm"),
])  # fmt: skip
def test_refused_families_still_bypass_the_attention_interface(reads, family):
    """One that no longer does can be read: take it in."""
    from transformers import AutoConfig, AutoModel

    from pipeline.attention.families import FAMILIES

    assert "refused" in FAMILIES[reads][family]
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(family))
    assert not model._supports_attention_backend
