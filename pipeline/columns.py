"""The columns of the tables that one stage writes and another reads: each has its home here."""

from collections.abc import Mapping

FIGURE1_ID = -1
"""`pair_id` of the sentence of the paper's Figure 1, which is no row of a source and enters no score."""
_ENDS = ("value", "low", "high", "n_pairs")
_EFFECT = ("effect", "low", "high", "p")

TRANSLATOR: Mapping[str, tuple[str, ...]] = {
    "curves": ("control", "view", "layer", "score", *_ENDS),
    "matches": ("control", "states", "layer", *_ENDS, "n_tied"),
    "plan_correlation": (
        *("control", "view", "layer", *_ENDS),
        *("sentence_mean", "sentence_low", "sentence_high", "n_undefined"),
    ),
    "paired": ("half", "view", "layer", "score", "against", "difference", "low", "high", "n_pairs", "p"),
    "aer": (
        *("set", "source", "view", "layer", "method", "aer", "precision", "recall", "f1", "n_pairs"),
        *("aer_low", "aer_high", "unaligned_precision", "unaligned_recall", "unaligned_f1"),
        *("aer_first_half", "aer_second_half", "second_half_low", "second_half_high", "chosen"),
    ),
    "pointing": ("links", "score", "view", "layer", "control", *_ENDS, "minus_floor", "of_possible"),
    "above": ("half", "links", "score", "view", "layer", "against", "difference", "low", "high", "n_pairs", "p"),
    "trend": ("links", "view", "range", "quantity", "layer", *_ENDS, "p"),
    "plan_test": (
        *("split", "view", "layer", "tokens", "base", "position", "quantity"),
        *(*_ENDS, "p", "reg", "weight", "sd", "error"),
    ),
    "gap": ("split", "view", "layer", "quantity", *_ENDS),
    "heads": ("links", "view", "layer", "head", "quantity", *_ENDS),
    "heads_chosen": ("links", "view", "by", "rank", "layer", "head", *_ENDS),
    "heads_plan": ("view", "layer", "head", "tokens", "quantity", *_ENDS, "p"),
}
"""Of `reports/metrics/translators/NAME`, by table; the stage align writes them."""
EVIDENCE = tuple(TRANSLATOR)[5:]
"""The tables of the tests decided in advance."""
INTERVENTION: Mapping[str, tuple[str, ...]] = {
    "heads": ("layer", "head", "view", "pointing", "entropy", *_EFFECT),
    "sets": (
        *("set", "layer", "k", "heads", *_EFFECT, "zero_effect", "n_draws", "complete", "short"),
        *("draws_effect", "share_reached", *(f"above_{name}" for name in _EFFECT)),
    ),
    "replacements": ("target", "heads", "replacement", "sweeps", *_EFFECT),
}
"""Of `reports/metrics/intervene/NAME`, by table; the stage intervene writes them."""
