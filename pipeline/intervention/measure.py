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

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.alignment.halves import HashedResampler, in_first_half
from pipeline.columns import INTERVENTION
from pipeline.conventions import VIEWS, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import Links
from pipeline.errors import PipelineError
from pipeline.intervention import plan, tables
from pipeline.intervention.items import Item, encode_all
from pipeline.intervention.load import SCORES, load_with_head
from pipeline.intervention.rank import rank_heads
from pipeline.intervention.run import Bench, Track, run_all
from pipeline.intervention.scorer import Scorer
from pipeline.params import Align, Extract, Intervene
from pipeline.params import Translator as TranslatorSpec

TESTED, NOT_TESTABLE, UNTESTED = "tested", "not testable here", "untested"
NO_HEAD = (
    "its checkpoint has no head that tells words from states, so that it has no loss of its own; what its heads do to "
    "matching in later layers is another question"
)
NOT_ASKED = "intervene.pairs is 0"


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
        Its resamples and level, and its seed, which splits the pairs in halves.
    extract : Extract
        Its device and tokens per batch.
    languages : str
        Of the text, source-target.
    pairs : sequence of SentencePair
    links : mapping from pair_id to int array, shape (link, 2)
        Dictionary links.
    """

    name: str
    spec: TranslatorSpec
    settings: Intervene
    align: Align
    extract: Extract
    languages: str
    pairs: Sequence[SentencePair]
    links: Mapping[int, Links]

    def folder(self, work: Path, scorer: Scorer) -> Path:
        """Return where losses are kept until all are there; its name changes with all that they depend on."""
        translator = scorer.translator
        about = {
            "spec": self.spec.model_dump(),
            "revision": translator.revision,
            "settings": self.settings.model_dump(exclude={"ks", "draws"}),
            "halves": self.align.seed,
            "run": [str(translator.device), self.extract.tokens_per_batch, self.languages],
            "versions": [torch.__version__, transformers.__version__, torch.get_num_threads()],
        }
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        rooms = Path(__file__).parent.parent
        code = [
            path for room in ("alignment", "attention", "corpus", "intervention") for path in rooms.glob(f"{room}/*.*")
        ]
        model = Path(self.spec.model).expanduser()
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
    about = {"schema": SCHEMA, "translator": job.name, "reads": job.spec.reads}
    if job.settings.pairs == 0:
        return leave_out(job, NOT_ASKED, target)
    loaded = load_with_head(
        job.spec,
        job.extract,
        languages=job.languages,
        shots=job.pairs[: job.spec.shots or 0],
        seed=job.settings.seed,
        say=say,
    )
    if loaded is None:
        return leave_out(job, NO_HEAD, target, status=NOT_TESTABLE)
    translator, encode = loaded
    items, n_skipped = encode_all(encode, job.pairs, job.links, job.settings.pairs)
    scorer = Scorer(translator, job.spec.family)
    n_heads = len(scorer.layers) * scorer.n_heads
    if n_heads <= plan.DECIDING_K:
        why = f"it has {n_heads} heads, and {plan.DECIDING_K} are put off and held against others"
        return leave_out(job, why, target, status=NOT_TESTABLE)
    folder = job.folder(work, scorer)
    measured = examine(job, scorer, items, folder, track)
    found, summary = results(job, scorer, measured)
    summary["n_pairs"]["skipped"] = n_skipped
    _write({**about, **summary}, found, target)
    shutil.rmtree(folder)
    return {**about, **summary}


def examine(job: Job, scorer: Scorer, items: Sequence[Item], folder: Path, track: Track = iter) -> tables.Measured:
    """Return the losses of half B under every intervention on heads that half A chose.

    Raises
    ------
    PipelineError
        If more heads are asked for than there are, or a half has too few pairs.
    """
    settings, budget = job.settings, job.extract.tokens_per_batch
    n_heads = len(scorer.layers) * scorer.n_heads
    if max(settings.ks) >= n_heads:
        message = f"intervene.ks: fewer heads than the {n_heads} of {job.name}, got {max(settings.ks)}; leave it out"
        raise PipelineError(message)
    choosing, judging = _halves(items, job)
    ranking = rank_heads(scorer, choosing, budget)
    ordered = ranking.ordered()
    sets = [plan.top_set(ordered, k, n_draws=settings.draws, seed=settings.seed) for k in settings.ks]
    bench = Bench(scorer, judging, ranking, tokens_per_batch=budget, seed=settings.seed)
    interventions = plan.everything(ordered, sets, settings.sweeps, zero=not scorer.cuts)
    return tables.Measured(
        base=bench.base,
        words=np.array([item.n_words for item in judging], dtype=np.float64),
        losses=run_all(bench, interventions, folder, track=track),
        ranking=ranking,
        sets=sets,
        resampler=HashedResampler(
            [item.pair_id for item in judging], resamples=job.align.resamples, seed=job.align.seed
        ),
        level=job.align.level,
    )


def _halves(items: Sequence[Item], job: Job) -> tuple[list[Item], list[Item]]:
    """Return the items of half A and of half B, the run's one split, each in the order of `pair_id`."""
    items = sorted(items, key=lambda item: item.pair_id)
    sides = in_first_half([item.pair_id for item in items], job.align.seed)
    choosing = [item for item, first in zip(items, sides, strict=True) if first]
    judging = [item for item, first in zip(items, sides, strict=True) if not first]
    if not choosing or len(judging) < 2:
        message = (
            f"intervene.pairs: at least 1 pair with links to choose heads on and 2 to judge them on, but {job.name} got "
            f"{len(choosing)} and {len(judging)}; ask for more pairs (0 leaves the stage out), or "
            "give a larger dictionary"
        )
        raise PipelineError(message)
    return choosing, judging


def results(job: Job, scorer: Scorer, measured: tables.Measured) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Return the tables and the summary of what was measured."""
    reads, cuts = scorer.reads, scorer.cuts
    base = measured.estimate(measured.base)
    summary: dict[str, Any] = {
        "status": TESTED,
        "score": SCORES[reads],
        "off": "target-to-source part cut, rows normalised again" if cuts else "mean over half A",
        "columns": "equal sums over the rows so far, row by row" if scorer.causal else "equal sums over all rows",
        "settings": {
            **job.settings.model_dump(mode="json"),
            "deciding_k": plan.DECIDING_K,
            "resamples": job.align.resamples,
            "level": job.align.level,
            "halves_seed": job.align.seed,
        },
        "n_pairs": {"half_a": measured.ranking.n_pairs, "half_b": len(measured.base)},
        "n_words": int(measured.words.sum()),
        "base": {"value": base["effect"], "low": base["low"], "high": base["high"]},
        "correlations": tables.correlations(measured),
    }
    views = names(VIEWS[reads])
    return tables.all_tables(measured, views, job.settings.sweeps, zero=not cuts), summary


def leave_out(job: Job, why: str, target: Path, *, status: str = UNTESTED) -> dict[str, Any]:
    """Write tables without rows, and return the summary that says why nothing was measured."""
    summary = {"schema": SCHEMA, "translator": job.name, "reads": job.spec.reads, "status": status, "why": why}
    _write(summary, {name: pd.DataFrame(columns=list(columns)) for name, columns in INTERVENTION.items()}, target)
    return summary


def _write(summary: dict[str, Any], found: Mapping[str, pd.DataFrame], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part:
        for name, frame in found.items():
            frame.to_csv(part / f"{name}.csv", index=False, float_format="%.9g", lineterminator="\n")
        write_json(part / "summary.json", summary)
