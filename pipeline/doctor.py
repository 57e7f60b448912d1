"""What a run with given parameters needs, looked up before it: packages, downloads, device, room, time."""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline._fetch import cache_folder, in_words
from pipeline._hub import HubCommit, cached, open_commit
from pipeline.attention.fetch import KEY, needed_files
from pipeline.corpus.pairs import SentencePair, read_pairs
from pipeline.errors import PipelineError
from pipeline.params import Params, Translator

if TYPE_CHECKING:
    from pipeline.attention.reader import Reader

PACKAGE = "attention-transport"
PAIRS = Path("data/corpus/pairs.parquet")
PROBED = 10  # sentences
_ASSUMED_WORDS = 25  # a side, before there are sentences to look at
# Of WMT14's files as they are published: rows a row group, and bytes a row as compressed there.
_ROWS_A_GROUP, _BYTES_A_ROW = 1000, 190


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    about: str
    says: str
    problem: bool = False


@dataclass(frozen=True)
class Download:
    """What is read from elsewhere, in bytes; `missing` is not here yet."""

    about: str
    size: int
    missing: int
    exact: bool = True


def examine(params: Params, *, probe: bool = True, say: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """Return what a run with these parameters needs, and what stands in its way.

    Parameters
    ----------
    params : Params
        As `load_params` returned them.
    probe : bool
        Whether each model reads ten sentences, for the time and memory of a run. Models that are not cached
        are made with fresh weights then, for which configuration and tokeniser are downloaded (some MB).
    say : callable
        Gets a line about each step that takes a while.
    """
    findings = [*packages(), device(params)]
    downloads: list[Download] = []
    for ask in (corpus_download, lexicon_download, *model_downloads(params)):
        try:
            found = ask(params)
        except PipelineError as error:
            findings.append(Finding("download", str(error), problem=True))
            continue
        if found is not None:
            downloads.append(found)
    findings += [_describe(download) for download in downloads]
    pairs, n_pairs, note = sentences(params)
    findings.append(Finding("sentences", note))
    blocks = 0
    for name, spec in params.translators.items():
        try:
            found_lines, size = _translator(params, name, spec, pairs, n_pairs, probe=probe, say=say)
        except PipelineError as error:
            found_lines, size = [Finding(name, str(error), problem=True)], 0
        findings += found_lines
        blocks += size
    return [*findings, *_room(sum(download.missing for download in downloads), blocks)]


def packages() -> list[Finding]:
    """Return which required packages are missing or of another version than pyproject.toml asks for."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in metadata.requires(PACKAGE) or []]
    except metadata.PackageNotFoundError:
        return [Finding("packages", f"{PACKAGE} is not installed; run `make setup`", problem=True)]
    required = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for one in required:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(Finding("packages", f"{one} is missing; run `make setup`", problem=True))
            continue
        if not one.specifier.contains(version, prereleases=True):
            wrong.append(Finding("packages", f"{one} is required, but it is {version}", problem=True))
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "pyarrow"))
    return wrong or [Finding("packages", f"all {len(required)} are here ({shown}, ...)")]


def device(params: Params) -> Finding:
    """Return where the models will run."""
    import torch

    if params.extract.device != "cpu" and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Finding("device", f"{properties.name}, {in_words(properties.total_memory)}")
    if params.extract.device == "cuda":
        says = "extract.device is cuda, but there is no CUDA device; set it to auto"
        return Finding("device", says, problem=True)
    return Finding("device", f"CPU, {torch.get_num_threads()} threads (torch {torch.__version__})")


def corpus_download(params: Params) -> Download | None:
    """Return what the corpus stage downloads; with row groups this is an estimate."""
    if params.corpus.source != "wmt14":
        return None
    from pipeline.corpus.wmt14 import DATASET, train_shards

    commit = open_commit(DATASET, kind="dataset", revision=params.corpus.revision, key="corpus.source")
    shards = train_shards(commit, params.corpus.pair)
    sizes = {path: commit.files[path].size for path in shards}
    missing = sum(size for path, size in sizes.items() if not cached(commit, path))
    size = sum(sizes.values())
    if params.sample.method == "full":
        return Download(f"corpus ({commit.label})", size, missing)
    group = _ROWS_A_GROUP * _BYTES_A_ROW
    n_groups = max(1, size // group)
    wanted = 1.25 * params.sample.n_pairs  # as the selection draws them at first
    if params.sample.method == "head":
        touched = min(1.0, wanted / _ROWS_A_GROUP / n_groups)
    else:
        touched = 1 - (1 - 1 / n_groups) ** wanted
    about = f"corpus ({commit.label}, row groups; {in_words(size)} in all)"
    return Download(about, int(size * touched), int(missing * touched), exact=False)


def lexicon_download(params: Params) -> Download | None:
    """Return what the links stage downloads."""
    if params.lexicon.source != "muse":
        return None
    from pipeline.lexicon.muse import TYPICAL_SIZE, muse_file

    path = muse_file(params.corpus.pair)
    if path.is_file():
        return Download(f"lexicon (MUSE {params.corpus.pair})", path.stat().st_size, 0)
    return Download(f"lexicon (MUSE {params.corpus.pair})", TYPICAL_SIZE, TYPICAL_SIZE, exact=False)


def model_downloads(params: Params) -> Iterable[Callable[[Params], Download | None]]:
    """Return one function a translator, which returns what it downloads."""

    def one(spec: Translator) -> Callable[[Params], Download | None]:
        def ask(params: Params) -> Download | None:
            if spec.is_folder:
                return None
            commit = _commit(spec)
            sizes = {path: commit.files[path].size for path in needed_files(commit)}
            missing = sum(size for path, size in sizes.items() if not cached(commit, path))
            return Download(f"model ({commit.label})", sum(sizes.values()), missing)

        return ask

    return [one(spec) for spec in params.translators.values()]


def _commit(spec: Translator) -> HubCommit:
    return open_commit(spec.model, kind="model", revision=spec.revision, key=KEY)


def _describe(download: Download) -> Finding:
    about = "" if download.exact else "about "
    if download.missing == 0:
        return Finding(download.about, f"cached ({about}{in_words(download.size)})")
    return Finding(download.about, f"{about}{in_words(download.missing)} to download")


def sentences(params: Params) -> tuple[list[SentencePair], int, str]:
    """Return sentences to probe with, how many a run reads, and what that rests on."""
    n_gold = 0
    if params.gold is not None:
        from pipeline.corpus.gold import read_gold_set

        corpus = params.corpus
        n_gold = len(read_gold_set(params.gold, src_lang=corpus.src_lang, tgt_lang=corpus.tgt_lang))
    n_read = params.sample.n_pairs * len(params.extract.controls) + n_gold
    controls = " and ".join(params.extract.controls)
    told = f"{params.sample.n_pairs} pairs, with {controls} weights; {n_gold} gold"
    if PAIRS.is_file():
        return read_pairs(PAIRS)[:PROBED], n_read, f"{told} (probed with {PAIRS})"
    from pipeline.corpus.demo import demo_rows
    from pipeline.corpus.words import split_words
    from pipeline.params import DEMO_PAIR

    langs = DEMO_PAIR.split("-")
    rows = demo_rows()
    both = list(zip(rows.src, rows.tgt, strict=True))
    both = [pair for pair in both if min(len(side.split()) for side in pair) >= 8][:PROBED]
    pairs = [
        SentencePair(i, *texts, *(tuple(split_words(t, lang)) for t, lang in zip(texts, langs, strict=True)))
        for i, texts in enumerate(both)
    ]
    return pairs, n_read, f"{told} (probed with the demo's sentences, before the corpus stage has run)"


def _translator(
    params: Params,
    name: str,
    spec: Translator,
    pairs: Sequence[SentencePair],
    n_pairs: int,
    *,
    probe: bool,
    say: Callable[[str], None],
) -> tuple[list[Finding], int]:
    """Return findings on one translator and the bytes of its blocks."""
    if not probe:
        return [], 0
    from pipeline.attention.extract import make_reader
    from pipeline.attention.load import Control, load_spec

    trained = spec.is_folder or all(cached(_commit(spec), path) for path in needed_files(_commit(spec)))
    say(f"{name}: reading {len(pairs)} sentences with {'its' if trained else 'fresh'} weights ...")
    control: Control = "trained" if trained else "random_init"
    translator = load_spec(spec, params.extract, pair=params.corpus.pair, control=control, say=say)
    seconds = _seconds_a_pair(
        make_reader(translator, spec, languages=params.corpus.pair), pairs, params.extract.tokens_per_batch
    )
    layers = translator.n_layers
    block = _ASSUMED_WORDS**2 * (2 * layers * 2 + (layers + 1) * 6)
    speed = f"{1 / seconds:.1f} a second, {layers} layers"
    found = [
        Finding(f"{name}, languages", str(translator.languages)),
        Finding(f"{name}, time", f"about {_duration(seconds * n_pairs)} for {n_pairs} pairs ({speed})"),
        Finding(f"{name}, memory", f"{in_words(_peak_memory())} used at most so far by this process"),
        Finding(f"{name}, disk", f"about {in_words(block * n_pairs)} of blocks"),
    ]
    return found, block * n_pairs


def _seconds_a_pair(reader: "Reader", pairs: Sequence[SentencePair], tokens_per_batch: int) -> float:
    from pipeline.attention.engine import read_all, tokenise_all

    examples, skipped = tokenise_all(reader, pairs)
    if not examples:
        message = f"{KEY}: none of {len(pairs)} sentences could be read ({dict(skipped)}); check corpus.pair"
        raise PipelineError(message)
    read_all(reader, examples[:2], tokens_per_batch, lambda n: None)  # the first pass is slower
    start = time.perf_counter()
    examples, _ = tokenise_all(reader, pairs)
    read_all(reader, examples, tokens_per_batch, lambda n: None)
    return (time.perf_counter() - start) / len(pairs)


def _peak_memory() -> int:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _room(download: int, blocks: int) -> list[Finding]:
    """Return what is free and whether it is enough; DVC keeps a second copy of the blocks."""
    cache = cache_folder()
    while not cache.exists():
        cache = cache.parent
    findings = []
    needs = [(cache, download, "downloads")]
    if blocks:
        needs.append((Path(), 2 * blocks, "blocks, with DVC's copy"))
    for where, need, what in needs:
        free = shutil.disk_usage(where).free
        says = f"about {in_words(need)} needed ({what}), {in_words(free)} free"
        findings.append(Finding("disk", says, problem=free < need))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        findings.append(Finding("memory", f"{in_words(memory)} in this machine"))
    return findings


def advise(params: Params) -> list[str]:
    """Return what is right but may not be meant: a line each."""
    notes = []
    if params.corpus.source == "wmt14" and params.corpus.revision is None:
        notes.append("corpus.revision: null reads the newest; a commit's hash makes the run repeatable")
    notes += [
        f"translators.{name}.revision: null reads the newest; a commit's hash makes the run repeatable"
        for name, spec in params.translators.items()
        if not spec.is_folder and spec.revision is None
    ]
    if params.sample.method == "head" and params.corpus.source == "wmt14":
        notes.append("sample.method: head takes the first rows; WMT14 is not shuffled, so they are of one kind")
    if "random_init" not in params.extract.controls:
        notes.append("extract.controls: without random_init the figures have no fresh-weights floor")
    return notes
