"""What a run with given parameters needs, looked up before it: packages, downloads, device, room, time."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline._fetch import cache_folder, in_words
from pipeline._hub import HubCommit, cached, open_commit
from pipeline.advice import advise
from pipeline.attention.fetch import KEY, needed_files
from pipeline.corpus.gold import read_gold_sets
from pipeline.corpus.pairs import SentencePair, read_pairs
from pipeline.corpus.select import select_pairs
from pipeline.corpus.sources import open_source
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
    findings = [*packages(), *splitters(params), device(params)]
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
    try:
        pairs, n_pairs, note = sentences(params)
    except PipelineError as error:
        return [*findings, Finding("sentences", str(error), problem=True)]
    findings.append(Finding("sentences", note))
    blocks = 0
    for name, spec in params.translators.items():
        try:
            found_lines, size = _translator(params, name, spec, pairs, n_pairs, probe=probe, say=say)
        except PipelineError as error:
            found_lines, size = [Finding(name, str(error), problem=True)], 0
        findings += found_lines
        blocks += size
    findings += [Finding("note", note) for note in advise(params)]
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


def splitters(params: Params) -> list[Finding]:
    """Return what splits a language of the pair that sets no spaces between words; without it, what to install."""
    from pipeline.corpus.splitters import sets_spaces, splitter_of

    asked, findings = params.words.pretokenised, []
    for lang in (params.corpus.src_lang, params.corpus.tgt_lang):
        if asked is True or sets_spaces(lang):
            continue
        try:
            findings.append(Finding(f"words of {lang}", splitter_of(lang).name))
        except PipelineError as error:  # with auto the text may be split already
            findings.append(Finding(f"words of {lang}", str(error), problem=asked is False))
    return findings


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
    wanted = 1.25 * (params.sample.n_pairs or 0)  # as the selection draws them at first
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
    """Return sentences to probe with, how many a run reads, and what that rests on.

    Text that is here is chosen from as the stage corpus does it; of what would be downloaded as many are taken as were
    asked for.

    Raises
    ------
    PipelineError
        If the text or a gold set cannot be read, or not one pair of it is fit.
    """
    splits, n_gold = [name for name, _, _ in params.extract.splits], len(read_gold_sets(params.gold))
    weights = f"with {' and '.join(splits)} weights; {n_gold} gold"
    if params.corpus.source != "wmt14":
        pairs, found = _chosen(params)
        dropped = ", ".join(f"{n} {reason}" for reason, n in found["dropped"].items() if n) or "none"
        told = f"{len(pairs)} pairs of {found['n_rows']} rows (dropped: {dropped}), {weights}"
        return pairs[:PROBED], len(pairs) * len(splits) + n_gold, told
    n_pairs = params.sample.n_pairs or 0
    if PAIRS.is_file():
        pairs, rests_on = read_pairs(PAIRS), f"probed with {PAIRS}"
    else:
        demo = Params(translators=params.translators)
        pairs, rests_on = _chosen(demo)[0], "probed with the demo's sentences, before the corpus stage has run"
    return pairs[:PROBED], n_pairs * len(splits) + n_gold, f"{n_pairs} pairs, {weights} ({rests_on})"


def _chosen(params: Params) -> tuple[list[SentencePair], dict]:
    """Return the pairs that the stage corpus will keep, and what it will say of them."""
    return select_pairs(
        open_source(params.corpus),
        params.sample,
        src_lang=params.corpus.src_lang,
        tgt_lang=params.corpus.tgt_lang,
        pretokenised=params.words.pretokenised,
    )


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
