"""Stage `extract@NAME`: word-level blocks of one translator, of its controls and of the gold sets."""

from functools import partial
from pathlib import Path

import typer

from pipeline.attention.extract import extract
from pipeline.attention.jobs import jobs
from pipeline.conventions import convention_of
from pipeline.corpus.gold import read_gold
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import read_pairs, unusual_splitters
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage, say

CORPUS, WORK = Path("data/corpus"), Path("work")


def main(name: str) -> None:
    """Write `data/attention/NAME/trained`, a folder a control and seed, `gold-SET` a gold set, and `figure1`."""
    params = load_params()
    check_translator(params, name)
    spec, pair = params.translators[name], params.corpus.pair
    convention = convention_of(params.convention)
    pairs, gold = read_pairs(CORPUS / "pairs.parquet"), read_gold(CORPUS / "gold.parquet")
    told = unusual_splitters(CORPUS / "pairs.parquet")
    for job in jobs(params.extract, pairs, gold, pair, figure1=read_pairs(CORPUS / "figure1.parquet")):
        src_lang, tgt_lang = job.languages.split("-")
        read_as = partial(
            model_text, convention=convention, tool=params.words.lemmas, src_lang=src_lang, tgt_lang=tgt_lang
        )
        own = spec.for_pair(job.languages, pair)
        (texts, sentence), (shots, _) = read_as(job.pairs), read_as(pairs[: own.shots or 0])
        with job.named():
            extract(
                name,
                own,
                job.settings,
                texts,
                control=job.control,
                split=job.split,
                languages=job.languages,
                shots=shots,
                convention=convention,
                sentence=sentence if job.of_gold else sentence + told,
                work=WORK,
                target=Path("data/attention") / name / job.split,
                say=say,
            )


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
