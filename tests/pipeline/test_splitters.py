"""Languages without spaces: who splits them, what is said where no one can, and that nothing is lost."""

import re
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.corpus.splitters as module
from pipeline.corpus.splitters import join_spaceless, script_of, sets_spaces, splitter_of, unicode_words, whole_words
from pipeline.corpus.words import join_words, normalise, split_words
from pipeline.errors import PipelineError


@pytest.fixture(autouse=True)
def afresh():
    """Forget the splitters, so that each test makes its own."""
    splitter_of.cache_clear()
    yield
    splitter_of.cache_clear()


@pytest.mark.parametrize(
    ("lang", "packages", "text", "words"),
    [
        ("zh", ["jieba"], "我来到北京清华大学，3.5% iPhone 15。", "我 来到 北京 清华大学 ， 3.5% iPhone 15 。"),
        ("yue", ["jieba"], "我喜歡你。", "我 喜歡 你 。"),
        ("ja", ["fugashi", "unidic_lite"], "私は日本語を勉強します。3.5%", "私 は 日本 語 を 勉強 し ます 。 3.5 %"),
        ("th", ["pythainlp"], "ฉันรักภาษาไทย 3.5%", "ฉัน รัก ภาษาไทย 3.5 %"),
        ("lo", ["laonlp"], "ຂ້ອຍມັກພາສາລາວ", "ຂ້ອຍ ມັກ ພາສາລາວ"),
        ("km", ["khmernltk"], "ខ្ញុំស្រឡាញ់ភាសាខ្មែរ។", "ខ្ញុំ ស្រឡាញ់ ភាសា ខ្មែរ ។"),
    ],
)
def test_each_language_has_its_splitter(lang: str, packages: list[str], text: str, words: str) -> None:
    for package in packages:
        pytest.importorskip(package)
    assert " ".join(split_words(normalise(text, lang), lang)) == words
    assert re.match(rf"{packages[0].replace('khmernltk', 'khmer-nltk')} \d", splitter_of(lang).name)


@pytest.mark.parametrize(
    ("lang", "text", "words"),
    [
        ("my", "ကျွန်တော်မြန်မာစာကိုချစ်သည်။ 3.5% iPhone", "ကျွန် တော် မြန် မာ စာ ကို ချစ် သည် ။ 3.5% iPhone"),
        ("bo", "བོད་སྐད།", "བོད ་ སྐད །"),
        ("fa", "کتاب‌ها را", "کتاب‌ها را"),
        ("ko", "나는 학교에", "나는 학교에"),
    ],
)
def test_languages_that_need_no_package(lang: str, text: str, words: str) -> None:
    assert " ".join(split_words(normalise(text, lang), lang)) == words


def test_what_split_is_named_with_its_version() -> None:
    assert re.fullmatch(r"Moses, sacremoses [\d.]+", splitter_of("fr").name)
    assert re.fullmatch(r"Unicode word boundaries, regex [\d.]+", splitter_of("bo").name)
    assert splitter_of("my").name == "Burmese syllables (sylbreak)"


def test_the_script_decides() -> None:
    assert [script_of(lang) for lang in ("zh", "zho", "ja", "jpn", "en")] == ["Hans", "Hans", "Jpan", "Jpan", "Latn"]
    assert [lang for lang in ("en", "fr", "ko", "fa", "hi", "zh", "ja", "th", "lo", "km", "my", "bo") if sets_spaces(lang)] == [
        "en", "fr", "ko", "fa", "hi",
    ]  # fmt: skip


@pytest.mark.parametrize(("lang", "package"), [("zh", "jieba"), ("ja", "fugashi"), ("th", "pythainlp"), ("lo", "laonlp"), ("km", "khmer-nltk")])  # fmt: skip
def test_a_missing_splitter_says_what_to_install(
    lang: str, package: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> ModuleType:
        message = f"No module named {name!r}"
        raise ImportError(message)

    monkeypatch.setattr(module, "import_module", missing)
    rule = (
        rf"corpus\.pair: '{lang}' sets no spaces between words and needs a splitter, but {package} is not installed .*"
    )
    with pytest.raises(
        PipelineError, match=rf"{rule}run `pip install 'attention-transport\[{lang}\]'`.*pretokenised: auto"
    ):
        split_words("x", lang)
    extras = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert any(need.startswith(package) for need in extras[lang])  # the remedy installs it


def test_pieces_that_do_not_spell_the_text_give_way_to_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    jieba = SimpleNamespace(cut=lambda text: ["别的"], setLogLevel=lambda level: None)
    monkeypatch.setattr(module, "_load", lambda name: jieba)
    monkeypatch.setattr(module.metadata, "version", lambda name: "0")
    assert splitter_of("zh").name == "jieba 0"
    assert split_words("我有 iPhone 3.5。", "zh") == ["我", "有", "iPhone", "3.5", "。"]
    assert "jieba" not in sys.modules or sys.modules["jieba"] is not jieba


@pytest.mark.parametrize(
    ("text", "pieces", "words"),
    [
        ("3.5% 好", ["3", ".", "5", "%", " ", "好"], ["3.5", "%", "好"]),
        ("スマートフォン", ["スマート", "フォン"], ["スマート", "フォン"]),
        ("か\u3099x", ["か", "\u3099", "x"], ["か\u3099", "x"]),
        ("ab cd", ["ab cd"], ["ab", "cd"]),
        ("", [], []),
    ],
)
def test_whole_words(text: str, pieces: list[str], words: list[str]) -> None:
    assert whole_words(text, pieces) == words


ASIAN = st.text(st.one_of(st.sampled_from("我们去北京。，「」ひらがなカナｶﾅ一ーไทยฉันรักກຂຄໍາខ្ញុំကျွန်တော်ས་ 3.5aB-%\u200b\u0301"), st.characters(exclude_categories=("Cs",))), max_size=30)  # fmt: skip


@given(text=ASIAN, data=st.data(), lang=st.sampled_from(["bo", "my"]))
@settings(deadline=None, max_examples=700)
def test_any_cut_gives_words_that_spell_the_text(text: str, data: st.DataObject, lang: str) -> None:
    text = normalise(text, lang)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    for words in (whole_words(text, pieces), unicode_words(text), split_words(text, lang)):
        assert "".join(words) == text.replace(" ", "")
        assert not any(" " in word or not word for word in words)


@pytest.mark.parametrize(
    ("lang", "package"),
    [("zh", "jieba"), ("ja", "fugashi"), ("th", "pythainlp"), ("lo", "laonlp"), ("km", "khmernltk")],
)
def test_any_text_goes_through_each_splitter(lang: str, package: str) -> None:
    pytest.importorskip(package)

    @given(text=ASIAN)
    @settings(deadline=None, max_examples=150)
    def check(text: str) -> None:
        normal = normalise(text, lang)
        assert "".join(split_words(normal, lang)) == normal.replace(" ", "")

    check()


def test_words_of_a_language_without_spaces_are_joined_without() -> None:
    assert join_words(["我", "有", "iPhone", "15", "Pro", "。"], "zh") == "我有iPhone 15 Pro。"
    assert join_spaceless([]) == ""
