"""Stage `align@NAME`: every metric of one translator, the scores of every pair, and what the page shows of some."""

from pathlib import Path

import typer

from pipeline.alignment.added_file import read_added
from pipeline.alignment.explorer import Wanted, explore, with_figure1, write_all
from pipeline.alignment.gold_sets import doubts
from pipeline.alignment.inputs import Figure1, GoldSet, Inputs, Split
from pipeline.alignment.measure import measure
from pipeline.alignment.results import Places, told, write_failed
from pipeline.conventions import convention_of
from pipeline.corpus.gold import by_set, read_gold
from pipeline.corpus.pairs import read_pairs
from pipeline.failures import FILE, going_on, read_failure
from pipeline.lexicon.links import read_links
from pipeline.params import Params, load_params
from pipeline.stages import check_translator, run_stage, say

CORPUS, LINKS, BLOCKS, SUMS = (Path("data") / folder for folder in ("corpus", "links", "attention", "sums"))


def main(name: str) -> None:
    """Write `reports/metrics/translators/NAME`, `data/scores/NAME.parquet` and `data/explorer/NAME`."""
    params, places = load_params(), Places.of(name)
    check_translator(params, name)
    if failure := read_failure(BLOCKS / name / FILE) or read_failure(SUMS / name / FILE):
        say(f"align@{name}: nothing to measure, since {failure.stage} failed")
        return write_failed(failure, places)
    with going_on(f"align@{name}", lambda failure: write_failed(failure, places), say):
        align(params, name, places)


def align(params: Params, name: str, places: Places) -> None:
    """Measure one translator, whose blocks are there."""
    only_sums, convention, shows = params.extract.keep == "sums", convention_of(params.convention), params.report
    pairs, gold = read_pairs(CORPUS / "pairs.parquet"), read_gold(CORPUS / "gold.parquet")
    links, blocks = read_links(LINKS / "links.parquet"), (SUMS if only_sums else BLOCKS) / name
    inputs = Inputs(
        pairs=pairs,
        links=links,
        shuffled_links=read_links(LINKS / "shuffled.parquet"),
        trained=Split.read(blocks / "trained"),
        controls={own: Split.read(blocks / own) for own, *_ in params.extract.splits if own != "trained"},
        gold_sets=[GoldSet.of(set_, own, BLOCKS / name / f"gold-{set_}") for set_, own in by_set(gold).items()],
        link_policy=params.lexicon.policy,
        min_links=params.sample.min_links,
    )
    added, figure1 = read_added(blocks / "added.npz") if only_sums else None, Figure1.read(CORPUS, LINKS, BLOCKS / name)
    metrics = measure(inputs, params.align, convention=convention, example=shows.pair or 0, added=added)
    wanted = Wanted.of(pairs, shows.explorer_pairs, links, gold, figure1)
    shown = explore(wanted, inputs.trained, metrics.scores, convention)
    write_all(with_figure1(metrics, figure1, shows.pair, convention), shown, places)
    for line in (f"{told(metrics)}: {places.metrics}", *(f"warning: {doubt}" for doubt in doubts(metrics.summary))):
        say(f"align@{name}: {line}")


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
