"""Every family of families.yaml against its own eager attention, with one token a word."""

import numpy as np
import pytest
import torch
import yaml

SRC, TGT = "a b c d e", "f g h"
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
CROSS = {"bart": BART, "m2m_100": BART, "marian": BART, "mbart": BART, "mt5": T5, "pegasus": BART, "t5": T5}
JOINT = {"bert": BERT, "camembert": BERT, "electra": BERT, "roberta": BERT, "xlm-roberta": BERT, "distilbert": DISTIL}


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
    from pipeline.attention import load

    families = yaml.safe_load((load.Path(load.__file__).parent / "families.yaml").read_text())
    assert set(families["cross"]) == set(CROSS)
    assert set(families["joint"]) == set(JOINT)


def _pair():
    from pipeline.corpus.pairs import SentencePair

    return SentencePair(0, SRC, TGT, tuple(SRC.split()), tuple(TGT.split()))


@pytest.mark.parametrize("family", CROSS)
def test_cross_attention_of(family, tokenizer, tmp_path):
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    from pipeline.attention.cross import CrossReader
    from pipeline.attention.load import load_translator

    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **CROSS[family])).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reader = CrossReader(load_translator(str(tmp_path), reads="cross", device="cpu", dtype="float64"))
    (block,) = reader.read([reader.tokenise(_pair())])
    eager = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float64).eval()
    inputs, labels = tokenizer(SRC, return_tensors="pt"), tokenizer(text_target=TGT, return_tensors="pt")["input_ids"]
    start = eager.config.decoder_start_token_id
    read = torch.cat([labels.new_tensor([[start]]), labels], dim=1)
    with torch.no_grad():
        out = eager(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], decoder_input_ids=read,
            output_attentions=True,
        )  # fmt: skip
    assert len(out.cross_attentions) == block.attention.shape[1] == 2
    for layer, attention in enumerate(out.cross_attentions):
        mean = attention[0].mean(0)[:, 1:-1].numpy()
        # The target reads <start> <s> f g h </s>; the step that predicts f is the one that reads <s>.
        np.testing.assert_allclose(block.attention[0, layer], mean[1:4], atol=1e-12)
        np.testing.assert_allclose(block.attention[1, layer], mean[2:5], atol=1e-12)
        assert attention.std() > 1e-4, "attention that is uniform would prove nothing"


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
    (block,) = reader.read([reader.tokenise(_pair())])
    eager = AutoModel.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float64).eval()
    inputs = dict(tokenizer(SRC, TGT, return_tensors="pt"))
    if family == "distilbert" or eager.config.type_vocab_size < 2:
        del inputs["token_type_ids"]
    if positions == "restart":
        # <s> a b c d e </s> f g h </s>; the families of RoBERTa count from padding_idx + 1.
        first = 2 if "rob" in family or family == "camembert" else 0
        inputs["position_ids"] = torch.tensor([[*range(7), *range(1, 5)]]) + first
    with torch.no_grad():
        out = eager(**inputs, output_attentions=True)
    for layer, attention in enumerate(out.attentions):
        mean = attention[0].mean(0).numpy()
        np.testing.assert_allclose(block.attention[0, layer], mean[7:10, 1:6], atol=1e-12)
        np.testing.assert_allclose(block.attention[1, layer], mean[1:6, 7:10].T, atol=1e-12)
        assert attention.std() > 1e-4, "attention that is uniform would prove nothing"
