"""Alignment error and its baselines: hand examples, other tools' numbers on Hansards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.aer import expected_random_counts
from pipeline.alignment.controls import nearest_position_links, same_index_links
from pipeline.alignment.gold import AlignmentCounts, compare_files, score_counts
from pipeline.alignment.matching import link_mask
from pipeline.corpus.gold import read_gold_links
from pipeline.corpus.pharaoh import GoldLinks, LinkForm
from pipeline.corpus.word_files import read_lengths
from pipeline.errors import PipelineError


def array(*links):
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def test_scores_by_hand():
    gold = {5: GoldLinks(array((0, 0), (1, 1)), array((1, 2))), 6: GoldLinks(array(), array())}
    counts = AlignmentCounts.compare(gold, {5: array((0, 0), (1, 2), (2, 2)), 6: array((0, 1))})
    np.testing.assert_array_equal(counts.counts, [[2, 1, 3, 1, 2], [0, 0, 1, 0, 0]])
    assert counts.ids == (5, 6)
    aer, precision, recall, f1 = counts.score()
    assert aer == pytest.approx(1 - 3 / 6)
    assert precision == pytest.approx(2 / 4)
    assert recall == pytest.approx(1 / 2)
    assert f1 == pytest.approx(1 / 2)
    assert counts.total() == {"sure": 2, "possible": 1, "predicted": 4, "hits_sure": 1, "hits_possible": 2}


def test_nothing_predicted_and_nothing_to_find():
    nothing_found = score_counts(np.array([3.0, 0, 0, 0, 0]))
    assert [float(value) for value in nothing_found] == [1, 0, 0, 0]
    assert np.isnan(score_counts(np.zeros(5)).aer)


def test_scores_of_many_counts_at_once():
    """Links that are only possible give no recall, nothing predicted no precision; neither hides the others."""
    counts = np.array([[[3.0, 0, 0, 0, 0], [0, 2, 4, 0, 2]], [[2, 1, 3, 1, 2], [1, 0, 1, 1, 1]]])
    score = score_counts(counts)
    np.testing.assert_allclose(score.aer, [[1, 0.5], [0.4, 0]])
    np.testing.assert_allclose(score.precision, [[0, 0.5], [2 / 3, 1]])
    np.testing.assert_allclose(score.recall, [[0, 0], [0.5, 1]])
    np.testing.assert_allclose(score.f1, [[0, 0], [4 / 7, 1]])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, unique=True))
def test_the_gold_set_itself_has_no_error(links):
    gold = {0: GoldLinks(array(*links), array())}
    assert AlignmentCounts.compare(gold, {0: array(*links)}).score() == (0, 1, 1, 1)


def test_other_sentences_are_refused():
    gold = {1: GoldLinks(array((0, 0)), array()), 2: GoldLinks(array(), array())}
    with pytest.raises(PipelineError, match=r"predicted: must hold the sentences.*2 are in one only \(the first: 2\)"):
        AlignmentCounts.compare(gold, {1: array(), 3: array()})


def test_random_counts_are_the_mean_over_draws(rng):
    sure, allowed = rng.random((2, 5, 7)) < [[[0.2]], [[0.3]]]
    allowed |= sure
    expected = expected_random_counts(sure, allowed)
    drawn = []
    for _ in range(4000):
        found = np.zeros((5, 7), dtype=bool)
        found[np.arange(5), rng.integers(7, size=5)] = True
        drawn.append([(found & sure).sum(), (found & allowed).sum()])
    assert expected[2] == 5
    np.testing.assert_allclose(expected[3:], np.mean(drawn, axis=0), atol=0.06)


def hansards(shared_data):
    folder = shared_data / "gold" / "hansards"
    return folder, read_lengths(folder / "enfr.src-tgt")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "reverse", "printed"),
    [
        ("enfr.awesome-align.out", False, 4.1),
        ("giza.test.enfr.grow-diagonal.talp", False, 5.9),
        ("giza.test.enfr.grow-diagonal-final.talp", False, 6.2),
        ("giza.test.enfr.talp", False, 8.0),
        ("giza.test.enfr.reverse.talp", True, 9.8),
        ("fastalign.test.enfr.grow-diagonal.talp", False, 10.5),
        ("fastalign.test.enfr.grow-diagonal-final.talp", False, 12.1),
        ("fastalign.test.enfr.talp", False, 16.4),
        ("fastalign.test.enfr.reverse.talp", True, 15.9),
    ],
)
def test_published_error_rates_to_the_printed_digit(shared_data, name, reverse, printed):
    folder, _ = hansards(shared_data)
    form = LinkForm(0, reverse)
    files = folder / "enfr.gold", folder / name
    result = compare_files(*files, gold_form=LinkForm(1), links_form=form, text=[folder / "enfr.src-tgt"]).scores()
    assert round(result["aer"], 1) == printed
    assert (result["sure"], result["possible"], result["sentences"]) == (4038, 13400, 447)


@pytest.mark.realdata
def test_published_floors(shared_data):
    folder, lengths = hansards(shared_data)
    gold = read_gold_links(folder / "enfr.gold", LinkForm(1), lengths=lengths)
    for links, printed in ((nearest_position_links, 54.1), (same_index_links, 68.6)):
        predicted = {i: links(*size) for i, size in enumerate(lengths)}
        assert round(100 * float(AlignmentCounts.compare(gold, predicted).score().aer), 1) == printed
    random = np.sum([expected_random_counts(*gold[i].masks(*size)) for i, size in enumerate(lengths)], axis=0)
    # 89.3 is one draw; the mean over draws is 89.1, and 0.3 is a standard deviation of a draw
    assert 100 * float(score_counts(random).aer) == pytest.approx(89.1, abs=0.05)


@pytest.mark.realdata
@pytest.mark.parametrize(("method", "printed"), [("mwmf", 1.4), ("transport", 7.3)])
def test_published_oracles(shared_data, method, printed):
    """The best one-to-one links, by Dinkelbach's method; words may stay unaligned (mwmf) or not."""
    folder, lengths = hansards(shared_data)
    gold = read_gold_links(folder / "enfr.gold", LinkForm(1), lengths=lengths)
    error = 0.5
    for _ in range(6):
        predicted = {}
        for i, size in enumerate(lengths):
            sure, allowed = gold[i].masks(*size)
            gain = sure.astype(float) + allowed - (1 - error)
            predicted[i] = np.argwhere(link_mask(gain, method))
        error = float(AlignmentCounts.compare(gold, predicted).score().aer)
    assert round(100 * error, 1) == printed
