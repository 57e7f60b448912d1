"""Damaged files of every kind are read or refused in our words; `tests.faults.fuzz` tries many more."""

import pytest

from pipeline.errors import PipelineError
from tests.faults.fuzz import fuzz, kinds, read


@pytest.mark.parametrize("kind", kinds())
def test_a_damaged_file_is_read_or_refused(kind, tmp_path):
    outcomes = fuzz(12, 7, tmp_path, only=kind)[kind]
    assert outcomes.total() == 12
    assert set(outcomes) <= {"accepted", "refused"}


@pytest.mark.parametrize("kind", kinds())
def test_the_files_before_damage_are_read(kind, tmp_path):
    reader, suffix, valid = kinds()[kind]
    for at, data in enumerate(valid):
        path = tmp_path / f"{at}{suffix}"
        path.write_bytes(data)
        latin = (kind, at) == ("parallel text", 2)  # of which the message names the encoding
        assert read(reader, path) == ("refused" if latin else "accepted"), data


def test_anything_but_an_answer_or_our_refusal_is_a_fault(tmp_path):
    def stumble(path):
        raise KeyError(path.name)

    def refuse(path):
        raise PipelineError("")

    assert read(stumble, tmp_path / "x") == "KeyError: 'x'"
    assert read(refuse, tmp_path / "x") == "a refusal without a word"
