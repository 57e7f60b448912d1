"""Stage `sources`: checksums of the text, dictionary and model files that params.yaml names; runs every time."""

from pathlib import Path

from pipeline._digests import write_sources
from pipeline.params import load_params
from pipeline.stages import run_stage


def main() -> None:
    """Write `data/sources`."""
    write_sources(load_params(), Path("data/sources"), Path("work/digests.json"))


if __name__ == "__main__":
    run_stage(main)
