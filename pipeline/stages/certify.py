"""Stage `certify`: the theorems, measured on the constructed transformer."""

from pathlib import Path

from pipeline.params import load_params
from pipeline.stages import run_stage
from pipeline.synthetic.certify import write_certificate

METRICS = Path("reports/metrics")


def main() -> None:
    """Write `certificate.json` and `certificate_*.csv`."""
    write_certificate(load_params(check_paths=False).certify, METRICS)


if __name__ == "__main__":
    run_stage(main)
