"""How much of each pixel the objects cover, where a blurred edge makes few samples disagree.

The renderer's denoiser smooths the colours and leaves the coverage as noisy as its samples. Before
a bright background the one would not fit the other: dark specks around whatever is out of focus.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

__all__ = ["ENOUGH_SAMPLES", "smooth_coverage"]

ENOUGH_SAMPLES = 16  # from which on smoothing loses more than it wins
RADIUS = 1  # pixels
REGULARISATION = 1e-4  # of linear light, squared


def smooth_coverage(colour: np.ndarray) -> np.ndarray:
    """Smooths the coverage along the colours' edges, by a guided filter.

    He et al. 2010, "Guided Image Filtering": around each pixel the coverage is a line in the
    guide, by ridge regression, and lines that overlap are averaged. The guide is the mean of the
    denoised colours, which fade with the coverage because they are premultiplied.

    Args:
        colour: (H, W, 4) float32, linear and premultiplied.

    Returns:
        The same colours with another coverage.
    """
    guide = torch.from_numpy(np.ascontiguousarray(colour[..., :3].mean(-1)))
    noisy = torch.from_numpy(np.ascontiguousarray(colour[..., 3]))
    mean_guide, mean_noisy = _mean(guide), _mean(noisy)
    variance = _mean(guide * guide) - mean_guide**2
    covariance = _mean(guide * noisy) - mean_guide * mean_noisy
    slope = covariance / (variance + REGULARISATION)
    offset = mean_noisy - slope * mean_guide
    smooth = (_mean(slope) * guide + _mean(offset)).clamp(0, 1)
    return np.concatenate([colour[..., :3], smooth.numpy()[..., None]], axis=-1)


def _mean(values: Tensor) -> Tensor:
    """Means over the pixels around each, at the border over those that there are."""
    side = 2 * RADIUS + 1
    return avg_pool2d(values[None, None], side, 1, RADIUS, count_include_pad=False)[0, 0]
