"""Train a demo translator: `python -m pipeline.mini marian|mbert --src FILE --tgt FILE --out DIR`."""

import gzip
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import AutoTokenizer

from pipeline.corpus.words import normalise
from pipeline.errors import PipelineError
from pipeline.mini.models import MaskedPair, Pair, Translation, bert_model, marian_model
from pipeline.mini.train import Recipe, train
from pipeline.mini.vocab import train_marian_tokenizer, train_wordpiece_tokenizer

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)

HELD_OUT = 512  # last pairs of the files
SrcFile = Annotated[Path, typer.Option("--src", help="Source sentences, one a line (.gz or plain).", exists=True)]
TgtFile = Annotated[Path, typer.Option("--tgt", help="Target sentences, one a line (.gz or plain).", exists=True)]
OutDir = Annotated[Path, typer.Option("--out", help="Folder of the model; a checkpoint in it is resumed.")]
Languages = Annotated[str, typer.Option(help="Source-target language codes.")]
Minutes = Annotated[float, typer.Option(help="Budget of training time.", min=0.01)]
Steps = Annotated[int, typer.Option(help="Budget of steps; whichever budget ends first.", min=1)]
Batch = Annotated[int, typer.Option(help="Pairs a step.", min=1)]
Seed = Annotated[int, typer.Option(help="Of the weights and of the order of the pairs.")]
Threads = Annotated[int, typer.Option(help="Processor threads.", min=1)]


def read_side(path: Path, lang: str) -> list[str]:
    """Return the normalised lines of one side of a parallel text."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as handle:
        return [normalise(line, lang) for line in handle]


def _read(src: Path, tgt: Path, pair: str) -> tuple[list[str], list[str]]:
    src_lang, tgt_lang = pair.split("-")
    sides = read_side(src, src_lang), read_side(tgt, tgt_lang)
    if len(sides[0]) != len(sides[1]):
        message = (
            f"--src and --tgt: must have one sentence a line in the same order, got {len(sides[0])} and "
            f"{len(sides[1])} lines; give two sides of one parallel text"
        )
        raise PipelineError(message)
    return sides


def _finish(model, tokenizer, out: Path, record: dict) -> None:
    model.half().save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(out)
    record = {key: record[key] for key in ("recipe", "step", "seconds", "log")}
    (out / "training.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    (out / "log.jsonl").unlink(missing_ok=True)
    (out / "checkpoint.pt").unlink(missing_ok=True)


@app.command()
def marian(
    *, src: SrcFile, tgt: TgtFile, out: OutDir, pair: Languages = "en-fr", minutes: Minutes = 90, steps: Steps = 6000,
    batch: Batch = 64, seed: Seed = 2026, threads: Threads = 2, pieces: int = 3500, longest: int = 32,
) -> None:  # fmt: skip
    """Train a small Marian translator (3 encoder and 6 decoder layers)."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    src_text, tgt_text = _read(src, tgt, pair)
    tokenizer: Any
    if (out / "vocab.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(out)
    else:
        tokenizer = train_marian_tokenizer(src_text[:100_000], tgt_text[:100_000], out, n_pieces=pieces)
    src_ids = tokenizer(src_text)["input_ids"]
    tgt_ids = tokenizer(text_target=tgt_text)["input_ids"]
    pairs = _short(src_ids, tgt_ids, lambda s, t: max(len(s), len(t)) <= longest)
    model = marian_model(tokenizer)
    recipe = Recipe(steps=steps, minutes=minutes, batch=batch, rate=1.2e-3, warmup=400, seed=seed)
    record = train(Translation(model), pairs[:-HELD_OUT], pairs[-HELD_OUT:], out, recipe)
    _finish(model, tokenizer, out, record)


@app.command()
def mbert(
    *, src: SrcFile, tgt: TgtFile, out: OutDir, pair: Languages = "en-fr", minutes: Minutes = 90, steps: Steps = 6000,
    batch: Batch = 64, seed: Seed = 2026, threads: Threads = 2, pieces: int = 6000, longest: int = 38,
) -> None:  # fmt: skip
    """Train a small encoder by masked-language modelling on concatenated pairs."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    src_text, tgt_text = _read(src, tgt, pair)
    if (out / "vocab.txt").exists():
        tokenizer = AutoTokenizer.from_pretrained(out)
    else:
        tokenizer = train_wordpiece_tokenizer(src_text[:100_000], tgt_text[:100_000], out, n_pieces=pieces)
    src_ids = tokenizer(src_text, add_special_tokens=False)["input_ids"]
    tgt_ids = tokenizer(tgt_text, add_special_tokens=False)["input_ids"]
    pairs = _short(src_ids, tgt_ids, lambda s, t: len(s) + len(t) <= longest)
    model = bert_model(tokenizer)
    task = MaskedPair(model, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
    recipe = Recipe(steps=steps, minutes=minutes, batch=batch, rate=1e-3, warmup=400, seed=seed)
    record = train(task, pairs[:-HELD_OUT], pairs[-HELD_OUT:], out, recipe)
    _finish(model, tokenizer, out, record)


def _short(src_ids: list[list[int]], tgt_ids: list[list[int]], fits) -> list[Pair]:
    return [(s, t) for s, t in zip(src_ids, tgt_ids, strict=True) if s and t and fits(s, t)]


if __name__ == "__main__":
    try:
        app()
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
