"""The appearance gap: how well low-level statistics alone tell synthetic images from real ones.

Colour, contrast and detail of each image are summed up in a few statistics that know nothing of
what it shows. A linear rule on them, fitted on four fifths of the images and tried on the last
(Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests"), scores every image; the gap
is the separation of these scores between images of like content. Wang et al. 2024, section 3.1,
name the part of the gap that comes from unrealistic textures so; the number is ours.

Detail is measured by mixed differences, I(x, y) - I(x+1, y) - I(x, y+1) + I(x+1, y+1). They vanish
along a straight horizontal or vertical edge, so that images cut into tiles and put together
wrongly keep their statistics: what is broken there is the structure, not the look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.intervals import Estimate
from gendata.gap.measures.separation import Scores, copies_of, separation, separation_estimate

__all__ = ["DEFINITIONS", "STATISTICS", "Appearance", "low_level_statistics", "measure_appearance"]

DEFINITIONS: dict[str, str] = {
    "appearance": "How well colour, contrast and fineness of detail alone tell synthetic images "
    "from real ones of the same content: 0 not at all, 1 without error. Named by Wang et al. "
    "2024, section 3.1; measured by a cross-validated linear classifier (Lopez-Paz and Oquab "
    "2017).",
}
STATISTICS = (
    "brightness",
    "red against green",
    "yellow against blue",
    "contrast",
    "colourfulness",
    "fine detail",
    "coarse detail",
    "colour detail",
)
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
SMALLEST_SIDE = 8  # pixels
CHUNK = 256  # images whose differences are held at a time
FOLDS = 5
RIDGE = 0.01  # relative to statistics of variance 1
OUTERMOST = 4.0  # standard deviations beyond which a statistic does not count further


@dataclass(frozen=True)
class Appearance:
    """The appearance gap and what it is made of.

    Attributes:
        gap: between 0 and 1.
        statistics: name to the separation of that statistic alone, -1 to 1: positive where the
            synthetic images have more of it.
    """

    gap: Estimate
    statistics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"gap": self.gap.to_json(), "statistics": dict(self.statistics)}


def low_level_statistics(images: np.ndarray) -> np.ndarray:
    """Sums up images uint8 (N, 3, H, W) in (N, 8) float64, in the order of STATISTICS.

    Brightness is the mean luma, the two colour balances are means of R - G and (R + G) / 2 - B
    (levels, 0 to 255). Contrast and colourfulness are logarithms of the root mean square of luma
    about its mean and of the two colour differences. Details are mean logarithms of absolute mixed
    differences minus those of first differences: of luma, of luma averaged over 2x2 pixels, and of
    the colour differences. All logarithms are of one plus the level.

    Raises:
        GendataError: they are no RGB bytes, or smaller than 8x8 pixels.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise GendataError(
            "low-level statistics of what are no RGB images",
            found=f"{images.dtype} {images.shape}",
            expected="uint8 (N, 3, H, W)",
        )
    if min(images.shape[2:]) < SMALLEST_SIDE:
        raise GendataError(
            "the images are too small for low-level statistics",
            found=f"{images.shape[3]}x{images.shape[2]} pixels",
            expected=f"at least {SMALLEST_SIDE}x{SMALLEST_SIDE}",
        )
    starts = range(0, len(images), CHUNK)
    return np.concatenate([_statistics(images[start : start + CHUNK]) for start in starts])


def measure_appearance(
    real: np.ndarray,
    synthetic: np.ndarray,
    groupings: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    seed: int = 0,
) -> Appearance:
    """Measures the appearance gap.

    Images are compared within the groups of each grouping, and the smallest gap counts: what is
    gone once images of one class are compared, or like images of one class, comes from what they
    show and not from their look. A grouping in which the sets share no group says nothing; if all
    are so, everything is compared with everything.

    Args:
        real: (N, S) statistics of real images.
        synthetic: (M, S) of synthetic ones.
        groupings: kinds of content of the real images (N,) and of the synthetic ones (M,), int64,
            in one or more ways.
        seed: of folds and bootstrap.
    """
    shared = [groups for groups in groupings if np.intersect1d(*groups).size]
    everything = [(np.zeros(len(real), np.int64), np.zeros(len(synthetic), np.int64))]
    found = [
        _within_groups(real, synthetic, of_real, of_synthetic, seed)
        for of_real, of_synthetic in shared or everything
    ]
    return min(found, key=lambda each: each.gap.value)


def _within_groups(
    real: np.ndarray,
    synthetic: np.ndarray,
    real_groups: np.ndarray,
    synthetic_groups: np.ndarray,
    seed: int,
) -> Appearance:
    real_copies, synthetic_copies = copies_of(real), copies_of(synthetic)
    scores = _held_out_scores(
        np.concatenate([synthetic, real]),
        len(synthetic),
        np.concatenate([synthetic_copies, real_copies + synthetic_copies.max() + 1]),
        _weights_of_content(synthetic_groups, real_groups),
        seed,
    )
    gap = separation_estimate(
        Scores(scores[: len(synthetic)], synthetic_groups, synthetic_copies),
        Scores(scores[len(synthetic) :], real_groups, real_copies),
        seed=seed,
    )
    alone = {
        name: separation(Scores(a, synthetic_groups), Scores(b, real_groups))
        for name, a, b in zip(STATISTICS, synthetic.T, real.T, strict=True)
    }
    return Appearance(gap, alone)


def _statistics(images: np.ndarray) -> np.ndarray:
    levels = images.astype(np.float32)
    red, green, blue = levels.transpose(1, 0, 2, 3)
    luma = np.tensordot(levels, LUMA, axes=(1, 0))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    axes = (1, 2)
    columns = [
        luma.mean(axes),
        red_green.mean(axes),
        yellow_blue.mean(axes),
        np.log1p(luma.std(axes)),
        np.log1p(np.sqrt((red_green**2 + yellow_blue**2).mean(axes))),
        _detail(luma),
        _detail(_halved(luma)),
        (_detail(red_green) + _detail(yellow_blue)) / 2,
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _detail(planes: np.ndarray) -> np.ndarray:
    """How much of the variation of planes (N, H, W) is fine and not along straight edges: (N,)."""
    across, down = np.diff(planes, axis=2), np.diff(planes, axis=1)
    mixed = np.diff(across, axis=1)
    first = (_mean_log(across) + _mean_log(down)) / 2
    return _mean_log(mixed) - first


def _mean_log(differences: np.ndarray) -> np.ndarray:
    return np.log1p(np.abs(differences)).mean(axis=(1, 2))


def _halved(planes: np.ndarray) -> np.ndarray:
    """Means over 2x2 pixels of planes (N, H, W)."""
    count, height, width = planes.shape
    even = planes[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(count, height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def _weights_of_content(synthetic_groups: np.ndarray, real_groups: np.ndarray) -> np.ndarray:
    """Weights, synthetic images first, under which both sets show the same mixture of content."""
    count = int(max(synthetic_groups.max(), real_groups.max())) + 1
    synthetic = np.bincount(synthetic_groups, minlength=count) / len(synthetic_groups)
    real = np.bincount(real_groups, minlength=count) / len(real_groups)
    common = np.minimum(synthetic, real)
    parts = []
    for shares, groups in ((synthetic, synthetic_groups), (real, real_groups)):
        weights = (common / np.maximum(shares, 1e-12))[groups]
        parts.append(weights / max(weights.mean(), 1e-12))
    return np.concatenate(parts)


def _held_out_scores(
    statistics: np.ndarray, synthetic: int, copies: np.ndarray, weights: np.ndarray, seed: int
) -> np.ndarray:
    """Scores each image by a ridge regression that saw neither it nor a copy of it.

    The squares of the statistics stand beside them, so that a set which is sometimes too dark and
    sometimes too bright is told apart too. The first `synthetic` rows have the target 1, the
    others -1, and both sides weigh the same.
    """
    inputs = np.clip(_standardised(statistics), -OUTERMOST, OUTERMOST)
    inputs = _standardised(np.concatenate([inputs, inputs**2], axis=1))
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    is_synthetic = np.arange(len(inputs)) < synthetic
    targets = np.where(is_synthetic, 1.0, -1.0)
    weights = weights / np.where(is_synthetic, synthetic, len(inputs) - synthetic)
    folds = np.random.default_rng(seed).permutation(int(copies.max()) + 1)[copies] % FOLDS
    scores = np.empty(len(inputs))
    for fold in range(FOLDS):
        fit = folds != fold
        weighted = inputs[fit] * weights[fit, None]
        scatter = weighted.T @ inputs[fit] / weights[fit].sum()
        moment = weighted.T @ targets[fit] / weights[fit].sum()
        rule = np.linalg.solve(scatter + RIDGE * np.eye(len(scatter)), moment)
        scores[~fit] = inputs[~fit] @ rule
    return scores


def _standardised(values: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1; those that do not vary become 0."""
    spread = values.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0))
    return (values - values.mean(axis=0)) * np.where(varies, 1 / np.where(varies, spread, 1), 0)
