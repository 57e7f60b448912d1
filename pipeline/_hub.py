"""Files of the Hugging Face hub at one commit: listed, fetched, checked, found offline.

The hub's own client downloads, tries again and keeps the files in its cache, where every other tool finds them. Ours
are the listing of a commit, from which an offline run knows what is missing, the check of each file against it, and
errors in one line.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from pipeline import _fetch
from pipeline._fetch import cache_folder, in_words
from pipeline._output import write_json
from pipeline.errors import PipelineError

Kind = Literal["model", "dataset"]
T = TypeVar("T")

_HASH = re.compile(r"[0-9a-f]{40}")
_BUSY = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class HubFile:
    """Size in bytes and digest of one file: sha256 if it is large, git's sha1 if it is small."""

    size: int
    digest: str

    def is_at(self, path: Path) -> bool:
        """Return whether the file on disk has this digest."""
        from huggingface_hub.utils.sha import git_hash, sha_fileobj

        with path.open("rb") as handle:
            found = sha_fileobj(handle).hex() if len(self.digest) == 64 else git_hash(handle.read())
        return found == self.digest


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
    with explained(HubCommit(name, kind, wanted, {}, key)):
        commit = _list(name, kind, wanted, key)
    write_json(listing, {"sha": commit.sha, "files": {path: [f.size, f.digest] for path, f in commit.files.items()}})
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

    api, sha = HfApi(), revision
    if not _HASH.fullmatch(revision):
        sha = patiently(partial(api.repo_info, name, repo_type=kind, revision=revision)).sha or revision
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

    found = try_to_load_from_cache(commit.name, path, revision=commit.sha, repo_type=commit.kind)
    whole = isinstance(found, str) and Path(found).stat().st_size == commit.files[path].size
    return Path(found) if isinstance(found, str) and whole else None


def fetch(commit: HubCommit, path: str) -> Path:
    """Return a file of the commit in the hub's cache, downloaded if it is not there; checks it each time.

    Raises
    ------
    PipelineError
        If it cannot be downloaded, arrives damaged twice, or is not cached and HF_HUB_OFFLINE forbids to ask.
    """
    from huggingface_hub import hf_hub_download

    file, found = commit.files[path], cached(commit, path)
    if found and file.is_at(found):
        return found
    if offline():
        state = "damaged in the cache" if found else "not in the cache"
        message = (
            f"{commit.key}: {path} ({in_words(file.size)}) of {commit.label} is {state}, and "
            "HF_HUB_OFFLINE forbids to download it; run once with a connection"
        )
        raise PipelineError(message)
    for again in (found is not None, True):
        download = partial(hf_hub_download, commit.name, path, repo_type=commit.kind, revision=commit.sha)
        with explained(commit):
            here = Path(patiently(partial(download, force_download=again), connections=False))
        if file.is_at(here):
            return here
    here.resolve().unlink()
    message = (
        f"{commit.key}: {path} of {commit.label} arrived damaged twice (its checksum is not "
        f"{file.digest}) and was removed; try again later, or another mirror (HF_ENDPOINT)"
    )
    raise PipelineError(message)


def patiently(ask: Callable[[], T], *, connections: bool = True) -> T:
    """Return what `ask` returns; a busy hub is asked again, for the requests that its client makes only once.

    `connections` says whether that is so for connections that break, too.
    """
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx

    passing = (HfHubHTTPError, httpx.TransportError) if connections else (HfHubHTTPError,)
    for wait in _fetch.WAITS:
        try:
            return ask()
        except passing as error:
            if (_status(error) or 503) not in _BUSY:
                raise
        time.sleep(wait)
    return ask()


@contextmanager
def explained(commit: HubCommit) -> Iterator[None]:
    """Turn what the hub's client raises into one line that says what the answer means and what to do."""
    from huggingface_hub.utils import httpx

    try:
        yield
    except PipelineError:
        raise
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise _explain(error, commit) from error


def _chain(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_chain(error.__cause__)]


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _explain(error: BaseException, commit: HubCommit) -> PipelineError:
    from huggingface_hub import constants

    name, kind = commit.name, commit.kind
    names = {type(link).__name__ for link in _chain(error)}
    status = next((status for link in _chain(error) if (status := _status(link))), None)
    page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{name}"
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
