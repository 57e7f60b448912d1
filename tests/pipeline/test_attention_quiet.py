"""Loading a model says nothing: a run loads each several times."""

import pytest


@pytest.fixture(autouse=True)
def bars_on():
    """The library's bars, as they are in a run: other tests may have turned them off."""
    from transformers.utils import logging as library

    before = library.is_progress_bar_enabled()
    library.enable_progress_bar()
    yield library
    if not before:
        library.disable_progress_bar()


def test_no_bar_is_drawn_and_bars_come_back(project, capfd, bars_on):
    from transformers import AutoModel

    from pipeline.attention.load import load_translator

    folder = str(project / "data/demo/mini-mbert")
    AutoModel.from_pretrained(folder)
    assert "Loading weights" in capfd.readouterr().err, "the library draws a bar where nobody asks it not to"
    load_translator(folder, reads="joint", device="cpu")
    assert "Loading weights" not in capfd.readouterr().err
    assert bars_on.is_progress_bar_enabled()


def test_bars_that_were_off_stay_off(project, bars_on):
    from pipeline.attention.load import load_translator

    bars_on.disable_progress_bar()
    load_translator(str(project / "data/demo/mini-mbert"), reads="joint", device="cpu")
    assert not bars_on.is_progress_bar_enabled()
