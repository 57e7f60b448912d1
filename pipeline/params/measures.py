"""The blocks of params.yaml about what is measured: align, intervene, certify, learn and the page."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.methods import MatchSettings, Method
from pipeline.params.base import Block, Count, Positive, Seed, as_tuple, refuse, unique


class Align(Block):
    """How attention is scored; `transport_pairs`, `plan_pairs` and `resamples` bound the work."""

    methods: Annotated[tuple[Method, ...], BeforeValidator(as_tuple), Field(min_length=1)] = (
        "argmax_tgt",
        "argmax_src",
        "intersection",
        "itermax",
        "transport",
        "partial",
    )
    method_settings: MatchSettings = MatchSettings()

    transport_pairs: Count = 240
    plan_pairs: Annotated[int, Field(ge=0)] = 120
    resamples: Count = 2000
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: Seed = 2026

    @model_validator(mode="after")
    def _agrees(self) -> "Align":
        unique("methods", self.methods)
        return self


class Intervene(Block):
    """Putting heads off and making them look elsewhere; `pairs` and `draws` bound the work."""

    pairs: Annotated[int, Field(ge=0)] = 60
    ks: Annotated[tuple[Count, ...], BeforeValidator(as_tuple)] = (1, 2, 4, 8)
    draws: Count = 8
    sweeps: Annotated[tuple[Count, ...], BeforeValidator(as_tuple), Field(min_length=1)] = (1, 20)
    seed: Seed = 2026

    @model_validator(mode="after")
    def _agrees(self) -> "Intervene":
        unique("ks", self.ks)
        unique("sweeps", self.sweeps)
        if 4 not in self.ks:
            refuse(f"ks: must hold 4, which decides, but it is {list(self.ks)}; add it")
        return self


class Certify(Block):
    """The constructed transformer of the theorem."""

    reg: Positive = 0.05
    step_ratio: Positive = 2.0
    depth: Count = 4000
    seeds: Count = 20


class Learn(Block):
    """Training transformers to transport."""

    preset: Literal["notebook", "paper", "preprint"] = "notebook"
    prompts: Annotated[tuple[Literal["engineered", "plain", "plain_notebook"], ...], BeforeValidator(as_tuple)] = Field(
        default=("engineered", "plain"), min_length=1
    )
    n: Annotated[int, Field(ge=2)] = 7
    dim: Count = 1
    depth: Annotated[int, Field(ge=2)] = 20
    mixing: Literal["fixed", "trained"] = "fixed"
    steps: Count = 4000
    batch: Count = 64
    rate: Positive | None = 5e-3
    schedule: Literal["constant", "linear"] = "linear"
    seeds: Count = 4
    seed: Seed = 2026
    diverged_above: Positive = 10.0
    log_every: Count = 50
    test_sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], BeforeValidator(as_tuple)] = Field(
        default=(5, 7, 8, 9, 15, 30), min_length=1
    )
    test_problems: Count = 512
    reg: Positive = 0.005
    device: Literal["cpu", "cuda"] = "cpu"

    @model_validator(mode="after")
    def _agrees(self) -> "Learn":
        unique("prompts", self.prompts)
        return self


StudyName = Literal["prompt_size", "prompt_parts", "depth", "duals", "costs", "robustness"]
"""A study is a module of this name in pipeline/synthetic/studies/."""


class Studies(Block):
    """Long experiments on the paper's open questions, none of which a plain `dvc repro` runs."""

    run: Annotated[tuple[StudyName, ...], BeforeValidator(as_tuple)] = ()
    size: Literal["demo", "long"] = "long"
    seeds: Annotated[int, Field(ge=2)] = 4
    seed: Seed = 2026

    @model_validator(mode="after")
    def _agrees(self) -> "Studies":
        unique("run", self.run)
        return self


class Report(Block):
    """What the page shows of single sentences."""

    pair: Annotated[int, Field(ge=0)] | None = None
    explorer_pairs: Annotated[int, Field(ge=0)] = 40
