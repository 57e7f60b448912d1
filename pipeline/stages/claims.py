"""Stage `claims`: the verdicts on what all stages estimated, and the tables that join them."""

from pathlib import Path

from pipeline.params import load_params
from pipeline.stages import run_stage, say
from pipeline.verdicts.join import tally, write_verdicts

METRICS = Path("reports/metrics")


def main() -> None:
    """Write `claims.json`, `learn.json` and `aer.csv`."""
    params = load_params(check_paths=False)
    claims = write_verdicts(METRICS, list(params.translators), level=params.align.level)
    say(f"claims: {tally(claims)}: {METRICS / 'claims.json'}")


if __name__ == "__main__":
    run_stage(main)
