"""What a killed run had finished is found again whole, or done again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_arrays_come_back_as_they_were(tmp_path):
    from pipeline._kept import keep, kept

    arrays = {"a": np.array([[1 / 3, np.nan], [-0.0, np.inf]]), "b": np.arange(3), "c": np.empty(0, np.float32)}
    keep(tmp_path / "x.kept", arrays)
    found = kept(tmp_path / "x.kept")
    assert {k: (v.dtype, v.shape, v.tobytes()) for k, v in found.items()} == {
        k: (v.dtype, v.shape, v.tobytes()) for k, v in arrays.items()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["x.kept"]
    assert kept(tmp_path / "y.kept") is None


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    from pipeline._kept import keep

    path = tmp_path_factory.mktemp("kept") / "x.kept"
    keep(path, {"losses": np.linspace(0, 1, 9)})
    return path, path.read_bytes()


@given(st.data())
def test_no_change_of_a_byte_and_no_cut_goes_unseen(written, data):
    from pipeline._kept import kept

    path, content = written
    place = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 7))
    path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
    assert kept(path) is None
    path.write_bytes(content[:place])
    assert kept(path) is None
