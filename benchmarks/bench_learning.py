"""How fast a training step is: loss and gradient of 1,000 problems, n = 7, 20 layers, engineered prompt.

One JSON object. `plain` is what one would write first: each head by itself, einsum, exp, normalise, torch's autograd.
`fused` is our torch engine, `kernel` the compiled one that training uses on a processor. Runs are taken in turns, so
that a noisy machine slows all of them; times are medians, ratios are taken turn by turn. The bound is the arithmetic
alone at the speed of a large float32 product on the same threads.

    python benchmarks/bench_learning.py [--turns 7] [--threads N] [--device cpu|cuda]
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from otcore.learning import Settings, Shape
from otcore.learning.engine import Batch
from otcore.learning.forward import TorchEngine, by_seed
from otcore.learning.presets import HEADS, reading_column
from otcore.learning.training import draw_training_batch, effective_weights, engine_of, start

PROBLEMS = 1000


def plain_step(weights: np.ndarray, batch: Batch, *, first_column: int, device: str) -> Callable[[], torch.Tensor]:
    """Return a function that computes the gradient of one model in the plain way (preset notebook)."""
    w = torch.from_numpy(weights[0]).to(device).requires_grad_()
    prompt, target, share = (by_seed(part, 1)[0].to(device) for part in (batch.prompt, batch.target, batch.lane_weight))
    n, dim = target.shape[1:]
    width = w.shape[1]

    def attend(state: torch.Tensor, layer: int, head: int) -> torch.Tensor:
        at = 2 * head * width
        score, value = w[layer, :, at : at + width], w[layer, :, at + width : at + 2 * width]
        scores = torch.einsum("btd,de,bse->bts", state, score, state)
        attention = torch.exp(scores - scores.amax(-1, keepdim=True))
        attention = attention / attention.sum(-1, keepdim=True)
        return torch.einsum("bts,bsd,de->bte", attention, state, value)

    def step() -> torch.Tensor:
        state = prompt
        for layer in range(len(w) - 1):
            for update in [attend(state, layer, head) for head in range(HEADS)]:
                state = state + update
        estimate = attend(state[:, :n], len(w) - 1, 0)[..., first_column : first_column + dim]
        loss = (share[:, None, None] * (estimate - target).square()).sum()
        gradient = torch.autograd.grad(loss, w)[0]
        return gradient.cpu()

    return step


def arithmetic(shape: Shape) -> float:
    """Return the floating-point operations of a step of `PROBLEMS` problems: forward, and twice that backward."""
    tokens, width = shape.tokens, shape.width
    layer = 2 * tokens * width * (2 * HEADS * width) + HEADS * 2 * (2 * tokens * tokens * width)
    return 3.0 * PROBLEMS * shape.depth * layer


def product_speed(device: str) -> float:
    """Return the operations a second of a large float32 product."""
    a = torch.rand(2048, 2048, device=device)
    seconds = min(timed(lambda: (a @ a).sum().item()) for _ in range(5))
    return 2.0 * 2048**3 / seconds


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def make_runs(device: str, threads: int | None) -> tuple[dict[str, Callable[[], Any]], dict[str, np.ndarray]]:
    """Return what is timed, by name, and the gradients that must agree."""
    runs: dict[str, Callable[[], Any]] = {}
    for name, seeds in (("kernel", 1), ("kernel_4_seeds", 4)):
        settings = Settings(preset="notebook", seeds=seeds, batch=PROBLEMS // seeds)
        state, batch = start(settings), draw_training_batch(settings, 0)
        weights = effective_weights(state.weights, state.mixing)
        engine = engine_of(settings, threads=threads, device=device)
        runs[name] = lambda engine=engine, weights=weights, batch=batch: engine.evaluate(weights, batch)
        if seeds == 1:
            column = reading_column(settings.preset, settings.shape)
            runs["plain"] = plain_step(weights, batch, first_column=column, device=device)
            if device == "cpu":
                fused = TorchEngine(reads=True, first_column=column)
                runs["fused"] = lambda fused=fused, weights=weights, batch=batch: fused.evaluate(weights, batch)
    return runs, {"kernel": runs["kernel"]().gradient[0], "plain": runs["plain"]().numpy()}


def main() -> None:
    """Time the runs in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None, help="all processors by default")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    compiling = timed(lambda: make_runs(options.device, options.threads))
    runs, gradients = make_runs(options.device, options.threads)
    scale = np.abs(gradients["plain"]).max()
    difference = float(np.abs(gradients["kernel"] - gradients["plain"]).max() / scale)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.turns):
        for name, run in runs.items():
            run()  # not timed: torch's threads still spin after the run before, and its data fill the cache
            seconds[name].append(timed(run))

    def ratio(one: str, other: str) -> float:
        return median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))

    work, speed = arithmetic(Shape()), product_speed(options.device)
    found = {
        "benchmark": "learning",
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "threads": options.threads or torch.get_num_threads(),
        "problems": PROBLEMS,
        "milliseconds": {name: round(1e3 * median(values), 2) for name, values in seconds.items()},
        "plain_over_kernel": round(ratio("plain", "kernel"), 2),
        "four_seeds_of_250_over_one_of_1000": round(ratio("kernel_4_seeds", "kernel"), 3),
        "first_call_seconds": round(compiling, 1),
        "gradient_difference": difference,
        "gigaflop": round(work / 1e9, 3),
        "bound_milliseconds": round(1e3 * work / speed, 2),
        "kernel_over_bound": round(median(seconds["kernel"]) * speed / work, 2),
    }
    if "fused" in runs:
        found["fused_over_kernel"] = round(ratio("fused", "kernel"), 2)
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
