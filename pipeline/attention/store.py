"""Word-level blocks on disk: Arrow shards beside a manifest. Reading needs no model library."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from pipeline._output import check_schema
from pipeline.errors import PipelineError

_SCHEMA = pa.schema(
    [
        ("pair_id", pa.int64()),
        ("n_src", pa.int32()),
        ("n_tgt", pa.int32()),
        ("attention", pa.list_(pa.float16())),
        ("cost", pa.list_(pa.float32())),
        ("cosine", pa.list_(pa.float16())),
        ("special", pa.list_(pa.float32())),
        ("src_pieces", pa.list_(pa.float32())),
        ("tgt_pieces", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class PairBlocks:
    """What one sentence pair leaves behind: attention and distances between its words, layer by layer."""

    pair_id: int
    attention: Float[np.ndarray, "view layer tgt src"]
    """Mass in [0, 1], mean over heads; layer 1 of the model is index 0. A query word's
    keys sum to at most 1: rows where the view's queries are target words, else columns."""
    cost: Float[np.ndarray, "level src tgt"]
    """Squared Euclidean distance of mean-pooled word vectors; level 0 is the embedding layer."""
    cosine: Float[np.ndarray, "level src tgt"]
    """Cosine of the same vectors, centred within each side, in [-1, 1]."""
    special: Float[np.ndarray, "view layer"]
    """Mass on special tokens, mean over the words that look."""
    src_pieces: Float[np.ndarray, " src"]
    """Tokens a source word (a token over two words counts in shares); a block divided by it has the mean
    over source tokens in place of their sum."""
    tgt_pieces: Float[np.ndarray, " tgt"]


def write_shard(path: Path, blocks: Sequence[PairBlocks]) -> None:
    """Write one Arrow file, whole or not at all."""
    columns: dict[str, list] = {name: [] for name in _SCHEMA.names}
    for block in blocks:
        columns["pair_id"].append(block.pair_id)
        columns["n_src"].append(block.attention.shape[3])
        columns["n_tgt"].append(block.attention.shape[2])
        columns["attention"].append(block.attention.astype(np.float16).ravel())
        columns["cosine"].append(block.cosine.astype(np.float16).ravel())
        for name in ("cost", "special", "src_pieces", "tgt_pieces"):
            columns[name].append(np.asarray(getattr(block, name), dtype=np.float32).ravel())
    half_written = path.with_suffix(".part")
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(half_written), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA, options=options) as writer,
    ):
        writer.write_table(pa.table(columns, schema=_SCHEMA))
    half_written.replace(path)


def _read_shard(path: Path, n_views: int, n_layers: int, n_levels: int) -> Iterator[PairBlocks]:
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        for row in range(table.num_rows):
            n_src, n_tgt = table["n_src"][row].as_py(), table["n_tgt"][row].as_py()

            def column(name: str, *shape: int, row: int = row) -> np.ndarray:
                return table[name][row].values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(shape)

            yield PairBlocks(
                pair_id=table["pair_id"][row].as_py(),
                attention=column("attention", n_views, n_layers, n_tgt, n_src),
                cost=column("cost", n_levels, n_src, n_tgt),
                cosine=column("cosine", n_levels, n_src, n_tgt),
                special=column("special", n_views, n_layers),
                src_pieces=column("src_pieces", n_src),
                tgt_pieces=column("tgt_pieces", n_tgt),
            )


def read_manifest(folder: Path | str) -> dict:
    """Return what `manifest.json` says of the blocks in a folder.

    Raises
    ------
    PipelineError
        If the folder holds no manifest, so that its blocks are not complete, or one of another edition.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        message = (
            f"folder: must hold the blocks of a finished extraction, but {path} is missing; run `dvc repro extract`"
        )
        raise PipelineError(message)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    check_schema(manifest, path, f"extract@{manifest.get('translator', 'NAME')}")
    return manifest


def read_blocks(folder: Path | str) -> Iterator[PairBlocks]:
    """Yield the blocks of a folder in the order of the pairs.

    Raises
    ------
    PipelineError
        If the manifest or a shard is missing, or a shard is not the one that the manifest names.
    """
    manifest = read_manifest(folder)
    for name, digest in sorted(manifest["shards"].items()):
        path = Path(folder) / name
        if not path.is_file() or sha256(path) != digest:
            message = (
                f"folder: every shard must have the checksum of its manifest, but {path} has not; "
                "remove the folder and run `dvc repro extract`"
            )
            raise PipelineError(message)
        yield from _read_shard(path, len(manifest["views"]), manifest["n_layers"], manifest["n_layers"] + 1)


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
