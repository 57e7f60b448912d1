"""docs/results.md says what reports/results/e5-small holds, and neither holds a sentence of the texts."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "reports" / "results"


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results", ROOT / ".ci" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_of_the_metrics(results):
    text = results.DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- table (\w+) -->", text)) == set(results.TABLES)
    assert results.filled(text) == text, "run `python .ci/results.py`"
    changed = text.replace("| 6 | .438 |", "| 6 | .439 |")
    assert changed != text and results.filled(changed) == text


@pytest.mark.realdata
def test_no_word_of_a_text_is_kept(shared_data):
    kept = "\n".join(path.read_text(encoding="utf-8") for path in sorted(RESULTS.rglob("*.*")))
    kept += (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[^\W\d_]+", kept.lower()))
    texts = [*(shared_data / "newstest").glob("*.fr"), *(shared_data / "gold").glob("*-en/test.*")]
    assert len(texts) > 5
    for path in texts:
        lines = path.read_text(encoding="utf-8").splitlines()
        # Words of a language that our own words are not in: no English one has such a letter.
        foreign = {word for line in lines for word in re.findall(r"[^\W\d_]{6,}", line.lower()) if not word.isascii()}
        assert not words & foreign
        assert not [line for line in lines if len(line) > 20 and line in kept]
