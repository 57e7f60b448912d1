"""Every number of the page's tables and findings is one of the metrics, rounded."""

import re

import numpy as np
import pytest

from pipeline.claims_file import read_claims, read_questions
from pipeline.report.matrix import answers
from pipeline.report.page import Block
from pipeline.report.render import sections_of
from pipeline.report.wording import MINUS
from tests.pipeline.report_factory import measured, undrawn  # noqa: F401 - fixtures

pytestmark = [pytest.mark.usefixtures("undrawn"), pytest.mark.slow]

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?(?![\w])")


class Numbers:
    """The numbers of some files, looked up as they are printed: rounded, as shares or in per cent."""

    def __init__(self, texts):
        found = [
            float(token.replace(",", "")) for text in texts for token in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)
        ]
        self.values = np.unique(np.array([scale * value for value in found for scale in (1.0, 100.0)]))

    def strangers(self, text):
        tokens = [token.replace(",", "") for token in NUMBER.findall(text.replace(MINUS, "-"))]
        return [token for token in tokens if not self._knows(token)]

    def _knows(self, token):
        value, decimals = float(token), len(token.partition(".")[2])
        place = np.searchsorted(self.values, value)
        near = self.values[max(place - 1, 0) : place + 1]
        return bool((np.abs(near - value) <= 0.500001 * 10.0**-decimals + 1e-9).any())


def test_a_number_that_is_in_no_file_is_noticed():
    known = Numbers(["a,0.31415\nb,-2.5e-3", '{"n": 240}'])
    assert known.strangers("0.314 [31.4, 240] −0.0025") == []
    assert known.strangers("0.315 of 241, −0.0035") == ["0.315", "241", "-0.0035"]


def test_every_number_of_a_table_is_one_of_its_metrics(measured):
    metrics = measured.project.metrics
    files = sorted(path for end in ("csv", "json") for path in metrics.rglob(f"*.{end}"))
    claims = read_claims(metrics / "claims.json")
    found = answers(claims, read_questions(metrics / "claims.json"), [t.name for t in measured.translators])
    everything = Numbers([path.read_text(encoding="utf-8") for path in files])
    n_checked = 0
    for section in sections_of(measured.translators, claims, found, metrics):
        for part in section.parts:
            own, tables = everything, [part]
            if isinstance(part, Block):
                source = metrics.parent.parent / part.files
                beside = [
                    one for one in files if one.parent == source.parent
                ]  # of one translator, or of the certificate
                own = Numbers([path.read_text(encoding="utf-8") for path in beside or files])
                tables = [table for table in (part.table, *(t for _, more in part.more for t in more)) if table]
            for table in tables:
                cells = [cell for row in table.rows for cell in row[table.n_labels :]]
                assert own.strangers(" ; ".join(cells)) == [], (section.id, table.caption)
                n_checked += len(cells)
    assert n_checked > 500
