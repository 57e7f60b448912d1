"""The explorer's data on the page: joined over translators, small, and harmless inside a script element."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.report.explorer import linked_words, read_explorer, script_json
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture


def _read(measured, data=None, **options):
    return read_explorer(measured.translators, data or measured.project.data / "explorer", n_wanted=6, **options)


def test_views_layers_and_links_are_told(measured):
    explorer = _read(measured)
    marian, mbert = explorer.translators
    assert [view["id"] for view in marian["views"]] == ["output_step", "input_step"]
    assert [view["query_side"] for view in mbert["views"]] == ["tgt", "src"]
    assert marian["layers"] == measured.project.n_layers
    assert len(marian["maps"]) == len(mbert["maps"]) == len(explorer.pairs) == 6
    entry = explorer.pairs[1]
    assert len(entry["links"]) == 5
    assert f"{entry['src'][entry['links'][0][0]]} – {entry['tgt'][entry['links'][0][1]]}" in linked_words(entry)
    assert len(explorer.pairs[0]["gold"]["sure"]) == 5, "found by the words"


def test_pairs_that_do_not_fit_are_left_out(measured):
    full = _read(measured)
    small = _read(measured, budget=len(full.as_json()) // 4)
    assert 0 < len(small.pairs) < len(full.pairs) == 6
    assert small.n_wanted == 6 and small.n_selected == 48
    assert [len(t["maps"]) for t in small.translators] == [len(small.pairs)] * 2
    assert _read(measured, budget=0).pairs == []


def test_single_heads_give_way_before_pairs_do(measured):
    full = _read(measured)
    some = _read(measured, budget=int(0.7 * len(full.as_json())))
    assert len(some.pairs) == 6 and 0 < some.n_heads < 6
    for translator in some.translators:
        assert [entry["heads"] is not None for entry in translator["maps"]] == [k < some.n_heads for k in range(6)]
        assert all(entry["blocks"] for entry in translator["maps"])


def test_translators_must_show_the_same_pairs(measured, tmp_path):
    shutil.copytree(measured.project.data / "explorer", tmp_path, dirs_exist_ok=True)
    file = tmp_path / "mini-mbert" / "explorer.json"
    other = json.loads(file.read_text())
    other["pairs"].reverse()
    file.write_text(json.dumps(other))
    with pytest.raises(PipelineError, match=r"data/explorer/mini-mbert: must show the pairs of the other translators"):
        _read(measured, tmp_path)
    file.write_text(json.dumps({**other, "schema": 1}))
    with pytest.raises(PipelineError, match=r"must say schema: \d, but it says 1.*--force align@mini-mbert"):
        _read(measured, tmp_path)


def test_what_is_packed_is_what_align_wrote(measured):
    written = json.loads((measured.project.data / "explorer" / "mini-marian" / "explorer.json").read_text())
    explorer = _read(measured)
    marian, t = explorer.translators[0], measured.translators[0]
    assert len(explorer.as_json()) < 900_000
    assert marian["maps"] == written["maps"] and marian["heads"] == written["heads"] == 2
    assert explorer.n_heads == explorer.n_corpus == 6 and all(entry["heads"] for entry in marian["maps"])
    rows = t.curves[(t.curves["score"] == t.score) & (t.curves["view"] == "input_step")]
    wanted = rows[rows["control"] == "trained"]["value"].tolist()
    assert [row[0] for row in marian["corpus"][1]] == pytest.approx(wanted, abs=1e-4)
    assert explorer.pairs[explorer.example]["id"] == t.example["pair_id"]


def test_a_pair_that_was_not_read_has_no_map_and_a_reason(measured, tmp_path):
    shutil.copytree(measured.project.data / "explorer", tmp_path, dirs_exist_ok=True)
    file = tmp_path / "mini-mbert" / "explorer.json"
    written = json.loads(file.read_text())
    written["maps"][3] = None
    file.write_text(json.dumps(written))
    mbert = _read(measured, tmp_path).translators[1]
    assert mbert["maps"][3] is None and mbert["skipped"] == "1 too long"


@given(st.text())
def test_no_text_can_end_a_script_element(text):
    shown = script_json({"word": text, text: 1})
    assert not set(shown) & set("<>&\u2028\u2029")
    assert json.loads(shown)["word"] == (1 if text == "word" else text)


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "\u2028", "&lt;"])
def test_what_browsers_look_for_is_escaped(text):
    assert text not in script_json([text])
