"""The gap in three parts: how synthetic images look, whether they are sound, and what they show.

Wang et al. 2024 ("Improving the Effectiveness of Deep Generative Data", section 3.1) name three
aspects of the gap between real and synthetic images and leave them without numbers. Here each is a
number between 0 (two halves of one set) and 1:

    appearance   how well colour, contrast and fineness of detail tell the two sets apart,
    quality      about which share of the synthetic images lies off the manifold of the real ones,
    content      which share of them is sound but repeats frequent content in the place of rarer.

They are kept apart in three ways. The statistics of appearance do not know where in an image
something is, and are compared between images of like content. For quality and content the real
images are given the look of the synthetic ones before they are encoded, as far as a map of
colours, a filter and noise can give it (`gendata.gap.measures.look`). And broken images do not
count for content. What such a look cannot copy, the blocks of JPEG for one, still moves quality
and content; `docs/gap.md` shows how much.

Below the three, `floor` holds what two halves of the real images give.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.gap.cross_source.losses import LossSpread, asymmetry
from gendata.gap.decomposition.findings import Decomposition, Parts
from gendata.gap.measures.appearance import low_level_statistics, measure_appearance
from gendata.gap.measures.clusters import principal_components
from gendata.gap.measures.content import groups_within_classes, measure_content
from gendata.gap.measures.look import look_between, with_look
from gendata.gap.measures.quality import measure_quality
from gendata.gap.measures.separation import copies_of

if TYPE_CHECKING:
    from gendata.features.extract import Features

__all__ = ["LIMIT", "decompose", "measure_parts"]

LIMIT = 2000  # images of each set that are looked at; more narrow the intervals slowly
FEWEST = 50
BATCH = 128


def decompose(
    real_images: np.ndarray,
    synthetic_images: np.ndarray,
    real: Features,
    synthetic: Features,
    losses: tuple[LossSpread, LossSpread] | None = None,
    *,
    encode: Callable[[Tensor], Tensor] | None = None,
    limit: int = LIMIT,
    seed: int = 0,
) -> Decomposition:
    """Splits the gap between two image sets into appearance, quality and content.

    Args:
        real_images: uint8 (N, 3, H, W).
        synthetic_images: uint8 (M, 3, H, W), of the same size.
        real: features of these very images.
        synthetic: likewise, of the same encoder.
        losses: of the synthetic images under classifiers trained on the real ones, and of the
            real images under classifiers trained on the synthetic ones, of the same seeds.
        encode: the encoder's `features`, for real images that were given the synthetic ones'
            look. None: compare the features as they are, so that a gap of appearance moves quality
            and content as well.
        limit: most images of each set that are looked at, drawn at random.
        seed: of choice, folds, noise and bootstrap.

    Raises:
        GendataError: there are too few images, the two sets differ in size or in encoder, or
            features do not belong to the images or are not finite.
    """
    _check(real_images, synthetic_images, real, synthetic)
    generator = np.random.default_rng(seed)
    rows, synthetic_rows = (
        np.sort(generator.permutation(len(each))[:limit])
        for each in (real_images, synthetic_images)
    )
    real_images, real_values = real_images[rows], real.values[rows]
    synthetic_images = synthetic_images[synthetic_rows]
    look, matched = None, real_values
    if encode is not None:
        look = look_between(real_images, synthetic_images)
        matched = _encoded(with_look(real_images, look, seed=seed), encode)
    statistics = low_level_statistics(real_images)
    return Decomposition(
        measure_parts(
            statistics,
            low_level_statistics(synthetic_images),
            matched,
            synthetic.values[synthetic_rows],
            real.labels[rows],
            synthetic.labels[synthetic_rows],
            seed=seed,
        ),
        _floor(statistics, real_values, real.labels[rows], seed),
        look,
        float("nan") if losses is None else float(asymmetry(*losses).mean()),
        len(rows),
        len(synthetic_rows),
        real.encoder.to_json(),
        seed,
        version("gendata"),
    )


def measure_parts(
    real_statistics: np.ndarray,
    synthetic_statistics: np.ndarray,
    real_features: np.ndarray,
    synthetic_features: np.ndarray,
    real_labels: np.ndarray,
    synthetic_labels: np.ndarray,
    *,
    seed: int = 0,
) -> Parts:
    """Measures the three parts from arrays.

    Features are brought to length 1, so that an image is judged by what it activates and not by
    how strongly. Axes and groups of like images are found in both sets together, for what is
    fitted to one of them treats it unlike the other, and copies are left out while they are.

    Args:
        real_statistics: (N, S) of `low_level_statistics`.
        synthetic_statistics: (M, S).
        real_features: (N, D), of images of the synthetic ones' look.
        synthetic_features: (M, D).
        real_labels: (N,) int64.
        synthetic_labels: (M,).
        seed: of folds and bootstrap.
    """
    real = _Distinct(real_statistics, real_labels)
    synthetic = _Distinct(synthetic_statistics, synthetic_labels)
    both = np.concatenate([real_features[real.rows], synthetic_features[synthetic.rows]])
    reduced, reduced_synthetic = np.split(
        principal_components(_of_unit_length(both)), [len(real.rows)]
    )
    groups, groups_synthetic = groups_within_classes(
        reduced, reduced_synthetic, real_labels[real.rows], synthetic_labels[synthetic.rows]
    )
    real_groups, synthetic_groups = groups[real.copies], groups_synthetic[synthetic.copies]
    found = measure_quality(
        reduced[real.copies],
        reduced_synthetic[synthetic.copies],
        copies=synthetic.copies,
        seed=seed,
    )
    return Parts(
        measure_appearance(
            real_statistics,
            synthetic_statistics,
            [(real_labels, synthetic_labels), (real_groups, synthetic_groups)],
            seed=seed,
        ),
        found,
        measure_content(
            real_groups,
            synthetic_groups,
            found.soundness,
            broken=found.gap.value,
            seed=seed,
        ),
    )


class _Distinct:
    """The rows of images that are no copies of others of their class, and which copies those have.

    Images of equal statistics are copies of each other: there are eight, real numbers all.
    """

    def __init__(self, statistics: np.ndarray, labels: np.ndarray) -> None:
        self.copies = copies_of(np.column_stack([statistics, labels]))
        self.rows = np.unique(self.copies, return_index=True)[1]


def _floor(statistics: np.ndarray, features: np.ndarray, labels: np.ndarray, seed: int) -> Parts:
    """The parts of two random halves of the real images."""
    order = np.random.default_rng(seed + 1).permutation(len(features))
    first, second = np.array_split(order, 2)
    halves = [each[half] for each in (statistics, features, labels) for half in (first, second)]
    return measure_parts(*halves, seed=seed)


def _encoded(images: np.ndarray, encode: Callable[[Tensor], Tensor]) -> np.ndarray:
    batches = [
        encode(torch.from_numpy(images[at : at + BATCH])).cpu().numpy()
        for at in range(0, len(images), BATCH)
    ]
    return np.concatenate(batches)


def _of_unit_length(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def _check(
    real_images: np.ndarray, synthetic_images: np.ndarray, real: Features, synthetic: Features
) -> None:
    for name, images, features in (
        ("real", real_images, real.values),
        ("synthetic", synthetic_images, synthetic.values),
    ):
        if len(images) < FEWEST:
            raise GendataError(
                f"too few {name} images to take the gap apart",
                found=len(images),
                expected=f"at least {FEWEST}",
            )
        if len(features) != len(images):
            raise GendataError(
                f"the features of the {name} images do not belong to them",
                found=f"{len(features)} features and {len(images)} images",
                do="leave damaged images out of both",
            )
        if not np.isfinite(features).all():
            raise GendataError(
                f"features of the {name} images are not finite",
                found=f"{int((~np.isfinite(features)).any(axis=1).sum())} of {len(features)}",
                do="check the encoder and its normalisation",
            )
    if real.encoder != synthetic.encoder:
        raise GendataError(
            "the features come from two encoders",
            found=f"{real.encoder.name} and {synthetic.encoder.name}",
            do="compute both with one encoder, resize and version",
        )
