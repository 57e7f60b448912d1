"""Appendix D in the certificate: vacuous where it says nothing, tested where it does, and faults that turn the verdicts."""

import math

import pytest
import torch

from otcore import Duals, entropic_plan, gradient_descent, squared_cost, theorem_d1
from otcore.bounds import dual_radius, lemma_d6, proposition_d4, proposition_d5
from otcore.hilbert import Inequality, almost_stochastic_bound, contraction, scaling_bound
from pipeline.synthetic import appendix, bound, errata
from pipeline.synthetic.appendix import PRINTED, relative_descent
from pipeline.synthetic.claims import gaussian_clouds
from tests.pipeline.certificate_factory import small, verdicts  # noqa: F401

SEEDS = range(3)


def tightened(statement, factor):
    """Return a statement whose right side is smaller by a factor."""

    def smaller(*args, **kwargs):
        both = statement(*args, **kwargs)
        pairs = both if isinstance(both[0], Inequality) else (both,)
        found = tuple(Inequality(pair.left, pair.right / factor) for pair in pairs)
        return found if len(found) > 1 else found[0]

    return smaller


def shifted(statement, **shifts):
    """Return a promise with parts moved, in logarithms."""

    def moved(*args, **kwargs):
        promise = statement(*args, **kwargs)
        return promise._replace(**{name: getattr(promise, name) + by for name, by in shifts.items()})

    return moved


def test_relative_descent_is_gradient_descent_with_a_step_for_each_problem():
    cost = squared_cost(*gaussian_clouds(5, dim=2, seeds=range(2)))
    reg, ratio, depth = 0.3, torch.tensor([0.5, 2.0], dtype=torch.float64), 6
    found = list(relative_descent(-cost / reg - 1.0, ratio, depth))
    assert len(found) == depth
    assert float(found[0].src.abs().max() + found[0].tgt.abs().max()) == 0.0
    for problem, one in enumerate(ratio.tolist()):
        expected = gradient_descent(cost[problem : problem + 1], reg=reg, step_size=one * reg, depth=depth - 1)
        for mine, theirs in zip(found[1:], expected, strict=True):
            torch.testing.assert_close(reg * mine.src[problem], theirs.src[0])
            torch.testing.assert_close(reg * mine.tgt[problem], theirs.tgt[0])


def test_theorem_d1_is_vacuous_at_the_run_s_reg_and_tells_from_which_depth_it_speaks():
    finding = bound.theorem_d1_bound(0.1, step_ratio=2.0, depth=60, seeds=SEEDS)
    assert verdicts(finding) == {
        "theorem_d1_bound": "vacuous",
        "theorem_d1_useful_depth": "fails",
        "theorem_d1_loose_reg": "vacuous",
    }
    at_run, useful, loose = finding.claims
    assert at_run.value > 50 and useful.value > at_run.value
    assert loose.value == pytest.approx(4.5, abs=0.1)
    assert loose.threshold == pytest.approx(math.log10(60))
    assert loose.setting["log10_depth_condition"][0] == pytest.approx(loose.value)
    table = finding.tables["bound"]
    assert sorted(set(table["reg"])) == [0.1, 0.2, 3.0]
    curve = table[table["reg"] == 3.0]
    fall = curve["log10_bound"].iloc[0] - curve["log10_bound"].iloc[-1]
    assert fall == pytest.approx(0.5 * math.log10(60))
    assert (curve["largest"].diff().dropna() <= 0).all()


def test_a_bound_that_speaks_early_is_tested_there():
    """Without its depth condition and with a constant that is too small the theorem would be false."""
    early = shifted(theorem_d1, log_depth=-1e6, log_useful_depth=-1e6, log_bound=-1e4)
    found = verdicts(bound.theorem_d1_bound(0.1, step_ratio=2.0, depth=60, seeds=SEEDS, theorem=early))
    assert set(found) == {"theorem_d1_bound", "theorem_d1_useful_depth", "theorem_d1_loose_reg"}
    assert found["theorem_d1_loose_reg"] == "fails"
    assert found["theorem_d1_useful_depth"] == "holds"


def test_theorem_d1_holds_where_its_condition_is_met_and_faults_turn_that():
    kwargs = {"step_ratio": 2.0, "depth": 4000, "seeds": SEEDS}
    (true,) = bound.theorem_d1_tested(**kwargs).claims
    assert (true.verdict, true.setting["tested"]) == ("holds", 4)  # two problems of three, at both steps
    assert 0.0 < true.value < 1.0
    (climbs,) = bound.theorem_d1_tested(
        **kwargs, descend=lambda kernel, ratio, depth: relative_descent(kernel, -ratio, depth)
    ).claims
    assert climbs.verdict == "fails"
    (small_constant,) = bound.theorem_d1_tested(**kwargs, theorem=shifted(theorem_d1, log_bound=-math.log(36.0))).claims
    assert small_constant.verdict == "fails"
    (short,) = bound.theorem_d1_tested(**(kwargs | {"depth": 50})).claims
    assert short.verdict == "vacuous"
    assert short.value > math.log10(50)


def test_distances_start_with_the_start_and_never_grow():
    cost = squared_cost(*gaussian_clouds(4, dim=2, seeds=range(2)))
    measured = bound.measure(cost, gradient_descent(cost, reg=0.2, step_size=0.4, depth=5), reg=0.2)
    optimum = entropic_plan(cost, reg=0.2, threshold=1e-13).potentials
    start = torch.maximum(*((part.amax(1) - part.amin(1)) / 0.2 for part in optimum))
    assert measured.distance.shape == (6, 2)
    torch.testing.assert_close(measured.distance[0], start)
    assert (measured.distance.diff(dim=0) <= 0).all()


def test_propositions_as_printed_hold_and_smaller_constants_do_not(small):
    true = appendix.propositions()
    assert verdicts(true) == {"proposition_d4": "holds", "proposition_d5": "holds"}
    d4, d5 = true.claims
    assert 1.0 < d4.value < 3.0
    assert 1.9 < d5.value < 4.0
    assert 300 < d5.setting["matrices"] < d4.setting["matrices"] < 500
    broken = PRINTED._replace(d4=tightened(proposition_d4, 3.0), d5=tightened(proposition_d5, 2.5))
    assert verdicts(appendix.propositions(statements=broken)) == {"proposition_d4": "fails", "proposition_d5": "fails"}


def test_our_inequalities_hold_and_others_do_not(small):
    names = ("sums_bound_distance", "scalings_near_optimum", "positive_matrix_contracts")
    assert verdicts(appendix.our_inequalities(0.05)) == dict.fromkeys(names, "holds")
    broken = PRINTED._replace(
        sums=tightened(almost_stochastic_bound, 1.1),
        scalings=tightened(scaling_bound, 1e4),
        contracts=tightened(contraction, 1.1),
    )
    assert verdicts(appendix.our_inequalities(0.05, statements=broken)) == dict.fromkeys(names, "fails")


def test_lemma_d6_holds_at_its_step_and_faults_turn_that(small):
    (true,) = appendix.lemma_d6_holds(depth=400, seeds=SEEDS).claims
    assert true.verdict == "holds"
    assert true.setting["tested"] >= 3
    for fault in (
        shifted(lemma_d6, log_eps=-math.log(200.0)),  # another constant
        shifted(lemma_d6, log_step=math.log(1000.0)),  # so long a step that the mass swings
        shifted(lemma_d6, log_step=-math.log(100.0)),  # too short
    ):
        (found,) = appendix.lemma_d6_holds(depth=400, seeds=SEEDS, statements=PRINTED._replace(d6=fault)).claims
        assert found.verdict == "fails", found.value
    (short,) = appendix.lemma_d6_holds(depth=3, seeds=SEEDS).claims
    assert (short.verdict, short.setting["tested"]) == ("vacuous", 0)


def test_lemma_d6_depends_on_the_unit_of_cost_and_one_that_does_not_would_hold():
    (true,) = errata.lemma_unit(depth=600, seeds=SEEDS).claims
    assert true.verdict == "fails"
    assert min(true.setting["worst"].values()) > 1.0

    def without_unit(n, *, reg, radius, depth):
        """Everything in units of reg: gamma and r of the proof divided by it, r of the theorem as it is."""
        in_reg = radius / reg if reg == errata.UNITS[appendix.DUAL] else radius
        promise = lemma_d6(n, reg=1.0, radius=in_reg, depth=depth)
        return promise._replace(log_step=promise.log_step + math.log(reg))

    (found,) = errata.lemma_unit(depth=600, seeds=SEEDS, lemma=without_unit).claims
    assert found.verdict != "fails"
    (short,) = errata.lemma_unit(depth=1, seeds=SEEDS, lemma=shifted(lemma_d6, log_eps=50.0)).claims
    assert short.verdict == "vacuous"


def test_two_radii_differ_and_one_would_agree():
    (true,) = errata.two_radii(0.1, seeds=SEEDS).claims
    assert true.verdict == "fails" and true.value > 5.0
    (same,) = errata.two_radii(0.1, seeds=SEEDS, radius=lambda optimum, reg: dual_radius(optimum)).claims
    assert same.verdict == "holds"


def test_the_step_of_lemma_d6_depends_on_n_and_input_and_a_constant_one_would_not():
    (true,) = errata.lemma_step(seeds=SEEDS).claims
    assert true.verdict == "fails" and true.value > 2.0

    def constant(n, *, reg, radius, depth):
        return lemma_d6(8, reg=reg, radius=torch.ones_like(radius), depth=depth)

    (same,) = errata.lemma_step(seeds=SEEDS, lemma=constant).claims
    assert same.verdict == "holds"


def test_the_printed_hessian_lacks_a_factor_of_one_over_reg():
    true = verdicts(errata.equation_21(0.1, seeds=SEEDS))
    assert true == {"equation_21_hessian": "fails", "equation_21_hessian_with_reg": "holds"}
    right = verdicts(
        errata.equation_21(
            0.1, seeds=SEEDS, hessian=lambda cost, duals, reg: errata.printed_hessian(cost, duals, reg=reg) / reg
        )
    )
    assert right == {"equation_21_hessian": "holds", "equation_21_hessian_with_reg": "fails"}

    def no_diagonal(cost, duals, *, reg):
        whole = errata.printed_hessian(cost, duals, reg=reg)
        return whole - torch.diag_embed(whole.diagonal(dim1=1, dim2=2))

    assert set(verdicts(errata.equation_21(0.1, seeds=SEEDS, hessian=no_diagonal)).values()) == {"fails"}


def test_printed_hessian_by_hand():
    """M = ((1, 2), (3, 4)) / 10: rows and columns, with their sums on the diagonal."""
    cost = -(torch.tensor([[[0.1, 0.2], [0.3, 0.4]]], dtype=torch.float64).log() + 1.0)
    zero = torch.zeros(1, 2, dtype=torch.float64)
    expected = [[3, 0, 1, 2], [0, 7, 3, 4], [1, 3, 4, 0], [2, 4, 0, 6]]
    found = errata.printed_hessian(cost, Duals(zero, zero), reg=1.0)
    torch.testing.assert_close(found[0], torch.tensor(expected, dtype=torch.float64) / 10)
