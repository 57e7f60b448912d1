"""A floor under what training does: the trained model's own numbers, each tensor's in another order."""

import torch
from torch import nn


@torch.no_grad()
def shuffle_weights(model: nn.Module, seed: int) -> None:
    """Permute the entries of every trained tensor in place; tables that training leaves alone stay.

    Fresh weights have another scale than trained ones; these keep each tensor's distribution and lose its order.

    Parameters
    ----------
    model : Module
        On any device; a tensor used twice is permuted once.
    seed : int
        Of the permutations, which are the same on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
