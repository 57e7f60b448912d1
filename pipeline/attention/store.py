"""Word-level blocks on disk: Arrow shards beside a manifest. Reading needs no model library."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from pipeline._output import check_schema, read_json, whole_file
from pipeline.errors import PipelineError

ByStates = dict[str, Float[np.ndarray, "_level src tgt"]]
"""One array a kind of states (`pipeline.conventions.STATES`), which differ in their number of levels."""

_COLUMNS = {
    "pair_id": pa.int64(),
    "n_src": pa.int32(),
    "n_tgt": pa.int32(),
    "attention": pa.list_(pa.float16()),
    "special": pa.list_(pa.float32()),
    "src_pieces": pa.list_(pa.float32()),
    "tgt_pieces": pa.list_(pa.float32()),
}
_OPTIONAL = {"norm": pa.list_(pa.float32()), "heads": pa.list_(pa.float16()), "norm_heads": pa.list_(pa.float32())}
_OF_STATES = {
    "cost": pa.list_(pa.float32()),
    # Stored as 1 - cosine: half precision is finest near 0, and it is similar words that must be told apart.
    "cosine": pa.list_(pa.float16()),
    "cosine_raw": pa.list_(pa.float16()),
}
_OF_HEADS = ("heads", "norm_heads")
HALVES = frozenset(name for name, of in (_COLUMNS | _OPTIONAL | _OF_STATES).items() if of == pa.list_(pa.float16()))
"""Quantities of a pair that are stored in half precision."""


class Cosines(NamedTuple):
    """Of the word vectors of a pair: centred within each side, and as they are; in [-1, 1]."""

    cosine: Float[np.ndarray, "src tgt"]
    cosine_raw: Float[np.ndarray, "src tgt"]


@dataclass(frozen=True)
class PairBlocks:
    """What one sentence pair leaves behind: attention and distances between its words, layer by layer.

    Attributes
    ----------
    pair_id : int
        As in the corpus.
    attention : float array, shape (view, layer, tgt, src)
        Mass in [0, 1], mean over heads; layer 1 of the model is index 0. A query word's keys sum to at most 1: rows
        where the view's queries are target words, else columns. NaN throughout a layer that keeps some query word
        of the pair from seeing some key word (a window shorter than the prompt).
    special : float array, shape (view, layer)
        Mass on special tokens, mean over the query words.
    src_pieces, tgt_pieces : float arrays, shapes (src,) and (tgt,)
        Tokens of each word (a token over two words counts in shares); a block divided by those of its key words has
        the mean over key tokens in place of their sum.
    cost : dict of float arrays, shape (level, src, tgt)
        By kind of states: squared Euclidean distance of mean-pooled word vectors; level 0 enters layer 1.
    cosine, cosine_raw : dict of float arrays, shape (level, src, tgt)
        Of the same vectors, centred within each side, and as they are; in [-1, 1].
    norm : float array, shape (view, layer, tgt, src), or None
        Length of the vector that a layer takes from the key word's tokens, summed over them, mean over the query's
        tokens (`pipeline.attention.norms`).
    heads, norm_heads : float arrays, shape (view, layer, head, tgt, src), or None
        The same by head; kept for some pairs only, and read only where asked.
    """

    pair_id: int
    attention: Float[np.ndarray, "view layer tgt src"]
    special: Float[np.ndarray, "view layer"]
    src_pieces: Float[np.ndarray, " src"]
    tgt_pieces: Float[np.ndarray, " tgt"]
    cost: ByStates
    cosine: ByStates = field(default_factory=dict)
    cosine_raw: ByStates = field(default_factory=dict)
    norm: Float[np.ndarray, "view layer tgt src"] | None = None
    heads: Float[np.ndarray, "view layer head tgt src"] | None = None
    norm_heads: Float[np.ndarray, "view layer head tgt src"] | None = None


def write_shard(path: Path, blocks: Sequence[PairBlocks]) -> None:
    """Write one Arrow file, whole or not at all; all blocks have the same kinds of states."""
    with whole_file(path) as part:
        part.write_bytes(shard_bytes(blocks))


def shard_bytes(blocks: Sequence[PairBlocks]) -> bytes:
    """Return the Arrow file of some blocks, all of which have the same kinds of states."""
    kinds = {name: tuple(getattr(blocks[0], name)) for name in _OF_STATES} if blocks else {}
    columns = _COLUMNS | {f"{name}_{kind}": _OF_STATES[name] for name, of_name in kinds.items() for kind in of_name}
    schema = pa.schema(list((columns | _OPTIONAL).items()))
    table = pa.Table.from_pylist([_row(block, schema) for block in blocks], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _row(block: PairBlocks, schema: pa.Schema) -> dict[str, Any]:
    arrays: dict[str, np.ndarray | None] = {
        name: getattr(block, name) for name in ("attention", "special", "src_pieces", "tgt_pieces", *_OPTIONAL)
    }
    arrays |= {f"cost_{kind}": cost for kind, cost in block.cost.items()}
    for name in ("cosine", "cosine_raw"):
        arrays |= {f"{name}_{kind}": 1 - cosine for kind, cosine in getattr(block, name).items()}
    row: dict[str, Any] = {
        name: None if array is None else array.ravel().astype(schema.field(name).type.value_type.to_pandas_dtype())
        for name, array in arrays.items()
    }
    n_tgt, n_src = block.attention.shape[2:]
    return row | {"pair_id": block.pair_id, "n_src": n_src, "n_tgt": n_tgt}


def read_shard(path: Path, n_views: int, n_layers: int, *, heads: bool = False) -> Iterator[PairBlocks]:
    """Yield the blocks of one shard, which must be that of a manifest: `read_blocks` looks."""
    with pa.memory_map(str(path)) as source:
        yield from blocks_in(source, n_views, n_layers, heads=heads)


def blocks_in(shard: bytes | pa.NativeFile, n_views: int, n_layers: int, *, heads: bool = True) -> Iterator[PairBlocks]:
    """Yield the blocks of a shard's bytes or open file."""
    with pa.BufferReader(shard) if isinstance(shard, bytes) else nullcontext(shard) as source:
        schema = pa.ipc.open_file(source).schema
        wanted = [i for i, name in enumerate(schema.names) if heads or name not in _OF_HEADS]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
        table = pa.ipc.open_file(source, options=options).read_all()
        kinds = {
            name: {column.removeprefix(f"{name}_"): column for column in table.column_names if _is_of(column, name)}
            for name in _OF_STATES
        }
        for row in range(table.num_rows):
            n_src, n_tgt = table["n_src"][row].as_py(), table["n_tgt"][row].as_py()

            def column(name: str, *shape: int, row: int = row) -> np.ndarray:
                return table[name][row].values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(shape)

            def optional(name: str, *shape: int, row: int = row) -> np.ndarray | None:
                there = name in table.column_names and table[name][row].is_valid
                return column(name, *shape, row=row) if there else None

            words = (n_tgt, n_src)
            by_states = {
                name: {kind: column(found, -1, n_src, n_tgt) for kind, found in kinds[name].items()} for name in kinds
            }
            yield PairBlocks(
                pair_id=table["pair_id"][row].as_py(),
                attention=column("attention", n_views, n_layers, *words),
                special=column("special", n_views, n_layers),
                src_pieces=column("src_pieces", n_src),
                tgt_pieces=column("tgt_pieces", n_tgt),
                cost=by_states["cost"],
                cosine={kind: 1 - far for kind, far in by_states["cosine"].items()},
                cosine_raw={kind: 1 - far for kind, far in by_states["cosine_raw"].items()},
                norm=optional("norm", n_views, n_layers, *words),
                heads=optional("heads", n_views, n_layers, -1, *words),
                norm_heads=optional("norm_heads", n_views, n_layers, -1, *words),
            )


def _is_of(column: str, name: str) -> bool:
    return column.startswith(f"{name}_") and not (name == "cosine" and column.startswith("cosine_raw_"))


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
    manifest = read_json(path, f"extract@{path.parent.parent.name}")
    check_schema(manifest, path, f"extract@{manifest.get('translator', 'NAME')}")
    return manifest


def read_blocks(folder: Path | str, *, heads: bool = False) -> Iterator[PairBlocks]:
    """Yield the blocks of a folder in the order of the pairs.

    Parameters
    ----------
    folder : Path or str
        Of one translator and split.
    heads : bool
        Whether to read every head's own blocks where they are kept: they are large.

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
        yield from read_shard(path, len(manifest["views"]), manifest["n_layers"], heads=heads)


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
