"""Stage `extract@NAME`: word-level blocks of one translator, of its fresh-weights control and of the gold set."""

from pathlib import Path

import typer

from pipeline.attention.extract import extract
from pipeline.attention.load import Control
from pipeline.attention.reader import Convention
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import read_pairs
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage, say

WORK = Path("work")


def main(name: str) -> None:
    """Write `data/attention/NAME/{trained,random_init,gold}`."""
    params = load_params()
    check_translator(params, name)
    spec, settings, corpus = params.translators[name], params.extract, params.corpus
    convention: Convention = "notebook" if params.align.convention == "notebook" else "corrected"
    splits: list[tuple[str, Control, str]] = [(control, control, "pairs") for control in settings.controls]
    if params.gold is not None:
        splits.append(("gold", "trained", "gold"))
    for split, control, file in splits:
        pairs, sentence = model_text(
            read_pairs(Path("data/corpus") / f"{file}.parquet"),
            convention=convention,
            tool=params.words.lemmas,
            src_lang=corpus.src_lang,
            tgt_lang=corpus.tgt_lang,
        )
        extract(
            name,
            spec,
            settings,
            pairs,
            control=control,
            split=split,
            languages=corpus.pair,
            convention=convention,
            sentence=sentence,
            work=WORK,
            target=Path("data/attention") / name / split,
            say=say,
        )


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
