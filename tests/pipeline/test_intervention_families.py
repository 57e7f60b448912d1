"""Every family with its own head: what nothing changes is the library's loss, layers from memory are layers run."""

import numpy as np
import pytest
import torch

from tests.pipeline.test_attention_families import CROSS, JOINT, PROMPT

FAST = {"marian", "t5", "bert", "modernbert", "llama", "gemma2", "gpt_oss", "gemma3n_text"}
FAMILIES = [
    pytest.param(reads, family, id=family, marks=() if family in FAST else pytest.mark.slow)
    for reads, families in (("cross", CROSS), ("joint", JOINT), ("prompt", PROMPT))
    for family in families
]
LETTERS = "abcdefghijklmnopq"
TEMPLATE = "a b {src} c {tgt} d"


@pytest.fixture(scope="module")
def tokenizer():
    """A fast tokeniser with one token a letter."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4} | {c: 5 + i for i, c in enumerate(LETTERS)}
    words = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>",
        mask_token="<mask>", model_max_length=40,
    )  # fmt: skip


def _pair(pair_id, src, tgt):
    from pipeline.corpus.pairs import SentencePair

    return SentencePair(pair_id, src, tgt, tuple(src.split()), tuple(tgt.split()))


PAIRS = [_pair(0, "a b c d e", "f g h"), _pair(1, "k l m", "n o p q a b"), _pair(2, "c a b d", "b c d e")]


def _save(reads, family, tokenizer, folder):
    from transformers import AutoConfig

    from pipeline.attention.load import _WITH_HEADS

    torch.manual_seed(0)
    settings = {"cross": CROSS, "joint": JOINT, "prompt": PROMPT}[reads][family]
    settings = settings | ({"head_dim": 2} if family == "deepseek_v3" else {})
    model = _WITH_HEADS[reads].from_config(AutoConfig.for_model(family, **settings))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.6) if parameter.ndim > 1 or "sinks" in name else None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _items(reads, folder, tokenizer):
    from dataclasses import replace

    from pipeline.attention.extract import make_reader
    from pipeline.attention.reader import Asked
    from pipeline.intervention.items import Encode
    from pipeline.intervention.load import load_with_head
    from pipeline.params import Extract, Translator

    spec = Translator(model=folder, reads=reads, template=TEMPLATE if reads == "prompt" else None)
    translator, _ = load_with_head(spec, Extract(device="cpu"), languages="en-fr", shots=[], seed=1)
    # Some families load a class of tokenisers of their own.
    translator = replace(translator, tokenizer=tokenizer)
    encode = Encode(make_reader(translator, spec, asked=Asked(states=())), reads, tokenizer.mask_token_id, 1)
    return translator, [encode(pair, np.array([[0, 0], [1, 2]])) for pair in PAIRS]


def _expected(reads, model, item):
    """Return the library's loss of one pair alone, in nats."""
    rows = {name: torch.tensor([ids]) for name, ids in item.example.rows.items()}
    labels = torch.tensor([item.labels])
    if reads == "cross":
        logits = model(input_ids=rows["src"], decoder_input_ids=rows["tgt"]).logits
    elif reads == "joint":
        # No types: one segment, or none; position numbers run on as the library's do.
        logits = model(input_ids=rows["ids"]).logits
    else:
        logits = model(input_ids=rows["ids"], use_cache=False).logits
    return float(torch.nn.functional.cross_entropy(logits[0].float(), labels[0], reduction="sum"))


@pytest.mark.parametrize(("reads", "family"), FAMILIES)
def test_losses_of(reads, family, tokenizer, tmp_path):
    from pipeline.attention.load import _WITH_HEADS
    from pipeline.intervention.observers import Intervention
    from pipeline.intervention.rank import rank_heads
    from pipeline.intervention.run import Bench
    from pipeline.intervention.scorer import Scorer

    folder = _save(reads, family, tokenizer, tmp_path)
    translator, items = _items(reads, folder, tokenizer)
    scorer = Scorer(translator)
    bench = Bench(scorer, items, rank_heads(scorer, items, 4096), tokens_per_batch=4096, seed=1)
    eager = _WITH_HEADS[reads].from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():  # single precision, with weights that make it worse
        np.testing.assert_allclose(bench.base, [_expected(reads, eager, item) for item in items], rtol=3e-5)
    last = len(scorer.layers)
    for kind in ("off", "links"):
        change = Intervention(kind, tuple((last, head) for head in range(scorer.n_heads)))
        partial = bench.losses(change)
        scorer._from_memory = False
        np.testing.assert_allclose(partial, bench.losses(change), rtol=1e-5)
        scorer._from_memory = family != "gemma3n_text" and family != "gemma4_text"
        assert np.abs(partial - bench.base).max() > 1e-4, kind


def test_a_checkpoint_without_its_head_is_refused(tokenizer, tmp_path):
    from transformers import AutoConfig, AutoModel

    from pipeline.attention.load import MissingHeadError, load_translator

    AutoModel.from_config(AutoConfig.for_model("bert", **JOINT["bert"])).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert load_translator(str(tmp_path), reads="joint", device="cpu").model is not None
    with pytest.raises(MissingHeadError, match=r"must hold its head, but \d tensors are missing .*cls.*; name a"):
        load_translator(str(tmp_path), reads="joint", device="cpu", head=True)
