"""Stage `align@NAME`: every metric of one translator, the scores of every pair, and what the page shows of some."""

from pathlib import Path

import typer

from pipeline.alignment.explorer import Wanted, explore, figure1_example, write_scores, write_shown
from pipeline.alignment.inputs import Figure1, GoldSet, Inputs, Split
from pipeline.alignment.measure import measure
from pipeline.alignment.results import write_metrics
from pipeline.conventions import convention_of
from pipeline.corpus.gold import by_set, read_gold
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon.links import read_links
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage, say

CORPUS = Path("data/corpus")
LINKS = Path("data/links")


def main(name: str) -> None:
    """Write `reports/metrics/translators/NAME`, `data/scores/NAME.parquet` and `data/explorer/NAME`."""
    params = load_params()
    check_translator(params, name)
    blocks, convention = Path("data/attention") / name, convention_of(params.convention)
    pairs, links, gold = (
        read_pairs(CORPUS / "pairs.parquet"),
        read_links(LINKS / "links.parquet"),
        read_gold(CORPUS / "gold.parquet"),
    )
    inputs = Inputs(
        pairs=pairs,
        links=links,
        shuffled_links=read_links(LINKS / "shuffled.parquet"),
        trained=Split.read(blocks / "trained"),
        controls={split: Split.read(blocks / split) for split, _, _ in params.extract.splits if split != "trained"},
        gold_sets=[GoldSet.of(set_, own, blocks / f"gold-{set_}") for set_, own in by_set(gold).items()],
        link_policy=params.lexicon.policy,
        min_links=params.sample.min_links,
    )
    metrics = measure(inputs, params.align, convention=convention, example=params.report.pair or 0)
    by_words = {(item.pair.src_words, item.pair.tgt_words): item.links for item in gold}
    figure1 = Figure1.read(CORPUS / "figure1.parquet", LINKS / "figure1.parquet", blocks / "figure1")
    wanted = Wanted(pairs[: params.report.explorer_pairs], len(pairs), links, by_words, figure1)
    shown = explore(wanted, inputs.trained, metrics.scores, convention)
    example = metrics.example
    if figure1 is not None and params.report.pair is None:
        example = figure1_example(figure1, convention)
    write_shown(shown, example, Path("data/explorer") / name)
    write_scores(metrics.scores, Path("data/scores") / f"{name}.parquet")
    write_metrics(metrics, Path("reports/metrics/translators") / name)
    for found in (metrics.summary["gold"] or {}, *metrics.summary["more_gold"]):
        if found.get("doubt"):
            say(f"align@{name}: warning: gold set {found['set']}: {found['doubt']['says']}")


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
