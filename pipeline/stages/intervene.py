"""Stage `intervene@NAME`: what one translator loses when heads are off or look elsewhere."""

from pathlib import Path

import typer

from pipeline.corpus.pairs import read_pairs
from pipeline.failures import going_on
from pipeline.intervention.measure import Job, intervene, leave_out
from pipeline.lexicon.links import read_links
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage, say, track

WORK, METRICS = Path("work"), Path("reports/metrics/intervene")


def main(name: str) -> None:
    """Write `heads.csv`, `sets.csv`, `replacements.csv` and `summary.json` to `reports/metrics/intervene/NAME`."""
    params = load_params()
    check_translator(params, name)
    job = Job(
        name=name,
        spec=params.translators[name],
        settings=params.intervene,
        align=params.align,
        extract=params.extract,
        languages=params.corpus.pair,
        pairs=read_pairs(Path("data/corpus/pairs.parquet")),
        links=read_links(Path("data/links/links.parquet")),
    )
    target = METRICS / name
    with going_on(f"intervene@{name}", lambda failure: leave_out(job, str(failure), target), say):
        summary = intervene(job, work=WORK, target=target, track=track(f"intervening in {name}"), say=say)
        loss = f"loss {summary['base']['value']:.3f} nats a word" if "base" in summary else summary["why"]
        say(f"intervene: {name}: {summary['status']}; {loss}")


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
