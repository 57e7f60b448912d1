"""Are the dual variables in the states? Linear probes for u and v, layer by layer: transformers trained on points, and translators.

What decides is the rule in `probing`; what is asked of points is in `duals_points`, of text in `duals_text`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from otcore.learning import Settings, Shape
from otcore.learning.presets import PromptName
from pipeline.claims import Estimate
from pipeline.corpus.demo import demo_rows
from pipeline.corpus.files import parallel_files
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.select import Source, select_pairs
from pipeline.params import Extract, Sample
from pipeline.params import Translator as TranslatorSpec
from pipeline.study_file import Chart, Line, Panel, StudyResult
from pipeline.synthetic.studies import StudySettings, decided
from pipeline.synthetic.studies.duals_points import REGS, constructed_model, task_of, trained_models
from pipeline.synthetic.studies.duals_text import REGS as TEXT_REGS
from pipeline.synthetic.studies.duals_text import read_vectors, sides_of
from pipeline.synthetic.studies.probing import ENOUGH, Evidence, Model, Task, estimates, measure, rule
from pipeline.synthetic.studies.training import trained

NAME, QUESTION = "duals", "Are the dual variables in the states?"
PROMPTS: tuple[PromptName, ...] = ("engineered", "plain")
RUN: Mapping[str, dict[str, Any]] = {
    "long": {"steps": 4000, "batch": 128, "depth": 20, "problems": (2048, 512, 1024), "pairs": 600},
    "demo": {"steps": 4, "batch": 16, "depth": 3, "problems": (60, 20, 30), "pairs": 24},
}
SEEDS_A_RUN = 2
"""Models trained for each of the study's seeds: they are cheap."""
DEEP = 200
"""Layers of a construction that has settled: what a probe finds where the dual variables are there for certain."""
SHARED = Path("../shared/data")
NEWS = [f"newstest{year}" for year in range(2008, 2014)]
DEMO_TEXT, NEWS_TEXT = "the demo's sentences", "newstest 2008 to 2013"


class Translator(NamedTuple):
    """A translator, how it is read, and on which text."""

    spec: TranslatorSpec
    text: str


TRANSLATORS: Mapping[str, Translator] = {
    "mini-marian": Translator(TranslatorSpec(model="data/demo/mini-marian", reads="cross"), DEMO_TEXT),
    "mini-mbert": Translator(
        TranslatorSpec(model="data/demo/mini-mbert", reads="joint", positions="restart"), DEMO_TEXT
    ),
    "multilingual-e5-small": Translator(
        TranslatorSpec(model=str(SHARED / "models/multilingual-e5-small"), reads="joint"), NEWS_TEXT
    ),
}
"""Those whose files are there are asked; the third is a published encoder, which lies outside the project."""


class System(NamedTuple):
    """One side of one model: the rows of its table, its evidence (the first reg decides) and what its claim says."""

    group: str
    name: str
    side: str
    table: list[dict[str, Any]]
    evidence: Evidence
    statement: str


def run(study: StudySettings) -> StudyResult:
    """Return how much of u and v linear probes read off the states of every model."""
    systems = [*_on_points(study), *_on_text(study)]
    table = pd.DataFrame([{"model": one.name, **row} for one in systems for row in one.table])
    return StudyResult(
        name=NAME,
        question=QUESTION,
        size=study.size,
        seeds=study.seeds,
        settings={
            **RUN[study.size], "models_trained": SEEDS_A_RUN * study.seeds, "seed": study.seed, "regs_points": REGS,
            "regs_text": TEXT_REGS, "enough": ENOUGH, "models": list(dict.fromkeys(one.name for one in systems)),
        },
        charts=[_chart(table, systems, group, study.seed) for group in dict.fromkeys(one.group for one in systems)],
        claims=decided(
            [row for one in systems if one.statement for row in _estimates(one, study)],
            study.size,
            {_claim(one): rule for one in systems},
        ),
        findings=[_finding(table, one, study.seed) for one in systems],
        tables={"levels": table},
    )  # fmt: skip


def settings_of(study: StudySettings, prompt: PromptName) -> Settings:
    """Return the training run of a prompt."""
    sizes = RUN[study.size]
    return Settings(
        preset="notebook",
        shape=Shape(depth=sizes["depth"], prompt=prompt),
        steps=sizes["steps"],
        batch=sizes["batch"],
        rate=5e-3,
        schedule="linear",
        seeds=SEEDS_A_RUN * study.seeds,
        seed=study.seed,
    )


def _on_points(study: StudySettings) -> Iterator[System]:
    """Yield what is found in transformers that were trained on points, and in the construction."""
    for prompt in PROMPTS:
        settings = settings_of(study, prompt)
        state = trained(settings, study, label=f"{NAME}: {prompt} prompt")
        with torch.no_grad():
            task, prompts = task_of(settings, sizes=RUN[study.size]["problems"])
            yield from _sides(f"trained, {prompt} prompt", trained_models(settings, state, prompts), task, prompt)
            if prompt == "engineered":
                for depth in (None, DEEP):
                    model = constructed_model(settings, prompts, depth=depth)
                    yield from _sides(f"constructed, {len(model.trained) - 1} layers", [model], task, "")


def _sides(name: str, models: Sequence[Model], task: Task, prompt: str) -> Iterator[System]:
    """Yield u and v of models on points; without a prompt they are no claim."""
    table, evidence = measure(models, task)
    for place, side in enumerate(("u", "v")):
        statement = (
            f"Trained on points with the {prompt} prompt, the state of token i holds {side}_i of the entropic plan: a linear probe "
            f"explains at least {ENOUGH:g} of what the own token leaves open, more than with fresh weights, and more than the answer tells."
            if prompt
            else ""
        )
        yield System("points", name, side, [row for row in table if row["side"] == side], evidence[place], statement)


def _on_text(study: StudySettings) -> Iterator[System]:
    """Yield what is found in the translators that are there."""
    texts: dict[str, list[SentencePair]] = {}
    for name, (spec, text) in TRANSLATORS.items():
        if not Path(spec.model).is_dir() or (text == NEWS_TEXT and (study.size == "demo" or not _news()[0].is_file())):
            study.say(f"{NAME}: {name} is left out: {spec.model} or {text} is not here, or this is a demo")
            continue
        study.say(f"{NAME}: {name} reads {text}")
        if text not in texts:
            texts[text] = _pairs(text, study)
        vectors = read_vectors(
            spec, Extract(device="cpu", seed=study.seed), texts[text], languages="en-fr", say=study.say
        )
        for side, task, model in sides_of(*vectors, seed=study.seed):
            table, evidence = measure([model], task)
            statement = (
                f"The states of {name} hold {side} of the plan between word embeddings: a linear probe explains at least {ENOUGH:g} of what "
                "the embedding leaves open, more than with fresh weights, and more than of a plan with another sentence."
            )
            yield System("text", name, side, table, evidence[0], statement)


def _news() -> list[Path]:
    return [SHARED / f"newstest/{name}.{lang}" for lang in ("en", "fr") for name in NEWS]


def _pairs(text: str, study: StudySettings) -> list[SentencePair]:
    files = [str(path) for path in _news()]
    source: Source = demo_rows() if text == DEMO_TEXT else parallel_files(files[: len(NEWS)], files[len(NEWS) :])
    sample = Sample(n_pairs=RUN[study.size]["pairs"], seed=study.seed, min_words=5, max_words=26)
    pairs, _ = select_pairs(source, sample, src_lang="en", tgt_lang="fr")
    return list(pairs)


def _claim(system: System) -> str:
    words = system.name.replace(",", "").replace(" ", "_").replace("-", "_")
    return f"{NAME}_{words}_{system.side}"


def _estimates(system: System, study: StudySettings) -> list[Estimate]:
    intervals = system.evidence.intervals(seed=study.seed)
    n_problems = system.evidence.trained.shape[1]
    return estimates(
        _claim(system), system.statement, intervals, n_problems=n_problems, figure=f"study_{NAME}_{system.group}"
    )


def _chart(table: pd.DataFrame, systems: Sequence[System], group: str, seed: int) -> Chart:
    names = list(dict.fromkeys(one.name for one in systems if one.group == group))
    first = REGS[0] if group == "points" else TEXT_REGS[0]
    own = table[(table["reg"] == first) & table["model"].isin(names)]
    shown = [name for name in names if not name.startswith("constructed")]
    deep = [name for name in names if name.startswith("constructed")][:1]
    what = "transformers trained on points" if group == "points" else "translators"
    return Chart(
        stem=f"study_{NAME}_{group}",
        title=f"Dual variables in the states of {what}",
        x="level (0: what enters layer 1)",
        y="share of what the own token leaves open",
        panels=[Panel(name, list(_lines(own, [name, *deep]))) for name in shown],
        caption=[
            f"How much of u and v a linear probe reads off the state, beyond what the own token tells (lambda {first:g}"
            + (")." if group == "points" else " of the typical spread of a cost)."),
            "1 is all, 0 no more than the own token; lines are means over models, bands from the least to the greatest. "
            "Dashed: the same models with fresh weights.",
            "Probes are fitted, chosen and judged on three sets of problems that share none.",
        ],
        finding=" ".join(_finding(table, one, seed) for one in systems if one.name in shown),
        mark=0.0,
    )


def _lines(own: pd.DataFrame, names: Sequence[str]) -> Iterator[Line]:
    for name in names:
        built = name.startswith("constructed")
        for side in ("u", "v"):
            rows = own[(own["model"] == name) & (own["side"] == side)]
            for weights in ("trained",) if built else ("trained", "untrained"):
                found = rows[rows["weights"] == weights]
                levels, gains = found["level"].astype(int).tolist(), found["gain"].tolist()
                if built:
                    yield Line(f"{side}, {name}", levels, gains)
                elif weights == "trained":
                    yield Line(side, levels, gains, found["lowest"].tolist(), found["highest"].tolist())
                else:
                    yield Line(f"{side}, fresh weights", levels, gains, floor=True)


def _finding(table: pd.DataFrame, system: System, seed: int) -> str:
    """Return what the probes explain on the problems that judge, at the levels that others chose."""
    first = REGS[0] if system.group == "points" else TEXT_REGS[0]
    own = table[(table["model"] == system.name) & (table["side"] == system.side) & (table["reg"] == first)]
    levels = own[own["weights"] == "trained"]
    best = levels.iloc[int(np.argmax(levels["gain"]))]
    found = system.evidence.intervals(seed=seed)
    gain = found["gain"]
    answer = (
        f", {found['beyond_answer'].value:.3f} of what own token and answer leave open"
        if "beyond_answer" in found
        else ""
    )
    return (
        f"{system.name}, {system.side}: the level chosen explains {gain.value:.3f} [{gain.low:.3f}, {gain.high:.3f}] of what the own token "
        f"leaves open{answer}; fresh weights {gain.value - found['over_untrained'].value:.3f}, the control task "
        f"{gain.value - found['over_control'].value:.3f}. Most at level {best['level']}, with {best['explained']:.3f} of the variance."
    )
