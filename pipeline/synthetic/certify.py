"""The certificate: every statement of the paper's theory, measured, with a verdict that could have been another."""

from pathlib import Path

import torch

from pipeline.errors import PipelineError
from pipeline.params import Certify
from pipeline.synthetic import appendix, bound, errata, maps, ordering, rates, theorems
from pipeline.synthetic.claims import Finding, merge, write
from pipeline.synthetic.threads import one_thread

REG_RANGE = (0.005, 0.5)  # of the largest cost: below it the study of rates overflows, above it all plans are flat


def certify(params: Certify) -> Finding:
    """Return every claim and every table.

    Parameters
    ----------
    params : Certify
        `reg`, `step_ratio` (gamma / lambda), `depth` (largest number of layers) and `seeds` (random problems each).

    Returns
    -------
    Finding
        Claims with verdicts, and the tables that the figures draw. The same parameters give the same numbers: one
        thread, float64, seeds 0 to `seeds` - 1.

    Raises
    ------
    PipelineError
        If `reg` is outside the range in which everything can be measured.
    """
    low, high = REG_RANGE
    if not low <= params.reg <= high:
        message = (
            f"certify.reg: between {low} and {high}, as costs are scaled to at most 1, but it is {params.reg}; "
            "0.05 is the default"
        )
        raise PipelineError(message)
    reg, ratio, depth, seeds = params.reg, params.step_ratio, params.depth, range(params.seeds)
    with one_thread(), torch.no_grad():
        return merge(
            [
                theorems.theorem_3_1(reg, step_ratio=ratio, depth=depth),
                theorems.theorem_3_2(reg, step_ratio=ratio, depth=depth, seeds=seeds),
                bound.theorem_d1_bound(reg, step_ratio=ratio, depth=depth, seeds=seeds),
                bound.theorem_d1_tested(step_ratio=ratio, depth=depth, seeds=seeds),
                appendix.propositions(),
                appendix.lemma_d6_holds(depth=depth, seeds=seeds),
                appendix.our_inequalities(reg),
                errata.two_radii(reg, seeds=seeds),
                errata.lemma_step(seeds=seeds),
                errata.lemma_unit(depth=depth, seeds=seeds),
                errata.equation_21(reg, seeds=seeds),
                errata.rate_beyond_two(reg, depth=depth, seeds=seeds),
                rates.depth_study(reg, step_ratio=ratio, depth=depth, seeds=seeds),
                maps.figures_3_and_4(reg),
                maps.same_weights(reg, step_ratio=ratio),
                maps.rank_over_depth(reg, depth=depth, seeds=seeds),
                maps.higher_dimension(reg, seeds=seeds[:10]),
                ordering.sorting(),
                theorems.precision(reg, step_ratio=ratio, seeds=seeds),
            ]
        )


def write_certificate(params: Certify, folder: Path) -> None:
    """Write `certificate.json` and the tables `certificate_*.csv` into a folder; see `certify`."""
    write(certify(params), folder)
