"""The results of a run as a page of documents: what was measured, its bar, and what all of WMT14 would cost."""

from collections.abc import Iterable
from pathlib import Path

ALL_PAIRS = 40_836_715
"""Sentence pairs of WMT14 English-French (train)."""

HEAD = """# How fast it is

Written by `make bench` from `reports/bench.json`: one run on {processors} processors ({architecture}), Python {python},
{versions}. Ratios are taken in turns in one run against what one would write first (`benchmarks/reference/`, which are
also the oracles of tests), or against the bare forward passes of the same model. Bars are wishes that were set before.

| what | against | measured | wanted |
|---|---|---|---|
"""

COST = """
## What all of WMT14 would cost

**Computed, not run**: {pairs:,} pairs at the sentences a second that were measured above, by one process on all
processors of this machine, for weights as trained (each control reads as much again). Memory is that of the run
measured, which does not grow with the pairs (`extract.keep: sums` stores nothing a pair).

| translator | size | sentences a second | hours | memory |
|---|---|---|---|---|
"""

GPUS = """
No row for a GPU: none was at hand when this page was written, and nothing is extrapolated to one.
`benchmarks/bench_gpu.sh` measures it; hours are then pairs / (sentences a second x GPUs x 3600), as ranges of rows
share nothing but the corpus (`extract.engine: ray`).
"""


def write_page(results: dict, path: Path) -> None:
    """Write the tables."""
    machine = dict(results["machine"])
    machine["versions"] = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [HEAD.format(**machine)]
    lines += [f"| {' | '.join(cells)} |\n" for cells in rows(results["found"])]
    costs = list(cost_rows(results["found"]))
    if costs:
        lines += [COST.format(pairs=ALL_PAIRS), *(f"| {' | '.join(cells)} |\n" for cells in costs), GPUS]
    path.write_text("".join(lines), encoding="utf-8")


def rows(found: dict) -> Iterable[tuple[str, str, str, str]]:
    """Yield a row of each number that has a bar."""
    for one in found.get("attention", []):
        name, size = one["translator"], "true size, fresh weights" if one["true_size"] else "demo"
        for kind, bar in (("means", ".97 (cross), .95 (joint)"), ("heads_and_norms", ".90")):
            what = f"reading {name} ({size}), {kind.replace('_', ' ')}"
            yield what, "bare forward passes", f"{one['ratio_to_bare_forward'][kind]:.3f}", bar
    for one in found.get("alignment", []):
        if one["benchmark"] == "alignment":
            what = f"{one['n_pairs']:,} pairs x {one['layers']} layers"
            for kind, bar in (("scores", ""), ("intervals", ""), ("both", "50x")):
                yield f"{what}: {kind}", "loops", f"{one['plain_over_ours'][kind]:.1f}x", bar
        else:
            what = f"{one['n_pairs']:,} pairs x {one['levels']} levels"
            for kind, bar in (("matching", "15x"), ("exact", "15x"), ("entropic", "15x")):
                yield f"{what}: {kind} plans", "`ot.solve` one by one", f"{one['plain_over_ours'][kind]:.1f}x", bar
    for one in found.get("learning", []):
        yield "training step, 1,000 problems", "plain torch", f"{one['plain_over_kernel']:.1f}x", "12x"
    for one in found.get("growth", []):
        sizes = [run["n_pairs"] for run in one["runs"]]
        for stage, grown in one.get("growth", {}).items():
            if stage == "sources":
                continue
            memory = f"{grown['memory_growth'] / 2**20:+.0f} MiB"
            what = f"stage {stage}, {sizes[-2]:,} to {sizes[-1]:,} pairs: slope of time; memory"
            yield what, "1 is linear", f"{grown['slope']:.2f}; {memory}", "1.05; flat"
    for one in found.get("commands", []):
        bars = {"repro": "2.5 s"}
        for name in ("repro", "validate", "help"):
            if name in one["seconds"]:
                bare = "dvc" if name == "repro" else "python"
                what = {"repro": "`dvc repro`, nothing to do", "validate": "`validate`", "help": "`--help`"}[name]
                yield (
                    what,
                    f"{bare} alone {one['seconds'][bare]:.2f} s",
                    f"{one['seconds'][name]:.2f} s",
                    bars.get(name, ""),
                )


def cost_rows(found: dict) -> Iterable[tuple[str, str, str, str, str]]:
    """Yield what all of WMT14 would take by each translator measured, from its longest run."""
    for one in found.get("attention", []):
        run = one["extraction"][max(one["extraction"], key=int)]
        speed, memory = run["sentences_per_second"], run["peak_memory"] / 2**30
        size = "true size" if one["true_size"] else "demo"
        yield one["translator"], size, f"{speed:.0f}", f"{ALL_PAIRS / speed / 3600:,.0f}", f"{memory:.1f} GiB"
