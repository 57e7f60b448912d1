"""What pip would install in an empty environment, as constraints: its report in, constraints.txt out (`make lock`)."""

import json
import re
import sys

HEADER = "# Written by `make lock`: what a fresh set-up resolves to. CUDA packages are left out, as torch's local version is."
# nvidia-ml-py only asks what a machine has: dvclive needs it everywhere.
CUDA = re.compile(r"(cuda|nvidia|triton)(-(?!ml-py$)|$)")
NOT_PINNED = {"attention-transport", "setuptools"}


def constraints(report: dict) -> str:
    """Return one `name==version` a line, in the order of the names; `report` is that of `pip install --report`."""
    found = {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in report["install"]}
    names = sorted(found, key=lambda name: (name.lower(), name))
    kept = [name for name in names if not CUDA.match(name.lower()) and name.lower() not in NOT_PINNED]
    return "".join(f"{line}\n" for line in [HEADER, *(f"{name}=={found[name].split('+')[0]}" for name in kept)])


if __name__ == "__main__":
    sys.stdout.write(constraints(json.load(sys.stdin)))
