"""States of one level of an encoder, without the layers above it."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.attention.load import Translator


class _Reached(Exception):
    """Carries the states that enter a layer."""

    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states


def states_at(translator: Translator, level: int, run: Callable[[], Any]) -> Float[Tensor, "batch token dim"]:
    """Return the states of a level of an encoder, as in `hidden_states[level]` of the library.

    Parameters
    ----------
    translator : Translator
        Read as `joint`.
    level : int
        0 (what enters layer 1) to the number of layers.
    run : callable
        Runs the encoder, and returns its output.
    """
    if level == translator.n_layers:
        return translator.forward(run).last_hidden_state
    hook = _layer(translator, level + 1).register_forward_pre_hook(_stop, with_kwargs=True)
    try:
        translator.forward(run)
    except _Reached as reached:
        return reached.states
    finally:
        hook.remove()
    message = f"layer {level + 1} of {translator.name} was not run"
    raise AssertionError(message)


def _stop(module: nn.Module, args: tuple, kwargs: dict) -> None:
    raise _Reached(args[0] if args else kwargs["hidden_states"])


def _layer(translator: Translator, layer: int) -> nn.Module:
    """Return a layer, from 1: the path of its attention up to the part that counts the layers."""
    paths = {number: path.split(".") for number, path in translator.capture.places(translator.model).items()}
    counts = next(at for at in range(len(paths[1])) if all(path[at] == str(n - 1) for n, path in paths.items()))
    return translator.model.get_submodule(".".join(paths[layer][: counts + 1]))
