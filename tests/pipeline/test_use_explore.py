"""A page for pairs of one's own: what the explorer of the report would show of them, offline, in one file."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.packing import unpacked

SRC = ["The quick brown fox jumps over the lazy dog.", "A dog barks."]
TGT = ["Le renard brun saute par-dessus le chien paresseux.", "Un chien aboie."]


@pytest.fixture(scope="module", autouse=True)
def _at_home(project):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        yield


@pytest.fixture(scope="module")
def opened():
    from pipeline.use.translators import open_translator

    return [open_translator(name) for name in ("mini-marian", "mini-mbert")]


@pytest.fixture(scope="module")
def page(opened, tmp_path_factory):
    from pipeline.use.explore import write_page
    from pipeline.use.text import Texts

    out = tmp_path_factory.mktemp("page") / "fox.html"
    assert write_page(opened, Texts(SRC, TGT), out) == 2
    return out


def _data(page):
    found = re.search(r'id="explorer-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found[1])


def test_the_page_holds_what_the_reader_gives(opened, page):
    from pipeline import read

    data = _data(page)
    assert [one["name"] for one in data["translators"]] == ["mini-marian", "mini-mbert"]
    for shown, one in zip(data["translators"], opened, strict=True):
        for packed, found, pair in zip(shown["maps"], read(one, SRC, TGT), data["pairs"], strict=True):
            assert tuple(pair["src"]) == found.pair.src_words and tuple(pair["tgt"]) == found.pair.tgt_words
            attention, plan = (np.frombuffer(unpacked(packed["blocks"]), np.uint8) / 255).reshape(
                2, *found.attention.shape
            ) ** 2
            np.testing.assert_allclose(attention, found.attention, atol=0.005)
            assert plan[0, 2].sum() == pytest.approx(len(pair["tgt"]), rel=0.01), "a mass of 1 a word"
            assert shown["layers"] == plan.shape[1] == len(shown["corpus"][0]) == len(shown["position"][0])
            heads = (np.frombuffer(unpacked(packed["heads"]), np.uint8) / 85) ** 2
            heads = heads.reshape(*plan.shape[:2], shown["heads"], *plan.shape[2:])
            np.testing.assert_allclose(heads.mean(2), found.attention, atol=0.012)


def test_the_page_asks_no_network_and_keeps_text_as_text(opened, page, tmp_path):
    from pipeline.use.explore import write_page
    from pipeline.use.text import Texts

    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text and not re.search(r"(src|href)=\"?(https?:|//)", text)
    assert "dog – chien" in text, "links stand there without scripts too"
    write_page(opened[1:], Texts(["</script><b> barks ."], ["Un chien ."]), tmp_path / "page", words=True)
    text = (tmp_path / "page").read_text(encoding="utf-8")
    assert "&lt;/script&gt;&lt;b&gt;" in text and "</script><b>" not in text


def test_the_same_pairs_give_the_same_bytes(opened, page, tmp_path):
    from pipeline.use.explore import write_page
    from pipeline.use.text import Texts

    write_page(opened, Texts(SRC, TGT), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_what_is_left_out_is_told(opened, tmp_path, monkeypatch):
    from pipeline.use.explore import write_page
    from pipeline.use.text import Texts

    said = []
    texts = Texts([SRC[0], " ", "word " * 200, SRC[0]], [TGT[0], "b", "mot", TGT[0]])
    assert write_page(opened, texts, tmp_path / "page", say=said.append) == 2
    assert [line.split(":")[0] for line in said] == ["pair 1 is left out", "pair 2 is left out"]
    monkeypatch.setattr("pipeline.use.explore.BUDGET", 10)
    said.clear()
    assert write_page(opened, Texts(SRC, TGT), tmp_path / "page", say=said.append) == 1
    assert said == ["the page shows the first 1 pairs of 2: more would make it too large"]
    monkeypatch.undo()
    monkeypatch.setattr("pipeline.use.explore.MOST", 1)
    assert write_page(opened, Texts(SRC, TGT), tmp_path / "page", say=said.append) == 1 and len(said) == 2
    with pytest.raises(PipelineError, match=r"src, tgt: at least one pair must be one that .* none of 1 is; shorten"):
        write_page(opened, Texts(["a"], [""]), tmp_path / "page")
    with pytest.raises(PipelineError, match=r"--out: must be a file that can be written, but .*name another"):
        write_page(opened, Texts(SRC, TGT), tmp_path / "no" / "page")


def test_the_command(tmp_path, capsys):
    out = tmp_path / "fox.html"
    with pytest.raises(SystemExit) as done:
        main(["explore", SRC[0], TGT[0], "--translator", "mini-marian", "-o", str(out)])
    assert done.value.code == 0 and f"{out}: 1 pair\n" in capsys.readouterr().err
    (tmp_path / "text").write_text("A dog barks . ||| Un chien aboie .\nA dog . ||| Un chien .\n")
    with pytest.raises(SystemExit) as done:
        main(["explore", "--text", f"{tmp_path}/text", "--translator", "mini-mbert", "-o", str(out)])
    assert done.value.code == 0 and len(_data(out)["pairs"]) == 2
    for wrong, rule in (
        (["one"], "there is one; type both"),
        (["a", "b", "--src", "f"], "there is a file too; type both"),
    ):
        with pytest.raises(SystemExit) as done:
            main(["explore", *wrong, "--translator", "mini-mbert", "-o", str(out)])
        assert done.value.code == 1 and rule in capsys.readouterr().err


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome here")
def test_the_explorer_starts_in_a_browser(page):
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "Pair 0, mini-marian, output step, layer 6 of 6" in done.stdout
    assert done.stdout.count("<rect") > 100
