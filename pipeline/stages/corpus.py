"""Stage `corpus`: sentence pairs of the source, and of the gold sets, into data/corpus."""

from pathlib import Path

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.corpus.figure1 import figure1_pairs
from pipeline.corpus.gold import read_gold_sets, write_gold
from pipeline.corpus.pairs import write_pairs
from pipeline.corpus.pretokenised import describe
from pipeline.corpus.select import Selection
from pipeline.corpus.sources import open_source
from pipeline.params import load_params
from pipeline.stages import run_stage, say, track

FACTS = Path("reports/metrics/corpus.json")


def main() -> None:
    """Write pairs.parquet, gold.parquet and figure1.parquet (either may hold nothing), and what was kept and dropped."""
    params = load_params()
    corpus, sample, pretokenised = params.corpus, params.sample, params.words.pretokenised
    source = open_source(corpus, method=sample.method, track=track("reading the source"), say=say)
    gold = read_gold_sets(params.gold)
    selection = Selection(source, sample, (corpus.src_lang, corpus.tgt_lang), pretokenised)
    chosen = selection.pairs(track("choosing sentences", selection.wanted))
    with replacing("data/corpus") as folder:
        n_pairs = write_pairs(folder / "pairs.parquet", chosen, splitters=lambda: selection.splitters)
        write_gold(folder / "gold.parquet", gold)
        write_pairs(folder / "figure1.parquet", figure1_pairs(corpus.src_lang, corpus.tgt_lang))
    if pretokenised == "auto":
        say(f"corpus: {describe(selection.sides)}")
    facts = selection.about()
    write_json(FACTS, {"schema": SCHEMA, **facts})
    why = ", ".join(f"{n} {reason}" for reason, n in facts["dropped"].items() if n) or "none"
    short = f"; {facts['short_by']} fewer than sample.n_pairs: there are no more" if facts["short_by"] else ""
    say(f"corpus: kept {n_pairs} pairs of {facts['looked_at']} looked at (dropped: {why}){short}: {FACTS}")


if __name__ == "__main__":
    run_stage(main)
