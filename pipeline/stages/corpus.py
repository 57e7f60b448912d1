"""Stage `corpus`: sentence pairs of the source, and of the gold sets, into data/corpus."""

from pathlib import Path

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.corpus.figure1 import figure1_pairs
from pipeline.corpus.gold import read_gold_sets, write_gold
from pipeline.corpus.pairs import write_pairs
from pipeline.corpus.select import select_pairs
from pipeline.corpus.sources import open_source
from pipeline.params import load_params
from pipeline.stages import run_stage, say, track

FACTS = Path("reports/metrics/corpus.json")


def main() -> None:
    """Write pairs.parquet, gold.parquet and figure1.parquet (either may hold nothing), and what was kept and dropped."""
    params = load_params()
    langs = {"src_lang": params.corpus.src_lang, "tgt_lang": params.corpus.tgt_lang}
    method = params.sample.method
    source = open_source(params.corpus, method=method, track=track("reading the source"), say=say)
    gold = read_gold_sets(params.gold)
    pairs, selection = select_pairs(
        source,
        params.sample,
        **langs,
        pretokenised=params.words.pretokenised,
        track=track("choosing sentences", params.sample.n_pairs),
        say=say,
    )
    with replacing("data/corpus") as folder:
        splitters = (selection["words"]["src"]["splitter"], selection["words"]["tgt"]["splitter"])
        write_pairs(folder / "pairs.parquet", pairs, splitters=splitters)
        write_gold(folder / "gold.parquet", gold)
        write_pairs(folder / "figure1.parquet", figure1_pairs(**langs))
    write_json(FACTS, {"schema": SCHEMA, **selection})
    why = ", ".join(f"{n} {reason}" for reason, n in selection["dropped"].items() if n) or "none"
    say(f"corpus: kept {len(pairs)} pairs of {selection['looked_at']} looked at (dropped: {why})")
    if selection["short_by"]:
        say(f"corpus: that is all there is; {selection['short_by']} fewer than sample.n_pairs")


if __name__ == "__main__":
    run_stage(main)
