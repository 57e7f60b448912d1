"""Pairs of one's own as labelled arrays: the blocks of the pipeline, their words, their links, a picture."""

import numpy as np
import pytest

from pipeline.errors import PipelineError

SRC = ["The dog barks at night.", "A dog barks.", "We must tell farmers the truth."]
TGT = ["Le chien aboie la nuit.", "Un chien aboie.", "Nous devons dire la vérité aux agriculteurs."]


@pytest.fixture(scope="module", autouse=True)
def _at_home(project):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        yield


@pytest.fixture(scope="module")
def opened():
    from pipeline.use.translators import open_translator

    return {name: open_translator(name) for name in ("mini-marian", "mini-mbert")}


@pytest.fixture(scope="module")
def readings(opened):
    from pipeline import read

    return {name: read(one, SRC, TGT, heads=True) for name, one in opened.items()}


@pytest.mark.parametrize("name", ["mini-marian", "mini-mbert"])
def test_arrays_are_those_that_the_reader_gives(opened, readings, name):
    from pipeline.corpus.words import split_words

    reader = opened[name].reader()
    for found, src, tgt in zip(readings[name], SRC, TGT, strict=True):
        assert found.attention["src"].values.tolist() == split_words(src, "en")
        assert found.attention["tgt"].values.tolist() == split_words(tgt, "fr")
        assert found.attention["view"].values.tolist() == [view.name for view in reader.views]
        assert found.attention["layer"].values.tolist() == [1, 2, 3, 4, 5, 6]
        (block,) = reader.read([reader.tokenise(found.pair)], heads=True)
        np.testing.assert_allclose(found.attention, block.attention, atol=1e-5)
        np.testing.assert_allclose(found.heads.mean("head"), found.attention, atol=1e-5)
        assert set(found.cosine) == set(found.cost) == set(block.cost)
        for kind, array in found.cosine.items():
            assert array.dims == ("level", "src", "tgt") and array["level"][0] == 0
            np.testing.assert_allclose(array, block.cosine[kind], atol=1e-4)
            np.testing.assert_allclose(found.cost[kind], block.cost[kind], rtol=1e-3, atol=1e-4)


def test_words_find_their_entry(readings):
    found = readings["mini-mbert"][0]
    at = found.attention.sel(view="src_to_tgt", layer=4, src="dog", tgt="chien")
    assert float(at) == found.blocks.attention[1, 3, 1, 1]
    assert found.heads.sel(head=5).dims == ("view", "layer", "tgt", "src")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"origin": "attention"},
        {"layer": 2, "method": "argmax_src"},
        {"origin": "states", "method": "itermax"},
        {"head": 3, "layer": 4},
    ],
)
@pytest.mark.parametrize("name", ["mini-marian", "mini-mbert"])
def test_links_are_those_of_align(opened, readings, name, said):
    from pipeline import Ask, align

    wanted = list(align(opened[name], SRC, TGT, ask=Ask(**said)))
    for found, pair in zip(readings[name], wanted, strict=True):
        assert found.links(**said).tolist() == pair.links.tolist() == found.links(Ask(**said)).tolist()
        assert found.to_pharaoh(**said) == pair.to_pharaoh() != ""
        np.testing.assert_allclose(found.align(**said).scores, pair.scores, atol=1e-3)


def test_one_pair_is_the_first_of_many(opened, readings):
    from pipeline import read

    alone = read(opened["mini-mbert"], SRC[0], TGT[0])
    assert alone.pair == readings["mini-mbert"][0].pair
    np.testing.assert_allclose(alone.attention, readings["mini-mbert"][0].attention, atol=1e-5)
    given = read(opened["mini-mbert"], ["the dog 's bone ."], ["l' os du chien ."], pretokenised=True)
    assert given[0].pair.src_words == ("the", "dog", "'s", "bone", ".")
    assert read(opened["mini-mbert"], [], []) == []


def test_a_picture_shows_the_layer_asked_for(readings):
    from matplotlib import pyplot

    found = readings["mini-marian"][0]
    ax = found.plot(layer=4, view="input_step")
    np.testing.assert_array_equal(ax.images[0].get_array(), found.blocks.attention[1, 3])
    assert [label.get_text() for label in ax.get_xticklabels()] == list(found.pair.src_words)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(found.pair.tgt_words)
    assert ax.get_title() == "input_step, layer 4"
    assert found.plot(ax=ax) is ax and ax.get_title() == "output_step, layer 5"
    pyplot.close(ax.figure)


def test_what_cannot_be_read_is_told(opened, readings):
    from pipeline import read

    one = opened["mini-mbert"]
    with pytest.raises(
        PipelineError, match=r"src, tgt: must be two sentences or two lists.*; put the sentence in a list"
    ):
        read(one, "a", ["b"])
    with pytest.raises(
        PipelineError, match=r"every pair must be one that mini-mbert can read, but pair 1 .*blank.*leave it"
    ):
        read(one, ["a", " "], ["b", "c"])
    with pytest.raises(
        PipelineError, match=r"but pair 0 is not \(text: the model takes at most 128 tokens.*leave it out"
    ):
        read(one, "word " * 200, "mot")
    with pytest.raises(
        PipelineError, match=r"heads: must be asked for, .*read without them; call read\(..., heads=True\)"
    ):
        read(one, "a", "b").links(head=1)
    with pytest.raises(PipelineError, match=r"layer: must be from 1 to 6 for this translator, but it is 0"):
        readings["mini-mbert"][0].plot(layer=0)
    with pytest.raises(
        PipelineError, match=r"view: this translator has tgt_to_src, src_to_tgt, but it is 'output_step'"
    ):
        readings["mini-mbert"][0].links(view="output_step")
