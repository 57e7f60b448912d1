"""Stage `report`: the page and its figures."""

from pathlib import Path

from pipeline.params import load_params
from pipeline.report.render import build
from pipeline.stages import run_stage, say


def main() -> None:
    """Write reports/index.html and reports/figures."""
    built = build(load_params(), Path("reports/metrics"), Path("data"), Path("reports"))
    for line in built.lines:
        say(f"report: {line.statement} {line.verdict}")
    say(f"report: {built.page} ({built.n_bytes / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_stage(main)
