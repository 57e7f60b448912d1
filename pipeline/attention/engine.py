"""Batches by length under a token budget; shards that an interrupted run finds again."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import cast

from pipeline._output import write_json
from pipeline.attention.ahead import ahead, read_ahead
from pipeline.attention.reader import Example, Reader, Staged
from pipeline.attention.store import PairBlocks, sha256, write_shard
from pipeline.attention.word_map import UnmappableError
from pipeline.corpus.pairs import SentencePair

PAIRS_A_SHARD = 1024
THREADS = 4  # one tokenises, one pads and copies, one unpacks, one writes
_DONE = "done.json"
"""Checksums of the shards that a run has written so far; not there in a finished folder."""


def batches(examples: Sequence[Example], tokens_per_batch: int) -> Iterator[list[Example]]:
    """Yield the examples by length, at most `tokens_per_batch` padded tokens a batch, one pair at least."""
    batch: list[Example] = []
    for example in sorted(examples, key=lambda e: (e.n_tokens, e.pair_id)):
        if batch and example.n_tokens * (len(batch) + 1) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch


def tokenise_all(reader: Reader, pairs: Sequence[SentencePair]) -> tuple[list[Example], Counter[str]]:
    """Return the pairs that the model can read and how many it cannot, by reason."""
    examples, skipped = [], Counter[str]()
    for pair in pairs:
        try:
            examples.append(reader.tokenise(pair))
        except UnmappableError as error:
            skipped[error.reason] += 1
    return examples, skipped


def read_all(
    reader: Reader,
    examples: Sequence[Example],
    tokens_per_batch: int,
    advance: Callable[[int], None],
    *,
    n_heads: int = 0,
    pool: Executor | None = None,
) -> list[PairBlocks]:
    """Return the blocks of all examples in the order in which they came; the first `n_heads` with every head's own.

    With a pool of threads batches are read one over the other, and blocks are as they are stored.
    """
    work = [
        (batch, heads)
        for heads, part in ((True, examples[:n_heads]), (False, examples[n_heads:]))
        for batch in batches(part, tokens_per_batch)
    ]
    if pool is None:
        read: Iterable[list[PairBlocks]] = (reader.read(batch, heads=heads) for batch, heads in work)
    else:
        read = read_ahead(cast(Staged, reader), work, pool)
    blocks = {}
    for of_batch in read:
        blocks.update({block.pair_id: block for block in of_batch})
        advance(len(of_batch))
    return [blocks[example.pair_id] for example in examples]


def count_first(examples: Sequence[Example], first: Sequence[SentencePair]) -> int:
    """Return how many of the examples are of the first pairs: so many come first."""
    ids = {pair.pair_id for pair in first}
    return sum(example.pair_id in ids for example in examples)


def write_shards(
    reader: Reader,
    pairs: Sequence[SentencePair],
    folder: Path,
    *,
    tokens_per_batch: int,
    advance: Callable[[int], None],
    heads_pairs: int = 0,
    overlap: bool = False,
) -> tuple[dict[str, str], Counter[str], int]:
    """Return the checksums of the shards, the skipped pairs by reason, and the number of pairs read.

    Those of the first `heads_pairs` pairs that can be read keep every head's own blocks. A shard that already lies in the
    folder, as it was written, is kept: the folder's name must say what made it. With `overlap`, for a model on a card,
    the next shard is tokenised and the last one written meanwhile, and batches are read one over the other: the shards
    are the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before, checksums = _written(folder), dict[str, str]()
    starts = range(0, len(pairs), PAIRS_A_SHARD)
    with ThreadPoolExecutor(THREADS) if overlap else nullcontext() as pool:
        tokenised = ahead((partial(tokenise_all, reader, pairs[at : at + PAIRS_A_SHARD]) for at in starts), pool)
        skipped, n_read = Counter[str](), 0

        def shards() -> Iterator[Callable[[], tuple[str, str]]]:
            nonlocal n_read
            for at, (examples, lost) in zip(starts, tokenised, strict=True):
                skipped.update(lost)
                n_heads = count_first(examples, pairs[at : min(at + PAIRS_A_SHARD, heads_pairs)])
                n_read += len(examples)
                path = folder / f"shard-{at // PAIRS_A_SHARD:05d}.arrow"
                blocks = None
                if path.is_file() and sha256(path) == before.get(path.name):
                    advance(len(examples))
                else:
                    blocks = read_all(reader, examples, tokens_per_batch, advance, n_heads=n_heads, pool=pool)
                advance(lost.total())
                yield partial(_write, path, blocks)

        for name, checksum in ahead(shards(), pool):
            checksums[name] = checksum
            write_json(folder / _DONE, before | checksums)
    return checksums, skipped, n_read


def _write(path: Path, blocks: Sequence[PairBlocks] | None) -> tuple[str, str]:
    """Return name and checksum of a shard, which is written if there are blocks."""
    if blocks is not None:
        write_shard(path, blocks)
    return path.name, sha256(path)


def _written(folder: Path) -> dict[str, str]:
    """Return the checksums of an interrupted run; none if what says them is damaged, so that all is done again."""
    try:
        found = json.loads((folder / _DONE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def move_into_place(folder: Path, target: Path) -> None:
    """Replace `target` by the finished folder with one rename."""
    (folder / _DONE).unlink(missing_ok=True)
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)
