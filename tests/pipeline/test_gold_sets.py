"""Several sets of hand-made links of one translator: rows, halves, unaligned words and doubts."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.alignment.aer import expected_random_unaligned
from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.gold import count_unaligned, score_unaligned
from pipeline.alignment.gold_sets import measure_gold
from pipeline.alignment.halves import halves_of, in_first_half
from pipeline.alignment.inputs import GoldSet, Split
from pipeline.attention.store import PairBlocks
from pipeline.conventions import CORRECTED
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.params import Align

NONE = np.empty((0, 2), dtype=np.int64)
SETTINGS = Align(resamples=50, methods=("argmax_tgt", "intersection"))
RULE = IntervalRule.of(CORRECTED, 0.95)
MANIFEST = {"views": ["output_step"], "n_layers": 2, "levels": {"output_step": 2}}


def make_set(rng, name, languages, *, n=40, best_layer=2):
    """Return a set on which one layer of attention finds the links, another translator's layer does not."""
    links, blocks = {}, []
    for i in range(n):
        size = int(rng.integers(5, 9))
        own = np.stack([np.arange(size), rng.permutation(size)], axis=1)
        links[7 * i] = GoldLinks(own[1:], own[:1])
        attention = rng.random((1, 2, size, size)).astype(np.float32) * 0.4
        attention[0, best_layer - 1, own[:, 1], own[:, 0]] += 0.5
        states = {"output_step": rng.random((2, size, size)).astype(np.float32)}
        blocks.append(
            PairBlocks(
                pair_id=7 * i,
                attention=attention / size,
                special=np.zeros((1, 2), dtype=np.float32),
                src_pieces=np.ones(size, dtype=np.float32),
                tgt_pieces=np.ones(size, dtype=np.float32),
                cost=states,
                cosine={kind: 1 - cost for kind, cost in states.items()},
                cosine_raw={kind: 1 - cost for kind, cost in states.items()},
            )
        )
    return GoldSet(name, languages, links, Split(MANIFEST | {"n_pairs": n}, blocks), [])


@pytest.fixture
def sets(rng):
    return [make_set(rng, "one", "en-fr"), make_set(rng, "two", "ro-en", n=25, best_layer=1)]


def test_every_set_has_its_rows_and_its_best_setting(sets):
    summaries, table = measure_gold(sets, SETTINGS, CORRECTED, RULE)
    assert table["set"].unique().tolist() == ["one", "two"]
    assert not table.duplicated(["set", "source", "view", "layer", "method"]).any()
    assert table.groupby("set")["n_pairs"].unique().map(list).to_dict() == {"one": [40], "two": [25]}
    for (alone, part), own in zip([measure_gold([own], SETTINGS, CORRECTED, RULE) for own in sets], sets, strict=True):
        assert alone[0] == next(summary for summary in summaries if summary["set"] == own.name), "no set moves another"
        np.testing.assert_array_equal(part["aer"], table[table["set"] == own.name]["aer"])
    best = {summary["set"]: summary["best"]["attention"]["layer"] for summary in summaries}
    assert best == {"one": 2, "two": 1}
    assert [summary["languages"] for summary in summaries] == ["en-fr", "ro-en"]
    assert [summary["doubt"] for summary in summaries] == [None, None]


def test_what_is_chosen_on_one_half_is_judged_on_the_other(sets):
    (summary, *_), table = measure_gold(sets[:1], SETTINGS, CORRECTED, RULE)
    ids = list(sets[0].links)
    first = in_first_half(ids, SETTINGS.seed)
    part = {half: replace(sets[0], links={i: sets[0].links[i] for i in np.array(ids)[rows].tolist()})
            for half, rows in (("first", first), ("second", ~first))}  # fmt: skip
    halves = {half: measure_gold([own], SETTINGS, CORRECTED, RULE).table for half, own in part.items()}
    np.testing.assert_allclose(table["aer_first_half"], halves["first"]["aer"])
    np.testing.assert_allclose(table["aer_second_half"], halves["second"]["aer"])
    for source, own in halves["first"].groupby("source"):
        row = table.loc[own["aer"].idxmin()]
        assert row["chosen"] and table[table["source"] == source]["chosen"].sum() == 1
        best = summary["best"][source]
        assert (best["aer"], best["method"]) == (row["aer_second_half"], row["method"])
        assert best["n_pairs"] == (~first).sum()
        assert row["second_half_low"] <= row["aer_second_half"] <= row["second_half_high"]


def test_no_sets_are_an_empty_table():
    measured = measure_gold([], SETTINGS, CORRECTED, RULE)
    assert (measured.first, measured.summaries) == (None, [])
    assert list(measured.table.columns[:3]) == ["set", "source", "view"]


def test_a_set_that_is_described_wrongly_is_doubted(sets):
    turned = {i: GoldLinks(own.sure[:, ::-1], own.possible[:, ::-1]) for i, own in sets[0].links.items()}
    (summary,) = measure_gold([replace(sets[0], links=turned)], SETTINGS, CORRECTED, RULE).summaries
    assert summary["doubt"]["reading"] == "turned"
    assert summary["doubt"]["aer_read_so"] < 0.3 < summary["doubt"]["aer"]


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_halves_of_any_number_of_pairs(n):
    for seed in range(20):
        first, second = halves_of(range(n), seed)
        assert len(first) and len(second)
        assert sorted({*first, *second}) == list(range(n))
        assert n == 1 or not {*first} & {*second}


def test_unaligned_words_by_hand():
    allowed, found = np.zeros((2, 3, 4), dtype=bool)
    allowed[0, 0] = allowed[1, 1] = True  # by hand: source word 2, target words 2 and 3
    found[0, 0] = found[0, 3] = True  # left out: source words 1 and 2, target words 1 and 2
    counts = count_unaligned(found, allowed)
    assert counts == [3, 4, 2]
    precision, recall, f1 = score_unaligned(np.array(counts, dtype=float))
    assert (precision, recall) == (2 / 4, pytest.approx(2 / 3))
    assert f1 == pytest.approx(4 / 7)
    assert score_unaligned(np.zeros(3)) == (0, 0, 0)
    assert score_unaligned(np.array(count_unaligned(allowed, allowed), dtype=float)) == (1, 1, 1)


def test_unaligned_words_of_random_links_are_the_mean_over_draws(rng):
    allowed = rng.random((5, 7)) < 0.15
    drawn = []
    for _ in range(4000):
        found = np.zeros((5, 7), dtype=bool)
        found[np.arange(5), rng.integers(7, size=5)] = True
        drawn.append(count_unaligned(found, allowed))
    np.testing.assert_allclose(expected_random_unaligned(allowed), np.mean(drawn, axis=0), atol=0.06)
