"""Rows of Parquet files on the hub: single row groups by the rows' numbers, or all rows as a stream.

Row groups are read by pyarrow through the hub's file system, which fetches the bytes that are asked for, and kept as
small files for the next run. A stream is read by `datasets`; nothing of it is kept. Files that are in the hub's cache as
a whole are read there: a copy in the Arrow format, as `datasets` would make to load them, has twice their size.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from huggingface_hub import HfFileSystem, HfFileSystemFile, constants
from jaxtyping import Int

from pipeline._fetch import cache_folder
from pipeline._hub import HubCommit, cached, explained, fetch, offline, patiently
from pipeline._output import whole_file
from pipeline.errors import PipelineError

_AT_ONCE = 8  # connections
_REQUEST = 1 << 20  # bytes that pyarrow asks for at once in a stream (its own are 32 MiB); the client adds 5 MiB


@dataclass(frozen=True)
class RowGroup:
    """Where one row group lies, and the bytes of the column in it, as compressed there."""

    path: str
    index: int
    first_row: int
    n_rows: int
    n_bytes: int


class _Ranges(HfFileSystemFile):
    """A file on the hub of which the ranges that are read are fetched, and those only."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        data = super()._fetch_range(start, end)
        if len(data) != end - start:
            message = (
                f"corpus.source: parts of a file are read (HTTP ranges), but {constants.ENDPOINT} sends the whole of "
                f"{self.resolved_path.path}; set sample.method: full, or another mirror (HF_ENDPOINT)"
            )
            raise PipelineError(message)
        return data


class RemoteParquet:
    """Parquet files of one commit, read as one table whose rows are numbered from 0.

    Parameters
    ----------
    commit : HubCommit
        The repository.
    paths : list of str
        The files, in the order of their rows.
    column : str
        The column to read.
    whole : bool
        Whether files are downloaded as a whole, into the hub's cache, rather than by row groups.
    track : callable
        Wraps what is downloaded one by one, to draw a progress bar.

    Raises
    ------
    PipelineError
        If a file cannot be read, is no whole Parquet file, or has no such column.
    """

    def __init__(
        self,
        commit: HubCommit,
        paths: list[str],
        *,
        column: str,
        whole: bool = False,
        track: Callable[[Iterable], Iterable] = iter,
    ) -> None:
        self._commit, self._column, self._track = commit, column, track
        self._folder = cache_folder() / commit.kind / commit.name.replace("/", "--") / commit.sha
        # A file that is here as a whole is used as one, whoever downloaded it; `fetch` checks its digest.
        files = [path for path in paths if whole or cached(commit, path)]
        self._files = {path: fetch(commit, path) for path in track(files)}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            footers = list(track(pool.map(self._footer, paths)))
        self._footers = dict(zip(paths, footers, strict=True))
        self.groups = list(_row_groups(self._footers, column))
        self.n_rows = sum(group.n_rows for group in self.groups)
        self._first_rows = np.array([group.first_row for group in self.groups], dtype=np.int64)

    def groups_of(self, rows: Int[np.ndarray, " row"]) -> list[RowGroup]:
        """Return the row groups that hold the rows, each once, in the order of the rows' numbers."""
        at = np.unique(np.searchsorted(self._first_rows, rows, side="right") - 1)
        return [self.groups[i] for i in at.tolist()]

    def missing(self, groups: Iterable[RowGroup]) -> list[RowGroup]:
        """Return the row groups that would have to be downloaded."""
        return [g for g in groups if g.path not in self._files and not self._part(g).is_file()]

    def download(self, groups: Iterable[RowGroup]) -> None:
        """Fetch the row groups that are not here; each is kept as soon as it is there.

        Raises
        ------
        PipelineError
            If the hub cannot be reached, or HF_HUB_OFFLINE forbids to ask.
        """
        groups = self.missing(groups)
        if groups and offline():
            message = (
                f"{self._commit.key}: {len(groups)} row groups of {self._commit.label} are not in the cache "
                f"(the first: row group {groups[0].index} of {groups[0].path}), and HF_HUB_OFFLINE forbids "
                "to download them; run once with a connection"
            )
            raise PipelineError(message)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            jobs = [pool.submit(self._keep, group) for group in groups]
            try:
                for job in self._track(jobs):
                    job.result()
            finally:
                for job in jobs:
                    job.cancel()

    def read(self, rows: Int[np.ndarray, " row"]) -> Iterator[tuple[int, object]]:
        """Yield number and value of each row, by number.

        Raises
        ------
        PipelineError
            If a row group cannot be downloaded or decoded.
        """
        rows = np.unique(rows)
        groups = self.groups_of(rows)
        self.download(groups)
        for group in groups:
            first, last = np.searchsorted(rows, [group.first_row, group.first_row + group.n_rows])
            here = rows[first:last]
            values = self._decode(group)[self._column].take(pa.array(here - group.first_row))
            yield from zip(here.tolist(), values.to_pylist(), strict=True)

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, object]]:
        """Yield number and value of the rows from `start` to before `stop`, in their order.

        What lies before `start` in its file is passed over, but read: ranges had best begin with a file.

        Raises
        ------
        PipelineError
            If a file is not in the hub's cache and cannot be read from the hub.
        """
        stop, first = self.n_rows if stop is None else stop, 0
        for path, footer in self._footers.items():
            here = range(max(start, first), min(stop, first + footer.num_rows))
            if here:
                rows = self._whole(path).skip(here.start - first).take(len(here))
                with explained(self._commit):
                    yield from zip(here, (row[self._column] for row in rows), strict=True)
            first += footer.num_rows

    def _whole(self, path: str) -> datasets.IterableDataset:
        if path not in self._files and offline():
            message = (
                f"{self._commit.key}: {path} of {self._commit.label} is not in the cache, and HF_HUB_OFFLINE forbids to "
                "stream it; run with a connection, or once with one and sample.method: full"
            )
            raise PipelineError(message)
        place = self._files.get(path) or f"{self._reach().protocol}://{self._address(path)}"
        # The hub's client under it tries again by itself.
        datasets.config.STREAMING_OPEN_MAX_RETRIES = datasets.config.STREAMING_READ_MAX_RETRIES = 1
        requests = pa.CacheOptions(range_size_limit=_REQUEST, lazy=True, prefetch_limit=2)
        with explained(self._commit):
            return datasets.IterableDataset.from_parquet(
                str(place),
                columns=[self._column],
                fragment_scan_options=ds.ParquetFragmentScanOptions(cache_options=requests),
            )

    @cached_property
    def _hub(self) -> HfFileSystem:
        return self._reach()

    def _reach(self) -> HfFileSystem:
        """Return the file system that `datasets` would take in this thread, which has found the commit."""
        hub = HfFileSystem(endpoint=datasets.config.HF_ENDPOINT, token=None)
        with explained(self._commit):
            patiently(lambda: hub.resolve_path(self._address("")))
        return hub

    def _address(self, path: str) -> str:
        return f"{self._commit.kind}s/{self._commit.name}@{self._commit.sha}/{path}"

    def _part(self, group: RowGroup) -> Path:
        return self._folder / group.path / f"{group.index}.parquet"

    def _open(self, path: str) -> HfFileSystemFile:
        size = self._commit.files[path].size
        return _Ranges(self._hub, self._address(path), mode="rb", cache_type="none", size=size)

    def _keep(self, group: RowGroup) -> None:
        with explained(self._commit), self._open(group.path) as file:
            source = pq.ParquetFile(file, metadata=self._footers[group.path], pre_buffer=True)
            table = source.read_row_group(group.index, [self._column])
        part = self._part(group)
        part.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(part) as path:
            pq.write_table(table, path, compression="zstd", write_page_checksum=True)

    def _decode(self, group: RowGroup) -> pa.Table:
        part, whole = self._part(group), self._files.get(group.path)
        try:
            if whole:
                file = pq.ParquetFile(whole, metadata=self._footers[group.path])
                return file.read_row_group(group.index, [self._column])
            return pq.ParquetFile(part, page_checksum_verification=True).read()
        except (OSError, pa.ArrowException) as error:
            part.unlink(missing_ok=True)
            message = (
                f"{self._commit.key}: row group {group.index} of {group.path} of {self._commit.label} "
                f"must be readable, but {' '.join(str(error).split())}; its copy is removed, run again"
            )
            raise PipelineError(message) from None

    def _footer(self, path: str) -> pq.FileMetaData:
        """Return the footer of a file; it is kept for the next run."""
        kept = self._folder / path / "footer.parquet"
        if path in self._files or kept.is_file():
            return self._parse(path, self._files.get(path, kept))
        if offline():
            message = (
                f"{self._commit.key}: the footer of {path} of {self._commit.label} is not in the cache, and "
                "HF_HUB_OFFLINE forbids to download it; run once with a connection"
            )
            raise PipelineError(message)
        with explained(self._commit), self._open(path) as file:
            footer = self._parse(path, file)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as part:
            footer.write_metadata_file(part)
        return footer

    def _parse(self, path: str, source: Path | HfFileSystemFile) -> pq.FileMetaData:
        try:
            footer = pq.read_metadata(source)
        except pa.ArrowException:
            message = (
                f"{self._commit.key}: {path} of {self._commit.label} is no whole Parquet file (cut short "
                "where it was published?); name another revision"
            )
            raise PipelineError(message) from None
        if self._column not in footer.schema.to_arrow_schema().names:
            message = (
                f"{self._commit.key}: {path} must have a column {self._column}, but it has "
                f"{', '.join(footer.schema.to_arrow_schema().names)}; name another revision"
            )
            raise PipelineError(message)
        return footer


def _row_groups(footers: dict[str, pq.FileMetaData], column: str) -> Iterator[RowGroup]:
    row = 0
    for path, footer in footers.items():
        for index in range(footer.num_row_groups):
            group = footer.row_group(index)
            chunks = [group.column(i) for i in range(group.num_columns)]
            own = [chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column]
            yield RowGroup(path, index, row, group.num_rows, sum(own))
            row += group.num_rows
