"""Run the benchmarks and write what they print to reports/bench.json, and its table to docs/benchmarks.md.

python benchmarks/run.py [NAME ...]   # bench_NAME.py, all by default; results of the others are kept
"""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.table import write_page

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "reports" / "bench.json"
NAMES = ("attention", "alignment", "learning", "growth", "commands")
VERSIONS = ("torch", "transformers", "numpy", "pot", "numba")


def run(name: str, options: list[str]) -> list[dict]:
    """Return what one benchmark found: it prints one JSON object a line."""
    script = ROOT / "benchmarks" / f"bench_{name}.py"
    done = subprocess.run([sys.executable, script, *options], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    """Run what is asked for, and keep what was found before of the rest."""
    words = [*sys.argv[1:], "--"]
    options = words[words.index("--") + 1 : -1]
    asked = words[: words.index("--")] or list(NAMES)
    if unknown := set(asked) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"schema": 1, "found": {}}
    results["machine"] = {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
    }
    for name in asked:
        print(f"bench_{name} ...", file=sys.stderr, flush=True)
        results["found"][name] = run(name, options)
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    write_page(results, ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
