"""Stage `align@NAME`: every metric of one translator."""

from pathlib import Path

import typer

from pipeline.alignment.gold import read_gold
from pipeline.alignment.measure import Inputs, Split, measure, write_metrics
from pipeline.conventions import convention_of
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon.links import read_links
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage

LINKS = Path("data/links/links.parquet")


def main(name: str) -> None:
    """Write the tables and summaries of `pipeline.alignment.results` to `reports/metrics/translators/NAME`."""
    params = load_params()
    check_translator(params, name)
    blocks = Path("data/attention") / name
    controls = params.extract.controls
    inputs = Inputs(
        pairs=read_pairs(Path("data/corpus/pairs.parquet")),
        links=read_links(LINKS),
        trained=Split.read(blocks / "trained"),
        random_init=Split.read(blocks / "random_init") if "random_init" in controls else None,
        gold_blocks=Split.read(blocks / "gold") if params.gold else None,
        gold=read_gold(params.gold.links, base=params.gold.base) if params.gold else None,
        link_policy=params.lexicon.policy,
        min_links=params.sample.min_links,
    )
    metrics = measure(inputs, params.align, convention=convention_of(params.convention), example=params.report.pair)
    write_metrics(metrics, Path("reports/metrics/translators") / name)


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
