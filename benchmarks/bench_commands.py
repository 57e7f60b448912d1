"""How long commands take that should take no time: `dvc repro` with nothing to do, `validate`, `--help`.

Bare are an interpreter that starts and ends, and `dvc version --help`: what Python and DVC need by themselves. One JSON
object. `dvc repro` is timed only where it has nothing to do.

    python benchmarks/bench_commands.py [--turns 5]
"""

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.turns import take_turns

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable]
DVC = [str(Path(sys.executable).parent / "dvc")]
COMMANDS = {
    "python": [*PYTHON, "-c", "pass"],
    "dvc": [*DVC, "repro", "--help"],
    "help": [*PYTHON, "-m", "pipeline", "--help"],
    "validate": [*PYTHON, "-m", "pipeline", "validate"],
    "repro": [*DVC, "repro"],
}


def run(command: list[str]) -> str:
    """Return what a command prints; it must end well."""
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def main() -> None:
    """Time the commands in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    todo = json.loads(run([*DVC, "status", "--json"]))
    commands = {name: one for name, one in COMMANDS.items() if name != "repro" or not set(todo) - {"sources"}}
    seconds = take_turns({name: partial(run, one) for name, one in commands.items()}, options.turns)
    result = {"benchmark": "commands", "seconds": {name: round(median(taken), 2) for name, taken in seconds.items()}}
    if "repro" not in commands:
        result["repro_left_out"] = f"stages to run: {', '.join(sorted(todo))}"
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
