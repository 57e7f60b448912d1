"""Stage `align@NAME`: every metric of one translator, the scores of every pair, and what the page shows of some."""

from pathlib import Path

import typer

from pipeline.alignment.explorer import Wanted, explore, write_scores, write_shown
from pipeline.alignment.measure import Inputs, Split, measure, write_metrics
from pipeline.conventions import convention_of
from pipeline.corpus.gold import read_gold
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon.links import read_links
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage

CORPUS = Path("data/corpus")
LINKS = Path("data/links/links.parquet")


def main(name: str) -> None:
    """Write `reports/metrics/translators/NAME`, `data/scores/NAME.parquet` and `data/explorer/NAME`."""
    params = load_params()
    check_translator(params, name)
    blocks, convention = Path("data/attention") / name, convention_of(params.convention)
    pairs, links, gold = read_pairs(CORPUS / "pairs.parquet"), read_links(LINKS), read_gold(CORPUS / "gold.parquet")
    inputs = Inputs(
        pairs=pairs,
        links=links,
        trained=Split.read(blocks / "trained"),
        random_init=Split.read(blocks / "random_init") if "random_init" in params.extract.controls else None,
        gold_blocks=Split.read(blocks / "gold") if gold else None,
        gold={item.pair.pair_id: item.links for item in gold} if gold else None,
        link_policy=params.lexicon.policy,
        min_links=params.sample.min_links,
    )
    metrics = measure(inputs, params.align, convention=convention, example=params.report.pair)
    by_words = {(item.pair.src_words, item.pair.tgt_words): item.links for item in gold}
    wanted = Wanted(pairs[: params.report.explorer_pairs], len(pairs), links, by_words)
    write_shown(
        explore(wanted, inputs.trained, metrics.scores, convention), metrics.example, Path("data/explorer") / name
    )
    write_scores(metrics.scores, Path("data/scores") / f"{name}.parquet")
    write_metrics(metrics, Path("reports/metrics/translators") / name)


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
