"""A running stand-in hub with empty caches of its own; tests that use it import the fixture by name."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.hub.server import Hub, HubServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[Hub]:
    """Serve a hub where the libraries look for it; downloads go to empty caches, and tries follow without waiting."""
    import datasets
    from huggingface_hub import HfFileSystem, constants, file_download
    from huggingface_hub.utils import _http

    from pipeline import _fetch

    clock = SimpleNamespace(time=time.time, sleep=lambda seconds: None)
    with HubServer(Hub()) as server:
        serve_at(monkeypatch, server.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
        monkeypatch.setenv("ATTENTION_TRANSPORT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(_fetch, "WAITS", (0, 0, 0, 0))
        for module in (_http, file_download):
            monkeypatch.setattr(module, "time", clock)
        HfFileSystem.clear_instance_cache()
        yield server.hub


def serve_at(monkeypatch, url: str) -> None:
    """Set the hub's address, which the libraries read from HF_ENDPOINT when they are imported."""
    import datasets
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", url)


@pytest.fixture
def offline(monkeypatch):
    """Return a function that sets HF_HUB_OFFLINE for a hub client that was already imported."""
    from huggingface_hub import constants

    return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
