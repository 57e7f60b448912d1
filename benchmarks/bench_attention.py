"""How fast, and in how much memory, blocks are read, against the bare forward passes of the same batches.

Bare are the passes that the word vectors need (a joint encoder also reads each side by itself, a translator's encoder the
target). They are held against what is read by default, means over heads, and against every head and norms as well. One JSON object a translator. With ../shared/data the translators have the true sizes of opus-mt-en-fr and
mBERT-base (fresh weights, real tokenisers, newstest sentences); without it, the demo's models read the demo.

    python benchmarks/bench_attention.py [--pairs 2000] [--timed 256] [--threads N]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
READS = {"marian": "cross", "mbert": "joint"}
FEW, SEED, TOKENS_PER_BATCH, ROUNDS = 500, 2026, 4096, 3


def write_models(folder: Path) -> dict[str, Path]:
    """Return a folder for each translator, made where there are real tokenisers."""
    if not SHARED.is_dir():
        return {name: ROOT / "data" / "demo" / f"mini-{name}" for name in READS}
    from tests.hub.content import write_marian, write_mbert

    write_marian(folder / "marian", SHARED / "tokenizers" / "opus-mt-en-fr")
    write_mbert(folder / "mbert", SHARED / "tokenizers" / "mbert" / "vocab.txt")
    return {name: folder / name for name in READS}


def sentence_pairs(n: int) -> list:
    """Return at most `n` sentence pairs, as the corpus stage would choose them."""
    from pipeline.corpus.demo import demo_rows
    from pipeline.corpus.files import parallel_files
    from pipeline.corpus.select import select_pairs
    from pipeline.params import Sample

    years = range(2008, 2014)
    sides = [[str(SHARED / "newstest" / f"newstest{year}.{lang}") for year in years] for lang in ("en", "fr")]
    rows = parallel_files(*sides) if SHARED.is_dir() else demo_rows(str(ROOT / "data" / "demo" / "pairs.tsv"))
    return select_pairs(rows, Sample(n_pairs=n, seed=SEED), src_lang="en", tgt_lang="fr")[0]


def open_reader(folder: Path, reads: str, *, norms: bool = False):
    """Return a reader of the trained weights in a folder, on the CPU or the GPU if there is one."""
    from pipeline.attention.extract import make_reader
    from pipeline.attention.load import load_translator
    from pipeline.attention.reader import Asked
    from pipeline.params import Translator

    spec = Translator(model=str(folder), reads=reads)
    return make_reader(load_translator(str(folder), reads=reads), spec, asked=Asked(norms=norms))


def bare_forward(reader, folder: Path) -> Callable[[list], None]:
    """Return a function that runs the library's model, as it comes, over a batch: inputs in, states out."""
    import torch

    device = reader.translator.device
    model = type(reader.translator.model).from_pretrained(folder, dtype=torch.float32).to(device).eval()
    body = getattr(model, "model", model)  # without the language-model head, as it is read
    alone = model.get_encoder() if hasattr(body, "decoder") else body

    def run(batch: list) -> None:
        whole, *sides = passes(reader, batch)
        with torch.inference_mode():
            body(**{name: value.to(device) for name, value in whole.items()})
            for side in sides:
                alone(**{name: value.to(device) for name, value in side.items()})
            if device.type == "cuda":
                torch.cuda.synchronize()

    return run


def passes(reader, batch: list) -> list[dict]:
    """Return what a batch is to the model, by the names of its arguments: the pairs, then sides by themselves."""
    from pipeline.attention.reader import pad_ids

    pad = reader.translator.config.pad_token_id
    cpu = reader.translator.device.__class__("cpu")

    def padded(rows: list, **more: list) -> dict:
        mask = pad_ids([[1] * len(row) for row in rows], 0, cpu)
        filled = {name: pad_ids(own, pad if name.endswith("ids") else 0, cpu) for name, own in more.items()}
        return {"input_ids": pad_ids(rows, pad, cpu), "attention_mask": mask, **filled}

    rows = {name: [example.rows[name] for example in batch] for name in batch[0].rows}
    if "ids" not in rows:
        sides = [padded([row[1:] for row in rows["tgt"]])] if "encoder" in reader.states else []
        return [padded(rows["src"], decoder_input_ids=rows["tgt"]), *sides]
    sides_alone = ("src", "tgt") if "alone" in reader.states else ()
    return [padded(rows["ids"], token_type_ids=rows["types"]), *(padded(rows[side]) for side in sides_alone)]


def compare(folder: Path, reads: str, n: int) -> dict[str, object]:
    """Return sentences a second of all over the same batches, taken in turns, there and back.

    Of each batch the fastest of `2 * ROUNDS` counts: other work on a machine only ever slows one down.
    """
    from pipeline.attention.engine import batches, tokenise_all

    reader, all_reader = open_reader(folder, reads), open_reader(folder, reads, norms=True)
    runs = {
        "bare": bare_forward(reader, folder),
        "means": reader.read,
        "heads_and_norms": partial(all_reader.read, heads=True),
    }
    examples, skipped = tokenise_all(reader, sentence_pairs(n))
    work = list(batches(examples, TOKENS_PER_BATCH))
    for run in runs.values():
        run(work[0])
    spent = Counter[str]()
    for batch in work:
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for name in (*runs, *reversed(runs)) * ROUNDS:
            start = time.perf_counter()
            runs[name](batch)
            taken[name].append(time.perf_counter() - start)
        spent += Counter({name: min(times) for name, times in taken.items()})
    return {
        "n_timed": len(examples),
        "n_batches": len(work),
        "skipped": dict(skipped),
        "sentences_per_second": {name: round(len(examples) / seconds, 2) for name, seconds in spent.items()},
        "ratio_to_bare_forward": {name: round(spent["bare"] / spent[name], 3) for name in runs if name != "bare"},
    }


def extract_in_child(folder: Path, reads: str, n: int, threads: int) -> dict[str, object]:
    """Return time and peak memory of a process of its own that reads `n` pairs and writes their shards."""
    command = [sys.executable, __file__, "--child", str(folder), reads, str(n), "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def child(folder: Path, reads: str, n: int) -> None:
    """Print what reading and writing `n` pairs took."""
    from pipeline.attention.engine import write_shards

    pairs = sentence_pairs(n)
    reader = open_reader(folder, reads)
    loaded = peak_memory()
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        shards, skipped, n_read = write_shards(
            reader, pairs, Path(scratch), tokens_per_batch=TOKENS_PER_BATCH, advance=lambda n: None
        )
        spent = time.perf_counter() - start
        size = sum((Path(scratch) / name).stat().st_size for name in shards)
    found = {"n_pairs": n_read, "skipped": dict(skipped), "seconds": round(spent, 1)}
    found |= {"sentences_per_second": round(n_read / spent, 2), "bytes_on_disk": size}
    found |= {"peak_memory_loaded": loaded, "peak_memory": peak_memory()}
    print(json.dumps(found))


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run the comparison for each translator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000, help="sentence pairs of the memory measurement")
    parser.add_argument("--timed", type=int, default=256, help="sentence pairs of the comparison")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 is its own choice")
    parser.add_argument("--child", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    if options.child:
        folder, reads, n = options.child
        child(Path(folder), reads, int(n))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in write_models(Path(scratch)).items():
            result: dict[str, object] = {"benchmark": "attention", "translator": name, "reads": READS[name]}
            result |= {"true_size": SHARED.is_dir(), "threads": torch.get_num_threads()}
            result |= compare(folder, READS[name], options.timed)
            sizes = sorted({min(FEW, options.pairs), options.pairs})
            runs = {n: extract_in_child(folder, READS[name], n, options.threads) for n in sizes}
            result["extraction"] = {str(n): run for n, run in runs.items()}
            result["peak_memory_growth"] = [
                runs[more]["peak_memory"] - runs[few]["peak_memory"] for few, more in pairwise(sizes)
            ]
            print(json.dumps(result, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
