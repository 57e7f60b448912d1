"""Checks at the door of `otcore` and the one error class of the package.

Public functions check their arguments here once and then trust them. Every message has four parts: which
argument, the rule with the accepted values, what arrived, and what to do about it.
"""

import math
import sys
from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


class TransportError(ValueError):
    """An argument breaks a rule: says which argument, the rule, what arrived and what to do."""


def broken_rule(argument: str, rule: str, arrived: object, remedy: str) -> TransportError:
    """Return (not raise) the error whose message has the four parts."""
    return TransportError(f"{argument}: must be {rule}; got {arrived}. {remedy}")


def check_positive(argument: str, value: float, *, remedy: str) -> None:
    """Refuse what is not a finite number greater than 0."""
    if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
        raise broken_rule(argument, "a finite number greater than 0", repr(value), remedy)


def check_count(argument: str, value: int, *, at_least: int = 1) -> None:
    """Refuse a count (of layers, sweeps, dimensions) below `at_least`."""
    if not isinstance(value, Integral) or value < at_least:
        raise broken_rule(argument, f"a whole number of at least {at_least}", repr(value), "Ask for more.")


def check_choice(argument: str, value: str, accepted: Collection[str]) -> None:
    """Refuse a name outside the accepted ones, and list those."""
    if value not in accepted:
        names = ", ".join(repr(name) for name in accepted)
        raise broken_rule(argument, f"one of {names}", repr(value), "Choose one of the names listed.")


def check_finite(argument: str, values: Any) -> None:
    """Refuse NaN and infinities in an array or tensor, and say how many there are."""
    xp = sys.modules["torch"] if not isinstance(values, np.ndarray) else np
    n_bad = int((~xp.isfinite(values)).sum())
    if n_bad:
        raise broken_rule(
            argument, "finite everywhere", f"{n_bad} NaN or infinite values", "Drop or repair those values."
        )


def check_shape(argument: str, values: Any, axes: Sequence[str]) -> None:
    """Refuse an array or tensor whose number of axes is not that of the named ones, or with an empty axis."""
    shape = tuple(values.shape)
    if len(shape) != len(axes) or 0 in shape:
        raise broken_rule(
            argument,
            f"of shape ({', '.join(axes)}), no axis empty",
            f"shape {shape}",
            "Add or remove axes (the batch comes first, and may be left out), or drop the empty problem.",
        )


def check_points(src_name: str, src: Any, tgt_name: str, tgt: Any) -> None:
    """Refuse two clouds that differ in shape, dtype or device, or that hold NaN or infinities."""
    axes = ("batch", "n", "dim")
    for name, values in ((src_name, src), (tgt_name, tgt)):
        check_shape(name, values, axes)
        check_finite(name, values)
    if src.shape != tgt.shape:
        raise broken_rule(
            f"{src_name} and {tgt_name}",
            "of one shape (batch, n, dim), as many points on both sides",
            f"shapes {tuple(src.shape)} and {tuple(tgt.shape)}",
            "Drop or add points until both sides have n; for unequal masses see `plans.exact_plan`.",
        )
    if src.dtype != tgt.dtype or src.device != tgt.device:
        raise broken_rule(
            f"{src_name} and {tgt_name}",
            "of one dtype on one device",
            f"{src.dtype} on {src.device} and {tgt.dtype} on {tgt.device}",
            "Move one to the other with `.to(other)`.",
        )


def check_cost(argument: str, cost: Any) -> None:
    """Refuse a cost that is not a finite (batch, src, tgt) tensor."""
    check_shape(argument, cost, ("batch", "src", "tgt"))
    check_finite(argument, cost)
