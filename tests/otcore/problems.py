"""Random problems for all tests of transport on points, and the paper's own."""

import torch

from otcore import Duals, entropic_plan, squared_cost

F64 = torch.float64


def clouds(n, dim, seed, batch=2):
    """Return Gaussian clouds whose largest squared distance is 1."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, batch, n, dim, generator=generator, dtype=F64)
    scale = squared_cost(x, y).amax((1, 2)).sqrt()[:, None, None]
    return x / scale, y / scale


def gaussian_cost(n, dim, seed, batch=2):
    """Return the costs of Gaussian clouds, the largest of each problem 1."""
    return squared_cost(*clouds(n, dim, seed, batch))


def grid(n=7, order=(3, 0, 6, 1, 5, 2, 4)):
    """Return the paper's sorting problem: x a permutation of {0..n-1}/n, y = i/n."""
    y = torch.arange(n, dtype=F64) / n
    return y[list(order)].view(1, n, 1), y.view(1, n, 1)


def near_optimum(cost, *, reg, seed, noise, marginals="unit"):
    """Return duals near the optimal ones, off by normal errors of size noise * reg, and the optimal ones."""
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000, marginals=marginals).potentials
    generator = torch.Generator().manual_seed(seed)
    near = [part + noise * reg * torch.randn(part.shape, generator=generator, dtype=F64) for part in optimum]
    return Duals(*near), optimum
