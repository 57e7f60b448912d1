"""Tokenisers of the demo translators, in the layout that `from_pretrained` reads."""

import json
from pathlib import Path

import sentencepiece
from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer, MarianTokenizer

MAX_POSITIONS = 128


def train_marian_tokenizer(src: list[str], tgt: list[str], folder: Path, *, n_pieces: int) -> MarianTokenizer:
    """Return a Marian tokeniser with its own SentencePiece model per side and one vocabulary over both.

    Parameters
    ----------
    src, tgt : list of str
        Training sentences of each side.
    folder : Path
        Receives `source.spm`, `target.spm`, `vocab.json` and the tokeniser's configuration.
    n_pieces : int
        Pieces per side, >= 100.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {"</s>": 0, "<unk>": 1}
    for name, sentences in (("source", src), ("target", tgt)):
        with (folder / f"{name}.spm").open("wb") as handle:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=handle,
                vocab_size=n_pieces,
                model_type="unigram",
                character_coverage=1.0,
                hard_vocab_limit=False,  # a small text gives fewer pieces rather than an error
                num_threads=1,
                minloglevel=2,
            )
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
        for i in range(model.get_piece_size()):
            if not model.is_control(i) and not model.is_unknown(i):
                vocab.setdefault(model.id_to_piece(i), len(vocab))
    vocab["<pad>"] = len(vocab)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    tokenizer = MarianTokenizer(
        source_spm=str(folder / "source.spm"),
        target_spm=str(folder / "target.spm"),
        vocab=str(folder / "vocab.json"),
        source_lang="en",
        target_lang="fr",
        model_max_length=MAX_POSITIONS,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def train_wordpiece_tokenizer(src: list[str], tgt: list[str], folder: Path, *, n_pieces: int) -> BertTokenizer:
    """Return a cased WordPiece tokeniser trained on both sides together (as multilingual BERT's was)."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    trainer.train_from_iterator(
        (text for pair in zip(src, tgt, strict=True) for text in pair),
        vocab_size=n_pieces,
        min_frequency=2,
        show_progress=False,
    )
    trainer.save_model(str(folder))
    tokenizer = BertTokenizer(
        vocab=str(folder / "vocab.txt"), do_lower_case=False, strip_accents=False, model_max_length=MAX_POSITIONS
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
