"""Files of one's own in the copy where DVC runs a queued experiment."""

from collections.abc import Iterable
from pathlib import Path

_EXPERIMENTS = (".dvc", "tmp", "exps")


def project_of(folder: Path) -> Path | None:
    """Return the project whose temporary copy a folder is, None if it is none.

    Examples
    --------
    >>> project_of(Path("/home/me/project/.dvc/tmp/exps/tmpx1")).as_posix()
    '/home/me/project'
    """
    for place in folder.parents:
        if place.parts[-3:] == _EXPERIMENTS:
            return place.parents[2]
    return None


def borrow(paths: Iterable[str], folder: Path) -> list[str]:
    """Link what is missing from a temporary copy to the project that it is a copy of, and return what was linked.

    `dvc exp run --queue` and `--temp` copy what git or DVC tracks, and text and models of one's own (`data/own/`) are
    neither. They are read where they lie, as they are when the experiment runs; their checksums are in what it keeps.

    Parameters
    ----------
    paths : iterable of str
        Files and folders that the parameters name; those beyond the project, or whole, are left alone.
    folder : Path
        Where they are seen from; anything but a copy is left alone too.
    """
    project = project_of(folder.resolve())
    if project is None:
        return []
    linked = []
    for path in dict.fromkeys(paths):
        here, there = folder / path, project / path
        inside = not Path(path).is_absolute() and ".." not in Path(path).parts
        if inside and there.exists() and not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(there.resolve())
            linked.append(path)
    return linked
