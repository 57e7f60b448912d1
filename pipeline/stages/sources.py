"""Stage `sources`: checksums of the text, dictionary and model files that params.yaml names; runs every time."""

from pathlib import Path

from pipeline._digests import write_sources
from pipeline._queue import borrow
from pipeline.failures import FILE, attempts, read_failure
from pipeline.params import load_params, named_paths
from pipeline.stages import run_stage, say


def main() -> None:
    """Write `data/sources`."""
    if linked := borrow(named_paths(load_params(check_paths=False)).values(), Path()):
        say(f"sources: read where they lie, in the project: {', '.join(linked)}")
    params = load_params()
    places = (Path("data/attention"), Path("data/sums"))
    failed = [name for name in params.translators if any(read_failure(place / name / FILE) for place in places)]
    for name in failed:
        say(f"sources: {name} failed the last time and is tried again")
    again = attempts(Path("work/attempts.json"), failed)
    write_sources(params, Path("data/sources"), Path("work/digests.json"), attempts=again)


if __name__ == "__main__":
    run_stage(main)
