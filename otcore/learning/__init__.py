"""Training transformers to transport: what the construction writes down, looked for by gradient descent on data.

1. `presets`: problems, prompts, initial weights and reading of the paper, its notebook and the preprint.
2. `kernel`: loss and gradient, compiled; `engine`: many models and threads; `forward`: the same in torch.
3. `training`: Adam for many seeds at once, each stopped by itself if it diverges.
4. `evaluation`: fresh problems of any size, attention layer by layer, and models that were not trained.
5. `interpret`: is a trained layer a step of gradient descent?

Importing `otcore` does not import this package: compiling takes seconds, and only training needs it.

References
----------
Daneshmand, AISTATS 2026, eq. (8) to (11), Figures 2 and 10; arXiv 2410.19931, Figures 1, 3 and 4.
"""

from otcore.learning.evaluation import (
    Score,
    best_regs,
    blind,
    chance,
    distances,
    evaluate,
    layer_maps,
    solvers,
)
from otcore.learning.interpret import Fit, descent, weight_cosines
from otcore.learning.parts import PARTS, Part
from otcore.learning.presets import POINTS, PRESETS, PROMPTS, Points, Preset, Problems, Shape, draw_problems
from otcore.learning.training import Settings, State, looped, start, train

__all__ = [
    "PARTS",
    "POINTS",
    "PRESETS",
    "PROMPTS",
    "Fit",
    "Part",
    "Points",
    "Preset",
    "Problems",
    "Score",
    "Settings",
    "Shape",
    "State",
    "best_regs",
    "blind",
    "chance",
    "descent",
    "distances",
    "draw_problems",
    "evaluate",
    "layer_maps",
    "looped",
    "solvers",
    "start",
    "train",
    "weight_cosines",
]
