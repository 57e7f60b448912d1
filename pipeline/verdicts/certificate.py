"""The certificate as claims: its verdicts are those of the stage certify, passed on with the figure that shows each."""

from pathlib import Path

from pipeline._output import check_holds, read_object
from pipeline.claims import RULES, Claim, Limit
from pipeline.verdicts.reading import CERTIFICATE

FIGURES = {
    "theorem_3_2_limit": "figure3",
    "same_weights_any_n": "figure4",
    "best_step_ratio_is_2": "certificate_depth",
    "depth_twice_sinkhorn": "certificate_depth",
    "theorem_d1_bound": "certificate_bound",
    "theorem_d1_tested": "certificate_bound",
    "rate_is_geometric": "certificate_bound",
    "theorem_3_1_frozen": "certificate_drift",
    "theorem_3_1_free": "certificate_drift",
    "sorting_1024": "certificate_sorting",
    "sorting_general_constant": "certificate_sorting",
    "sorting_general_annealed": "certificate_sorting",
    "rank_kept": "certificate_rank",
}
"""Name of the figure by the id of a claim; the others stand in the table."""


def certificate_claims(path: Path) -> list[Claim]:
    """Return the claims of `certificate.json` in their order; none where the stage certify has not run.

    Raises
    ------
    PipelineError
        If another edition wrote it.
    """
    if not path.is_file():
        return []
    claims = []
    for found in read_object(path, ("claims",), "certify")["claims"]:
        check_holds(path, CERTIFICATE, list(found), "certify")
        setting = {key: value for key, value in found["setting"].items() if key != "rule"}
        claims.append(
            Claim(
                id=found["id"],
                claim=found["id"],
                question="construction",
                statement=found["statement"],
                figure=FIGURES.get(found["id"], ""),
                limit=Limit(
                    value=found["value"],
                    threshold=found["threshold"],
                    rule=found["setting"].get("rule", RULES[0]),
                    reference=found["reference"],
                    setting=setting,
                    seed=found["seed"],
                    group=found["group"],
                ),
                verdict=found["verdict"],
            )
        )
    return claims
