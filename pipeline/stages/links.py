"""Stage `links`: dictionary links of every sentence pair into data/links."""

from pathlib import Path

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.corpus.gold import read_gold
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon import load_lexicon
from pipeline.lexicon.links import compare_with_gold, link_pairs, summarise, write_links
from pipeline.lexicon.policies import LookUp
from pipeline.params import load_params
from pipeline.stages import run_stage, say, track

FACTS = Path("reports/metrics/links.json")


def main() -> None:
    """Write links.parquet, and what is to be said about the links."""
    params = load_params()
    corpus, policy, lemmas = params.corpus, params.lexicon.policy, params.words.lemmas
    pairs = read_pairs("data/corpus/pairs.parquet")
    lexicon = load_lexicon(params.lexicon, pair=corpus.pair, say=say)
    look_up = LookUp.make(lexicon, lemmas=lemmas, src_lang=corpus.src_lang, tgt_lang=corpus.tgt_lang)
    linked = link_pairs(pairs, look_up, policy=policy, track=track("linking words", len(pairs)))
    summary = summarise(linked, lexicon, policy=policy, lemmas=lemmas, min_links=params.sample.min_links)
    if gold := read_gold("data/corpus/gold.parquet"):
        on_gold = link_pairs([item.pair for item in gold], look_up, policy=policy)
        summary["gold"] = compare_with_gold(on_gold, {item.pair.pair_id: item.links for item in gold})
    with replacing("data/links") as folder:
        write_links(folder / "links.parquet", linked, policy=policy, lemmas=lemmas)
    write_json(FACTS, {"schema": SCHEMA, **summary})
    say(
        f"links: {summary['n_links']} links; {summary['n_pairs_used']} of {len(pairs)} pairs have at least "
        f"{summary['min_links']}; {summary['n_ambiguous']} words were ambiguous"
    )


if __name__ == "__main__":
    run_stage(main)
