"""A stand-in for the Hugging Face hub and the MUSE host on loopback, with faults on demand.

It answers what `huggingface_hub` asks (found by logging it): `/api/{models,datasets}/NAME[/revision/REV]`,
`/api/.../tree/REV[/FOLDER]` in pages, and HEAD and GET of `/[datasets/]NAME/resolve/REV/PATH` with ETag, X-Repo-Commit and
ranges. Large files redirect to another host name, as the hub's do to its content network.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".parquet", ".spm")
PAGE = 4  # entries of a listing at once: few, so that following pages is tested


@dataclass(frozen=True)
class HubFile:
    """A file of a repository with the names that the hub gives its content."""

    path: Path
    size: int
    sha256: str
    git_id: str

    @property
    def large(self) -> bool:
        return self.path.name.endswith(LARGE)

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.git_id

    @classmethod
    def of(cls, path: Path) -> "HubFile":
        sha256, size = hashlib.sha256(), path.stat().st_size
        git = hashlib.sha1(f"blob {size}\0".encode())
        with path.open("rb") as handle:
            while chunk := handle.read(1 << 22):
                sha256.update(chunk)
                git.update(chunk)
        return cls(path, size, sha256.hexdigest(), git.hexdigest())


@dataclass
class Repo:
    """One repository: commits by hash, references such as `main` and `refs/pr/5`."""

    commits: dict[str, dict[str, HubFile]]
    refs: dict[str, str]
    gated: bool = False

    def commit(self, revision: str) -> str | None:
        found = self.refs.get(revision, revision)
        return found if found in self.commits else None


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose method and path fit."""

    kind: str  # a status ("503"), "cut" (half of the body), "flip" (one byte differs), "whole" (no ranges)
    path: str
    times: int = 1
    method: str = "GET"


@dataclass(frozen=True)
class Request:
    """One line of the log."""

    method: str
    path: str
    status: int
    sent: int
    range: str | None


@dataclass
class Hub:
    """Repositories by `models/NAME` and `datasets/NAME`, MUSE files by name, faults and a log of requests."""

    repos: dict[str, Repo] = field(default_factory=dict)
    muse: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    log: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, folder: Path, *, commit: str, refs: tuple[str, ...] = ("main",)) -> None:
        """Publish the files of a folder as one commit."""
        files = {
            path.relative_to(folder).as_posix(): HubFile.of(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        repo = self.repos.setdefault(name, Repo({}, {}))
        repo.commits[commit] = files
        repo.refs |= dict.fromkeys(refs, commit)

    def fault_of(self, method: str, path: str) -> str | None:
        """Return the fault that this request gets, which is then used up."""
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault.kind
        return None

    def sent(self, path: str) -> int:
        """Return the bytes sent in answer to requests whose path fits."""
        return sum(request.sent for request in self.log if re.search(path, request.path))

    def blob(self, sha256: str) -> HubFile | None:
        """Return the large file with this content."""
        for repo in self.repos.values():
            for files in repo.commits.values():
                for file in files.values():
                    if file.sha256 == sha256:
                        return file
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, *args: object) -> None:  # the log is the hub's own
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        if path == "/api/agent-harnesses":  # what the client asks once a process, whatever it is used for
            self._error(404, None, log=False)
            return
        self.fault = self.server.hub.fault_of(self.command, path)
        if self.fault and self.fault.isdigit():
            self._error(int(self.fault), None)
        elif match := re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+?)(?:/(revision|tree)/(.+))?", path):
            self._api(match[1], match[2] or "revision", match[3] or "main", query)
        elif match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/(refs/pr/\d+|[^/]+)/(.+)", path):
            self._resolve(f"{match[1] or 'models/'}{match[2]}", match[3], match[4])
        elif match := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            file = self.server.hub.blob(match[1])
            assert file is not None
            self._body(file.path.read_bytes(), {"ETag": f'"{file.sha256}"'})
        elif match := re.fullmatch(r"/arrival/dictionaries/(.+)", path):
            data = self.server.hub.muse.get(match[1])
            self._error(404, None) if data is None else self._body(data, {})
        else:
            self._error(404, "RouteNotFound")

    def _repo(self, name: str, revision: str) -> tuple[Repo, str] | None:
        repo = self.server.hub.repos.get(name)
        if repo is None:
            self._error(401, "RepoNotFound")  # the hub does not say whether it is private or not there
            return None
        if repo.gated and "Authorization" not in self.headers:
            self._error(401, "GatedRepo")
            return None
        commit = repo.commit(revision)
        if commit is None:
            self._error(404, "RevisionNotFound")
            return None
        return repo, commit

    def _api(self, name: str, what: str, revision: str, query: dict[str, list[str]]) -> None:
        # A commit's hash may be followed by a folder.
        revision, _, folder = (revision, "", "") if revision.startswith("refs/") else revision.partition("/")
        found = self._repo(name, revision)
        if found is None:
            return
        repo, commit = found
        files = repo.commits[commit]
        if what == "revision":
            siblings = [{"rfilename": path} for path in files]
            self._json({"id": name.split("/", 1)[1], "sha": commit, "siblings": siblings, "private": False})
            return
        start = int(query.get("cursor", ["0"])[0])
        entries = [_entry(path, file) for path, file in sorted(files.items()) if path.startswith(folder)]
        headers = {}
        if start + PAGE < len(entries):
            base = f"{self.server.url}/api/{name}/tree/{revision.replace('/', '%2F')}{f'/{folder}' if folder else ''}"
            headers["Link"] = f'<{base}?recursive=true&cursor={start + PAGE}>; rel="next"'
        self._json(entries[start : start + PAGE], headers)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        found = self._repo(name, revision)
        if found is None:
            return
        repo, commit = found
        file = repo.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if file is None:
            self._error(404, "EntryNotFound", headers)
        elif file.large:
            headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"'}
            location = f"{self.server.url.replace('127.0.0.1', 'localhost')}/cdn/{file.sha256}"
            self._send(302, b"", headers | {"Location": location})
        else:
            self._body(file.path.read_bytes(), headers | {"ETag": f'"{file.git_id}"'})

    def _json(self, value: object, headers: dict[str, str] | None = None) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _body(self, data: bytes, headers: dict[str, str]) -> None:
        if self.fault == "flip":
            at = len(data) // 2
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None or self.fault == "whole":
            self._send(200, data, headers)
            return
        start, stop = int(wanted[1]), min(int(wanted[2]) + 1, len(data)) if wanted[2] else len(data)
        span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        self._send(206, data[start:stop], headers | span)

    def _error(self, status: int, code: str | None, headers: dict[str, str] | None = None, *, log: bool = True) -> None:
        self._send(status, b"", (headers or {}) | ({"X-Error-Code": code} if code else {}), log=log)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, log: bool = True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        whole = body if self.command == "GET" else b""
        if log and self.fault == "cut":
            whole, self.close_connection = whole[: len(whole) // 2], True
        hub = self.server.hub
        if log:
            with hub.lock:
                span = self.headers.get("Range")
                hub.log.append(Request(self.command, unquote(self.path), status, len(whole), span))
        self.wfile.write(whole)


def _entry(path: str, file: HubFile) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": file.size, "oid": file.git_id}
    return entry | {"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 134}} if file.large else entry


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class HubServer:
    """Serves a `Hub` while the block runs."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def __enter__(self) -> "HubServer":
        self._server = _Server(self.hub)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
