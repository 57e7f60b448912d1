"""Stage `extract@NAME`: word-level blocks of one translator, of its controls and of the gold set."""

from pathlib import Path

import typer

from pipeline.attention.extract import extract
from pipeline.attention.load import Control
from pipeline.conventions import convention_of
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import read_pairs
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage, say

WORK = Path("work")


def main(name: str) -> None:
    """Write `data/attention/NAME/{trained,gold}` and a folder a control and seed."""
    params = load_params()
    check_translator(params, name)
    spec, settings, corpus = params.translators[name], params.extract, params.corpus
    convention = convention_of(params.convention)
    splits: list[tuple[str, Control, int, str]] = [(*split, "pairs") for split in settings.splits]
    if params.gold is not None:
        splits.append(("gold", "trained", settings.seed, "gold"))
    for split, control, seed, file in splits:
        pairs, sentence = model_text(
            read_pairs(Path("data/corpus") / f"{file}.parquet"),
            convention=convention,
            tool=params.words.lemmas,
            src_lang=corpus.src_lang,
            tgt_lang=corpus.tgt_lang,
        )
        # Every head of every gold pair is kept.
        heads_pairs = len(pairs) if file == "gold" else settings.heads_pairs
        extract(
            name,
            spec,
            settings.model_copy(update={"seed": seed, "heads_pairs": heads_pairs}),
            pairs,
            control=control,
            split=split,
            convention=convention,
            sentence=sentence,
            work=WORK,
            target=Path("data/attention") / name / split,
            say=say,
        )


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
