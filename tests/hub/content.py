"""What the stand-in hub serves: repositories in the layout of the real ones, from made-up or real text."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, str | None]

DIGITS = {
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "en": "zero one two three four five six seven eight nine",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
}
FRAME = {
    "de": "das alte Haus hat die Nummer {}",
    "en": "the old house has number {}",
    "fr": "la vieille maison a le numéro {}",
}


def write_wmt14(
    folder: Path, rows: Sequence[Row], *, config: str = "fr-en", n_files: int = 3, rows_a_group: int = 20
) -> None:
    """Write `CONFIG/train-*.parquet` with a column `translation`, a struct of two languages, as the hub has."""
    first, second = config.split("-")
    struct = pa.struct([(first, pa.string()), (second, pa.string())])
    target = folder / config
    target.mkdir(parents=True, exist_ok=True)
    size = -(-len(rows) // n_files)
    for number in range(n_files):
        part = [{"translation": row} for row in rows[number * size : (number + 1) * size]]
        table = pa.Table.from_pylist(part, schema=pa.schema([("translation", struct)]))
        path = target / f"train-{number:05d}-of-{n_files:05d}.parquet"
        pq.write_table(table, path, row_group_size=rows_a_group)
    (folder / "README.md").write_text(f"made-up {config}\n")


def made_up_rows(n: int, *, src: str = "en", tgt: str = "fr") -> list[Row]:
    """Return `n` different sentence pairs of six to nine words; the row's number is spelt in each."""

    def spell(number: int, lang: str) -> str:
        digits = DIGITS[lang].split()
        return FRAME[lang].format(" ".join(digits[int(digit)] for digit in f"{number:03d}"))

    return [{src: spell(i, src), tgt: spell(i, tgt)} for i in range(n)]


def write_marian(folder: Path, tokenizer: Path, *, seed: int = 1) -> None:
    """Write Helsinki-NLP/opus-mt-en-fr as its converted revision has it, with fresh weights at full size."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig.from_pretrained(tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MarianMTModel(config)
    model.save_pretrained(folder)
    # The published file was made by an older library, which kept the two tables of sinusoids beside the weights.
    tensors = load_file(folder / "model.safetensors")
    for side in ("encoder", "decoder"):
        table = getattr(model.model, side).embed_positions.weight.detach().clone()
        tensors[f"model.{side}.embed_positions.weight"] = table
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("source.spm", "target.spm", "vocab.json", "generation_config.json"):
        (folder / name).write_bytes((tokenizer / name).read_bytes())
    # The repository's own file is as short as this; the copy beside the SentencePiece models was saved again later.
    (folder / "tokenizer_config.json").write_text(json.dumps({"target_lang": "fr", "source_lang": "en"}))
    (folder / "README.md").write_text("fresh weights\n")


def write_mbert(folder: Path, vocab: Path, *, seed: int = 1) -> None:
    """Write google-bert/bert-base-multilingual-cased, with fresh weights at full size."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    tokenizer = BertTokenizer(str(vocab), do_lower_case=False)
    tokenizer.save_pretrained(folder)
    config = BertConfig(vocab_size=len(vocab.read_text(encoding="utf-8").splitlines()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForMaskedLM(config)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_bytes(vocab.read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "model_max_length": 512}))
    (folder / "README.md").write_text("fresh weights\n")
