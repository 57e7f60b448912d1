"""The page of benchmarks says what the results say."""

from benchmarks.table import ALL_PAIRS, cost_rows, rows, write_page

FOUND = {
    "attention": [
        {
            "translator": "marian",
            "true_size": True,
            "ratio_to_bare_forward": {"means": 0.951, "heads_and_norms": 0.9},
            "extraction": {
                "500": {"sentences_per_second": 9.0, "peak_memory": 2**30},
                "2000": {"sentences_per_second": 10.0, "peak_memory": 3 * 2**29},
            },
        }
    ],
    "growth": [
        {
            "runs": [{"n_pairs": 1000}, {"n_pairs": 4000}],
            "growth": {"align": {"slope": 0.5, "memory_growth": 5 * 2**20}},
        }
    ],
    "commands": [{"seconds": {"python": 0.02, "dvc": 0.3, "validate": 0.7, "help": 0.4}}],
}


def test_rows_hold_the_measured_numbers_and_leave_out_what_was_not_measured():
    found = {what: measured for what, _, measured, _ in rows(FOUND)}
    assert found["reading marian (true size, fresh weights), means"] == "0.951"
    assert found["stage align, 1,000 to 4,000 pairs: slope of time; memory"] == "0.50; +5 MiB"
    assert found["`validate`"] == "0.70 s"
    assert "`dvc repro`, nothing to do" not in found


def test_costs_come_from_the_longest_run():
    (row,) = cost_rows(FOUND)
    assert row == ("marian", "true size", "10", f"{ALL_PAIRS / 36000:,.0f}", "1.5 GiB")


def test_page_says_that_costs_are_computed(tmp_path):
    machine = {"processors": 2, "architecture": "x", "python": "3.11", "versions": {"numpy": "2"}}
    write_page({"machine": machine, "found": FOUND}, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "**Computed, not run**" in text
    assert "2 processors (x)" in text and "numpy 2" in text
