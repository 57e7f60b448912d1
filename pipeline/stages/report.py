"""Stage `report`: the page and its figures."""

import os
from pathlib import Path

from pipeline.params import load_params
from pipeline.report.render import build
from pipeline.stages import run_stage, say


def main() -> None:
    """Write reports/index.html and reports/figures; the page names the commit that COMMIT holds, if any."""
    commit = os.environ.get("COMMIT", "unknown")
    built = build(load_params(), Path("reports/metrics"), Path("data"), Path("reports"), commit=commit)
    for notice in built.notices:
        say(f"report: warning: {notice.about} {notice.says}")
    say(f"report: {built.answer}")
    say(f"report: open {built.page} ({built.n_bytes / 1e6:.1f} MB); numbers: reports/metrics, figures: reports/figures")


if __name__ == "__main__":
    run_stage(main)
