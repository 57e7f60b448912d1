"""Stage `links`: dictionary links of every sentence pair into data/links."""

from pathlib import Path

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.corpus.gold import by_set, read_gold
from pipeline.corpus.pairs import read_pairs
from pipeline.lexicon import load_lexicon
from pipeline.lexicon.links import compare_with_gold, link_pairs, summarise, write_links
from pipeline.lexicon.policies import POLICIES, LookUp
from pipeline.lexicon.shuffle import shuffled_lexicon
from pipeline.params import load_params
from pipeline.stages import run_stage, say, track

FACTS = Path("reports/metrics/links.json")


def main() -> None:
    """Write links.parquet, beside it shuffled.parquet and figure1.parquet, and what is to be said about the links."""
    params = load_params()
    corpus, policy, lemmas = params.corpus, params.lexicon.policy, params.words.lemmas
    pairs = read_pairs("data/corpus/pairs.parquet")
    lexicon = load_lexicon(params.lexicon, pair=corpus.pair, say=say)
    look_up, control = (
        LookUp.make(entries, lemmas=lemmas, src_lang=corpus.src_lang, tgt_lang=corpus.tgt_lang)
        for entries in (lexicon, shuffled_lexicon(lexicon, pairs, seed=params.sample.seed))
    )
    linked = link_pairs(pairs, look_up, policy=policy, track=track("linking words", len(pairs)))
    shuffled = link_pairs(pairs, control, policy=policy, needed=False)
    figure1 = link_pairs(read_pairs("data/corpus/figure1.parquet"), look_up, policy=policy, needed=False)
    summary = summarise(linked, lexicon, policy=policy, lemmas=lemmas, min_links=params.sample.min_links)
    for name, gold in by_set(read_gold("data/corpus/gold.parquet")).items():
        if gold[0].languages != corpus.pair:
            continue  # the dictionary is of the corpus's languages
        by_hand, gold_pairs = {item.pair.pair_id: item.links for item in gold}, [item.pair for item in gold]
        by_policy = {
            each: compare_with_gold(link_pairs(gold_pairs, look_up, policy=each), by_hand) for each in POLICIES
        }
        summary.setdefault("gold", {})[name] = by_policy[policy]
        summary.setdefault("gold_by_policy", {})[name] = by_policy
    with replacing("data/links") as folder:
        write_links(folder / "links.parquet", linked, policy=policy, lemmas=lemmas)
        write_links(folder / "shuffled.parquet", shuffled, policy=policy, lemmas=lemmas)
        write_links(folder / "figure1.parquet", figure1, policy=policy, lemmas=lemmas)
    write_json(FACTS, {"schema": SCHEMA, **summary})
    say(
        f"links: {summary['n_links']} links; {summary['n_pairs_used']} of {len(pairs)} pairs have at least "
        f"{summary['min_links']}; {summary['n_ambiguous']} words were ambiguous; a shuffled dictionary gives "
        f"{sum(len(item.links) for item in shuffled)} links"
    )


if __name__ == "__main__":
    run_stage(main)
