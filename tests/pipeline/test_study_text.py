"""Study 5 on text: what was planted in word vectors is found, and pairs are dealt out as they should be."""

import numpy as np
import pytest

from otcore import entropic_plan
from pipeline.attention.vectors import WordVectors
from pipeline.errors import PipelineError
from pipeline.synthetic.studies.duals_text import REGS, mispaired, parts_of, sides_of
from pipeline.synthetic.studies.probing import CHOOSE, FIT, JUDGE, measure, verdict

N_PAIRS = 200


def _words(seed=0):
    """Return embeddings of the words of both sides, (word, 3), sentence by sentence."""
    rng = np.random.default_rng(seed)
    return [tuple(rng.standard_normal((rng.integers(4, 8), 3)) for _ in range(2)) for _ in range(N_PAIRS)]


def _plan_duals(src, tgt, spread):
    cost = ((src[:, None] - tgt[None]) ** 2).sum(-1) / spread
    return entropic_plan(cost, reg=REGS[0], marginals="uniform", max_sweeps=100_000).potentials


def _vectors(words, second):
    """Return word vectors of two levels, the second from `second(src, tgt, side)`, as wide as the first."""
    return [
        WordVectors(np.stack([src, second(src, tgt, 0)]), np.stack([tgt, second(src, tgt, 1)])) for src, tgt in words
    ]


def _verdicts(trained, untrained):
    found = {}
    for side, task, model in sides_of(trained, untrained, seed=1):
        _, evidence = measure([model], task)
        intervals = evidence[0].intervals(seed=2, resamples=300)
        found[side] = intervals, verdict(intervals, n_problems=int(0.3 * N_PAIRS))[0]
    return found


def test_planted_duals_are_found_and_are_those_of_the_own_sentence():
    words = _words()
    spread = float(np.median([((src[:, None] - tgt[None]) ** 2).sum(-1).std() for src, tgt in words]))
    rng = np.random.default_rng(3)

    def planted(src, tgt, side):
        dual = _plan_duals(src, tgt, spread)[side]
        return np.concatenate([dual[:, None] + 5.0, rng.standard_normal((len(dual), 2))], axis=1)

    def noise(src, tgt, side):
        return rng.standard_normal(((src, tgt)[side].shape[0], 3))

    found = _verdicts(_vectors(words, planted), _vectors(words, noise))
    for intervals, what in found.values():
        assert intervals["gain"].low > 0.999
        assert intervals["over_control"].low > 0.5  # the plan with another partner has something of u, too
        assert what == "supported"


def test_what_only_the_own_side_tells_is_not_enough():
    words = _words(seed=4)

    def own_side(src, tgt, side):
        own = (src, tgt)[side]
        return np.concatenate([(own**2).sum(1, keepdims=True), own[:, :2] * own.mean(0)[:2]], axis=1)

    found = _verdicts(_vectors(words, own_side), _vectors(words, own_side))
    assert all(what in ("undecided", "not supported") for _, what in found.values())


def test_parts_are_disjoint_have_their_shares_and_depend_on_the_seed():
    part = parts_of(100, seed=0)
    assert [(part == kind).sum() for kind in (FIT, CHOOSE, JUDGE)] == [50, 20, 30]
    assert (part != parts_of(100, seed=1)).any()
    assert (part == parts_of(100, seed=0)).all()


def test_partners_are_others_of_the_same_part_each_taken_once():
    part = parts_of(40, seed=0)
    lengths = np.random.default_rng(0).integers(5, 20, size=40).tolist()
    partner = mispaired(lengths, part)
    assert sorted(partner) == list(range(40))
    assert (partner != np.arange(40)).all()
    assert (part[partner] == part).all()


def test_a_handful_of_pairs_is_refused():
    vectors = _vectors(_words()[:9], lambda src, tgt, side: (src, tgt)[side])
    with pytest.raises(PipelineError, match=r"at least 10 readable pairs .* there are 9; give more"):
        sides_of(vectors, vectors, seed=0)
