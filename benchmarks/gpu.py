"""Pairs a second on a card against the bare forward passes of the same batches; `bench_gpu.sh` runs it.

Each way reads all pairs, a few times in turns; the fastest counts. `bare` pads, copies and runs the library's model as it
comes. `found` pads, copies and runs it with attention pooled, and leaves all on the card. `one_by_one` brings the blocks of
each batch home before the next, `ahead` reads batches one over the other; `shards_one_by_one` and `shards` also tokenise
before and write behind. One JSON object a translator.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from bench_attention import READS, SHARED, bare_forward, open_reader, sentence_pairs, write_models  # noqa: E402


def ways(reader, folder: Path, pairs: list, tokens: int, scratch: Path) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name."""
    import torch

    from pipeline.attention.ahead import read_ahead
    from pipeline.attention.engine import THREADS, batches, tokenise_all, write_shards
    from pipeline.attention.reader import to_device

    examples, _ = tokenise_all(reader, pairs)
    work = list(batches(examples, tokens))
    bare, device = bare_forward(reader, folder), reader.translator.device

    def found() -> None:
        with torch.inference_mode():
            for batch in work:
                reader.find({name: to_device(tensor, device) for name, tensor in reader.inputs(batch).items()})
            if device.type == "cuda":
                torch.cuda.synchronize()

    def ahead() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in read_ahead(reader, [(batch, False) for batch in work], pool):
                pass

    def shards(*, overlap: bool) -> None:
        with tempfile.TemporaryDirectory(dir=scratch) as target:
            write_shards(reader, pairs, Path(target), tokens_per_batch=tokens, advance=lambda n: None, overlap=overlap)

    return {
        "bare": lambda: [bare(batch) for batch in work],
        "found": found,
        "one_by_one": lambda: [reader.read(batch) for batch in work],
        "ahead": ahead,
        "shards_one_by_one": lambda: shards(overlap=False),
        "shards": lambda: shards(overlap=True),
    }


def main() -> None:
    """Print the comparison for each translator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=16384, help="extract.tokens_per_batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cpu", action="store_true", help="run without a card: tries the script, says nothing of speed"
    )
    options = parser.parse_args()
    import torch

    if not (options.cpu or torch.cuda.is_available()):
        sys.exit("bench_gpu: a CUDA device is needed, and there is none; --cpu tries the script without one")
    name_of_card = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in write_models(Path(scratch)).items():
            reader, pairs = open_reader(folder, READS[name]), sentence_pairs(options.pairs)
            timed = ways(reader, folder, pairs, options.tokens, Path(scratch))
            spent: dict[str, list[float]] = {way: [] for way in timed}
            for round_ in range(options.rounds + 1):
                for way, run in timed.items():
                    start = time.perf_counter()
                    run()
                    if round_:  # the first one warms up
                        spent[way].append(time.perf_counter() - start)
            best = {way: min(times) for way, times in spent.items()}
            result = {"benchmark": "gpu", "translator": name, "card": name_of_card, "true_size": SHARED.is_dir()}
            result |= {"torch": torch.__version__, "n_pairs": len(pairs), "tokens_per_batch": options.tokens}
            result["pairs_per_second"] = {way: round(len(pairs) / seconds, 1) for way, seconds in best.items()}
            result["ratio_to_bare_forward"] = {way: round(best["bare"] / best[way], 3) for way in best}
            print(json.dumps(result, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
