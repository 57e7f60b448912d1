"""Stage `sums@NAME`: reads the corpus for its sums alone, where `extract.keep` says so; else says that it does not."""

from contextlib import closing
from functools import partial
from pathlib import Path

import typer

from pipeline._output import SCHEMA, replacing, write_json
from pipeline.alignment.inputs import Inputs, Split
from pipeline.attention.jobs import jobs
from pipeline.conventions import convention_of
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import read_pairs, unusual_splitters
from pipeline.failures import going_on, leave_mark
from pipeline.lexicon.links import read_links
from pipeline.params import Params, load_params
from pipeline.stages import check_translator, run_stage, say
from pipeline.sums.engines import engine_of
from pipeline.sums.gather import gather
from pipeline.sums.worker import Reading

CORPUS, LINKS, WORK = Path("data/corpus/pairs.parquet"), Path("data/links"), Path("work")


def main(name: str) -> None:
    """Write `data/sums/NAME`: exact sums over all pairs, and blocks of a sample with their manifests."""
    params = load_params()
    check_translator(params, name)
    target = Path("data/sums") / name
    if params.extract.keep == "sums":
        with going_on(f"sums@{name}", partial(leave_mark, target), say):
            add_up(params, name, target)
    else:
        with replacing(target) as folder:
            write_json(folder / "keep.json", {"schema": SCHEMA, "keep": "blocks"})


def add_up(params: Params, name: str, target: Path) -> None:
    """Read the corpus with all weights of one translator."""
    spec, pair, convention = params.translators[name], params.corpus.pair, convention_of(params.convention)
    pairs, (src, tgt) = read_pairs(CORPUS), pair.split("-")
    texts, told = model_text(pairs, convention=convention, tool=params.words.lemmas, src_lang=src, tgt_lang=tgt)
    shots, told = tuple(texts[: spec.shots or 0]), told + unusual_splitters(CORPUS)
    readings = [
        Reading(name, spec, job.settings, job.control, job.split, pair, shots, convention, told)
        for job in jobs(params.extract, texts, [], pair)
    ]
    links, shuffled = read_links(LINKS / "links.parquet"), read_links(LINKS / "shuffled.parquet")
    inputs = Inputs(pairs, links, Split({}, ()), shuffled_links=shuffled, min_links=params.sample.min_links)
    with closing(engine_of(params.extract.engine, readings, params.ray)) as engine:
        gather(engine, texts, inputs, params.align, convention, reading=readings[0], work=WORK, target=target)


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
