"""In the copy where DVC runs a queued experiment, files of one's own are read where they lie."""

from pathlib import Path

import pytest

from pipeline._queue import borrow, project_of


@pytest.fixture
def copy(tmp_path):
    """Return DVC's temporary copy of a project with a text and a model of one's own."""
    project = tmp_path / "project"
    (project / "data" / "own" / "model").mkdir(parents=True)
    (project / "data" / "own" / "my.de").write_text("Hallo .\n")
    place = project / ".dvc" / "tmp" / "exps" / "tmp123"
    place.mkdir(parents=True)
    return place


def test_what_git_does_not_copy_is_linked(copy):
    paths = ["data/own/my.de", "data/own/model", "data/own/my.de", "data/own/none", "../data", "/etc/hosts", "a/../b"]
    assert borrow(paths, copy) == ["data/own/my.de", "data/own/model"]
    assert (copy / "data/own/my.de").read_text() == "Hallo .\n" and (copy / "data/own/model").is_dir()
    (copy.parents[3] / "data/own/my.de").write_text("Neu .\n")
    assert (copy / "data/own/my.de").read_text() == "Neu .\n"
    assert borrow(paths, copy) == []


def test_a_file_of_the_copy_itself_and_a_project_are_left_alone(copy):
    (copy / "data" / "own").mkdir(parents=True)
    (copy / "data" / "own" / "my.de").write_text("Eigen .\n")
    assert borrow(["data/own/my.de"], copy) == []
    assert (copy / "data/own/my.de").read_text() == "Eigen .\n"
    assert project_of(copy.parents[3]) is None and borrow(["none"], copy.parents[3]) == []
    assert project_of(Path("/a/.dvc/tmp/x")) is None
