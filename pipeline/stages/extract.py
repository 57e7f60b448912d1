"""Stage `extract@NAME`: word-level blocks of one translator, of its controls and of the gold set."""

from functools import partial
from pathlib import Path

import typer

from pipeline.attention.extract import extract
from pipeline.attention.load import Control
from pipeline.conventions import convention_of
from pipeline.corpus.gold import read_gold
from pipeline.corpus.lemmas import model_text
from pipeline.corpus.pairs import SentencePair, read_pairs
from pipeline.params import load_params
from pipeline.stages import check_translator, run_stage, say

CORPUS, WORK = Path("data/corpus"), Path("work")


def main(name: str) -> None:
    """Write `data/attention/NAME/{trained,gold}` and a folder a control and seed."""
    params = load_params()
    check_translator(params, name)
    spec, settings, corpus = params.translators[name], params.extract, params.corpus
    convention = convention_of(params.convention)
    pairs = read_pairs(CORPUS / "pairs.parquet")
    splits: list[tuple[str, Control, int, list[SentencePair]]] = [(*split, pairs) for split in settings.splits]
    if gold := read_gold(CORPUS / "gold.parquet"):
        splits.append(("gold", "trained", settings.seed, [item.pair for item in gold]))
    read_as = partial(
        model_text,
        convention=convention,
        tool=params.words.lemmas,
        src_lang=corpus.src_lang,
        tgt_lang=corpus.tgt_lang,
    )
    shots, _ = read_as(pairs[: spec.shots or 0])
    for split, control, seed, sentences in splits:
        texts, sentence = read_as(sentences)
        # Every head of every gold pair is kept.
        heads_pairs = len(sentences) if split == "gold" else settings.heads_pairs
        extract(
            name,
            spec,
            settings.model_copy(update={"seed": seed, "heads_pairs": heads_pairs}),
            texts,
            control=control,
            split=split,
            languages=corpus.pair,
            shots=shots,
            convention=convention,
            sentence=sentence,
            work=WORK,
            target=Path("data/attention") / name / split,
            say=say,
        )


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
