"""The methods that take links from a matrix, by name, and their options: what params.yaml may say of them."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline._messages import explain
from pipeline.errors import PipelineError

Method = Literal[
    "argmax_src",
    "argmax_tgt",
    "intersection",
    "union",
    "grow_diagonal",
    "grow_diagonal_final",
    "itermax",
    "mwmf",
    "transport",
    "entropic",
    "partial",
    "unbalanced",
    "sinkhorn_mutual",
    "softmax_threshold",
]
METHODS: tuple[Method, ...] = get_args(Method)
SHOWN = 240
"""The first rows of the corpus, whose blocks are stored where only sums are kept: what a page may show."""
STORED = 1500
"""Most pairs that are stored for what is fitted or solved exactly where only sums are kept."""
PLAN_MARGIN = 0.002
"""Nats by which a plan must fit attention better than a similarity, and by which the two must differ to be told apart."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "grow_diagonal": ("free",),
    "grow_diagonal_final": ("free",),
    "itermax": ("alpha", "rounds"),
    "entropic": ("reg", "threshold"),
    "partial": ("share", "threshold"),
    "unbalanced": ("reg", "reg_marginal", "threshold"),
    "sinkhorn_mutual": ("sweeps", "temperature"),
    "softmax_threshold": ("softmax_temperature", "softmax_threshold"),
}
"""Which options a method reads; those not named read none."""

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, le=1)]


class MatchSettings(BaseModel):
    """The options of the methods that have any.

    Costs and similarities have no common unit. Where an option has their units, it is in those of their typical
    spread: from the best entry to the worst, but at most twice as far as to the median, so that one outlier changes
    nothing.

    Attributes
    ----------
    alpha, rounds : float, int
        itermax: weight of words that have a link already, in [0, 1], and rounds of mutual argmax, at least 1.
    threshold : float
        entropic, partial, unbalanced: a link has at least this share, in (0, 1], of the largest mass that
        two words can exchange, min(1/n_src, 1/n_tgt).
    reg : float
        entropic, unbalanced: entropic weight, in typical spreads, greater than 0.
    share : float
        partial: mass that moves, in (0, 1]. The default leaves as much unaligned as eflomal's prior says before it has
        seen a sentence (its `--null-prior`, 0.2); it is chosen on no pair.
    reg_marginal : float
        unbalanced: weight of the marginals (Kullback-Leibler), in typical spreads, greater than 0.
    free : {"both", "either"}
        grow_diagonal and grow_diagonal_final: which words of a new link must have had no link. `both` is
        the rule of the scripts that made the published GIZA++ and fast_align files, `either` that of Moses'
        symal.
    sweeps, temperature : int, float
        sinkhorn_mutual: sweeps, at least 1; similarities are taken to the power 1/temperature first (1 is as
        published), costs as exp(-cost/temperature), in typical spreads.
    softmax_threshold, softmax_temperature : float
        softmax_threshold: least probability of a link in either direction, in (0, 1), and temperature of the softmax,
        in typical spreads.

    Raises
    ------
    PipelineError
        If an option is not known or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    rounds: Annotated[int, Field(ge=1)] = 2
    threshold: _Share = 0.3
    reg: _Positive = 0.1
    share: _Share = 0.8
    reg_marginal: _Positive = 1.0
    free: Literal["both", "either"] = "both"
    sweeps: Annotated[int, Field(ge=1)] = 2
    temperature: _Positive = 1.0
    softmax_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.001
    softmax_temperature: _Positive = 0.1

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            message = explain(error.errors()[0], MatchSettings)
            raise PipelineError(message) from None

    def read_by(self, methods: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Return the options that some methods read, by method; methods without any are left out.

        Examples
        --------
        >>> MatchSettings().read_by(("transport", "itermax"))
        {'itermax': {'alpha': 0.9, 'rounds': 2}}
        """
        return {
            method: {name: getattr(self, name) for name in OPTIONS[method]} for method in methods if method in OPTIONS
        }
