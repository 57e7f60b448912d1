"""What pairs add, as a file: the same bytes for the same sums."""

import json
from pathlib import Path

import numpy as np

from pipeline._output import SCHEMA, check_schema, check_there, whole_file
from pipeline.alignment.added import Added
from pipeline.alignment.tally import Halves, Tally

_TALLIES = ("first", "second", "plain")


def write_added(added: Added, path: Path) -> None:
    """Write an `.npz` file, whole or not at all: names without a clock, arrays of whole numbers and the sample's values."""
    tallies = zip(_TALLIES, (added.halves.first, added.halves.second, added.plain), strict=True)
    states = {name: tally.state() for name, tally in tallies}
    header = {"schema": SCHEMA, **{name: state[0] for name, state in states.items()}}
    arrays = {f"{name}/{key}": array for name, (_, own) in states.items() for key, array in own.items()}
    arrays |= {f"rows/{name}": array for name, array in added.rows.items()}
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with whole_file(path) as part, part.open("wb") as handle:
        np.savez(handle, header=text, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle


def read_added(path: Path) -> Added:
    """Return what `write_added` wrote.

    Raises
    ------
    PipelineError
        If the file is missing or of another edition.
    """
    check_there(path, "sums")
    with np.load(path, allow_pickle=False) as found:
        header = json.loads(found["header"].tobytes())
        check_schema(header, path, "sums")
        tallies = [
            Tally.restored(header[name], {key: found[f"{name}/{key}"] for key in ("sums", "known")})
            for name in _TALLIES
        ]
        rows = {name.removeprefix("rows/"): found[name] for name in found.files if name.startswith("rows/")}
    return Added(Halves(tallies[0], tallies[1]), tallies[2], rows)
