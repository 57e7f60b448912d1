"""Stage `extract@NAME`: word-level blocks of one translator, of its controls and of the gold sets."""

from functools import partial
from pathlib import Path

import typer

from pipeline.attention.extract import extract
from pipeline.attention.jobs import jobs, told
from pipeline.conventions import convention_of
from pipeline.corpus.gold import read_gold
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import read_pairs, unusual_splitters
from pipeline.failures import clear_mark, going_on, leave_mark
from pipeline.params import Params, load_params
from pipeline.stages import check_translator, run_stage, say

CORPUS, BLOCKS, WORK = Path("data/corpus"), Path("data/attention"), Path("work")


def main(name: str) -> None:
    """Write `data/attention/NAME/trained`, a folder a control and seed, `gold-SET` a gold set, and `figure1`."""
    params = load_params()
    check_translator(params, name)
    with going_on(f"extract@{name}", partial(leave_mark, BLOCKS / name), say):
        extract_all(params, name, BLOCKS / name)


def extract_all(params: Params, name: str, target: Path) -> None:
    """Read the corpus with all weights, and the gold sets."""
    clear_mark(target)
    spec, pair, found = params.translators[name], params.corpus.pair, {}
    convention, gold = convention_of(params.convention), read_gold(CORPUS / "gold.parquet")
    pairs, splitters = read_pairs(CORPUS / "pairs.parquet"), unusual_splitters(CORPUS / "pairs.parquet")
    own_pairs = [] if params.extract.keep == "sums" else pairs  # for the stage sums
    for job in jobs(params.extract, own_pairs, gold, pair, figure1=read_pairs(CORPUS / "figure1.parquet")):
        src, tgt = job.languages.split("-")
        read_as = partial(model_text, convention=convention, tool=params.words.lemmas, src_lang=src, tgt_lang=tgt)
        own = spec.for_pair(job.languages, pair)
        (texts, sentence), (shots, _) = read_as(job.pairs), read_as(pairs[: own.shots or 0])
        with job.named():
            found[job.split] = extract(
                name,
                *(own, job.settings, texts),
                control=job.control,
                split=job.split,
                languages=job.languages,
                shots=shots,
                convention=convention,
                sentence=sentence if job.of_gold else sentence + splitters,
                work=WORK,
                target=target / job.split,
                say=say,
            )
    say(f"extract@{name}: read {told(found)}: {target}")


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
