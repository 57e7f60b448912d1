"""Rows of Parquet files on the hub by number: footers first, then only the row groups they need."""

import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from pipeline._fetch import cache_folder, write_whole
from pipeline._hub import HubCommit, cached, fetch, offline, read_range
from pipeline.errors import PipelineError

_TAIL = 1 << 16  # read at once from the end of a file; a longer footer takes a second request
_MAGIC = b"PAR1"
_AT_ONCE = 8  # connections


@dataclass(frozen=True)
class RowGroup:
    """Where one row group lies: in which file, from which row and byte on."""

    path: str
    index: int
    first_row: int
    n_rows: int
    start: int
    stop: int

    @property
    def n_bytes(self) -> int:
        """Return its size in the file, as compressed there."""
        return self.stop - self.start


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

        def keep(group: RowGroup) -> None:
            data = read_range(self._commit, group.path, group.start, group.stop)
            write_whole(self._part(group), data)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            jobs = [pool.submit(keep, group) for group in groups]
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

    def _part(self, group: RowGroup) -> Path:
        return self._folder / group.path / f"{group.start}-{group.stop}"

    def _decode(self, group: RowGroup) -> pa.Table:
        part = self._part(group)
        source: Path | _Window | None = self._files.get(group.path)
        if source is None:
            size = self._commit.files[group.path].size
            source = _Window(part.read_bytes(), group.start, size)
        try:
            file = pq.ParquetFile(source, metadata=self._footers[group.path])
            return file.read_row_group(group.index, [self._column])
        except (OSError, pa.ArrowException) as error:
            part.unlink(missing_ok=True)
            message = (
                f"{self._commit.key}: row group {group.index} of {group.path} of {self._commit.label} "
                f"must be readable, but {' '.join(str(error).split())}; its copy is removed, run again"
            )
            raise PipelineError(message) from None

    def _footer(self, path: str) -> pq.FileMetaData:
        """Return the footer of a file; it is kept for the next run."""
        kept, size = self._folder / path / "footer", self._commit.files[path].size
        if path in self._files:
            return self._parse(path, self._files[path])
        if kept.is_file():
            return self._parse(path, kept.read_bytes())
        if offline():
            message = (
                f"{self._commit.key}: the footer of {path} of {self._commit.label} is not in the cache, and "
                "HF_HUB_OFFLINE forbids to download it; run once with a connection"
            )
            raise PipelineError(message)
        data = read_range(self._commit, path, max(0, size - _TAIL), size)
        length = int.from_bytes(data[-8:-4], "little") + 8
        if data[-4:] == _MAGIC and len(data) < length <= size:
            data = read_range(self._commit, path, size - length, size)
        footer = self._parse(path, data[-length:])
        write_whole(kept, data[-length:])
        return footer

    def _parse(self, path: str, source: bytes | Path) -> pq.FileMetaData:
        try:
            where = pa.BufferReader(_MAGIC + source) if isinstance(source, bytes) else source
            footer = pq.read_metadata(where)
        except (OSError, pa.ArrowException):
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
            spans = [_span(chunk) for chunk in chunks if chunk.path_in_schema.split(".")[0] == column]
            start, stop = min(start for start, _ in spans), max(stop for _, stop in spans)
            yield RowGroup(path, index, row, group.num_rows, start, stop)
            row += group.num_rows


def _span(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    return start, start + chunk.total_compressed_size


class _Window(io.RawIOBase):
    """A part of a file that answers reads inside of it, as if it were the file."""

    def __init__(self, data: bytes, start: int, size: int) -> None:
        self._data, self._start, self._size, self._at = data, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; outside of the part there are none."""
        start = self._at - self._start
        data = self._data[start : start + size] if start >= 0 else b""
        self._at += len(data)
        return data
