"""Batches by length under a token budget; shards that an interrupted run finds again."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline._output import write_json
from pipeline.attention.reader import Example, Reader
from pipeline.attention.store import PairBlocks, sha256, write_shard
from pipeline.attention.word_map import UnmappableError
from pipeline.corpus.pairs import SentencePair

PAIRS_A_SHARD = 1024
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
) -> list[PairBlocks]:
    """Return the blocks of all examples in the order in which they came; the first `n_heads` with every head's own."""
    blocks = {}
    for heads, part in ((True, examples[:n_heads]), (False, examples[n_heads:])):
        for batch in batches(part, tokens_per_batch):
            for block in reader.read(batch, heads=heads):
                blocks[block.pair_id] = block
            advance(len(batch))
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
) -> tuple[dict[str, str], Counter[str], int]:
    """Return the checksums of the shards, the skipped pairs by reason, and the number of pairs read.

    Those of the first `heads_pairs` pairs that can be read keep every head's own blocks. A shard that already lies in the
    folder, as it was written, is kept: the folder's name must say what made it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = _written(folder)
    checksums: dict[str, str] = {}
    skipped, n_read = Counter[str](), 0
    for start in range(0, len(pairs), PAIRS_A_SHARD):
        chunk = pairs[start : start + PAIRS_A_SHARD]
        examples, lost = tokenise_all(reader, chunk)
        skipped += lost
        n_heads = count_first(examples, chunk[: max(0, heads_pairs - start)])
        n_read += len(examples)
        path = folder / f"shard-{start // PAIRS_A_SHARD:05d}.arrow"
        if path.is_file() and sha256(path) == before.get(path.name):
            advance(len(examples))
        else:
            write_shard(path, read_all(reader, examples, tokens_per_batch, advance, n_heads=n_heads))
        advance(len(chunk) - len(examples))
        checksums[path.name] = sha256(path)
        write_json(folder / _DONE, before | checksums)
    return checksums, skipped, n_read


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
