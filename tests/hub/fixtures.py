"""A running stand-in hub with empty caches of its own; tests that use it import the fixture by name."""

from collections.abc import Iterator

import pytest

from tests.hub.server import Hub, HubServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[Hub]:
    """Serve a hub at HF_ENDPOINT; downloads go to empty caches, and tries follow each other without waiting."""
    from pipeline import _fetch

    with HubServer(Hub()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setenv("ATTENTION_TRANSPORT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(_fetch, "WAITS", (0, 0, 0, 0))
        yield server.hub


@pytest.fixture
def offline(monkeypatch):
    """Return a function that sets HF_HUB_OFFLINE for a hub client that was already imported."""
    from huggingface_hub import constants

    return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
