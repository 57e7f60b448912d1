"""Doors: functions of tensors in batches that also take lists, NumPy arrays and single problems."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from otcore._arrays import as_array, as_mask, is_tensor
from otcore._checks import broken_rule, check_finite, check_shape
from otcore.terms import ArrayLike, Duals


def takes_arrays(*, masks: dict[str, str] | None = None, **axes: str) -> Callable[[Callable], Callable[..., Any]]:
    """Return a decorator that opens a function of tensors to lists, NumPy arrays and single problems.

    Parameters
    ----------
    **axes : str
        Names of the axes of each argument that holds numbers, as in ``cost="batch src tgt"``; the argument may be
        `Duals` (or a pair) of such arrays. Where ``batch`` comes first it may be missing, from all arguments at
        once: results then come back without it.
    masks : dict, optional
        The same for boolean arguments.

    Notes
    -----
    Lists and whole numbers take the dtype of the first array that has a floating-point one, float64 if there is none.
    A result is a tensor if an argument was, and a NumPy array otherwise. Numbers, axes and finiteness are checked
    before the function runs (potentials may be infinite: -inf is a point without mass); an argument whose default is
    None may be None.
    """
    masks = masks or {}
    spec = {name: names.split() for name, names in (axes | masks).items()}

    def decorate(function: Callable) -> Callable[..., Any]:
        signature = inspect.signature(function)
        pairs = {name for name, parameter in signature.parameters.items() if "Duals" in str(parameter.annotation)}
        optional = {name for name, parameter in signature.parameters.items() if parameter.default is None}

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            given = {
                name: value
                for name, value in bound.arguments.items()
                if name in spec and not (value is None and name in optional)
            }
            for name in set(given) & pairs:
                _check_pair(name, given[name])
            leaves = [leaf for name, value in given.items() for leaf in _leaves(name, value, is_mask=name in masks)]
            kind = _Kind.of(leaves)
            single = _is_single(leaves, spec)
            ready = {leaf.label: _ready(leaf, kind, spec[leaf.name], single=single) for leaf in leaves}
            for name, value in given.items():
                bound.arguments[name] = (
                    Duals(ready[f"{name}.src"], ready[f"{name}.tgt"]) if isinstance(value, tuple) else ready[name]
                )
            return kind.back(function(*bound.args, **bound.kwargs), single=single)

        return call

    return decorate


def _check_pair(name: str, value: object) -> None:
    """Refuse potentials that are not two arrays."""
    if not isinstance(value, tuple) or len(value) != 2:
        arrived = f"{len(value)} parts" if isinstance(value, tuple) else type(value).__name__
        raise broken_rule(name, "a pair (src, tgt)", arrived, "Give one array a side.")


class _Leaf(NamedTuple):
    """One array of one argument: potentials have two. `has_dtype`: it came as an array of floating-point numbers."""

    name: str
    label: str
    array: Any
    has_dtype: bool


def _leaves(name: str, value: ArrayLike, *, is_mask: bool) -> Iterator[_Leaf]:
    """Yield the arrays of an argument, with the words that messages call them by."""
    is_pair = isinstance(value, tuple)
    parts = (
        {f"{name}.{side}": part for side, part in zip(("src", "tgt"), value, strict=True)} if is_pair else {name: value}
    )
    for label, part in parts.items():
        if is_mask:
            yield _Leaf(name, label, as_mask(label, part), False)
            continue
        dtype = getattr(part, "dtype", None)
        yield _Leaf(name, label, as_array(label, part), dtype is not None and "float" in str(dtype))


class _Kind(NamedTuple):
    """What a call was given: tensors or not, and the dtype and device for arguments that have none."""

    is_tensor: bool
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, leaves: list[_Leaf]) -> "_Kind":
        """Return the kind of the first tensor, or of the first array."""
        tensors = [leaf.array for leaf in leaves if is_tensor(leaf.array)]
        typed = [torch.as_tensor(leaf.array[..., :0]) for leaf in leaves if leaf.has_dtype and leaf.array.ndim]
        dtype = typed[0].dtype if typed else torch.float64
        return cls(bool(tensors), dtype, tensors[0].device if tensors else torch.device("cpu"))

    def back(self, result: Any, *, single: bool) -> Any:
        """Return a result as its caller wants it: tensors within tuples, mappings and iterators too."""
        again = functools.partial(self.back, single=single)
        if isinstance(result, Tensor):
            result = result[0] if single else result
            return result if self.is_tensor else result.detach().numpy()
        if isinstance(result, tuple):
            parts = [again(part) for part in result]
            return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
        if isinstance(result, Mapping):
            return {key: again(value) for key, value in result.items()}
        return (again(part) for part in result) if isinstance(result, Iterator) else result


def _is_single(leaves: list[_Leaf], spec: Mapping[str, list[str]]) -> bool:
    """Return whether every argument of a batch comes without its batch."""
    missing = [len(spec[leaf.name]) - leaf.array.ndim for leaf in leaves if spec[leaf.name][0] == "batch"]
    return bool(missing) and all(number == 1 for number in missing)


def _ready(leaf: _Leaf, kind: _Kind, axes: list[str], *, single: bool) -> Tensor:
    """Return one argument as a tensor with all of its axes, checked."""
    is_mask = leaf.array.dtype in (torch.bool, np.bool_)
    if is_tensor(leaf.array):
        tensor = leaf.array
    else:
        tensor = torch.tensor(leaf.array, device=kind.device)
        tensor = tensor if leaf.has_dtype or is_mask else tensor.to(kind.dtype)
    without_batch = single and axes[0] == "batch"
    check_shape(leaf.label, tensor, axes[1:] if without_batch else axes)
    tensor = tensor[None] if without_batch else tensor
    if not is_mask:
        is_potential = leaf.label != leaf.name
        check_finite(leaf.label, torch.where(tensor.isinf(), 0.0, tensor) if is_potential else tensor)
    return tensor
