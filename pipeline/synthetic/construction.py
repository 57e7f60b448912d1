"""What the certificate measures, as one value: the paper's construction, or a broken one that a claim must notice."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from otcore import TransportTransformer, constructed_weights, engineered_prompt
from otcore.construction import ConstructedWeights


class Construction(NamedTuple):
    """The parts of the constructed transformer.

    Attributes
    ----------
    weights : callable
        As `otcore.constructed_weights`.
    prompt : callable
        As `otcore.engineered_prompt`.
    model : callable
        As `otcore.TransportTransformer.constructed`.
    """

    weights: Callable[..., ConstructedWeights] = constructed_weights
    prompt: Callable[..., Tensor] = engineered_prompt
    model: Callable[..., TransportTransformer] = TransportTransformer.constructed


PAPERS = Construction()
