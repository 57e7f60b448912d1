"""Files are there whole or not at all, and what was there before an error stays."""

import pytest

from pipeline._output import whole_file, write_json, write_text


def test_a_file_takes_its_place_at_the_end_of_the_block_only(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "before\n")
    with whole_file(target) as part:
        part.write_text("after\n", encoding="utf-8")
        assert target.read_text(encoding="utf-8") == "before\n"
    assert target.read_text(encoding="utf-8") == "after\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_after_an_error_what_was_there_is_still_there(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "before\n")

    def fail():
        with whole_file(target) as part:
            part.write_text("half", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text(encoding="utf-8") == "before\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_json_is_sorted_whole_and_refuses_what_is_no_number(tmp_path):
    target = tmp_path / "new" / "a.json"
    write_json(target, {"b": 1, "a": "é"})
    assert target.read_bytes() == '{\n  "a": "é",\n  "b": 1\n}\n'.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(target, {"a": float("nan")})
    assert target.read_bytes() == '{\n  "a": "é",\n  "b": 1\n}\n'.encode()
