"""Language codes and prefixes: ids spelled out, and held against the library's own tokeniser and shift."""

import json
from typing import Any, NamedTuple

import pytest
import torch

from pipeline.conventions import NOTEBOOK
from pipeline.errors import PipelineError

SRC, TGT = "a b", "b a"
PIECES = ["▁", "a", "b", "▁a", "▁b"]
BART = {
    "d_model": 8, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "init_std": 0.5, "max_position_embeddings": 40,
}  # fmt: skip
FAIRSEQ = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
T5 = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_decoder_layers": 2, "num_heads": 2}


class Case(NamedTuple):
    """What one tokeniser must be given for English to French, as tokens."""

    src: list[str]
    """What the encoder reads."""
    tgt: list[str]
    """What the decoder reads: its start first, the last label left out."""
    told: dict[str, str]


CASES = {
    "nllb": Case(
        ["eng_Latn", "▁a", "▁b", "</s>"],
        ["</s>", "fra_Latn", "▁b", "▁a"],
        {"source_code": "eng_Latn", "target_code": "fra_Latn"},
    ),
    "mbart": Case(
        ["▁a", "▁b", "</s>", "en_XX"],
        ["fr_XX", "▁b", "▁a", "</s>"],
        {"source_code": "en_XX", "target_code": "fr_XX"},
    ),
    "mbart50": Case(
        ["en_XX", "▁a", "▁b", "</s>"],
        ["</s>", "fr_XX", "▁b", "▁a"],
        {"source_code": "en_XX", "target_code": "fr_XX"},
    ),
    "m2m100": Case(
        ["__en__", "▁a", "▁b", "</s>"],
        ["</s>", "__fr__", "▁b", "▁a"],
        {"source_code": "en", "target_code": "fr"},
    ),
    "marian": Case(
        [">>fra<<", "▁a", "▁b", "</s>"],
        ["<pad>", "▁b", "▁a"],
        {"target_code": ">>fra<<", "before_source": ">>fra<< "},
    ),
    "t5": Case(
        ["▁t", "▁F", ":", "▁a", "▁b", "</s>"],
        ["<pad>", "▁b", "▁a"],
        {"before_source": "t F: "},
    ),
    "madlad": Case(
        ["▁", "<2fr>", "▁a", "▁b", "</s>"],
        ["<pad>", "▁b", "▁a"],
        {"target_code": "<2fr>", "before_source": "<2fr> "},
    ),
}


def _sentencepiece(folder, name):
    """Train SentencePiece on two letters, so that each word is one piece."""
    import sentencepiece

    (folder / "text.txt").write_text("a b\nb a\na a b\nb b a\n" * 5)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / name), vocab_size=8, model_type="unigram",
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "text.txt").unlink()
    (folder / f"{name}.vocab").unlink()
    return folder / f"{name}.model"


def _unigram(*more):
    first = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return [*first, *((piece, -2.0 if len(piece) == 1 else -1.0) for piece in PIECES), *((one, -1.0) for one in more)]


def _make_nllb(folder):
    from transformers import M2M100Config, NllbTokenizer

    vocab = {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *PIECES])}
    codes = ["deu_Latn", "eng_Latn", "fra_Latn", "zho_Hans", "zho_Hant"]
    merges = [("▁", "a"), ("▁", "b")]
    return (
        NllbTokenizer(vocab=vocab, merges=merges, extra_special_tokens=codes),
        M2M100Config,
        BART | FAIRSEQ | {"decoder_start_token_id": 2},
    )


def _make_mbart(folder):
    from transformers import MBartConfig, MBartTokenizer

    return MBartTokenizer(vocab=_unigram("en_XX", "fr_XX")), MBartConfig, BART | FAIRSEQ


def _make_mbart50(folder):
    from transformers import MBart50Tokenizer, MBartConfig
    from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES

    tokenizer = MBart50Tokenizer(vocab=[*_unigram(), *((code, 0.0) for code in FAIRSEQ_LANGUAGE_CODES)])
    # What the hub's configuration says, and the library's model does not use when it shifts labels.
    return tokenizer, MBartConfig, BART | FAIRSEQ | {"decoder_start_token_id": 2}


def _make_m2m100(folder):
    from transformers import M2M100Config, M2M100Tokenizer

    spm = _sentencepiece(folder, "spm")
    vocab = {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *PIECES])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(spm))
    return tokenizer, M2M100Config, BART | FAIRSEQ | {"decoder_start_token_id": 2, "vocab_size": len(vocab) + 108}


def _make_marian(folder):
    from transformers import MarianConfig, MarianTokenizer

    spm = _sentencepiece(folder, "source")
    vocab = {token: i for i, token in enumerate(["</s>", "<unk>", *PIECES, ">>deu<<", ">>fra<<", "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = MarianTokenizer(str(spm), str(spm), str(folder / "vocab.json"))
    pad = vocab["<pad>"]
    return tokenizer, MarianConfig, BART | {"pad_token_id": pad, "eos_token_id": 0, "decoder_start_token_id": pad}


def _make_t5(folder, *more, **config):
    from transformers import T5Config, T5Tokenizer

    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -1.0) for piece in PIECES)]
    vocab += [("▁t", -1.0), ("▁F", -1.0), (":", -1.0), *((one, -1.0) for one in more)]
    return T5Tokenizer(vocab=vocab, extra_ids=0), T5Config, T5 | {
        "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "initializer_factor": 5.0, **config
    }  # fmt: skip


MAKE: dict[str, Any] = {
    "nllb": _make_nllb,
    "mbart": _make_mbart,
    "mbart50": _make_mbart50,
    "m2m100": _make_m2m100,
    "marian": _make_marian,
    "t5": lambda folder: _make_t5(
        folder,
        task_specific_params={
            "summarization": {"prefix": "s: "},
            "translation_en_to_fr": {"prefix": "t F: "},
            "translation_en_to_de": {"prefix": "t G: "},
        },
    ),
    "madlad": lambda folder: _make_t5(folder, "<2fr>", "<2de>"),
    "plain": lambda folder: _make_t5(folder),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One tiny model a tokeniser with random weights."""
    from transformers import AutoModelForSeq2SeqLM

    found = {}
    for name, make in MAKE.items():
        work, folder = tmp_path_factory.mktemp(f"{name}-made"), tmp_path_factory.mktemp(name)
        tokenizer, config, settings = make(work)
        torch.manual_seed(0)
        AutoModelForSeq2SeqLM.from_config(config(**{"vocab_size": len(tokenizer)} | settings)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        found[name] = str(folder)
    return found


def _reader(folder, pair="en-fr", **given):
    from pipeline.attention.cross import CrossReader
    from pipeline.attention.languages import Request
    from pipeline.attention.load import load_translator

    request = Request(pair=pair, **given)
    return CrossReader(load_translator(folder, reads="cross", device="cpu", dtype="float64", request=request))


def _pair(src=SRC, tgt=TGT):
    from pipeline.corpus.pairs import SentencePair

    return SentencePair(0, src, tgt, tuple(src.split()), tuple(tgt.split()))


def _tokens(tokenizer, ids):
    return [tokenizer.convert_ids_to_tokens(one) for one in ids]


@pytest.mark.parametrize("name", CASES)
def test_codes_stand_where_they_belong(folders, name):
    reader, case = _reader(folders[name]), CASES[name]
    tokenizer, example = reader.translator.tokenizer, reader.tokenise(_pair())
    assert _tokens(tokenizer, example.rows["src"]) == case.src
    assert _tokens(tokenizer, example.rows["tgt"])[:-1] == case.tgt
    assert reader.translator.languages.told == case.told
    words = [token in {"▁a", "▁b"} for token in case.src]
    assert example.special == [not word for word in words], "codes and prefix belong to no word"
    assert example.src.sum(1).tolist() == [1, 1]
    (block,) = reader.read([example])
    torch.testing.assert_close(
        torch.from_numpy(block.attention.sum(-1).mean(-1) + block.special), torch.ones(2, 2).double()
    )


@pytest.mark.parametrize("name", CASES)
def test_ids_are_those_of_the_library(folders, name):
    """Its own tokeniser with its own shift of the labels, set by hand."""
    from transformers import AutoTokenizer
    from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right

    reader, told = _reader(folders[name]), CASES[name].told
    sides = {"src_lang": told["source_code"], "tgt_lang": told["target_code"]} if "source_code" in told else {}
    library = AutoTokenizer.from_pretrained(folders[name], **sides)
    coded = library(told.get("before_source", "") + SRC, text_target=TGT, return_tensors="pt")
    model, labels = reader.translator.model, coded["labels"]
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        read = model.prepare_decoder_input_ids_from_labels(labels=labels)
    else:
        read = shift_tokens_right(labels, model.config.pad_token_id, model.config.decoder_start_token_id)
    example = reader.tokenise(_pair())
    assert example.rows["src"] == coded["input_ids"][0].tolist()
    assert example.rows["tgt"][:-1] == read[0].tolist()


@pytest.mark.parametrize("name", ["nllb", "mbart", "m2m100", "marian"])
def test_the_notebooks_convention_keeps_the_targets_code(folders, name):
    from pipeline.attention.cross import CrossReader

    reader = _reader(folders[name])
    notebook = CrossReader(reader.translator, NOTEBOOK)
    assert notebook.tokenise(_pair()).rows == reader.tokenise(_pair()).rows


@pytest.mark.parametrize(
    ("name", "pair", "given", "src", "tgt"),
    [
        ("nllb", "fr-zh", {}, "fra_Latn", "zho_Hans"),
        ("nllb", "fr-zh", {"tgt_code": "zho_Hant"}, "fra_Latn", "zho_Hant"),
        ("mbart", "de-ro", {}, "de_DE", "ro_RO"),
        ("m2m100", "deu-nob", {}, "de", "no"),
        ("marian", "en-de", {}, None, ">>deu<<"),
        ("marian", "en-de", {"tgt_code": "fra"}, None, ">>fra<<"),
        ("marian", "en-de", {"tgt_code": ">>fra<<"}, None, ">>fra<<"),
        ("madlad", "en-de", {}, None, "<2de>"),
    ],
)
def test_every_pair_finds_its_codes(folders, name, pair, given, src, tgt):
    languages = _reader(folders[name], pair, **given).translator.languages
    assert (languages.src_code, languages.tgt_code) == (src, tgt)


def test_prefix_set_by_the_user(folders):
    assert _reader(folders["t5"], "en-ro", prefix="t F:").translator.languages.before == "t F: "
    assert _reader(folders["t5"], prefix="").translator.languages.told == {}
    assert _reader(folders["marian"], prefix="").translator.languages.told == {}
    assert _reader(folders["plain"]).translator.languages.told == {}
    assert str(_reader(folders["plain"]).translator.languages) == "none"
    assert str(_reader(folders["t5"]).translator.languages) == "before source 't F: '"


def test_codes_in_many_vocabularies():
    from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MBART
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

    from pipeline.attention.languages import closest_code

    wanted = {
        "ar": "arb_Arab",
        "ko": "kor_Hang",
        "lv": "lvs_Latn",
        "no": "nob_Latn",
        "sr": "srp_Cyrl",
        "fa": "pes_Arab",
    }
    assert {language: closest_code(language, NLLB) for language in wanted} == wanted
    assert closest_code("bs", MBART) is None, "Croatian is near, but another language"
    assert closest_code("en", MBART) == "en_XX"
    assert closest_code("qu", NLLB) is None
    assert closest_code("fr", ["not a code!", "fra"]) == "fra"


@pytest.mark.parametrize(
    ("name", "pair", "given", "match", "remedy"),
    [
        (
            "nllb", "en-es", {},
            r"translators\.tgt_code: must be one of the 5 language codes of .*none fits corpus\.pair's 'es'; "
            r"set tgt_code to .*deu_Latn", {"tgt_code": "deu_Latn"},
        ),
        (
            "nllb", "en-fr", {"src_code": "en"},
            r"translators\.src_code: must be one of .* but it is 'en'; set src_code to eng_Latn", {"src_code": "eng_Latn"},
        ),
        ("nllb", None, {}, r"translators\.src_code: must be one of .* no pair is given", {"src_code": "eng_Latn", "tgt_code": "fra_Latn"}),
        ("marian", "en-es", {}, r"translators\.tgt_code: .*2 language codes .*'es'; set tgt_code to deu or", {"tgt_code": "fra"}),
        ("marian", "en-fr", {"src_code": "en"}, r"translators\.src_code: must be null .*target language only.*'en'", {}),
        ("mbart", "en-fr", {"prefix": "x"}, r"translators\.prefix: must be null .*language codes, but it is 'x'; set it to null", {}),
        ("plain", "en-fr", {"tgt_code": "fr"}, r"translators\.tgt_code: must be null .*no language codes.*'fr'", {}),
        ("marian", "en-fr", {"prefix": "x", "tgt_code": "fr"}, r"translators\.tgt_code: must be null .*a prefix set", {"prefix": "x"}),
        (
            "t5", "en-ro", {},
            r"translators\.prefix: .* names those of en-de, en-fr, but the pair is 'en-ro'; set prefix .*'t G: '.* '' for none",
            {"prefix": "t F: "},
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_the_remedy_works(folders, name, pair, given, match, remedy):
    with pytest.raises(PipelineError, match=match):
        _reader(folders[name], pair, **given)
    assert _reader(folders[name], pair, **remedy).tokenise(_pair())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("typed", ["</s>", "<unk>", "<pad>"])
def test_control_words_typed_as_text_are_counted_by_every_tokeniser(folders, name, typed):
    from pipeline.attention.engine import tokenise_all

    reader = _reader(folders[name])
    _, skipped = tokenise_all(reader, [_pair(src=f"a {typed} b"), _pair(tgt=f"{typed} b"), _pair()])
    assert skipped == {"control_words": 2}


def test_a_language_code_typed_as_text_is_counted(folders):
    from pipeline.attention.engine import tokenise_all

    for name, typed in (("nllb", "deu_Latn"), ("m2m100", "__de__"), ("marian", ">>deu<<")):
        _, skipped = tokenise_all(_reader(folders[name]), [_pair(src=f"{typed} a"), _pair()])
        assert skipped == {"control_words": 1}, name


def test_manifest_and_page_tell_the_codes(folders, tmp_path):
    from pipeline.attention.extract import extract
    from pipeline.params import Extract, Params, Translator
    from pipeline.report.provenance import models_table

    manifest = extract(
        "x", spec := Translator(model=folders["nllb"], reads="cross"), Extract(device="cpu"), [_pair()], control="trained",
        split="trained", languages="en-fr", work=tmp_path / "work", target=tmp_path / "out",
    )  # fmt: skip
    told = {key: manifest["conventions"][key] for key in ("source_code", "target_code")}
    assert told == {"source_code": "eng_Latn", "target_code": "fra_Latn"}
    table = models_table({"x": manifest}, Params(translators={"x": spec}))
    assert "source code eng_Latn; target code fra_Latn" in table.rows[0][5]
