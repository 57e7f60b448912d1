"""What comes in may be a list, a NumPy array or a torch tensor; what goes out is of that kind.

torch is never imported for NumPy's sake: `sys.modules` says whether anybody could hold a tensor at all.
"""

import sys
from typing import Any

import numpy as np

from otcore._checks import TransportError, broken_rule
from otcore.terms import Array, ArrayLike

REMEDY = "Give numbers in rows of equal length; `otcore.pad_costs` pads problems of unequal size."


def is_tensor(value: object) -> bool:
    """Return whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def namespace(array: Array) -> Any:
    """Return the module, torch or numpy, whose functions work on an array."""
    return sys.modules["torch"] if is_tensor(array) else np


def as_array(argument: str, value: ArrayLike) -> Array:
    """Return an array or tensor of floating-point numbers; whole numbers and lists become float64.

    Raises
    ------
    TransportError
        If the value is none: ragged lists, text, None, complex numbers.
    """
    if is_tensor(value):
        if value.is_complex():
            raise _not_numbers(argument, f"a tensor of {value.dtype}")
        return value if value.is_floating_point() else value.double()
    if value is None or isinstance(value, str | bytes):
        raise _not_numbers(argument, repr(value))
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        raise _not_numbers(argument, "rows of unequal length, or entries that are no numbers") from None
    if array.dtype.kind not in "biuf":
        raise _not_numbers(argument, f"entries of type {array.dtype}")
    return array if array.dtype in (np.float16, np.float32, np.float64) else array.astype(np.float64)


def _not_numbers(argument: str, arrived: str) -> TransportError:
    return broken_rule(argument, "numbers: nested lists, a NumPy array or a torch tensor", arrived, REMEDY)


def as_mask(argument: str, value: ArrayLike) -> Array:
    """Return a boolean array or tensor.

    Raises
    ------
    TransportError
        If the value holds anything but True and False (or 1 and 0).
    """
    array = as_array(argument, value)
    if not bool(((array == 0) | (array == 1)).all()):
        raise broken_rule(argument, "True (a point) or False (padding)", "other values", "Give a boolean mask.")
    return array == 1


def log_sum_exp(values: Array, axis: int) -> Array:
    """Return log(sum(exp(values))) along an axis; -inf where all are."""
    if is_tensor(values):
        return namespace(values).logsumexp(values, axis)
    largest = values.max(axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    return np.log(np.exp(values - largest).sum(axis)) + largest.squeeze(axis)


def as_double(array: Array) -> Array:
    """Return the same numbers in float64, as an array or tensor as before."""
    return array.detach().double() if is_tensor(array) else array.astype(np.float64)


def as_numpy(array: Array) -> np.ndarray:
    """Return a NumPy array of the same numbers."""
    return array.detach().cpu().numpy() if is_tensor(array) else array


def like(array: Array, model: Array) -> Array:
    """Return an array of the kind and device of a model and, if it holds floating-point numbers, of its dtype."""
    if not is_tensor(model):
        return array.astype(model.dtype) if array.dtype.kind == "f" else array
    tensor = namespace(model).as_tensor(array, device=model.device)
    return tensor.to(model.dtype) if tensor.is_floating_point() else tensor
