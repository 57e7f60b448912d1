"""How time and memory grow with the number of pairs: the stages of one demo translator, each a process of its own.

Pairs are newstest's with the MUSE dictionary where ../shared/data is, else the demo's; there are as many as the corpus
has, at most. Per stage the slope of log time over log pairs between the two largest sizes (1 is linear; start-up pulls
it below), and the growth of peak memory between them. What has a size of its own (transport, plan fits, heads kept) is
as params/newstest.yaml says. One JSON object.

    python benchmarks/bench_growth.py [--sizes 1000 4000 16000] [--translator mini-marian]
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
WORDS = {"min_words": 3, "max_words": 60}

sys.path.insert(0, str(ROOT))


def params_of(n: int, folder: Path) -> dict:
    """Return parameters that read `n` pairs: one set of trained weights, no gold set."""
    from pipeline._yaml import read_yaml

    real = SHARED.is_dir()
    raw = read_yaml(ROOT / "params" / ("newstest.yaml" if real else "demo.yaml"), blocks=[])
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "demo").symlink_to(ROOT / "data" / "demo")
    if real:
        (folder.parent / "shared").symlink_to(SHARED.parent)
    raw["sample"] |= {"n_pairs": n, **WORDS}
    raw["extract"] |= {"controls": ["trained"], "seeds": 1}
    return raw | {"gold": []}


def run_stage(command: list[str], folder: Path) -> dict[str, float]:
    """Return seconds and peak memory (bytes) of one stage."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}:\n{(folder / 'log').read_text()[-2000:]}")
    return {"seconds": round(time.perf_counter() - began, 2), "peak_memory": usage.ru_maxrss * 1024}


def measure(n: int, translator: str) -> dict:
    """Return what every stage took for `n` pairs, and how many pairs there were."""
    stages = ["sources", "corpus", "links", f"extract {translator}", f"align {translator}"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        (folder / "params.yaml").write_text(json.dumps(params_of(n, folder)))
        found = {stage: run_stage(f"pipeline.stages.{stage}".split(), folder) for stage in stages}
        summary = json.loads((folder / "reports/metrics/corpus.json").read_text())
    return {"asked": n, "n_pairs": summary["kept"], "stages": {stage.split()[0]: one for stage, one in found.items()}}


def growth(few: dict, more: dict) -> dict[str, dict[str, float]]:
    """Return slope of time and growth of memory by stage."""
    pairs = math.log(more["n_pairs"] / few["n_pairs"])
    return {
        stage: {
            "slope": round(math.log(one["seconds"] / few["stages"][stage]["seconds"]) / pairs, 3),
            "memory_growth": one["peak_memory"] - few["stages"][stage]["peak_memory"],
        }
        for stage, one in more["stages"].items()
    }


def main() -> None:
    """Measure the sizes, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--translator", default="mini-marian")
    options = parser.parse_args()
    runs = [measure(n, options.translator) for n in sorted(options.sizes)]
    result = {"benchmark": "growth", "translator": options.translator, "real_text": SHARED.is_dir(), "runs": runs}
    if len(runs) > 1 and runs[-1]["n_pairs"] > runs[-2]["n_pairs"]:
        result["growth"] = growth(*runs[-2:])
    print(json.dumps(result, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
