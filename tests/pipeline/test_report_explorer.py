"""The explorer's data on the page: joined over translators, small, and harmless inside a script element."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.report.explorer import linked_words, read_explorer, script_json
from tests.pipeline.report_factory import measured  # noqa: F401 - a fixture


def _folders(measured):
    return {name: measured.project.data / "explorer" / name for name in measured.project.params.translators}


def _read(measured, **options):
    return read_explorer(_folders(measured), n_wanted=6, **options)


def test_views_layers_and_links_are_told(measured):
    explorer = _read(measured)
    marian, mbert = explorer.translators
    assert [view["id"] for view in marian["views"]] == ["output_step", "input_step"]
    assert [view["query_side"] for view in mbert["views"]] == ["tgt", "src"]
    assert marian["layers"] == measured.project.n_layers
    assert len(marian["blocks"]) == len(mbert["blocks"]) == len(explorer.pairs) == 6
    entry = explorer.pairs[1]
    assert len(entry["links"]) == 5
    assert f"{entry['src'][entry['links'][0][0]]} – {entry['tgt'][entry['links'][0][1]]}" in linked_words(entry)
    assert len(explorer.pairs[0]["gold"]["sure"]) == 5, "found by the words"


def test_pairs_that_do_not_fit_are_left_out(measured):
    full = _read(measured)
    small = _read(measured, budget=len(full.as_json()) // 2)
    assert 0 < len(small.pairs) < len(full.pairs) == 6
    assert small.n_wanted == 6 and small.n_selected == 12
    assert [len(t["blocks"]) for t in small.translators] == [len(small.pairs)] * 2
    assert _read(measured, budget=0).pairs == []


def test_translators_must_show_the_same_pairs(measured, tmp_path):
    folders = _folders(measured)
    shutil.copytree(folders["mini-mbert"], tmp_path / "mini-mbert")
    file = tmp_path / "mini-mbert" / "explorer.json"
    other = json.loads(file.read_text())
    other["pairs"].reverse()
    file.write_text(json.dumps(other))
    with pytest.raises(PipelineError, match=r"data/explorer/mini-mbert: must show the pairs of the other translators"):
        read_explorer({**folders, "mini-mbert": tmp_path / "mini-mbert"}, n_wanted=6)
    file.write_text(json.dumps({**other, "schema": 1}))
    with pytest.raises(PipelineError, match=r"must say schema: \d, but it says 1.*--force align@mini-mbert"):
        read_explorer({**folders, "mini-mbert": tmp_path / "mini-mbert"}, n_wanted=6)


@given(st.text())
def test_no_text_can_end_a_script_element(text):
    shown = script_json({"word": text, text: 1})
    assert not set(shown) & set("<>&\u2028\u2029")
    assert json.loads(shown)["word"] == (1 if text == "word" else text)


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "\u2028", "&lt;"])
def test_what_browsers_look_for_is_escaped(text):
    assert text not in script_json([text])
