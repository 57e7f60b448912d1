"""The convention of the paper's notebook: lemmatised text, its token maps, its cost; and 16-bit precision."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.conventions import CORRECTED, NOTEBOOK, STATES
from tests.pipeline.test_attention_models import _means, _pool, _words_by_hand, folders, pairs  # noqa: F401


def _readers(folder, reads, **kwargs):
    from pipeline.attention.extract import make_reader
    from pipeline.attention.load import load_translator
    from pipeline.params import Translator

    translator = load_translator(str(folder), reads=reads, device="cpu", **kwargs)
    spec = Translator(model=str(folder), reads=reads)
    return make_reader(translator, spec), make_reader(translator, spec, NOTEBOOK)


def _token_costs(src, tgt, src_owners, tgt_owners, shape):
    """Return the mean distance over token pairs of two words, with plain loops."""
    out, weight = np.zeros(shape), np.zeros(shape)
    for i, src_shares in src_owners:
        for j, tgt_shares in tgt_owners:
            distance = np.linalg.norm(src[i] - tgt[j])
            for a, x in src_shares.items():
                for b, y in tgt_shares.items():
                    out[a, b] += x * y * distance
                    weight[a, b] += x * y
    return out / weight


def test_cross_blocks_equal_the_plain_way(folders, pairs):
    from transformers import MarianMTModel

    _, reader = _readers(folders / "marian", "cross", dtype="float64")
    tokenizer = reader.translator.tokenizer
    eager = MarianMTModel.from_pretrained(folders / "marian", attn_implementation="eager", dtype=torch.float64)
    for pair in pairs:
        (block,) = reader.read([reader.tokenise(pair)])
        # The target goes through the source's pieces, as in the notebook.
        inputs, labels = (tokenizer(text, return_tensors="pt") for text in (pair.src_text, pair.tgt_text))
        with torch.no_grad():
            out = eager.eval()(**inputs, labels=labels["input_ids"], output_attentions=True, output_hidden_states=True)
        owners = []
        for text, words in ((pair.src_text, pair.src_words), (pair.tgt_text, pair.tgt_words)):
            spans = tokenizer.spm_source.encode(text, return_type="offset_mapping")["offsets"]
            own = list(enumerate(_words_by_hand(text, words, spans)))
            owners.append([*own, (len(own), {len(words) - 1: 1.0})])  # the end token goes to the last word
        shape = len(pair.tgt_words), len(pair.src_words)
        later = [(i + 1, own) for i, own in owners[1] if i + 1 < labels["input_ids"].shape[1]]
        for layer, attention in enumerate(out.cross_attentions):
            mean = attention[0].mean(0).numpy()
            np.testing.assert_allclose(block.attention[0, layer], _pool(mean, owners[1], owners[0], *shape), atol=1e-13)
            # The step that reads the end token is not among the plain call's; all other words are compared.
            np.testing.assert_allclose(
                block.attention[1, layer, :-1], _pool(mean, later, owners[0], *shape)[:-1], atol=1e-13
            )
        states = out.encoder_last_hidden_state[0].numpy(), out.decoder_hidden_states
        for level in range(1, len(states[1])):
            plain = _token_costs(states[0], states[1][level][0].numpy(), owners[0], later, shape[::-1])
            np.testing.assert_allclose(block.cost["input_step"][level, :, :-1], plain[:, :-1], rtol=1e-9)
        assert (block.special == 0).all(), "the only special token of the source is in its last word"
        np.testing.assert_allclose(block.src_pieces.sum(), inputs["input_ids"].shape[1])


def test_joint_cost_is_the_mean_over_token_pairs(folders, pairs):
    from transformers import BertModel

    _, reader = _readers(folders / "bert", "joint", dtype="float64")
    tokenizer = reader.translator.tokenizer
    eager = BertModel.from_pretrained(folders / "bert", attn_implementation="eager", dtype=torch.float64).eval()
    for pair in pairs:
        (block,) = reader.read([reader.tokenise(pair)])
        coded = tokenizer(pair.src_text, pair.tgt_text, return_offsets_mapping=True)
        sides = coded.sequence_ids(0)
        ids = {key: torch.tensor([coded[key]]) for key in ("input_ids", "token_type_ids")}
        with torch.no_grad():
            out = eager(**ids, output_hidden_states=True, output_attentions=True)
        owners = []
        for side, text, words in ((0, pair.src_text, pair.src_words), (1, pair.tgt_text, pair.tgt_words)):
            at = [i for i, own in enumerate(sides) if own == side]
            shares = _words_by_hand(text, words, [coded["offset_mapping"][i] for i in at])
            owners.append(list(zip(at, shares, strict=True)))
        shape = len(pair.src_words), len(pair.tgt_words)
        for level, states in enumerate(out.hidden_states):
            plain = _token_costs(states[0].numpy(), states[0].numpy(), *owners, shape)
            np.testing.assert_allclose(block.cost["together"][level], plain, rtol=1e-9, atol=1e-9)
        for layer, attention in enumerate(out.attentions):
            plain = _pool(attention[0].mean(0).numpy(), owners[1], owners[0], *shape[::-1])
            np.testing.assert_allclose(block.attention[0, layer], plain, atol=1e-13)


@pytest.mark.parametrize(("name", "reads"), [("marian", "cross"), ("bert", "joint")])
def test_padding_changes_nothing_here_either(folders, pairs, name, reads):
    _, reader = _readers(folders / name, reads, dtype="float64")
    examples = [reader.tokenise(pair) for pair in pairs]
    for example, block in zip(examples, reader.read(examples), strict=True):
        (alone,) = reader.read([example])
        for field in ("attention", "special"):
            np.testing.assert_allclose(getattr(block, field), getattr(alone, field), atol=1e-12)
        for kind, cost in block.cost.items():
            np.testing.assert_allclose(cost, alone.cost[kind], atol=1e-12)


def test_the_manifest_says_which_convention(folders, pairs, tmp_path):
    from pipeline.attention.extract import extract
    from pipeline.corpus.lemmas import model_text
    from pipeline.params import Extract, Translator

    seen = {}
    for convention in (CORRECTED, NOTEBOOK):
        text, sentence = model_text(pairs, convention=convention, tool="simplemma", src_lang="en", tgt_lang="fr")
        seen[convention.name] = extract(
            "x", Translator(model=str(folders / "marian"), reads="cross"), Extract(device="cpu"), text,
            control="trained", split="trained", work=tmp_path / "work", target=tmp_path / convention.name,
            convention=convention, sentence=sentence,
        )["conventions"]  # fmt: skip
    assert seen["corrected"]["sentence"] == "natural spelling, normalised"
    assert seen["notebook"]["sentence"].startswith("dictionary forms by simplemma ")
    assert seen["notebook"]["target_tokens"] == "source tokeniser"
    assert "not squared" in seen["notebook"]["cost"]
    assert seen["notebook"]["tokens_to_words"].endswith("the special token after the last word is given to it")
    assert {key for key in seen["corrected"] if seen["corrected"][key] == seen["notebook"][key]} == {
        "heads", *(f"states_{kind}" for kind in STATES["cross"])
    }  # fmt: skip


class TestLemmas:
    def test_words_keep_their_places_and_spell_the_text(self):
        from pipeline.corpus.lemmas import lemmatise_pairs
        from pipeline.corpus.pairs import SentencePair
        from pipeline.corpus.words import locate_words

        pair = SentencePair(
            7,
            "The dogs were big.",
            "L'homme a vu les chiens.",
            ("The", "dogs", "were", "big", "."),
            ("L'", "homme", "a", "vu", "les", "chiens", "."),
        )
        (done,) = lemmatise_pairs([pair], tool="simplemma", src_lang="en", tgt_lang="fr")
        assert done.pair_id == 7
        assert done.src_words == ("the", "dog", "be", "big", ".")
        assert done.tgt_words[1:4] == ("homme", "avoir", "voir")
        assert len(done.tgt_words) == len(pair.tgt_words)
        assert done.src_text == "the dog be big ."
        locate_words(done.tgt_text, list(done.tgt_words))

    @pytest.fixture
    def stanza(self, monkeypatch):
        """Put a package in stanza's place that knows four words."""
        from pipeline.corpus import lemmas

        forms = {"dogs": "dog", "were": "be", "odd": "two words", "none": None}

        class Pipeline:
            def __init__(self, lang, **settings):
                if lang != "en":
                    raise ValueError(f"no models for {lang}")
                assert settings == {"processors": "tokenize,pos,lemma", "tokenize_pretokenized": True, "verbose": False}

            def __call__(self, sentences):
                words = [[SimpleNamespace(lemma=forms.get(word, word)) for word in words] for words in sentences]
                return SimpleNamespace(sentences=[SimpleNamespace(words=one) for one in words])

        monkeypatch.setitem(sys.modules, "stanza", SimpleNamespace(Pipeline=Pipeline))
        monkeypatch.setattr(lemmas.metadata, "version", lambda name: "1.0")
        for cached in (lemmas._stanza, lemmas._stanza_lemma):
            cached.cache_clear()
        yield
        for cached in (lemmas._stanza, lemmas._stanza_lemma):
            cached.cache_clear()

    def test_stanza(self, stanza):
        from pipeline.corpus.lemmas import describe, lemma_of, lemmatise

        words = ("dogs", "were", "odd", "none", "Here")
        assert lemmatise(words, tool="stanza", lang="en") == ("dog", "be", "odd", "none", "Here")
        assert lemma_of("stanza", "en")("Here") == "here"
        assert describe("stanza") == "stanza 1.0"

    def test_stanza_without_models(self, stanza):
        from pipeline.corpus.lemmas import lemma_of
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError,
            match=r"words.lemmas: stanza could not load its models for 'fr' \(no models for fr\); check the connection and the language, or use simplemma",
        ):
            lemma_of("stanza", "fr")

    def test_stanza_not_installed(self, monkeypatch):
        from pipeline.corpus import lemmas
        from pipeline.errors import PipelineError

        monkeypatch.setitem(sys.modules, "stanza", None)
        lemmas._stanza.cache_clear()
        with pytest.raises(
            PipelineError,
            match=r"words.lemmas: stanza is not installed; run `pip install 'attention-transport\[stanza\]'`, or use simplemma",
        ):
            lemmas.lemma_of("stanza", "en")

    def test_the_convention_needs_a_tool(self, pairs):
        from pipeline.corpus.lemmas import model_text
        from pipeline.errors import PipelineError
        from pipeline.params import Params

        with pytest.raises(
            PipelineError,
            match=r"words.lemmas: the convention reads lemmatised text, but it is none; use simplemma",
        ):
            model_text(pairs, convention=NOTEBOOK, tool="none", src_lang="en", tgt_lang="fr")
        with pytest.raises(
            ValueError, match=r"words.lemmas: convention: notebook reads lemmatised text, but it is none"
        ):
            Params(words={"lemmas": "none"}, convention="notebook")


class TestPrecision:
    @pytest.mark.parametrize(("name", "reads"), [("marian", "cross"), ("bert", "joint")])
    def test_the_error_of_16_bits_is_in_the_manifest(self, folders, pairs, name, reads, tmp_path):
        from pipeline.attention.extract import extract
        from pipeline.params import Extract, Translator

        spec, found = Translator(model=str(folders / name), reads=reads), {}
        for dtype in ("bfloat16", "float16"):
            manifest = extract(
                "x", spec, Extract(device="cpu", dtype=dtype), pairs,
                control="trained", split="trained", work=tmp_path / "work", target=tmp_path / dtype,
            )  # fmt: skip
            found[dtype] = manifest["precision"]
            assert (found[dtype]["n_pairs"], found[dtype]["reference"]) == (len(pairs), "float32")
        for quantity, largest in (("attention", 1), ("cosine", 2)):  # a cosine may turn round
            rough, fine = found["bfloat16"][quantity], found["float16"][quantity]
            assert 0 < 2 * fine["mean"] < rough["mean"] < 0.1, "float16 has three bits more"
            assert rough["mean"] < rough["max"] < largest

    def test_32_bits_have_none(self, folders, pairs, tmp_path):
        from pipeline.attention.extract import extract
        from pipeline.params import Extract, Translator

        spec = Translator(model=str(folders / "bert"), reads="joint")
        manifest = extract(
            "x", spec, Extract(device="cpu"), pairs,
            control="trained", split="trained", work=tmp_path / "work", target=tmp_path / "done",
        )  # fmt: skip
        assert "precision" not in manifest

    def test_maps_are_measured_in_32_bits_whatever_computes(self, folders, pairs):
        reader, _ = _readers(folders / "marian", "cross", dtype="bfloat16")
        for block in reader.read([reader.tokenise(pair) for pair in pairs]):
            total = block.attention.sum(-1).mean(-1) + block.special
            np.testing.assert_allclose(total, 1, atol=1e-6)


def test_weights_with_gaps_are_refused(folders, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    from pipeline.attention.load import load_translator
    from pipeline.errors import PipelineError

    shutil.copytree(folders / "bert", tmp_path / "gap")
    path = tmp_path / "gap" / "model.safetensors"
    tensors = load_file(path)
    gone = next(name for name in tensors if "layer.1.attention.self.query.weight" in name)
    save_file({name: value for name, value in tensors.items() if name != gone}, path, metadata={"format": "pt"})
    with pytest.raises(
        PipelineError,
        match=r"must fill the whole model, but 1 tensors are missing or of another shape \(the first: .*layer.1.attention.self.query.weight\)",
    ):
        load_translator(str(tmp_path / "gap"), reads="joint", device="cpu")


@pytest.mark.parametrize(("name", "reads"), [("marian", "cross"), ("bert", "joint")])
def test_a_few_sentences_at_a_time_are_all_at_once(folders, pairs, monkeypatch, name, reads):
    from pipeline.attention import capture

    reader, _ = _readers(folders / name, reads, dtype="float64")
    reader.translator.capture.weigh(reader.translator.model)
    examples = [reader.tokenise(pair) for pair in pairs]
    monkeypatch.setattr(capture, "IN_CACHE", 2**40)
    whole = reader.read(examples, heads=True)
    for scores in (1, 2 * 4 * 15**2):  # one sentence, and about two
        monkeypatch.setattr(capture, "IN_CACHE", scores)
        for one, other in zip(reader.read(examples, heads=True), whole, strict=True):
            for field in ("attention", "special", "heads", "norm", "norm_heads"):
                np.testing.assert_allclose(getattr(one, field), getattr(other, field), atol=1e-12)
