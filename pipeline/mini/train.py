"""The training loop: batches that depend on (seed, step) alone, checkpoints, resume, a time or step budget."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress, TextColumn, TimeRemainingColumn

from pipeline.errors import PipelineError
from pipeline.mini.models import Pair, Task

BUCKET = 32  # batches that are sorted by length together


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train; `minutes` counts training time only, over all resumed runs."""

    steps: int
    minutes: float
    batch: int
    rate: float
    warmup: int
    seed: int
    every: int = 100  # steps between checkpoints and lines of the log

    def fraction(self, step: int, seconds: float) -> float:
        """Return how much of the budget is used, in [0, 1]."""
        return min(1.0, max(step / self.steps, seconds / (60 * self.minutes)))


def batch_at(pairs: list[Pair], step: int, recipe: Recipe) -> list[Pair]:
    """Return the pairs of one step: a seeded permutation an epoch, of like length within a bucket."""
    per_epoch = len(pairs) // (recipe.batch * BUCKET) * BUCKET
    if per_epoch == 0:
        message = (
            f"pairs: at least {recipe.batch * BUCKET} training pairs are needed for one bucket of batches, "
            f"got {len(pairs)}; give more sentences or a smaller --batch"
        )
        raise PipelineError(message)
    epoch, place = divmod(step, per_epoch)
    rng = np.random.default_rng([recipe.seed, epoch])
    order = rng.permutation(len(pairs))
    drawn = order[place // BUCKET * BUCKET * recipe.batch :][: BUCKET * recipe.batch]
    bucket = sorted(drawn.tolist(), key=lambda i: (len(pairs[i][0]) + len(pairs[i][1]), i))
    which = np.random.default_rng([recipe.seed, epoch, place // BUCKET]).permutation(BUCKET)[place % BUCKET]
    return [pairs[i] for i in bucket[which * recipe.batch :][: recipe.batch]]


def _learning_rate(step: int, fraction: float, recipe: Recipe) -> float:
    return recipe.rate * min(1.0, (step + 1) / recipe.warmup) * (1.0 - fraction)


def _save(path: Path, state: dict) -> None:
    half_written = path.with_suffix(".part")
    torch.save(state, half_written)
    os.replace(half_written, path)


@torch.no_grad()
def held_out_loss(task: Task, pairs: list[Pair], recipe: Recipe) -> float:
    """Return the mean loss a predicted token on pairs that training never sees, in nats, without smoothing."""
    task.model.eval()
    losses = [
        task.loss(pairs[i : i + recipe.batch], torch.Generator().manual_seed(i), smooth=False).item()
        for i in range(0, len(pairs), recipe.batch)
    ]
    task.model.train()
    return float(np.mean(losses))


def train(task: Task, pairs: list[Pair], held_out: list[Pair], folder: Path, recipe: Recipe) -> dict:
    """Return the record of the training (steps, seconds, losses); the model is trained in place.

    A run that was cut off goes on from `folder/checkpoint.pt`; with a step budget and one thread, the
    result is the same as that of an uninterrupted run.
    """
    optimizer = torch.optim.AdamW(
        task.model.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    checkpoint = folder / "checkpoint.pt"
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "log": []}
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        task.model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state = {key: saved[key] for key in state}
    for step, seconds, loss in _steps(task, optimizer, pairs, recipe, step=state["step"], seconds=state["seconds"]):
        state["step"], state["seconds"] = step, seconds
        if step % recipe.every == 0 or recipe.fraction(step, seconds) >= 1.0:
            entry = {"step": step, "seconds": round(seconds), "loss": loss}
            if step % (5 * recipe.every) == 0 or recipe.fraction(step, seconds) >= 1.0:
                entry["held_out"] = held_out_loss(task, held_out, recipe)
            state["log"].append(entry)
            with (folder / "log.jsonl").open("w") as handle:
                handle.writelines(json.dumps(line) + "\n" for line in state["log"])
            _save(
                checkpoint,
                {**state, "model": task.model.state_dict(), "optimizer": optimizer.state_dict()},
            )
    return {**state, "recipe": asdict(recipe)}


def _steps(
    task: Task,
    optimizer: torch.optim.Optimizer,
    pairs: list[Pair],
    recipe: Recipe,
    *,
    step: int,
    seconds: float,
) -> Iterator[tuple[int, float, float]]:
    """Yield `(steps done, seconds trained, running loss)` after each step until the budget is used."""
    running = float("nan")
    task.model.train()
    with Progress(
        *Progress.get_default_columns()[:-1], TimeRemainingColumn(), TextColumn("{task.fields[loss]}")
    ) as bar:
        job = bar.add_task("training", total=1.0, loss="")
        while (fraction := recipe.fraction(step, seconds)) < 1.0:
            began = time.monotonic()
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(step, fraction, recipe)
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            loss = task.loss(batch_at(pairs, step, recipe), generator, smooth=True)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
            optimizer.step()
            value = loss.item()
            running = value if running != running else 0.98 * running + 0.02 * value
            step, seconds = step + 1, seconds + time.monotonic() - began
            bar.update(job, completed=recipe.fraction(step, seconds), loss=f"step {step} loss {running:.3f}")
            yield step, seconds, running
