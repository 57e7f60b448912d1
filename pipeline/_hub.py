"""Files of the Hugging Face hub at one commit: listed, fetched with several tries, checked, found offline.

The files lie in the hub's own cache, where every other tool finds them. Only the listing of a commit is kept
beside: from it an offline run knows what is missing.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from pipeline._fetch import cache_folder, in_words, retrying, write_whole
from pipeline.errors import PipelineError

Kind = Literal["model", "dataset"]
T = TypeVar("T")

_HASH = re.compile(r"[0-9a-f]{40}")
_PASSING = {408, 429, 500, 502, 503, 504}
_DAMAGED = "arrived damaged"


@dataclass(frozen=True)
class HubFile:
    """Size in bytes and digest of one file: sha256 if it is large, git's sha1 if it is small."""

    size: int
    digest: str


@dataclass(frozen=True)
class HubCommit:
    """A repository at one commit; `files` are all its files by path."""

    name: str
    kind: Kind
    sha: str
    files: Mapping[str, HubFile]
    key: str
    """The parameter that names it, for messages."""

    @property
    def label(self) -> str:
        """Return name and short hash, for messages."""
        return f"{self.name} at {self.sha[:12]}"


def offline() -> bool:
    """Return whether the user wants no connection (HF_HUB_OFFLINE)."""
    from huggingface_hub import constants

    return constants.is_offline_mode()


def open_commit(name: str, *, kind: Kind, revision: str | None, key: str) -> HubCommit:
    """Return what the repository holds at a revision; a commit that was listed before needs no connection.

    Parameters
    ----------
    name : str
        `owner/name`.
    revision : str or None
        Commit hash, branch or `refs/pr/N`; `None` is the newest of the main branch.
    key : str
        The parameter that names it, for messages.

    Raises
    ------
    PipelineError
        If there is no such repository or revision, it wants an account, or the hub cannot be reached.
    """
    wanted = revision or "main"
    folder = cache_folder() / "hub" / f"{kind}s--{name.replace('/', '--')}"
    listing = folder / f"{quote(wanted, safe='')}.json"
    if (offline() or _HASH.fullmatch(wanted)) and (stored := _stored(listing)):
        sha, files = stored
        return HubCommit(name, kind, sha, files, key)
    if offline():
        message = (
            f"{key}: {name} at revision {wanted} was never listed here, and HF_HUB_OFFLINE forbids to ask; "
            "run once with a connection, or name a folder or file"
        )
        raise PipelineError(message)
    commit = _ask(HubCommit(name, kind, wanted, {}, key), lambda: _list(name, kind, wanted, key))
    noted = {"sha": commit.sha, "files": {path: [f.size, f.digest] for path, f in commit.files.items()}}
    write_whole(listing, json.dumps(noted, sort_keys=True, indent=1).encode())
    return commit


def _stored(listing: Path) -> tuple[str, dict[str, HubFile]] | None:
    """Return hash and files that a listing holds, None if it is not there or damaged."""
    try:
        found = json.loads(listing.read_text(encoding="utf-8"))
        return str(found["sha"]), {path: HubFile(*file) for path, file in found["files"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _list(name: str, kind: Kind, revision: str, key: str) -> HubCommit:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=_endpoint())
    sha = api.repo_info(name, repo_type=kind, revision=revision).sha
    assert sha is not None  # every commit has one
    entries = api.list_repo_tree(name, repo_type=kind, revision=sha, recursive=True)
    files = {
        entry.path: HubFile(entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
        for entry in entries
        if isinstance(entry, RepoFile)
    }
    return HubCommit(name, kind, sha, files, key)


def cached(commit: HubCommit, path: str) -> Path | None:
    """Return where a file lies in the hub's cache, or None; its content is not looked at."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(
        commit.name, path, cache_dir=_hub_cache(), revision=commit.sha, repo_type=commit.kind
    )
    whole = isinstance(found, str) and Path(found).stat().st_size == commit.files[path].size
    return Path(found) if isinstance(found, str) and whole else None


def fetch(commit: HubCommit, path: str) -> Path:
    """Return a file of the commit in the hub's cache, downloaded if it is not there; checks it each time.

    Raises
    ------
    PipelineError
        If it cannot be downloaded, arrives damaged twice, or is not cached and HF_HUB_OFFLINE forbids to ask.
    """
    file = commit.files[path]
    found = cached(commit, path)
    if found and _digest(found, file) == file.digest:
        return found
    if offline():
        state = "damaged in the cache" if found else "not in the cache"
        message = (
            f"{commit.key}: {path} ({in_words(file.size)}) of {commit.label} is {state}, and "
            "HF_HUB_OFFLINE forbids to download it; run once with a connection"
        )
        raise PipelineError(message)

    def download(again: bool) -> Path:
        from huggingface_hub import hf_hub_download

        return Path(
            hf_hub_download(
                commit.name,
                path,
                repo_type=commit.kind,
                revision=commit.sha,
                endpoint=_endpoint(),
                cache_dir=_hub_cache(),
                force_download=again,
            )
        )

    for again in (found is not None, True):
        here = _ask(commit, partial(download, again))
        if _digest(here, file) == file.digest:
            return here
    here.resolve().unlink()
    message = (
        f"{commit.key}: {path} of {commit.label} {_DAMAGED} twice (its checksum is not "
        f"{file.digest}) and was removed; try again later, or another mirror (HF_ENDPOINT)"
    )
    raise PipelineError(message)


def read_range(commit: HubCommit, path: str, start: int, stop: int) -> bytes:
    """Return the bytes `start` to `stop` of a file that is not downloaded as a whole.

    Raises
    ------
    PipelineError
        If the hub cannot be reached or refuses.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = hf_hub_url(commit.name, path, repo_type=commit.kind, revision=commit.sha, endpoint=_endpoint())
    headers = build_hf_headers() | {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}

    def read() -> bytes:
        with get_session().stream("GET", url, headers=headers, timeout=60) as response:
            hf_raise_for_status(response)
            if response.status_code != 206:
                message = (
                    f"{commit.key}: parts of a file are read (HTTP ranges), but {_endpoint() or 'the hub'} "
                    f"sends the whole of {path}; set sample.method: full, or another mirror (HF_ENDPOINT)"
                )
                raise PipelineError(message)
            data = response.read()
        if len(data) != stop - start:
            message = f"{len(data)} bytes of {stop - start} arrived"
            raise ConnectionError(message)
        return data

    return _ask(commit, read)


def _digest(path: Path, file: HubFile) -> str:
    """Return the digest of a file on disk, of the same kind as the one that the hub gave."""
    head = f"blob {path.stat().st_size}\0".encode()
    digest = hashlib.sha256() if len(file.digest) == 64 else hashlib.sha1(head)
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _hub_cache() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE


def _ask(commit: HubCommit, call: Callable[[], T]) -> T:
    from huggingface_hub.errors import HfHubHTTPError

    # The HTTP library under the hub's client has changed its name; its errors are the client's own bases.
    http_error = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    known: tuple[type[BaseException], ...] = (OSError, ValueError, http_error)
    try:
        return retrying(call, _passes)
    except PipelineError:
        raise
    except known as error:
        raise _explain(error, commit) from error


def _chain(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_chain(error.__cause__)]


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _passes(error: Exception) -> bool:
    """Return whether another try may help: a busy server, a broken connection, half of a file."""
    if isinstance(error, PipelineError):
        return False
    statuses = [status for link in _chain(error) if (status := _status(link))]
    if statuses:
        return statuses[0] in _PASSING
    broken = any(isinstance(link, ConnectionError | TimeoutError) for link in _chain(error))
    names = {base.__name__ for link in _chain(error) for base in type(link).__mro__}
    return broken or "TransportError" in names or "Consistency check failed" in str(error)


def _explain(error: BaseException, commit: HubCommit) -> PipelineError:
    """Return one line that says what the hub's answer means and what to do."""
    name, kind = commit.name, commit.kind
    names = {type(link).__name__ for link in _chain(error)}
    status = next((status for link in _chain(error) if (status := _status(link))), None)
    page = f"{_endpoint() or 'https://huggingface.co'}/{'datasets/' if kind == 'dataset' else ''}{name}"
    if "GatedRepoError" in names:
        say = f"{name} wants an account that has accepted its terms; accept them at {page} and set HF_TOKEN"
    elif "RevisionNotFoundError" in names:
        say = f"{name} has no revision {commit.sha}; look for a commit's hash at {page}/commits/main"
    elif "RepositoryNotFoundError" in names or status in (401, 403):
        say = f"{name} is not there or is private ({page}); correct the name, or set HF_TOKEN"
    elif "HFValidationError" in names:
        say = f"a {kind} on the hub is owner/name, but it is {name!r}; correct it, or name a folder"
    else:
        reason = f"status {status}" if status else " ".join(str(error).split()) or type(error).__name__
        say = (
            f"{name} could not be read from {page} ({reason}); check the connection or HF_ENDPOINT "
            "(a mirror), or set HF_HUB_OFFLINE=1 if it is cached"
        )
    return PipelineError(f"{commit.key}: {say}")
