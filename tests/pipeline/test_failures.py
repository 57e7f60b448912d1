"""A translator that fails leaves its reason and loses nobody else's rows; what concerns all ends the stage."""

import errno
import json

import pytest

from pipeline.errors import PipelineError


def run(tmp_path, error):
    """Return what was said, and the failure left, of a stage whose work raises an error."""
    from pipeline.failures import going_on, leave_mark, read_failure

    said = []
    with going_on("extract@one", lambda failure: leave_mark(tmp_path / "one", failure), said.append):
        raise error
    return said, read_failure(tmp_path / "one" / "failed.json")


def test_a_known_error_is_left_as_the_reason(tmp_path):
    said, failure = run(tmp_path, PipelineError("model: must be there,\nbut is not; name another"))
    assert said[0] == "extract@one: error: model: must be there,"
    assert "run `dvc repro`" in said[-1]
    assert str(failure) == "extract@one failed: model: must be there, but is not; name another"


def test_an_unforeseen_error_shows_its_traceback(tmp_path):
    said, failure = run(tmp_path, KeyError("attentions"))
    assert said[0].startswith("Traceback") and "KeyError" in said[0]
    assert failure.why == "KeyError: 'attentions'"


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.ENOSPC, "no room", "shard"), PermissionError(errno.EACCES, "no", "data")]
)
def test_what_concerns_all_translators_ends_the_stage(tmp_path, error):
    with pytest.raises(type(error)):
        run(tmp_path, error)
    assert not (tmp_path / "one").exists()


def test_where_all_failed_there_is_nothing_to_report(tmp_path):
    from pipeline.failures import Failure, unmeasured, write_failure

    for name in ("one", "two"):
        (tmp_path / "translators" / name).mkdir(parents=True)
    write_failure(tmp_path / "translators/one/summary.json", Failure("extract@one", "no such model"))
    (tmp_path / "translators/two/summary.json").write_text(json.dumps({"schema": 2}))
    assert list(unmeasured(tmp_path, ["one", "two"])) == ["one"]
    with pytest.raises(
        PipelineError, match=r"translators: at least one must have been measured, .*no such model.*mend"
    ):
        unmeasured(tmp_path, ["one"])
