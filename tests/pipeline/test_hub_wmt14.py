"""WMT14 by row groups, against a stand-in for the hub that cuts, delays and refuses."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.hub.content import made_up_rows, write_wmt14
from tests.hub.fixtures import COMMIT, hub, offline, serve_at  # noqa: F401
from tests.hub.server import Fault

N = 500
NAME = "datasets/wmt/wmt14"


@pytest.fixture
def wmt14(hub, tmp_path):
    folder = tmp_path / "wmt14"
    write_wmt14(folder, made_up_rows(N))
    write_wmt14(folder, made_up_rows(90, src="en", tgt="de"), config="de-en", n_files=1)
    hub.add(NAME, folder, commit=COMMIT)
    return hub


def _rows(pair="en-fr", revision=COMMIT, **kwargs):
    from pipeline.corpus.wmt14 import Wmt14Rows

    return Wmt14Rows(pair, revision, **kwargs)


def _texts(numbers, src="en", tgt="fr"):
    rows = made_up_rows(N, src=src, tgt=tgt)
    return [(i, rows[i][src], rows[i][tgt]) for i in sorted(set(numbers))]


def test_rows_are_numbered_through_the_files_and_only_their_row_groups_are_fetched(wmt14):
    rows = _rows()
    assert rows.n_rows == N
    assert rows.revision == COMMIT
    wanted = np.array([499, 3, 167, 19, 166, 333])  # last, first group, first of a file, last of a group, ...
    before = wmt14.sent(r"^/cdn/")
    assert list(rows.fetch(wanted)) == _texts(wanted)
    groups = rows.details(wanted)["row_groups"]
    assert (groups["read"], groups["in_all"]) == (5, 27)
    assert wmt14.sent(r"^/cdn/") - before == groups["bytes"]
    sizes = sum(file.size for path, file in wmt14.repos[NAME].commits[COMMIT].items() if "fr-en/" in path)
    assert groups["bytes"] < sizes / 4


def test_either_direction_and_every_published_pair_of_the_commit(wmt14):
    assert next(_rows("fr-en").fetch(np.array([42]))) == (42, *_texts([42])[0][:0:-1])
    assert list(_rows("en-de").fetch(np.array([7]))) == _texts([7], tgt="de")
    assert list(_rows("de-en").fetch(np.array([7]))) == _texts([7], src="de", tgt="en")


def test_a_second_run_and_an_offline_one_fetch_nothing(wmt14, offline):
    wanted = np.arange(0, N, 50)
    first = list(_rows().fetch(wanted))
    n_requests = len(wmt14.log)
    assert list(_rows().fetch(wanted)) == first
    assert len(wmt14.log) == n_requests, "a pinned commit that was read needs no request at all"
    offline()
    assert list(_rows().fetch(wanted)) == first
    assert len(wmt14.log) == n_requests


def test_whole_files_give_the_same_rows_and_serve_every_later_sample_offline(wmt14, offline):
    wanted = np.array([5, 250, 400])
    by_groups = list(_rows().fetch(wanted))
    assert list(_rows(whole=True).fetch(wanted)) == by_groups
    offline()
    everything = np.arange(N)
    assert list(_rows().fetch(everything)) == _texts(everything)


def test_offline_says_what_is_missing(wmt14, offline):
    from pipeline.errors import PipelineError

    rows = _rows()
    list(rows.fetch(np.array([3])))
    offline()
    with pytest.raises(
        PipelineError,
        match=r"26 row groups of wmt/wmt14 at 0123456789ab are not in the cache .*row group 1 of fr-en/train-00000.*HF_HUB_OFFLINE forbids.*run once with a connection",
    ):
        list(_rows().fetch(np.arange(N)))
    with pytest.raises(PipelineError, match=r"footer of de-en/train-00000.* is not in the cache, and HF_HUB_OFFLINE"):
        _rows("de-en")
    with pytest.raises(PipelineError, match=r"wmt/wmt14 at revision main was never listed here, and HF_HUB_OFFLINE"):
        _rows(revision=None)


def test_offline_names_the_whole_file_that_is_missing(wmt14, offline):
    from pipeline.errors import PipelineError

    _rows()
    offline()
    with pytest.raises(
        PipelineError,
        match=r"fr-en/train-00000-of-00003.parquet \(\d+(\.\d)? kB\) of wmt/wmt14 .*not in the cache",
    ):
        _rows(whole=True)


def test_costs_are_said_before_and_a_branch_becomes_a_commit(wmt14):
    lines = []
    rows = _rows(revision=None, say=lines.append)
    assert rows.revision == COMMIT
    list(rows.fetch(np.array([3, 4, 100])))
    assert lines[0].startswith("corpus: wmt/wmt14 at 0123456789ab, en-fr: 3 files of ")
    assert lines[0].endswith("kB in all; only what is needed is downloaded")
    assert lines[1].startswith("corpus: 3 rows lie in 2 of 27 row groups; 2 are to be downloaded (")


@pytest.mark.parametrize(
    ("kind", "path"),
    [("503", r"^/api/"), ("503", r"/resolve/"), ("503", r"^/cdn/"), ("cut", r"^/api/"), ("cut", r"^/cdn/")],
)
def test_what_passes_is_tried_again(wmt14, kind, path):
    wmt14.faults.append(Fault(kind, path, times=2))
    wanted = np.array([3, 250, 499])
    assert list(_rows().fetch(wanted)) == _texts(wanted)
    assert not any(fault.times for fault in wmt14.faults), "the fault was met"


@pytest.mark.parametrize("kind", ["503", "cut", "flip"])
def test_whole_files_are_fetched_again_and_checked(wmt14, kind, tmp_path):
    wmt14.faults.append(Fault(kind, r"^/cdn/", times=1 if kind == "flip" else 2))
    assert list(_rows(whole=True).fetch(np.arange(N))) == _texts(range(N))
    assert not list((tmp_path / "hub-cache").rglob("*.incomplete"))


def test_a_file_that_arrives_damaged_twice_is_refused_and_removed(wmt14, tmp_path):
    from pipeline.errors import PipelineError

    wmt14.faults.append(Fault("flip", r"^/cdn/", times=2))
    with pytest.raises(
        PipelineError,
        match=r"train-00000.* arrived damaged twice \(its checksum is not [0-9a-f]{64}\) and was removed",
    ):
        _rows(whole=True)
    assert list(_rows(whole=True).fetch(np.arange(N))) == _texts(range(N)), "nothing of it is taken for whole"


def test_a_damaged_file_in_the_cache_is_fetched_again(wmt14, tmp_path):
    _rows(whole=True)
    (blob,) = [p.resolve() for p in (tmp_path / "hub-cache").rglob("train-00001-of-00003.parquet")]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    assert list(_rows().fetch(np.arange(N))) == _texts(range(N))


def test_half_a_row_group_in_the_cache_is_never_read(wmt14, tmp_path):
    from pipeline.errors import PipelineError

    wmt14.faults.append(Fault("cut", r"^/cdn/", times=99))
    with pytest.raises(PipelineError, match=r"corpus.source: wmt/wmt14 could not be read from .*check the connection"):
        _rows()
    wmt14.faults.clear()
    rows = _rows()
    wmt14.faults.append(Fault("cut", r"^/cdn/", times=99))
    with pytest.raises(PipelineError, match="could not be read"):
        list(rows.fetch(np.array([3])))
    assert not list((tmp_path / "cache").rglob("*.part"))
    assert not list((tmp_path / "cache").rglob("0.parquet"))
    wmt14.faults.clear()
    assert list(rows.fetch(np.array([3]))) == _texts([3])


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_row_group_is_removed_and_said(wmt14, tmp_path, how):
    from pipeline.errors import PipelineError

    rows = _rows()
    list(rows.fetch(np.array([3])))
    (part,) = (tmp_path / "cache").rglob("train-*/0.parquet")
    data = bytearray(part.read_bytes())
    data[len(data) // 4] ^= 1  # in a page, not in the footer
    part.write_bytes(data[:-20] if how == "cut" else data)
    with pytest.raises(
        PipelineError,
        match=r"row group 0 of fr-en/train-00000.* must be readable.*its copy is removed, run again",
    ):
        list(rows.fetch(np.array([3])))
    assert list(rows.fetch(np.array([3]))) == _texts([3])


@pytest.mark.parametrize("whole", [False, True])
def test_a_file_that_was_published_cut_short_is_named(wmt14, tmp_path, whole):
    from pipeline.errors import PipelineError

    path = tmp_path / "wmt14" / "fr-en" / "train-00001-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    wmt14.add(NAME, tmp_path / "wmt14", commit="f" * 40)
    with pytest.raises(
        PipelineError,
        match=r"train-00001-of-00003.parquet of wmt/wmt14 at ffffffffffff is no whole Parquet file \(cut short",
    ):
        _rows(revision="f" * 40, whole=whole)


def test_a_missing_file_is_no_silent_gap(wmt14, tmp_path):
    from pipeline.errors import PipelineError

    (tmp_path / "wmt14" / "fr-en" / "train-00001-of-00003.parquet").unlink()
    wmt14.add(NAME, tmp_path / "wmt14", commit="f" * 40)
    with pytest.raises(
        PipelineError,
        match=r"must hold fr-en/train-\*.parquet, every number, but it holds 2 of 3; give corpus.revision",
    ):
        _rows(revision="f" * 40)


def test_other_columns_are_named(wmt14, tmp_path):
    from pipeline.errors import PipelineError

    path = tmp_path / "wmt14" / "fr-en" / "train-00000-of-00003.parquet"
    pq.write_table(pq.read_table(path).rename_columns(["text"]), path)
    wmt14.add(NAME, tmp_path / "wmt14", commit="f" * 40)
    with pytest.raises(PipelineError, match=r"must have a column translation, but it has text; name another revision"):
        _rows(revision="f" * 40)


def test_rows_without_the_language_are_named(wmt14, tmp_path):
    from pipeline.errors import PipelineError

    folder = tmp_path / "other"
    write_wmt14(folder, [{"fr": "un"}], config="fr-de", n_files=1)
    (folder / "fr-de").rename(folder / "fr-en")
    wmt14.add(NAME, folder, commit="f" * 40)
    with pytest.raises(
        PipelineError,
        match=r"a row of wmt/wmt14 holds both languages of corpus.pair, but row 0 holds \{'fr': 'un', 'de': None\}; name another revision",
    ):
        list(_rows(revision="f" * 40).fetch(np.array([0])))


def test_missing_text_is_empty(wmt14, tmp_path):
    folder = tmp_path / "other"
    write_wmt14(folder, [{"fr": "un", "en": None}], n_files=1)
    wmt14.add(NAME, folder, commit="f" * 40)
    assert list(_rows(revision="f" * 40).fetch(np.array([0]))) == [(0, "", "un")]


def test_a_server_without_ranges(wmt14):
    from pipeline.errors import PipelineError

    rows = _rows()
    wmt14.faults.append(Fault("whole", r"^/cdn/", times=99))
    with pytest.raises(
        PipelineError,
        match=r"^corpus.source: parts of a file are read \(HTTP ranges\), but http\S+ sends the whole of fr-en/train-0000\S+; set sample.method: full, or another mirror \(HF_ENDPOINT\)$",
    ):
        list(rows.fetch(np.array([3])))
    assert list(_rows(whole=True).fetch(np.array([3]))) == _texts([3])


def test_footers_longer_than_the_first_read(wmt14, tmp_path):
    folder = tmp_path / "many"
    write_wmt14(folder, made_up_rows(N), n_files=1, rows_a_group=2)
    wmt14.add(NAME, folder, commit="f" * 40)
    before = wmt14.sent("^/cdn/")
    rows = _rows(revision="f" * 40)
    assert wmt14.sent("^/cdn/") - before > 1 << 16
    assert list(rows.fetch(np.array([3, 499]))) == _texts([3, 499])


class TestStream:
    """Rows in their order: the same as by number, from the hub or from files that are here, as far as they are read."""

    @pytest.mark.parametrize("whole", [False, True])
    @pytest.mark.parametrize(("start", "stop"), [(0, N), (0, 25), (160, 340), (167, 334), (499, 500), (7, 7)])
    def test_the_same_rows(self, wmt14, whole, start, stop):
        table = _rows(whole=whole)._table
        expected = list(table.read(np.arange(start, stop)))
        assert list(table.stream(start, stop)) == expected
        assert [row for row, _, _ in _rows(whole=whole).stream(start)] == list(range(start, N))

    def test_nothing_is_kept_and_little_is_read(self, wmt14, tmp_path, monkeypatch):
        from huggingface_hub import HfFileSystemFile

        from pipeline.corpus import row_groups

        monkeypatch.setattr(row_groups, "_REQUEST", 1 << 14)
        monkeypatch.setattr(HfFileSystemFile, "DEFAULT_BLOCK_SIZE", 1 << 14)  # the client's own is 5 MiB
        letters = np.random.default_rng(1).integers(97, 123, (600, 2, 800), dtype=np.uint8)  # hardly compressed
        texts = [{"en": src.tobytes().decode(), "fr": tgt.tobytes().decode()} for src, tgt in letters]
        write_wmt14(tmp_path / "long", texts, n_files=1)
        wmt14.add(NAME, tmp_path / "long", commit="f" * 40)
        rows = _rows(revision="f" * 40)
        before, kept = wmt14.sent("^/cdn/"), sorted((tmp_path / "cache").rglob("*"))
        stream = rows.stream()
        assert [next(stream) for _ in range(3)] == [(i, texts[i]["en"], texts[i]["fr"]) for i in range(3)]
        stream.close()
        size = (tmp_path / "long" / "fr-en" / "train-00000-of-00001.parquet").stat().st_size
        assert wmt14.sent("^/cdn/") - before < size / 2
        assert sorted((tmp_path / "cache").rglob("*")) == kept
        assert not list(tmp_path.rglob("*.arrow"))

    @pytest.mark.parametrize(("kind", "path"), [("503", r"^/api/"), ("503", r"/resolve/"), ("cut", r"^/cdn/")])
    def test_what_passes_is_tried_again(self, wmt14, kind, path):
        rows = _rows()
        wmt14.faults.append(Fault(kind, path, times=2))
        assert list(rows.stream()) == _texts(range(N))
        assert not any(fault.times for fault in wmt14.faults), "the fault was met"

    def test_offline(self, wmt14, offline):
        from pipeline.errors import PipelineError

        rows = _rows()
        offline()
        with pytest.raises(
            PipelineError,
            match=r"^corpus.source: fr-en/train-00000-of-00003.parquet of wmt/wmt14 at 0123456789ab is not in the cache, and HF_HUB_OFFLINE forbids to stream it; run with a connection, or once with one and sample.method: full$",
        ):
            list(rows.stream())

    def test_whole_files_are_streamed_offline(self, wmt14, offline):
        _rows(whole=True)
        offline()
        assert list(_rows().stream()) == _texts(range(N))


class TestOneLayer:
    """What does not pass is asked for six times by the hub's client, or five times by us where it asks once."""

    @pytest.mark.parametrize(("kind", "path"), [("503", r"/resolve/"), ("cut", r"^/cdn/")])
    @pytest.mark.parametrize("way", ["rows", "stream"])
    def test_ranges(self, wmt14, kind, path, way):
        from pipeline.errors import PipelineError

        rows = _rows()
        list(rows.fetch(np.array([499])))
        wmt14.faults.append(Fault(kind, path, times=999))
        with pytest.raises(PipelineError, match=r"^corpus.source: wmt/wmt14 could not be read from http\S+ \("):
            list(rows.fetch(np.array([3])) if way == "rows" else rows.stream())
        assert 999 - wmt14.faults[0].times == 6

    @pytest.mark.parametrize(("kind", "times"), [("503", 5), ("cut", 6)])
    def test_whole_files(self, wmt14, kind, times):
        from pipeline.errors import PipelineError

        wmt14.faults.append(Fault(kind, r"^/cdn/", times=999))
        with pytest.raises(PipelineError, match=r"^corpus.source: wmt/wmt14 could not be read from http\S+ \("):
            _rows(whole=True)
        assert 999 - wmt14.faults[0].times == times

    @pytest.mark.parametrize("kind", ["503", "cut"])
    @pytest.mark.parametrize(("revision", "times"), [(COMMIT, 6), ("main", 5)])
    def test_listings(self, wmt14, kind, revision, times):
        from pipeline.errors import PipelineError

        wmt14.faults.append(Fault(kind, r"^/api/", times=999))
        with pytest.raises(PipelineError, match=r"^corpus.source: wmt/wmt14 could not be read from http\S+ \("):
            _rows(revision=revision)
        assert 999 - wmt14.faults[0].times == times


@pytest.mark.parametrize(
    ("method", "of_rows", "of_text"),
    [
        ("rows", "c0132a5bbcc71eae", "0afd369633d5297a"),
        ("full", "c0132a5bbcc71eae", "0afd369633d5297a"),
        ("head", "7c50363b0f5c1862", "1d006552294ee5f9"),
    ],
)
def test_the_same_pairs_as_ever(wmt14, method, of_rows, of_text):
    """Digests of what was chosen when every byte was still fetched by code of ours (commit 4f1552e)."""
    from pipeline.corpus.select import select_pairs
    from pipeline.corpus.sources import open_source
    from pipeline.params import Corpus, Sample

    source = open_source(Corpus(source="wmt14", revision=COMMIT), method=method)
    _, facts = select_pairs(source, Sample(n_pairs=64, method=method), src_lang="en", tgt_lang="fr")
    assert (facts["sha256_rows"][:16], facts["sha256_text"][:16]) == (of_rows, of_text)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_999, "10 kB"), (7_688_812_445, "7.7 GB")]
)
def test_sizes_in_words(size, words):
    from pipeline._fetch import in_words

    assert in_words(size) == words


class TestRefusals:
    """The hub says no: one line each, which names the key and what to do."""

    def test_unknown_revision(self, wmt14):
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError,
            match=r"^corpus.source: wmt/wmt14 has no revision eeee.*; look for a commit's hash at \S+/datasets/wmt/wmt14/commits/main$",
        ):
            _rows(revision="e" * 40)

    def test_gated(self, wmt14):
        from pipeline.errors import PipelineError

        wmt14.repos[NAME].gated = True
        with pytest.raises(
            PipelineError,
            match=r"wants an account that has accepted its terms; accept them at \S+ and set HF_TOKEN$",
        ):
            _rows()

    def test_not_there(self, hub):
        from pipeline.errors import PipelineError

        with pytest.raises(
            PipelineError, match=r"wmt/wmt14 is not there or is private .*correct the name, or set HF_TOKEN$"
        ):
            _rows()

    def test_no_server(self, wmt14, monkeypatch):
        from pipeline.errors import PipelineError

        serve_at(monkeypatch, "http://127.0.0.1:9")
        with pytest.raises(
            PipelineError,
            match=r"could not be read from http://127.0.0.1:9.*check the connection or HF_ENDPOINT",
        ):
            _rows()
