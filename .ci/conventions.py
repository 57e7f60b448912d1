"""Keep the headline numbers of the demo under each convention: `python .ci/conventions.py NAME=FOLDER_OF_METRICS ...`.

Run the stages corpus to align in a copy of the project for each value of `convention` before (docs/conventions.md).
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "reports" / "results" / "conventions.json"


def collect(folders: dict[str, Path]) -> dict[str, dict]:
    """Return what each translator's headline says, by convention."""
    return {
        name: {
            path.parent.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(folder.glob("translators/*/headline.json"))
        }
        for name, folder in folders.items()
    }


if __name__ == "__main__":
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    found = collect({name: Path(folder) for name, folder in given.items()})
    KEPT.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
