"""WMT14 training text from the hub: by row number, and no more of it than the rows asked for."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from jaxtyping import Int

from pipeline._fetch import in_words
from pipeline._hub import HubCommit, open_commit
from pipeline.corpus.row_groups import RemoteParquet
from pipeline.errors import PipelineError
from pipeline.params import WMT14_PAIRS

DATASET = "wmt/wmt14"
COLUMN = "translation"


def say_nothing(line: str) -> None:
    """Say nothing."""


class Wmt14Rows:
    """Rows of the training split, numbered as in the dataset, at one commit of it.

    Parameters
    ----------
    pair : str
        Languages, source-target, in either direction of a published pair.
    revision : str, optional
        Commit hash or branch; the newest if `None`. `revision` of the object is always a commit's hash.
    whole : bool
        Whether all files of the pair are downloaded into the hub's cache before a row is read; otherwise only
        the row groups (about 1,000 rows each) that hold rows asked for, into a cache of our own.
    track : callable
        Wraps what is downloaded one by one, to draw a progress bar.
    say : callable
        Gets one line before a download (what it will cost, in bytes) and one after it.

    Raises
    ------
    PipelineError
        If the dataset cannot be read: says whether it is the name, the revision, the connection or the cache.
    """

    name = "wmt14"
    files: tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        pair: str,
        revision: str | None = None,
        *,
        whole: bool = False,
        track: Callable[[Iterable], Iterable] = iter,
        say: Callable[[str], None] = say_nothing,
    ) -> None:
        self.src_lang, self.tgt_lang = pair.split("-")
        self._say = say
        commit = open_commit(DATASET, kind="dataset", revision=revision, key="corpus.source")
        self.revision = commit.sha
        shards = train_shards(commit, pair)
        size = in_words(sum(commit.files[path].size for path in shards))
        plan = "all of it is downloaded once" if whole else "only what is needed is downloaded"
        say(f"corpus: {commit.label}, {pair}: {len(shards)} files of {size} in all; {plan}")
        self._table = RemoteParquet(commit, shards, column=COLUMN, whole=whole, track=track)
        self.n_rows = self._table.n_rows

    def fetch(self, rows: Int[np.ndarray, " row"]) -> Iterator[tuple[int, str, str]]:
        """Yield row number, source and target text of each row asked for, in the order of the dataset.

        Raises
        ------
        PipelineError
            If rows that are not in the cache cannot be downloaded, or a row has not both languages.
        """
        groups = self._table.groups_of(rows)
        missing = self._table.missing(groups)
        cost = sum(group.n_bytes for group in missing)
        self._say(
            f"corpus: {len(rows)} rows lie in {len(groups)} of {len(self._table.groups)} row groups; "
            f"{len(missing)} are to be downloaded ({in_words(cost)})"
        )
        yield from map(self._pair, self._table.read(rows))

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, str, str]]:
        """Yield row number, source and target text of the rows `start` to before `stop`, in the order of the dataset.

        Nothing of them is kept. Workers that share the rows take ranges that begin with a file, where they can
        (`RemoteParquet.stream`).

        Raises
        ------
        PipelineError
            If the hub cannot be read, or a row has not both languages.
        """
        self._say("corpus: its rows are read in their order, as far as they are wanted; nothing but the pairs is kept")
        yield from map(self._pair, self._table.stream(start, stop))

    def _pair(self, row: tuple[int, object]) -> tuple[int, str, str]:
        number, value = row
        if not isinstance(value, dict) or not {self.src_lang, self.tgt_lang} <= set(value):
            message = (
                f"corpus.source: a row of {DATASET} holds both languages of corpus.pair, but row {number} "
                f"holds {value!r}; name another revision"
            )
            raise PipelineError(message)
        return number, value[self.src_lang] or "", value[self.tgt_lang] or ""

    def details(self, rows: Int[np.ndarray, " row"]) -> dict[str, object]:
        """Return where the rows lie: row groups a file and in all, and their bytes as published."""
        groups = self._table.groups_of(rows)
        by_file = Counter(group.path for group in groups)
        return {
            "row_groups": {
                "in_all": len(self._table.groups),
                "read": len(groups),
                "bytes": sum(group.n_bytes for group in groups),
                "by_file": dict(sorted(by_file.items())),
            }
        }


def train_shards(commit: HubCommit, pair: str) -> list[str]:
    """Return the paths of the training files of a pair, in the order of their rows.

    Raises
    ------
    PipelineError
        If the pair is not there in either direction, or a file of it is missing.
    """
    config = pair if pair in WMT14_PAIRS else "-".join(reversed(pair.split("-")))
    pattern = re.compile(rf"{re.escape(config)}/train-(\d+)-of-(\d+)\.parquet")
    matches = [match for path in commit.files if (match := pattern.fullmatch(path))]
    found = {int(match[1]): match[0] for match in matches}
    declared = max((int(match[2]) for match in matches), default=0)
    if not found or sorted(found) != list(range(declared)):
        message = (
            f"{commit.key}: {commit.label} must hold {config}/train-*.parquet, every number, but it holds "
            f"{len(found)} of {declared or 'none'}; give corpus.revision a commit of its main branch"
        )
        raise PipelineError(message)
    return [found[number] for number in sorted(found)]
