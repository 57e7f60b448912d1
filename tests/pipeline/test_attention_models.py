"""Word-level blocks against the plain way: eager attention, one pair at a time, pooled by hand."""

import numpy as np
import pytest
import torch

WORDS_EN = [
    "the",
    "house",
    "red",
    "big",
    "old",
    "man",
    "sees",
    "a",
    "small",
    "dog",
    "and",
    "his",
    "friend",
    "in",
    "that",
    "street",
]
WORDS_FR = [
    "la",
    "maison",
    "rouge",
    "grande",
    "vieux",
    "homme",
    "voit",
    "un",
    "petit",
    "chien",
    "et",
    "son",
    "ami",
    "dans",
    "cette",
    "rue",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny models of both kinds with real tokenisers, freshly initialised."""
    from transformers import BertConfig, BertForMaskedLM, MarianConfig, MarianMTModel

    from pipeline.mini.vocab import train_marian_tokenizer, train_wordpiece_tokenizer

    rng = np.random.default_rng(1)
    src = [" ".join(rng.choice(WORDS_EN, 9)) + "." for _ in range(300)]
    tgt = [" ".join(rng.choice(WORDS_FR, 9)) + "." for _ in range(300)]
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    marian = train_marian_tokenizer(src, tgt, root / "marian", n_pieces=60)
    config = MarianConfig(
        vocab_size=len(marian), d_model=16, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64, init_std=0.5,
        pad_token_id=marian.pad_token_id, eos_token_id=0, decoder_start_token_id=marian.pad_token_id,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(root / "marian")
    bert = train_wordpiece_tokenizer(src, tgt, root / "bert", n_pieces=90)
    config = BertConfig(
        vocab_size=len(bert), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=96, initializer_range=0.5, pad_token_id=bert.pad_token_id,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(root / "bert")
    return root


@pytest.fixture
def pairs():
    """Pairs of very different lengths, with elision, hyphen and punctuation."""
    from pipeline.corpus.pairs import SentencePair
    from pipeline.corpus.words import split_words

    texts = [
        ("The old man sees a small dog.", "Le vieil homme voit un petit chien."),
        ("Yes.", "Oui."),
        (
            "That red house - his friend's - is big, old and (well) red.",
            "L'homme qu'il voit aujourd'hui, c'est son ami.",
        ),
        ("A dog in the street!", "Un chien, dans la rue, par-dessus tout ?"),
    ]
    return [
        SentencePair(i, src, tgt, tuple(split_words(src, "en")), tuple(split_words(tgt, "fr")))
        for i, (src, tgt) in enumerate(texts)
    ]


def _load(folder, reads, **kwargs):
    from pipeline.attention.cross import CrossReader
    from pipeline.attention.joint import JointReader
    from pipeline.attention.load import load_translator

    translator = load_translator(str(folder), reads=reads, device="cpu", **kwargs)
    return CrossReader(translator) if reads == "cross" else JointReader(translator, "restart")


def _words_by_hand(text, words, offsets):
    """Return the words of each token with their shares, found the slow way: character by character."""
    from pipeline.corpus.words import locate_words

    owner_of = {i: w for w, (a, b) in enumerate(locate_words(text, list(words))) for i in range(a, b)}
    shares = []
    for start, end in offsets:
        owners = [owner_of[i] for i in range(start, end) if i in owner_of]
        owners = owners or [next(owner_of[i] for i in range(start, len(text)) if i in owner_of)]
        shares.append({word: owners.count(word) / len(owners) for word in owners})
    return shares


def _pool(matrix, rows, columns, n_rows, n_columns):
    """Sum over the column tokens of a word, mean over its row tokens, with plain loops."""
    out = np.zeros((n_rows, n_columns))
    tokens_of = np.zeros(n_rows)
    for i, row_shares in rows:
        for r, row_share in row_shares.items():
            tokens_of[r] += row_share
            for j, column_shares in columns:
                for c, column_share in column_shares.items():
                    out[r, c] += row_share * column_share * matrix[i, j]
    return out / tokens_of[:, None]


def _means(states, owners, n_words):
    """Return the mean vector of each word's tokens."""
    return np.array(
        [
            sum(share[w] * states[i] for i, share in owners if w in share) / sum(s[w] for _, s in owners if w in s)
            for w in range(n_words)
        ]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_blocks_equal_eager_attention_pooled_by_hand(folders, pairs, dtype):
    from transformers import MarianMTModel

    reader = _load(folders / "marian", "cross", dtype=dtype)
    tokenizer = reader.translator.tokenizer
    eager = MarianMTModel.from_pretrained(
        folders / "marian", attn_implementation="eager", dtype=getattr(torch, dtype)
    ).eval()
    blocks = reader.read([reader.tokenise(pair) for pair in pairs])
    for pair, block in zip(pairs, blocks, strict=True):
        labels = tokenizer(text_target=pair.tgt_text, return_tensors="pt")["input_ids"]
        inputs = tokenizer(pair.src_text, return_tensors="pt")
        with torch.no_grad():
            # `labels` makes the library itself shift the target: its row j predicts label j.
            out = eager(**inputs, labels=labels, output_attentions=True)
        assert len(out.cross_attentions) == block.attention.shape[1] == 3
        src = tokenizer.spm_source.encode(pair.src_text, return_type="offset_mapping")["offsets"]
        tgt = tokenizer.spm_target.encode(pair.tgt_text, return_type="offset_mapping")["offsets"]
        columns = list(enumerate(_words_by_hand(pair.src_text, pair.src_words, src)))
        rows = list(enumerate(_words_by_hand(pair.tgt_text, pair.tgt_words, tgt)))
        for layer, attention in enumerate(out.cross_attentions):
            mean = attention[0].mean(0).numpy()
            shape = len(pair.tgt_words), len(pair.src_words)
            tolerance = 1e-6 if dtype == "float32" else 1e-14
            np.testing.assert_allclose(block.attention[0, layer], _pool(mean, rows, columns, *shape), atol=tolerance)
            later = [(i + 1, owner) for i, owner in rows]
            np.testing.assert_allclose(block.attention[1, layer], _pool(mean, later, columns, *shape), atol=tolerance)


def test_joint_blocks_equal_eager_attention_pooled_by_hand(folders, pairs):
    from transformers import BertModel

    reader = _load(folders / "bert", "joint", dtype="float64")
    tokenizer = reader.translator.tokenizer
    eager = BertModel.from_pretrained(
        folders / "bert", attn_implementation="eager", dtype=torch.float64, add_pooling_layer=False
    ).eval()
    blocks = reader.read([reader.tokenise(pair) for pair in pairs])
    for pair, block in zip(pairs, blocks, strict=True):
        coded = tokenizer(pair.src_text, pair.tgt_text, return_offsets_mapping=True)
        sides = coded.sequence_ids(0)
        n_src = sum(side == 0 for side in sides)
        # [CLS] src [SEP] tgt [SEP]: the first target token stands where the first source token stands.
        positions = [*range(n_src + 2), *range(1, len(sides) - n_src - 1)]
        ids = {key: torch.tensor([coded[key]]) for key in ("input_ids", "token_type_ids")}
        with torch.no_grad():
            out = eager(
                **ids, position_ids=torch.tensor([positions]), output_attentions=True, output_hidden_states=True
            )
        owners = []
        for side, text, words in ((0, pair.src_text, pair.src_words), (1, pair.tgt_text, pair.tgt_words)):
            at = [i for i, own in enumerate(sides) if own == side]
            spans = [coded["offset_mapping"][i] for i in at]
            owners.append(list(zip(at, _words_by_hand(text, words, spans), strict=True)))
        shape = len(pair.src_words), len(pair.tgt_words)
        for layer, attention in enumerate(out.attentions):
            mean = attention[0].mean(0).numpy()
            tgt_to_src = _pool(mean, owners[1], owners[0], *shape[::-1])
            src_to_tgt = _pool(mean, owners[0], owners[1], *shape)
            np.testing.assert_allclose(block.attention[0, layer], tgt_to_src, atol=1e-14)
            np.testing.assert_allclose(block.attention[1, layer], src_to_tgt.T, atol=1e-14)
        for level, states in enumerate(out.hidden_states):
            src, tgt = (_means(states[0].numpy(), own, n) for own, n in zip(owners, shape, strict=True))
            np.testing.assert_allclose(
                block.cost["together"][level], ((src[:, None] - tgt[None]) ** 2).sum(-1), rtol=1e-10, atol=1e-10
            )
            src, tgt = src - src.mean(0), tgt - tgt.mean(0)
            if min(shape) > 1:
                norms = np.linalg.norm(src, axis=1)[:, None] * np.linalg.norm(tgt, axis=1)[None]
                np.testing.assert_allclose(block.cosine["together"][level], src @ tgt.T / norms, atol=1e-10)


@pytest.mark.parametrize(("name", "reads"), [("marian", "cross"), ("bert", "joint")])
def test_padding_changes_nothing(folders, pairs, name, reads):
    reader = _load(folders / name, reads, dtype="float64")
    examples = [reader.tokenise(pair) for pair in pairs]
    together = reader.read(examples)
    for example, block in zip(examples, together, strict=True):
        (alone,) = reader.read([example])
        for field in ("attention", "special"):
            np.testing.assert_allclose(getattr(block, field), getattr(alone, field), atol=1e-12)
        for field in ("cost", "cosine", "cosine_raw"):
            for kind, found in getattr(block, field).items():
                np.testing.assert_allclose(found, getattr(alone, field)[kind], atol=1e-12)


def test_mass_on_words_and_special_tokens_sums_to_one(folders, pairs):
    reader = _load(folders / "marian", "cross")
    for block in reader.read([reader.tokenise(pair) for pair in pairs]):
        total = block.attention.sum(-1).mean(-1) + block.special
        np.testing.assert_allclose(total, 1.0, atol=1e-6)
        assert (block.special > 0).all()


def test_joint_mass_leaves_room_for_the_own_side_only(folders, pairs):
    reader = _load(folders / "bert", "joint")
    for block in reader.read([reader.tokenise(pair) for pair in pairs]):
        across = np.stack([block.attention[0].sum(2).mean(-1), block.attention[1].sum(1).mean(-1)])
        assert (across + block.special < 1).all()
        assert (across > 0).all()


def test_random_init_keeps_shape_and_changes_weights(folders, pairs):
    trained, fresh, again, other = (
        _load(folders / "bert", "joint", **kwargs)
        for kwargs in ({}, *({"control": "random_init", "seed": s} for s in (1, 1, 2)))
    )
    blocks = [reader.read([reader.tokenise(pairs[0])])[0].attention for reader in (trained, fresh, again, other)]
    assert blocks[0].shape == blocks[1].shape
    assert np.abs(blocks[0] - blocks[1]).max() > 1e-3
    np.testing.assert_array_equal(blocks[1], blocks[2])
    assert np.abs(blocks[1] - blocks[3]).max() > 1e-4


def test_bfloat16_is_close_to_float32(folders, pairs):
    exact, rough = (_load(folders / "marian", "cross", dtype=dtype) for dtype in ("float32", "bfloat16"))
    for pair in pairs:
        a, b = (reader.read([reader.tokenise(pair)])[0].attention for reader in (exact, rough))
        assert 0 < np.abs(a - b).max() < 0.1
        assert b.dtype == np.float32


def test_positions_continue_differ_from_restart(folders, pairs):
    from pipeline.attention.joint import JointReader

    reader = _load(folders / "bert", "joint")
    running = JointReader(reader.translator, "continue")
    assert reader.tokenise(pairs[1]).rows["positions"][:4] == [0, 1, 2, 3][:4]
    n = len(running.tokenise(pairs[1]).rows["positions"])
    assert running.tokenise(pairs[1]).rows["positions"] == list(range(n))
    a, b = (r.read([r.tokenise(pairs[0])])[0].attention for r in (reader, running))
    assert np.abs(a - b).max() > 1e-4


def test_too_long_is_counted_not_cut(folders, pairs):
    from pipeline.attention.engine import tokenise_all
    from pipeline.corpus.pairs import SentencePair

    reader = _load(folders / "marian", "cross")
    words = ("dog",) * 80
    long = SentencePair(9, " ".join(words), "Oui.", words, ("Oui", "."))
    examples, skipped = tokenise_all(reader, [*pairs, long])
    assert len(examples) == len(pairs)
    assert skipped == {"too_long": 1}


class TestErrors:
    def test_kind_must_fit(self, folders):
        from pipeline.errors import PipelineError

        with pytest.raises(PipelineError, match=r"is one encoder, which reads 'joint', got 'cross'; set reads: joint"):
            _load(folders / "bert", "cross")

    def test_unknown_folder(self, tmp_path):
        from pipeline.errors import PipelineError

        with pytest.raises(PipelineError, match=r"translators.model: must be a hub name or a folder .*nowhere"):
            _load(tmp_path / "nowhere", "cross")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_cuda_without_cuda(self):
        from pipeline.attention.load import choose_device
        from pipeline.errors import PipelineError

        with pytest.raises(PipelineError, match=r"extract.device: 'cuda' needs a CUDA device.*'auto' or 'cpu'"):
            choose_device("cuda")

    def test_layer_that_bypasses_the_interface(self, folders, pairs):
        from pipeline.attention.capture import Capture
        from pipeline.errors import PipelineError

        reader = _load(folders / "marian", "cross")
        capture = Capture({1: torch.nn.Linear(1, 1)})
        with pytest.raises(PipelineError, match=r"attention interface, but layers \[1\] did not"):
            capture.run([], lambda: reader.translator.model.config)
