"""From a translator and sentence pairs to `reports/metrics/intervene/NAME`."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers

from pipeline._output import replacing, write_json
from pipeline.alignment.bootstrap import Resampler
from pipeline.conventions import VIEWS, names
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.intervention import plan, tables
from pipeline.intervention.decisions import DECIDING_K, RIVALS, plan_matters, uses_alignment
from pipeline.intervention.halves import in_first_half
from pipeline.intervention.inputs import Item, Links, encode_all
from pipeline.intervention.load import SCORES, load_with_head
from pipeline.intervention.rank import rank_heads
from pipeline.intervention.run import Bench, Track, run_all
from pipeline.intervention.scorer import Scorer
from pipeline.params import Align, Extract, Intervene
from pipeline.params import Translator as TranslatorSpec

SCHEMA = 1
TABLES = ("heads", "sets", "replacements")
NO_HEAD = (
    "an encoder without a masked-word head has no loss of its own; what its heads do to matching in later layers is "
    "another question"
)


@dataclass(frozen=True)
class Job:
    """What is measured, on what, and with which settings.

    Attributes
    ----------
    name : str
        Of the translator, as in params.yaml.
    spec : Translator
    settings : Intervene
    align : Align
        Its resamples and level.
    extract : Extract
        Its device and tokens per batch.
    pairs : sequence of SentencePair
    links : mapping from pair_id to int array, shape (link, 2)
        Dictionary links.
    """

    name: str
    spec: TranslatorSpec
    settings: Intervene
    align: Align
    extract: Extract
    pairs: Sequence[SentencePair]
    links: Mapping[int, Links]

    def folder(self, work: Path) -> Path:
        """Return where losses are kept until all are there; its name changes with all that they depend on."""
        about = {
            "spec": self.spec.model_dump(),
            "settings": self.settings.model_dump(exclude={"ks", "draws"}),
            "extract": [self.extract.device, self.extract.tokens_per_batch],
            "versions": [torch.__version__, transformers.__version__, torch.get_num_threads()],
        }
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        here = Path(__file__).parent
        code = [*here.glob("*.py"), *(here.parent / "attention").glob("*.*"), *(here.parent / "corpus").glob("*.py")]
        model = Path(self.spec.model)
        for path in [*sorted(code), *(sorted(model.iterdir()) if model.is_dir() else ())]:
            digest.update(path.read_bytes() if path.is_file() else b"")
        for pair in self.pairs:
            digest.update(repr((pair, self.links.get(pair.pair_id, np.empty(0)).tolist())).encode())
        return work / f"intervene-{self.name}-{digest.hexdigest()[:16]}"


def intervene(
    job: Job, *, work: Path, target: Path, track: Track = iter, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Return the summary; tables and summary then lie in `target`.

    A run that was cut off goes on: losses under each intervention are kept below `work` until `target` is written.

    Raises
    ------
    PipelineError
        If the model cannot be loaded, more heads are asked for than there are, or there are too few pairs.
    """
    loaded = load_with_head(job.spec, device=job.extract.device, seed=job.settings.seed, say=say)
    about = {"schema": SCHEMA, "translator": job.name, "reads": job.spec.reads}
    if loaded is None:
        summary: dict[str, Any] = {**about, "status": "not testable here", "why": NO_HEAD}
        _write(summary, {name: pd.DataFrame() for name in TABLES}, target)
        return summary
    model, encode = loaded
    items, n_skipped = encode_all(encode, job.pairs, job.links, job.settings.pairs)
    choosing, judging = _halves(items, job)
    scorer = Scorer(model, items[0])
    if max(job.settings.ks) >= len(scorer.layers) * scorer.n_heads:
        message = (
            f"intervene.ks: fewer heads than the {len(scorer.layers) * scorer.n_heads} of {job.name}, "
            f"got {max(job.settings.ks)}; leave it out"
        )
        raise PipelineError(message)
    measured = _run(job, scorer, choosing, judging, work=work, track=track)
    found = {
        "heads": tables.heads_table(measured, names(VIEWS[job.spec.reads]), zero=scorer.causal),
        "sets": tables.sets_table(measured),
        "replacements": tables.replacements_table(measured, job.settings.sweeps),
    }
    base = measured.estimate(measured.base)
    summary = {
        **about,
        "status": "tested",
        "score": SCORES[job.spec.reads],
        "off": "mean over half A" if scorer.causal else "target-to-source part cut, rows normalised again",
        "columns": "at most their share, over the rows so far" if scorer.causal else "equal sums over all rows",
        "settings": {
            **job.settings.model_dump(mode="json"),
            "resamples": job.align.resamples,
            "level": job.align.level,
        },
        "n_pairs": {"half_a": len(choosing), "half_b": len(judging), "skipped": n_skipped},
        "n_words": int(measured.words.sum()),
        "base": {"value": base["effect"], "low": base["low"], "high": base["high"]},
        "correlations": tables.correlations(measured),
        "verdicts": _verdicts(found, job),
    }
    _write(summary, found, target)
    shutil.rmtree(job.folder(work))
    return summary


def _halves(items: Sequence[Item], job: Job) -> tuple[list[Item], list[Item]]:
    sides = [in_first_half(item.pair_id, job.settings.seed) for item in items]
    choosing = [item for item, first in zip(items, sides, strict=True) if first]
    judging = [item for item, first in zip(items, sides, strict=True) if not first]
    if not choosing or len(judging) < 2:
        message = (
            f"intervene.pairs: at least 1 pair with links to choose heads on and 2 to judge them on, but {job.name} got "
            f"{len(choosing)} and {len(judging)}; ask for more pairs, or give a larger dictionary"
        )
        raise PipelineError(message)
    return choosing, judging


def _run(
    job: Job, scorer: Scorer, choosing: list[Item], judging: list[Item], *, work: Path, track: Track
) -> tables.Measured:
    settings, budget = job.settings, job.extract.tokens_per_batch
    ranking = rank_heads(scorer, choosing, budget)
    ordered = ranking.ordered()
    sets = [plan.top_set(ordered, k, n_draws=settings.draws, seed=settings.seed) for k in settings.ks]
    bench = Bench(scorer, judging, ranking, tokens_per_batch=budget, seed=settings.seed)
    interventions = plan.everything(ordered, sets, settings.sweeps, zero=scorer.causal)
    return tables.Measured(
        base=bench.base,
        words=np.array([item.n_words for item in judging], dtype=np.float64),
        losses=run_all(bench, interventions, job.folder(work), track=track),
        ranking=ranking,
        sets=sets,
        resampler=Resampler(len(judging), resamples=job.align.resamples, seed=settings.seed),
        level=job.align.level,
    )


def _verdicts(found: Mapping[str, pd.DataFrame], job: Job) -> dict[str, Any]:
    top = next(row for row in found["sets"].to_dict("records") if row["set"] == "top" and row["k"] == DECIDING_K)
    most = max(job.settings.sweeps)
    swaps = {
        (row["target"], row["replacement"]): tables.interval(row)
        for row in found["replacements"].to_dict("records")
        if row["replacement"] in RIVALS or row["sweeps"] == most
    }
    used = uses_alignment(
        tables.interval(top),
        tables.interval(top, "over_"),
        float(top["share_reached"]),
        [swaps["top", rival] for rival in RIVALS],
        level=job.align.level,
    )
    matters = plan_matters(swaps["all", "balanced_minus_tempered"])
    return {
        "uses_alignment": {"verdict": used, "k": DECIDING_K, "heads": top["heads"]},
        "plan_matters": {"verdict": matters, "sweeps": most, "heads": "all"},
    }


def _write(summary: dict[str, Any], found: Mapping[str, pd.DataFrame], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part:
        for name, frame in found.items():
            frame.to_csv(part / f"{name}.csv", index=False, float_format="%.9g", lineterminator="\n")
        write_json(part / "summary.json", summary)
