"""Verdicts: every row of the rules, and planted attention that must get its verdict and no other."""

import numpy as np
import pytest

from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.halves import HashedResampler, bound_p, split_in_halves
from pipeline.alignment.planfit import compare
from pipeline.alignment.planlike import PLAN, SIMILARITY, Parameters, model_rows
from pipeline.alignment.pointing import above_position
from pipeline.methods import PLAN_MARGIN
from pipeline.verdicts.decisions import Interval, PlanEvidence, finds_translations, grows_with_depth, is_a_plan, side
from tests.pipeline.evidence_factory import attention_on, cost_layer, position_scores, random_batch

RULE = IntervalRule("percentile", 0.95)
ABOVE, BELOW, HOLDS = Interval(0.1, 0.2), Interval(-0.2, -0.1), Interval(-0.1, 0.1)


@pytest.mark.parametrize(
    ("dictionary", "gold", "verdict"),
    [
        (ABOVE, ABOVE, "supported"),
        (ABOVE, HOLDS, "partly"),
        (BELOW, ABOVE, "partly"),
        (HOLDS, BELOW, "undecided"),
        (HOLDS, HOLDS, "undecided"),
        (BELOW, BELOW, "not supported"),
        (ABOVE, None, "partly"),
        (HOLDS, None, "undecided"),
        (BELOW, None, "not supported"),
    ],
)
def test_finding_translations(dictionary, gold, verdict):
    assert finds_translations(dictionary, gold) == verdict


def test_an_interval_counts_only_if_it_survives_correction():
    assert side(Interval(0.1, 0.2, 0.04), alpha=0.05) == "above"
    assert side(Interval(0.1, 0.2, 0.06), alpha=0.05) == "holds"
    assert side(Interval(np.nan, np.nan), alpha=0.05) == "holds"
    assert side(Interval(0.1, 0.2, np.nan), alpha=0.05) == "holds"
    assert side(Interval(-0.003, -0.0025), alpha=0.05, bound=-0.002) == "below"
    assert finds_translations(Interval(0.1, 0.2, 0.06), ABOVE) == "partly"


@pytest.mark.parametrize(
    ("rho", "steps", "verdict"),
    [
        (ABOVE, [ABOVE, HOLDS], ("supported", ())),
        (ABOVE, [ABOVE, BELOW], ("partly", (1,))),
        (BELOW, [BELOW, ABOVE], ("not supported", (0,))),
        (HOLDS, [ABOVE, BELOW], ("undecided", (1,))),
    ],
)
def test_growing(rho, steps, verdict):
    assert grows_with_depth(rho, steps) == verdict


PLAN_LIKE = PlanEvidence(Interval(-0.02, -0.003), 0.01)


@pytest.mark.parametrize(
    ("place", "odd", "verdict"),
    [
        (None, None, "supported"),
        *[(place, PlanEvidence(Interval(-0.02, -0.001), 0.01), "not supported") for place in range(4)],
        *[(place, PlanEvidence(Interval(-0.02, -0.003, 0.2), 0.01), "not supported") for place in range(4)],
        *[(place, PlanEvidence(Interval(-0.02, -0.003), 0.0019), "untested") for place in range(4)],
    ],
)
def test_a_plan_must_win_in_all_four(place, odd, verdict):
    rows = [PLAN_LIKE] * 4
    if place is not None:
        rows[place] = odd
    assert (
        is_a_plan(dict(zip(("sum", "mean"), rows[:2], strict=True)), dict(zip(("sum", "mean"), rows[2:], strict=True)))
        == verdict
    )


def test_the_position_term_can_only_lose_a_verdict():
    lost = PlanEvidence(Interval(0.1, 0.2), 0.01)
    untested = PlanEvidence(Interval(-0.1, 0.1), 0.0)
    both = {
        name: dict.fromkeys(("sum", "mean"), row)
        for name, row in (("won", PLAN_LIKE), ("lost", lost), ("flat", untested))
    }
    assert is_a_plan(both["lost"], both["won"]) == is_a_plan(both["lost"], both["flat"]) == "not supported"
    assert is_a_plan(both["flat"], both["won"]) == "untested"


def _plan_verdict(layer, *, tokens=False):
    """Return the verdict on a layer as a stage would take it, and D - A and b - A in nats, sum convention."""
    n_pairs = len(layer.rows)
    halves, draws = split_in_halves(range(n_pairs), 4), HashedResampler(range(n_pairs), resamples=300, seed=4)
    found, means = [], {}
    for position in (False, True):
        found.append({})
        for convention, rows in (("sum", layer), ("mean", layer.mean_over_tokens())):
            compared = compare(rows, halves, position=position, tokens=tokens)
            scores = {name: values[:, None] for name, values in compared.scores.items()}
            estimate = draws.estimate_mean(scores["plan"] - scores["similarity"], RULE)
            ends = Interval(estimate.low[0], estimate.high[0], bound_p(estimate, -PLAN_MARGIN)[0])
            found[-1][convention] = PlanEvidence(ends, compared.power.mean())
            means[position, convention] = [
                (scores[name] - scores["similarity"]).mean() for name in ("plan", "uniform_plan") if name in scores
            ]
    return is_a_plan(*found), means


@pytest.fixture(scope="module")
def layer():
    # One token a word: the two conventions are the same, as a planted truth needs.
    made = cost_layer(60, seed=21)
    return made._replace(tokens=(made.tokens > 0).astype(float))


def _with_noise(layer, rows):
    weights = rows * np.exp(0.2 * np.random.default_rng(3).normal(size=rows.shape))
    return layer._replace(rows=weights / np.where(weights.sum(2, keepdims=True) > 0, weights.sum(2, keepdims=True), 1))


def test_a_true_plan_is_supported(layer):
    verdict, means = _plan_verdict(_with_noise(layer, model_rows(PLAN, layer, Parameters(0.6)).rows))
    assert verdict == "supported"
    assert max(value for values in means.values() for value in values) < -PLAN_MARGIN


def test_a_true_plan_with_position_or_weighted_keys_is_supported(layer):
    model = PLAN._replace(position=True)
    verdict, means = _plan_verdict(_with_noise(layer, model_rows(model, layer, Parameters(0.6, 0.3, 0.4)).rows))
    assert verdict == "supported"
    # Its keys are weighted, so uniform marginals fit less well.
    assert means[True, "sum"][0] < -PLAN_MARGIN
    assert means[False, "sum"][0] < means[False, "sum"][1] - PLAN_MARGIN


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_centred_softmax_is_not_supported(layer, weight):
    rows = model_rows(SIMILARITY, layer, Parameters(0.6, weight)).rows
    verdict, means = _plan_verdict(_with_noise(layer, rows))
    assert verdict == "not supported"
    assert min(value for values in means.values() for value in values) > PLAN_MARGIN


def test_uniform_attention_is_untested(layer):
    flat = layer._replace(rows=layer.words / np.where(layer.words.any(2), layer.words.sum(2), 1)[..., None])
    assert _plan_verdict(flat)[0] == "untested"


@pytest.mark.parametrize("seed", range(3))
def test_random_flat_weights_are_never_supported(layer, seed):
    scores = 0.3 * np.random.default_rng(seed).normal(size=layer.rows.shape)
    scores += 0.3 * np.random.default_rng(seed + 9).normal(size=layer.tokens.shape)[:, None, :]
    rows = np.exp(scores) * layer.words
    random = layer._replace(rows=rows / np.where(rows.sum(2) > 0, rows.sum(2), 1)[..., None])
    assert _plan_verdict(random)[0] in ("untested", "not supported")


def _translation_verdict(batch, blocks, gold):
    draws = HashedResampler(range(len(blocks)), resamples=300, seed=2)
    intervals = []
    for linked in (batch.linked, gold):
        above = above_position(blocks, linked, batch.n_src, batch.n_tgt, query="tgt")
        estimate = draws.estimate_mean(above[:, None], RULE)
        intervals.append(Interval(estimate.low[0], estimate.high[0]))
    return finds_translations(*intervals)


def test_attention_that_aligns_is_supported_and_attention_on_position_is_not():
    batch = random_batch(120, seed=31)
    gold = batch.linked & (np.random.default_rng(1).random(batch.linked.shape) < 0.7)
    noise = 0.3 * np.random.default_rng(2).normal(size=batch.linked.shape)
    aligning = attention_on(batch, 2.0 * batch.linked + noise)
    verdicts = [
        _translation_verdict(batch, blocks, gold)
        for blocks in (aligning, attention_on(batch, position_scores(batch) + noise), attention_on(batch, 10 * noise))
    ]
    assert verdicts[0] == "supported"
    assert set(verdicts[1:]) <= {"undecided", "not supported"}
    avoiding = attention_on(batch, -2.0 * batch.linked + position_scores(batch))
    assert _translation_verdict(batch, avoiding, gold) == "not supported"
