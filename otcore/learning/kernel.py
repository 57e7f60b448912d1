"""The loss of many small transformers and its gradient, in one compiled pass over a block of problems.

A layer (eq. 7) on 8 tokens of 11 numbers is too little work for a library call: most of the time of a plain implementation
goes into starting operations and into carrying their results through memory. Here all layers of `LANES` problems are
run forward and backward before the next block is touched, so that a block stays in the processor's cache, and every
array ends with an axis over the problems of the block, so that the innermost loop does the same to all of them at once.
Blocks are independent; each writes its own share of the gradient, and the caller adds the shares in a fixed order, so
the result does not depend on the number of threads.

Axes: ``z[width, token, lane]`` is a state, ``attention[head, query, key, lane]`` its attention, and ``weights[width, part]``
the weights of one layer, parts side by side: P_1, V_1, P_2, V_2, ... The reading layer is one more layer without a
residual stream and with one head.

The compiler must know `width` and `token` to unroll the short sums. It knows the length of a tuple, so sizes travel as
tuples whose contents mean nothing (`Size`). The products of two tokens count positions in flat arrays themselves, since
the strides of an array are not known when it is compiled, and take two tokens at a time, since reading is slower than
multiplying: each is worth a third of their time.
"""

import math
from typing import Any, NamedTuple, no_type_check

import numba
import numpy as np
from numba.extending import overload

LANES = 32
"""Problems of a block: four vectors of 8 float32, enough sums at once to keep the multipliers busy."""

# NaN and infinity must survive (they are how a diverging run shows), so `nnan` and `ninf` are not among these.
_FAST = {"reassoc", "contract", "nsz", "arcp"}
_OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy", "fastmath": _FAST}
_NO_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # never called from Python
_compiled = numba.njit(cache=True, **_NO_WRAPPERS, **_OPTIONS)
_inlined = numba.njit(inline="always", **_OPTIONS)  # used once: compiling them on their own would be for nothing

_MASKED = -1e30  # a score that no softmax sees
_LOWEST = np.float32(-87.0)  # below it exp is no normal float32
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_EXP = tuple(np.float32(c) for c in (1.98756915e-4, 1.39819995e-3, 8.33345191e-3, 4.16657959e-2, 0.16666665, 0.5))


class Size(NamedTuple):
    """Sizes that the compiler unrolls by: the *lengths* count."""

    width: tuple[int, ...]
    tokens: tuple[int, ...]

    @staticmethod
    def of(width: int, tokens: int) -> "Size":
        """Return the sizes as the kernel takes them."""
        return Size((0,) * width, (0,) * tokens)


def exp_of_negative(x: Any) -> Any:
    """Return exp(x) for x <= 0, to 3e-7 in float32 (a library's exp would stop the compiler from using vectors)."""
    return np.exp(x)


@overload(exp_of_negative, jit_options={"fastmath": _FAST})
@no_type_check
def _exp_of_negative(x):
    return _exp32 if x == numba.float32 else _exp64


@no_type_check
def _exp32(x):
    """2**n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes); NaN stays NaN."""
    x = max(x, _LOWEST)
    n = np.floor(x * _LOG2_E + np.float32(0.5))
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_EXP[0] * r + _EXP[1]) * r + _EXP[2]) * r + _EXP[3]) * r + _EXP[4]) * r + _EXP[5]
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return (p * (r * r) + (r + np.float32(1.0))) * power.view(np.float32)


@no_type_check
def _exp64(x):
    return math.exp(x)


@_compiled
@no_type_check
def _project(z, weights, out, size):
    """out[j] = sum_i weights[i, j] z[i], for all parts at once."""
    flat, into = z.reshape(z.shape[0], -1), out.reshape(out.shape[0], -1)
    for j in range(into.shape[0]):
        for m in range(into.shape[1]):
            total = z.dtype.type(0)
            for i in range(len(size.width)):
                total += weights[i, j] * flat[i, m]
            into[j, m] = total


@_compiled
@no_type_check
def _project_back(d_out, weights, d_z, size):
    """d_z[i] += sum_j weights[i, j] d_out[j], one part after the other."""
    flat, into = d_out.reshape(d_out.shape[0], -1), d_z.reshape(d_z.shape[0], -1)
    for part in range(0, flat.shape[0], into.shape[0]):
        for i in range(into.shape[0]):
            for m in range(into.shape[1]):
                total = into[i, m]
                for j in range(len(size.width)):
                    total += weights[i, part + j] * flat[part + j, m]
                into[i, m] = total


@_compiled
@no_type_check
def _weight_gradient(z, d_out, d_weights):
    """d_weights[i, j] = sum over tokens and problems of z[i] d_out[j]; two j at a time, which reads z half as often."""
    left, right = z.reshape(z.shape[0], -1), d_out.reshape(d_out.shape[0], -1)
    for i in range(left.shape[0]):
        for pair in range(right.shape[0] // 2):
            j = 2 * pair
            first, second = z.dtype.type(0), z.dtype.type(0)
            for m in range(left.shape[1]):
                first += left[i, m] * right[j, m]
                second += left[i, m] * right[j + 1, m]
            d_weights[i, j], d_weights[i, j + 1] = first, second


@_compiled
@no_type_check
def _scores(left, right, out, size):
    """out[a, b] = sum_j left[j, a] right[j, b], for every pair of tokens; two b at a time."""
    queries, keys, into = left.reshape(-1), right.reshape(-1), out.reshape(-1)
    n = len(size.tokens)
    for a in range(n):
        for pair in range((n + 1) // 2):
            b = min(2 * pair, n - 2)  # of an odd number of tokens, one is computed twice
            for k in range(LANES):
                first, second = out.dtype.type(0), out.dtype.type(0)
                for j in range(len(size.width)):
                    query = queries[(j * n + a) * LANES + k]
                    first += query * keys[(j * n + b) * LANES + k]
                    second += query * keys[(j * n + b + 1) * LANES + k]
                into[(a * n + b) * LANES + k] = first
                into[(a * n + b + 1) * LANES + k] = second


def _mixing(transposed: bool) -> Any:
    """Return the product of attention, or of its transpose, with values; which one is known when it is compiled."""

    @_compiled
    @no_type_check
    def mix(attention, values, out, size):
        """out[c, a] += sum_b attention[a, b] values[c, b], or of attention[b, a] if transposed; two a at a time."""
        shares, of, into = attention.reshape(-1), values.reshape(-1), out.reshape(-1)
        n = len(size.tokens)
        down, along = (1, n) if transposed else (n, 1)
        for c in range(len(size.width)):
            for a in range(0, n - 1, 2):
                for k in range(LANES):
                    first, second = into[(c * n + a) * LANES + k], into[(c * n + a + 1) * LANES + k]
                    for b in range(len(size.tokens)):
                        value = of[(c * n + b) * LANES + k]
                        first += shares[(a * down + b * along) * LANES + k] * value
                        second += shares[((a + 1) * down + b * along) * LANES + k] * value
                    into[(c * n + a) * LANES + k] = first
                    into[(c * n + a + 1) * LANES + k] = second
            if n % 2:
                for k in range(LANES):
                    last = into[(c * n + n - 1) * LANES + k]
                    for b in range(len(size.tokens)):
                        last += shares[((n - 1) * down + b * along) * LANES + k] * of[(c * n + b) * LANES + k]
                    into[(c * n + n - 1) * LANES + k] = last

    return mix


_mix, _mix_back = _mixing(transposed=False), _mixing(transposed=True)


@_compiled
@no_type_check
def _softmax(scores, size):
    """Turn scores[query, key] into attention, in place."""
    flat = scores.reshape(-1)
    n = len(size.tokens)
    for a in range(n):
        for k in range(LANES):
            top = flat[a * n * LANES + k]
            for b in range(1, len(size.tokens)):
                top = max(flat[(a * n + b) * LANES + k], top)
            total = scores.dtype.type(0)
            for b in range(len(size.tokens)):
                share = exp_of_negative(flat[(a * n + b) * LANES + k] - top)
                flat[(a * n + b) * LANES + k] = share
                total += share
            of_total = scores.dtype.type(1) / total
            for b in range(len(size.tokens)):
                flat[(a * n + b) * LANES + k] *= of_total


@_compiled
@no_type_check
def _softmax_back(attention, d, size):
    """Turn d = dL/dattention into dL/dscores, in place."""
    shares, flat = attention.reshape(-1), d.reshape(-1)
    n = len(size.tokens)
    for a in range(n):
        for k in range(LANES):
            mean = d.dtype.type(0)
            for b in range(len(size.tokens)):
                mean += shares[(a * n + b) * LANES + k] * flat[(a * n + b) * LANES + k]
            for b in range(len(size.tokens)):
                flat[(a * n + b) * LANES + k] = shares[(a * n + b) * LANES + k] * (flat[(a * n + b) * LANES + k] - mean)


@_compiled
@no_type_check
def _copy(values, out):
    flat, into = values.reshape(-1), out.reshape(-1)
    for m in range(into.shape[0]):
        into[m] = flat[m]


@_compiled
@no_type_check
def _clear(out):
    flat = out.reshape(-1)
    for m in range(flat.shape[0]):
        flat[m] = 0


@_inlined
@no_type_check
def _forward(z, projected, attention, weights, reads, n_keys, size):
    """Fill z[1:], `projected` and `attention` for every layer from the prompt in z[0]."""
    width, n_layers = len(size.width), weights.shape[0]
    for layer in range(n_layers):
        reading = reads and layer == n_layers - 1
        n_heads = 1 if reading else attention.shape[1]
        if reading:
            _clear(z[layer + 1])
        else:
            _copy(z[layer], z[layer + 1])
        _project(z[layer], weights[layer], projected[layer, : 2 * n_heads * width], size)
        for head in range(n_heads):
            at = 2 * head * width
            scores = attention[layer, head]
            _scores(projected[layer, at : at + width], z[layer], scores, size)
            if reading:
                scores[:, n_keys:] = _MASKED
            _softmax(scores, size)
            _mix(scores, projected[layer, at + width : at + 2 * width], z[layer + 1], size)


@_inlined
@no_type_check
def _loss(out, target, lane_weight, first_column, d_out, loss):
    """Write each problem's squared error into `loss` and its derivative into `d_out`."""
    _clear(d_out)
    _clear(loss)
    for c in range(target.shape[0]):
        for a in range(target.shape[1]):
            for k in range(loss.shape[0]):
                error = out[first_column + c, a, k] - target[c, a, k]
                loss[k] += lane_weight[k] * error * error
                d_out[first_column + c, a, k] = 2 * lane_weight[k] * error


@_inlined
@no_type_check
def _backward(z, projected, attention, weights, reads, room, d_weights, size):
    """Fill `d_weights` from dL/dz of the last state, which is in ``room.d_z``; uses up `z`."""
    d_z, d_projected, d_scores = room
    width, n_layers = len(size.width), weights.shape[0]
    for layer in range(n_layers - 1, -1, -1):
        reading = reads and layer == n_layers - 1
        n_heads = 1 if reading else attention.shape[1]
        d_before = z[layer + 1]  # the state is no longer needed
        if reading:
            _clear(d_before)
        else:
            _copy(d_z, d_before)
        n_parts = 2 * n_heads * width
        _clear(d_projected[:n_parts])
        for head in range(n_heads):
            at = 2 * head * width
            query, value = projected[layer, at : at + width], projected[layer, at + width : at + 2 * width]
            d_query, d_value = d_projected[at : at + width], d_projected[at + width : at + 2 * width]
            _mix_back(attention[layer, head], d_z, d_value, size)
            _scores(d_z, value, d_scores, size)
            _softmax_back(attention[layer, head], d_scores, size)
            _mix(d_scores, z[layer], d_query, size)
            _mix_back(d_scores, query, d_before, size)
        _weight_gradient(z[layer], d_projected[:n_parts], d_weights[layer])
        _project_back(d_projected[:n_parts], weights[layer], d_before, size)
        _copy(d_before, d_z)


@numba.njit(cache=True, **_OPTIONS)
@no_type_check
def run_blocks(
    blocks,
    prompt,
    target,
    lane_weight,
    seed,
    weights,
    n_heads,
    reads,
    n_keys,
    first_column,
    loss,
    gradient,
    by_prompt,
    size,
):
    """Fill `loss[block, lane]`, `gradient[block, layer, width, part]` and `by_prompt[block, width, token]`.

    The last is the gradient by the prompts, summed over lanes. Only the blocks named are filled.
    Arrays are contiguous and of one float dtype: prompt (block, width, token, lane), target (block, dim, n, lane),
    lane_weight (block, lane), weights (seed, layer, width, part); `seed[block]` says whose weights a block uses.
    """
    n_layers, n_parts = weights.shape[1], weights.shape[3]
    shape, dtype = prompt.shape[1:], prompt.dtype
    n_tokens = shape[1]
    z = np.empty((n_layers + 1, *shape), dtype)
    projected = np.empty((n_layers, n_parts, n_tokens, LANES), dtype)
    attention = np.empty((n_layers, n_heads, n_tokens, n_tokens, LANES), dtype)
    d_z = np.empty(shape, dtype)
    d_projected = np.empty((n_parts, n_tokens, LANES), dtype)
    d_scores = np.empty((n_tokens, n_tokens, LANES), dtype)
    for block in blocks:
        _copy(prompt[block], z[0])
        _forward(z, projected, attention, weights[seed[block]], reads, n_keys, size)
        _loss(z[n_layers], target[block], lane_weight[block], first_column, d_z, loss[block])
        room = (d_z, d_projected, d_scores)
        _backward(z, projected, attention, weights[seed[block]], reads, room, gradient[block], size)
        for c in range(shape[0]):
            for a in range(n_tokens):
                total = d_z.dtype.type(0)
                for k in range(LANES):
                    total += d_z[c, a, k]
                by_prompt[block, c, a] = total
