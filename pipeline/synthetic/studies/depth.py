"""How much depth is needed? The construction with schedules of reg and step, fixed and trained, against Sinkhorn; loops.

Error is half the summed difference a row between attention, read with the reg of the plan, and the entropic plan. Points
are uniform on the unit square. What has a choice (the start of annealing, the step ratio) makes it on problems of the
training size that judge nothing, at every depth; so does the trained schedule.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from otcore import squared_cost
from otcore.plans import entropic_plan
from otcore.schedules import Schedule, annealed_sweeps, descend, plan_error, schedule, train_schedule
from otcore.terms import Duals
from pipeline.claims import Estimate
from pipeline.study_file import StudyResult
from pipeline.synthetic.studies import StudySettings, decided, estimate, gap_interval, mean_interval
from pipeline.synthetic.studies.depth_charts import charts, findings
from pipeline.synthetic.studies.depth_loops import looped_losses

NAME, QUESTION = "depth", "How much depth is needed, and can a schedule of two numbers a layer beat Sinkhorn?"
REG, N, DEPTH = 0.02, 8, 20
STARTS, RATIOS = (0.05, 0.1, 0.2, 0.5, 1.0), (0.5, 1.0, 1.5, 2.0)
OTHER_N, OTHER_REG = (16, 32), (0.5, 2.0)
SLACK = math.log10(2)
MORE_LOOPS, LOOPED_N = 40, (7, 15)
RUN: Mapping[str, dict[str, Any]] = {
    "long": {"depths": (5, 10, 20), "steps": 600, "batch": 32, "problems": 1024, "tests": 256},
    "demo": {"depths": (3, 20), "steps": 3, "batch": 8, "problems": 16, "tests": 8},
}
Problems = tuple[torch.Tensor, torch.Tensor]
Solver = Callable[[torch.Tensor], Iterator[Duals]]


def run(study: StudySettings) -> StudyResult:
    """Return errors by depth of all schedules and solvers, and losses by loops of a layer that is run again."""
    sizes = RUN[study.size]
    rows, regs = [], []
    for index in range(study.seeds):
        for depth in sizes["depths"]:
            study.say(f"{NAME}: seed {study.seed + index}, {depth} layers")
            found, trained = errors(study.seed + index, depth, sizes)
            rows += [{"seed": study.seed + index, "depth": depth, **row} for row in found]
            regs += [
                {"seed": study.seed + index, "depth": depth, "layer": layer + 1, "reg": reg, "step": step}
                for layer, (reg, step) in enumerate(zip(trained.reg.tolist(), trained.step.tolist(), strict=True))
            ]
    table, loops = pd.DataFrame(rows), pd.DataFrame(looped_losses(study))
    return StudyResult(
        name=NAME,
        question=QUESTION,
        size=study.size,
        seeds=study.seeds,
        settings={
            **{key: list(value) if isinstance(value, tuple) else value for key, value in sizes.items()},
            "reg": REG, "n": N, "dim": 2, "starts_of_annealing": list(STARTS), "step_ratios": list(RATIOS),
        },
        charts=charts(table, loops),
        claims=decided([*schedule_estimates(table), *loop_estimates(loops)], study.size),
        findings=list(findings(table, loops, pd.DataFrame(regs))),
        tables={"errors": table, "schedules": pd.DataFrame(regs), "loops": loops},
    )  # fmt: skip


def errors(seed: int, depth: int, sizes: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Schedule]:
    """Return the mean error of every method on fresh problems of each kind, and the schedule that was trained.

    Parameters
    ----------
    seed, depth : int
    sizes : mapping
        A value of `RUN`.
    """
    cost, plan = draw(seed, 0, sizes["problems"], N, REG)
    constant = _best(lambda ratio: _constructed(schedule(REG, REG, depth=depth, ratio=ratio)), RATIOS, cost, plan)
    start = _best(lambda value: _constructed(schedule(value, REG, depth=depth)), STARTS, cost, plan)
    first = _best(lambda value: _swept(schedule(value, REG, depth=depth)), STARTS, cost, plan)
    trained = train_schedule(
        cost, plan, schedule(start, REG, depth=depth), reg=REG, steps=sizes["steps"], batch=sizes["batch"],
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    methods: dict[str, Callable[[float], Solver]] = {
        "constant": lambda factor: _constructed(schedule(REG, REG, depth=depth, ratio=constant).times(factor)),
        "annealed": lambda factor: _constructed(schedule(start, REG, depth=depth).times(factor)),
        "trained": lambda factor: _constructed(trained.times(factor)),
        "sinkhorn": lambda factor: _swept(schedule(REG, REG, depth=depth).times(factor)),
        "annealed sinkhorn": lambda factor: _swept(schedule(first, REG, depth=depth).times(factor)),
    }
    rows = []
    kinds = [(N, 1.0), *((n, 1.0) for n in OTHER_N), *((N, factor) for factor in OTHER_REG)]
    for number, (n, factor) in enumerate(kinds):
        fresh, wanted = draw(seed, 1 + number, sizes["tests"], n, factor * REG)
        for method, solver in methods.items():
            error = _error(solver(factor), fresh, wanted, factor * REG)
            rows.append({"method": method, "n": n, "reg": factor * REG, "error": error})
    return rows, trained


def draw(seed: int, number: int, batch: int, n: int, reg: float) -> Problems:
    """Return costs of random clouds on the unit square, and their entropic plans with rows of sum 1."""
    rng = np.random.default_rng([seed, 100 + number])
    x, y = torch.from_numpy(rng.random((2, batch, n, 2)))
    cost = squared_cost(x, y)
    plan = entropic_plan(cost, reg=reg).plan
    return cost, plan / plan.sum(2, keepdim=True)


def _constructed(layers: Schedule) -> Solver:
    return lambda cost: descend(cost, layers)


def _swept(layers: Schedule) -> Solver:
    return lambda cost: annealed_sweeps(cost, layers.reg)


def _error(solver: Solver, cost: torch.Tensor, plan: torch.Tensor, reg: float) -> float:
    *_, duals = solver(cost)
    return float(plan_error(cost, duals, plan, reg=reg).mean())


def _best(of: Callable[[float], Solver], values: tuple[float, ...], cost: torch.Tensor, plan: torch.Tensor) -> float:
    return min(values, key=lambda value: _error(of(value), cost[:256], plan[:256], REG))


def schedule_estimates(table: pd.DataFrame) -> Iterator[Estimate]:
    """Yield what is claimed of schedules: written down before the long run.

    Parameters
    ----------
    table : DataFrame
        Mean error by `seed`, `depth`, `method`, `n` and `reg`.
    """
    own = table[table["depth"] == DEPTH]

    def gain(method: str, over: str, n: int = N, factor: float = 1.0) -> list[float]:
        rows = own[(own["n"] == n) & np.isclose(own["reg"], factor * REG)].pivot_table(
            index="seed", columns="method", values="error"
        )
        return list(np.log10(rows[over] / rows[method]))

    claims = [
        ("constant_twice", "constant", "sinkhorn", N, 1.0, "The construction at its best constant step", "Sinkhorn"),
        ("annealed", "annealed", "sinkhorn", N, 1.0, "The construction with reg falling from layer to layer", "Sinkhorn"),
        ("trained", "trained", "sinkhorn", N, 1.0, "The construction with trained reg and steps (40 numbers)", "Sinkhorn"),
        ("trained_annealed", "trained", "annealed sinkhorn", N, 1.0, "The construction with trained reg and steps",
         "Sinkhorn whose reg falls as well"),
        *((f"trained_n{n}", "trained", "sinkhorn", n, 1.0, f"Trained at n = {N}, the construction at n = {n}", "Sinkhorn")
          for n in OTHER_N),
        *((f"trained_reg{factor:g}", "trained", "sinkhorn", N, factor,
           f"Trained at reg {REG:g} and rescaled, the construction at reg {factor * REG:g}", "Sinkhorn")
          for factor in OTHER_REG),
    ]  # fmt: skip
    for name, method, over, n, factor, what, other in claims:
        yield estimate(
            f"{NAME}_{name}",
            f"{what} is nearer to the plan after {DEPTH} layers than {other} after {DEPTH} sweeps.",
            mean_interval(gain(method, over, n, factor)),
            unit="log10 of the error",
            where=f"n = {n}, reg {factor * REG:g}",
            figure=f"study_{NAME}_errors" if factor == 1.0 and n == N else f"study_{NAME}_elsewhere",
        )


def loop_estimates(loops: pd.DataFrame) -> Iterator[Estimate]:
    """Yield what is claimed of one layer that is run again and again: written down before the long run.

    Parameters
    ----------
    loops : DataFrame
        Loss by `seed`, `model` (tied, untied), `loops` and `n`; `trained_loops` says how many there were in training.
    """

    def logs(model: str, n: int, count: int) -> list[float]:
        own = loops[(loops["model"] == model) & (loops["n"] == n) & (loops["loops"] == count)].sort_values("seed")
        return [math.log10(loss) for loss in own["loss"]]

    first, count = LOOPED_N[0], int(loops["trained_loops"].iloc[0])
    figure = f"study_{NAME}_loops"
    yield estimate(
        f"{NAME}_looped_as_layers",
        f"One trained layer that is run {count} times leaves at most twice the loss of {count} trained layers.",
        gap_interval(logs("untied", first, count), logs("tied", first, count), bound=-SLACK),
        unit="log10 of the loss",
        bound=-SLACK,
        where=f"n = {first}",
        figure=figure,
    )
    for n in LOOPED_N:
        pairs = zip(logs("tied", n, count), logs("tied", n, MORE_LOOPS), strict=True)
        yield estimate(
            f"{NAME}_more_loops_{n}",
            f"Run {MORE_LOOPS} times instead of the {count} of its training, a layer leaves a lower loss.",
            mean_interval([trained - more for trained, more in pairs]),
            unit="log10 of the loss",
            where=f"n = {n}",
            figure=figure,
        )
