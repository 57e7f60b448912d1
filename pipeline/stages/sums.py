"""Stage `sums@NAME`: reads the corpus for its sums alone, where `extract.keep` says so; else says that it does not."""

from pathlib import Path

import typer

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.alignment.inputs import Inputs, Split
from pipeline.attention.jobs import jobs
from pipeline.conventions import convention_of
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import read_pairs, unusual_splitters
from pipeline.lexicon.links import read_links
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage
from pipeline.sums.engines import engine_of
from pipeline.sums.gather import gather
from pipeline.sums.worker import Reading

CORPUS, LINKS, WORK = Path("data/corpus/pairs.parquet"), Path("data/links"), Path("work")


def main(name: str) -> None:
    """Write `data/sums/NAME`: exact sums over all pairs, and blocks of a sample with their manifests."""
    params = load_params()
    check_translator(params, name)
    target = Path("data/sums") / name
    if params.extract.keep == "blocks":
        with replacing(target) as folder:
            write_json(folder / "keep.json", {"schema": SCHEMA, "keep": "blocks"})
        return
    spec, pair, convention = params.translators[name], params.corpus.pair, convention_of(params.convention)
    pairs, (src_lang, tgt_lang) = read_pairs(CORPUS), pair.split("-")
    texts, sentence = model_text(
        pairs, convention=convention, tool=params.words.lemmas, src_lang=src_lang, tgt_lang=tgt_lang
    )
    sentence += unusual_splitters(CORPUS)
    shots = tuple(texts[: spec.shots or 0])
    readings = [
        Reading(name, spec, job.settings, job.control, job.split, pair, shots, convention, sentence)
        for job in jobs(params.extract, texts, [], pair)
    ]
    links, shuffled = read_links(LINKS / "links.parquet"), read_links(LINKS / "shuffled.parquet")
    inputs = Inputs(pairs, links, Split({}, ()), shuffled_links=shuffled, min_links=params.sample.min_links)
    engine = engine_of(params.extract.engine, readings, params.ray)
    first = params.extract.heads_pairs
    gather(engine, texts, inputs, params.align, convention, n_heads=first, work=WORK, target=target)
    engine.close()


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
