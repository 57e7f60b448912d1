"""MUSE dictionaries, against a stand-in for the server that publishes them."""

import hashlib

import pytest

from tests.hub.fixtures import hub  # noqa: F401
from tests.hub.server import Fault

ENTRIES = "".join(f"word{i} mot{i}\n" for i in range(200)).encode()
MIRROR = "{}/arrival/dictionaries"


@pytest.fixture
def muse(hub, monkeypatch):
    """Publish two made-up dictionaries, one of them with a known checksum, and set the mirror's address."""
    import os

    import pooch

    from pipeline.lexicon import muse as module

    hub.muse = {"en-fr.txt": ENTRIES, "de-en.txt": b"haus house\n"}
    monkeypatch.setattr(module, "_SHA256", {"en-fr": hashlib.sha256(ENTRIES).hexdigest()})
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("MUSE_MIRROR", MIRROR.format(os.environ["HF_ENDPOINT"]))
    return hub


def test_it_is_downloaded_once_and_the_licence_is_said_then(muse):
    from pipeline.lexicon.muse import fetch_muse

    lines = []
    path = fetch_muse("en-fr", say=lines.append)
    assert path.read_bytes() == ENTRIES
    assert fetch_muse("en-fr", say=lines.append) == path
    assert lines == ["lexicon: downloading MUSE's en-fr.txt (Conneau et al. 2018; CC BY-NC 4.0: no commercial use)"]
    assert len(muse.log) == 1


def test_a_pair_without_a_known_checksum(muse):
    from pipeline.lexicon import load_lexicon
    from pipeline.params import Lexicon

    lexicon = load_lexicon(Lexicon(source="muse"), pair="de-en")
    assert lexicon.entries == {"haus": {"house"}}
    assert lexicon.licence == "CC BY-NC 4.0"


def test_the_mirror_of_the_parameters_comes_first(muse, monkeypatch):
    import os

    from pipeline.lexicon import load_lexicon
    from pipeline.params import Lexicon

    monkeypatch.setenv("MUSE_MIRROR", "http://127.0.0.1:9")
    settings = Lexicon(source="muse", mirror=MIRROR.format(os.environ["HF_ENDPOINT"]) + "/")
    assert load_lexicon(settings, pair="en-fr").n_entries == 200


@pytest.mark.parametrize(("kind", "times"), [("503", 2), ("cut", 2), ("flip", 1)])
def test_what_passes_is_tried_again(muse, kind, times):
    from pipeline.lexicon.muse import fetch_muse

    muse.faults.append(Fault(kind, "en-fr.txt", times=times))
    assert fetch_muse("en-fr").read_bytes() == ENTRIES
    assert len(muse.log) == times + 1


@pytest.mark.parametrize("kind", ["503", "404", "cut", "flip"])
def test_what_stays_is_one_line_and_leaves_no_file(muse, kind, tmp_path):
    from pipeline.errors import PipelineError
    from pipeline.lexicon.muse import fetch_muse

    muse.faults.append(Fault(kind, "en-fr.txt", times=99))
    with pytest.raises(
        PipelineError,
        match=r"^lexicon.source: muse reads http\S+/en-fr.txt, but .*; check the connection or lexicon.mirror, or save the file yourself and use source: files with its path$",
    ):
        fetch_muse("en-fr")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    muse.faults.clear()
    assert fetch_muse("en-fr").read_bytes() == ENTRIES


def test_a_cached_file_that_was_damaged_is_fetched_again(muse):
    from pipeline.lexicon.muse import fetch_muse

    path = fetch_muse("en-fr")
    path.write_bytes(ENTRIES[:100])
    assert fetch_muse("en-fr").read_bytes() == ENTRIES


def test_pairs_that_are_not_published(muse):
    from pipeline.errors import PipelineError
    from pipeline.lexicon.muse import fetch_muse
    from pipeline.params import MUSE_PAIRS

    assert {"en-fr", "fr-en", "de-fr", "pt-it", "en-zh", "vi-en"} <= set(MUSE_PAIRS)
    with pytest.raises(
        PipelineError,
        match=r"corpus.pair: muse has 108 pairs, .*but it is 'fr-zh'; use lexicon.source: files",
    ):
        fetch_muse("fr-zh")


@pytest.mark.realdata
@pytest.mark.parametrize("pair", ["en-fr", "fr-en"])
def test_the_known_checksums_are_those_of_the_published_files(shared_data, pair):
    from pipeline.lexicon.muse import _SHA256

    data = (shared_data / "muse" / f"{pair}.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == _SHA256[pair]
    assert data.count(b"\n") == {"en-fr": 113_286, "fr-en": 113_324}[pair]
