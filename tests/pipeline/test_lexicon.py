"""Dictionaries in MUSE's form."""

import hashlib
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.lexicon import load_lexicon
from pipeline.lexicon.demo import demo_lexicon
from pipeline.lexicon.files import look_up_form, read_lexicon
from pipeline.params import Lexicon as Settings


def test_entries_by_space_or_tab(tmp_path: Path) -> None:
    text = "The le\nthe la\nthe\tla\n\ndog chien\r\nprime minister\tpremier ministre\n"
    text += "e\u0301te\u0301 SUMMER\nit’s c'est\n"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8", newline="")
    lexicon = read_lexicon(tmp_path / "a.txt")
    assert lexicon.entries == {
        "the": {"le", "la"},
        "dog": {"chien"},
        "été": {"summer"},
        "it's": {"c'est"},
    }
    assert (lexicon.n_entries, lexicon.n_several_words, lexicon.source) == (5, 1, "files")
    assert lexicon.sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a b\nc\n", r"a line is `source target`.* but line 2 of .*a\.txt is 'c'"),
        ("a b c\n", r"line 1 of .* is 'a b c'; correct it"),
        ("a\tb\tc\n", r"line 1 of .*a\.txt is 'a\\tb\\tc'"),
        ("a\t\n", r"line 1 of .*a\.txt is 'a\\t'"),
        ("\n \n", r"at least one pair of words, but .*a\.txt holds none"),
        ("a b\tc d\n", r"at least one pair of words, but .*a\.txt holds none"),
    ],
)
def test_what_is_no_dictionary_is_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=match):
        read_lexicon(tmp_path / "a.txt")


def test_a_missing_dictionary_is_named() -> None:
    with pytest.raises(PipelineError, match=r"nowhere\.txt: must be a text file"):
        load_lexicon(Settings(source="files", path="nowhere.txt"), pair="en-fr")


def test_the_parameters_choose_the_dictionary(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    demo = load_lexicon(Settings(), pair="en-fr")
    assert demo == demo_lexicon()
    assert demo.source == "demo"
    assert demo.n_entries >= 1200
    (tmp_path / "a.txt").write_text("a b\n", encoding="utf-8")
    assert load_lexicon(Settings(source="files", path=str(tmp_path / "a.txt")), pair="en-fr").n_entries == 1


@pytest.mark.parametrize(("word", "form"), [("Été", "été"), ("e\u0301", "é"), ("Aujourd’hui", "aujourd'hui")])
def test_look_up_form(word: str, form: str) -> None:
    assert look_up_form(word) == form


@pytest.mark.realdata
def test_muse_is_read_whole(shared_data: Path) -> None:
    lexicon = read_lexicon(shared_data / "muse/en-fr.txt")
    assert (len(lexicon.entries), lexicon.n_entries, lexicon.n_several_words) == (94_681, 113_286, 0)
