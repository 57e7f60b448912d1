"""From sentence pairs and a translator's name to a folder of word-level blocks."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline._output import SCHEMA, shown
from pipeline.attention.cross import CrossReader
from pipeline.attention.engine import move_into_place, tokenise_all, write_shards
from pipeline.attention.joint import JointReader
from pipeline.attention.load import Control, Translator, load_spec
from pipeline.attention.prompt import Prompt, PromptReader, house_template
from pipeline.attention.reader import DEFAULT, Asked, Reader
from pipeline.attention.store import read_shard
from pipeline.conventions import CORRECTED, Convention, names
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.params import Extract
from pipeline.params import Translator as TranslatorSpec

PRECISION_PAIRS = 16  # pairs on which 16-bit computation is compared with float32


def make_reader(
    translator: Translator,
    spec: TranslatorSpec,
    convention: Convention = CORRECTED,
    asked: Asked = DEFAULT,
    *,
    languages: str | None = None,
    shots: Sequence[SentencePair] = (),
) -> Reader:
    """Return the reader that fits what the translator reads.

    `languages` (source-target) and `shots`, the examples, are for the prompt of a language model.
    """
    if spec.reads == "cross":
        return CrossReader(translator, convention, asked)
    if spec.reads == "prompt":
        prompt = Prompt(spec.template or house_template(languages or ""), tuple(shots), bool(spec.chat))
        return PromptReader(translator, prompt, convention, asked)
    return JointReader(translator, spec.positions or "continue", convention, asked)


def extract(
    name: str,
    spec: TranslatorSpec,
    settings: Extract,
    pairs: Sequence[SentencePair],
    *,
    control: Control,
    split: str,
    work: Path,
    target: Path,
    languages: str | None = None,
    shots: Sequence[SentencePair] = (),
    convention: Convention = CORRECTED,
    sentence: str = "natural spelling, normalised",
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Return the manifest; the blocks of all pairs then lie in `target`.

    `languages` are those of the text, source-target; `shots` the examples in a language model's prompt, which are left
    out where they occur among the pairs; `sentence` says for the manifest what the pairs' texts are.

    Shards are written to a folder below `work` that is named by a fingerprint of parameters, code,
    library versions, model and pairs, so that a run that was cut off goes on with its own shards only.

    Raises
    ------
    PipelineError
        If the model cannot be loaded or not one pair can be read.
    """
    opened = open_translator(
        name,
        spec,
        settings,
        control=control,
        split=split,
        languages=languages,
        shots=shots,
        convention=convention,
        sentence=sentence,
        say=say,
    )
    reader, about = opened.reader, opened.about
    unfinished = work / f"extract-{name}-{split}-{fingerprint(about, Path(spec.model), shots, pairs)}"
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        job = bar.add_task(f"{name} {split}", total=len(pairs))
        shards, skipped, n_read = write_shards(
            reader,
            pairs,
            unfinished,
            tokens_per_batch=settings.tokens_per_batch,
            advance=lambda n: bar.advance(job, n),
            heads_pairs=settings.heads_pairs,
            overlap=opened.on_card,
        )
    if n_read == 0:
        message = (
            f"translators.{name}: at least one pair must be readable, but all {len(pairs)} were left out "
            f"({dict(skipped)}); check the languages and the sentence lengths"
        )
        raise PipelineError(message)
    manifest = {**about, "n_pairs": n_read, "skipped": dict(sorted(skipped.items())), "shards": shards}
    manifest |= _found(unfinished, sorted(shards), reader, about["n_layers"])
    manifest |= opened.precision(pairs)
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (unfinished / "manifest.json").write_text(text, encoding="utf-8")
    move_into_place(unfinished, target)
    return manifest


@dataclass(frozen=True)
class Opened:
    """A translator that is ready to read.

    Attributes
    ----------
    reader : Reader
        Of its own kind.
    about : dict
        What a manifest says of it, whatever it reads.
    exact : callable
        Makes the reader in float32, if this one computes in 16 bits.
    on_card : bool
        Whether the model is on a GPU, so that other work can go on beside it.
    """

    reader: Reader
    about: dict
    exact: Callable[[], Reader] | None
    on_card: bool = False

    def precision(self, pairs: Sequence[SentencePair]) -> dict:
        """Return `precision` for the manifest, of what computes in 16 bits only."""
        return {} if self.exact is None else {"precision": compare_precision(self.reader, self.exact(), pairs)}


def open_translator(
    name: str,
    spec: TranslatorSpec,
    settings: Extract,
    *,
    control: Control,
    split: str,
    languages: str | None = None,
    shots: Sequence[SentencePair] = (),
    convention: Convention = CORRECTED,
    sentence: str = "natural spelling, normalised",
    say: Callable[[str], None] = lambda line: None,
) -> Opened:
    """Return the translator with one kind of weights, loaded; parameters as in `extract`.

    Raises
    ------
    PipelineError
        If the model cannot be loaded.
    """
    translator = load_spec(spec, settings, pair=languages, control=control, say=say)
    asked = Asked(settings.states, "norm" in settings.weights)
    build = partial(make_reader, spec=spec, convention=convention, asked=asked, languages=languages, shots=shots)
    reader = build(translator)
    about = _about(name, spec, settings, translator, reader, control, split)
    about["conventions"] |= translator.languages.told
    about["conventions"] |= {"convention": convention.signature(), "heads": "mean", "sentence": sentence}
    exact = None if translator.half is None else lambda: build(replace(translator, half=None))
    return Opened(reader, about, exact, on_card=translator.device.type == "cuda")


def compare_precision(reader: Reader, exact: Reader, pairs: Sequence[SentencePair]) -> dict:
    """Return how far blocks computed in 16 bits are from those in 32, over the first readable pairs.

    Largest and mean absolute difference of attention (mass) and of centred cosine over all kinds of states, as
    `{quantity: {max, mean}}`.
    """
    examples, _ = tokenise_all(reader, pairs[: 4 * PRECISION_PAIRS])
    examples = examples[:PRECISION_PAIRS]
    gaps: dict[str, list[np.ndarray]] = {"attention": [], "cosine": []}
    for example in examples:  # one by one: nothing but the precision differs
        (rough,), (fine,) = reader.read([example]), exact.read([example])
        gaps["attention"].append(np.abs(rough.attention - fine.attention).ravel())
        gaps["cosine"] += [np.abs(rough.cosine[kind] - fine.cosine[kind]).ravel() for kind in fine.cosine]
    found = {name: np.concatenate(gap) for name, gap in gaps.items()}
    errors = {name: {"max": float(gap.max()), "mean": float(gap.mean())} for name, gap in found.items()}
    return {"n_pairs": len(examples), "reference": "float32", **errors}


def _found(folder: Path, shards: Sequence[str], reader: Reader, n_layers: int) -> dict:
    """Return levels by kind of states, and in how many pairs a layer keeps a query word from some key word.

    `cannot_see[view][layer - 1]`; the attention of such a pair and layer is NaN.
    """
    levels: dict[str, int] = {}
    blind = np.zeros((len(reader.views), n_layers), dtype=int)
    for shard in shards:
        for block in read_shard(folder / shard, len(reader.views), n_layers):
            levels = levels or {kind: len(cost) for kind, cost in block.cost.items()}
            blind += np.isnan(block.attention[:, :, 0, 0])
    return {"levels": levels, "cannot_see": dict(zip(names(reader.views), blind.tolist(), strict=True))}


def _about(
    name: str,
    spec: TranslatorSpec,
    settings: Extract,
    translator: Translator,
    reader: Reader,
    control: Control,
    split: str,
) -> dict:
    config = translator.config
    heads = "decoder_attention_heads" if spec.reads == "cross" else "num_attention_heads"
    return {
        "schema": SCHEMA,
        "translator": name,
        "split": split,
        "control": control,
        "model": shown(spec.model),
        "model_class": type(translator.model).__name__,
        "revision": translator.revision,
        "n_parameters": sum(p.numel() for p in translator.model.parameters()),
        "reads": spec.reads,
        "views": names(reader.views),
        "n_layers": translator.n_layers,
        "n_heads": getattr(config, heads, None) or getattr(config, "num_heads", None),
        "conventions": dict(reader.conventions),
        "dtype": settings.dtype,
        "device": translator.device.type,
        "tokens_per_batch": settings.tokens_per_batch,
        "seed": settings.seed,
        "states": list(settings.states),
        "weights": list(settings.weights),
        "heads_pairs": settings.heads_pairs,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def fingerprint(about: dict, model: Path, shots: Sequence[SentencePair], pairs: Sequence[SentencePair]) -> str:
    """Return what names unfinished work: a hash of settings, code, model files and text."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for source in sorted(Path(__file__).parent.glob("*.*")):
        if source.suffix in {".py", ".yaml"}:
            digest.update(source.read_bytes())
    folder = model.expanduser()
    for part in sorted(folder.iterdir()) if folder.is_dir() else ():
        digest.update(part.read_bytes() if part.is_file() else b"")
    for pair in (*shots, *pairs):
        digest.update(repr(pair).encode())
    return digest.hexdigest()[:16]
