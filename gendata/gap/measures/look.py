"""Giving real images the look of synthetic ones, so that only what they show is left to compare.

An encoder sees blur, colour and noise too. Two sets are brought to a common look by taking from
the real images what the synthetic ones lack: colours are mapped by the linear map that optimally
transports one normal distribution into another (Pitie and Kokaram 2007, "The Linear
Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer"), each spatial
frequency is damped to the power that it has in the synthetic images, and noise is added where
those have more of it. Nothing is sharpened and nothing is denoised: both would invent what is not
there.

Power and noise are read along the diagonals only, where the borders of an image and straight cuts
through it have none. The noise of an image is the median of its absolute mixed differences over
0.6745 (Donoho and Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.gap.measures.appearance import LUMA

__all__ = ["Look", "look_between", "with_look"]

BLOCKS = 8  # a side, whose mean colours are compared
RINGS = 12  # of spatial frequency
INNERMOST, OUTERMOST = 0.02, 0.7072  # cycles a pixel; the latter is the corner of the spectrum
SECTOR = 20.0  # degrees on each side of a diagonal
COARSE = 0.12  # cycles a pixel; what is coarser is content rather than look
NOTICEABLE = 0.2  # share of the noise power that two halves of one set may differ by
ROUNDS = 4  # in which the noise is adjusted: bytes clip some of it
CHUNK = 128


@dataclass(frozen=True)
class Look:
    """What turns the look of one set into that of another.

    Attributes:
        real_color: (3,) mean of the real images' pixels, levels of 0 to 255.
        synthetic_color: (3,) of the synthetic ones.
        colors: (3, 3) linear map of what differs from the mean.
        frequencies: (F,) cycles a pixel, ascending.
        gains: (F,) 0 to 1, what each frequency is multiplied with.
        noise: standard deviation of the noise to add, levels.
        grey: one noise for all channels; else each has its own.
    """

    real_color: np.ndarray
    synthetic_color: np.ndarray
    colors: np.ndarray
    frequencies: np.ndarray
    gains: np.ndarray
    noise: float
    grey: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }


def look_between(real: np.ndarray, synthetic: np.ndarray) -> Look:
    """Finds what turns real images uint8 (N, 3, H, W) into ones that look like synthetic ones.

    Raises:
        GendataError: the two sets differ in size.
    """
    if real.shape[2:] != synthetic.shape[2:]:
        raise GendataError(
            "real and synthetic images differ in size",
            found="{1}x{0} and {3}x{2} pixels".format(*real.shape[2:], *synthetic.shape[2:]),
            do="resize both sets to one size",
        )
    real_color, real_scatter = _color_moments(real)
    color, scatter = _color_moments(synthetic)
    grey = bool((synthetic == synthetic[:, :1]).all())
    wanted = _noise_power(synthetic)
    colors = _transport(real_scatter, scatter)
    look = Look(real_color, color, colors, np.zeros(1), np.ones(1), noise=0.0, grey=grey)
    recolored = with_look(real, look)
    frequencies, real_power = _diagonal_power(recolored)
    power = _diagonal_power(synthetic)[1]
    power -= _excess(wanted, _noise_power(recolored)) * _window_power(*real.shape[2:])
    gains = np.sqrt(np.clip(power / np.maximum(real_power, 1e-9), 0.0, 1.0))
    gains[frequencies < COARSE] = 1.0
    return _with_noise(real, replace(look, frequencies=frequencies, gains=gains), wanted)


def with_look(real: np.ndarray, look: Look, *, seed: int = 0) -> np.ndarray:
    """Applies a look to images uint8 (N, 3, H, W); the same seed means the same noise."""
    generator = np.random.default_rng(seed)
    starts = range(0, len(real), CHUNK)
    return np.concatenate([_applied(real[at : at + CHUNK], look, generator) for at in starts])


def _applied(images: np.ndarray, look: Look, generator: np.random.Generator) -> np.ndarray:
    levels = images.transpose(0, 2, 3, 1) - look.real_color
    levels = (levels @ look.colors.T + look.synthetic_color).transpose(0, 3, 1, 2)
    if (look.gains < 1).any():
        levels = _filtered(levels, look)
    if look.noise:
        count, channels, *sides = levels.shape
        shape = (count, 1 if look.grey else channels, *sides)
        levels = levels + generator.normal(scale=look.noise, size=shape)
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def _filtered(levels: np.ndarray, look: Look) -> np.ndarray:
    """Damps frequencies of (N, 3, H, W), mirrored at the borders, where they would wrap around."""
    height, width = levels.shape[2:]
    top, left = height // 2, width // 2
    wide = np.pad(levels, ((0, 0), (0, 0), (top, top), (left, left)), mode="reflect")
    down, across = np.fft.fftfreq(wide.shape[2])[:, None], np.fft.rfftfreq(wide.shape[3])
    frequencies = np.concatenate([[0.0], look.frequencies])
    gains = np.interp(np.hypot(down, across), frequencies, np.concatenate([[1.0], look.gains]))
    filtered = np.fft.irfft2(np.fft.rfft2(wide) * gains, s=wide.shape[2:])
    return filtered[:, :, top : top + height, left : left + width]


def _with_noise(real: np.ndarray, look: Look, wanted: float) -> Look:
    """Adds as much noise to the look as brings the real images to the wanted noise power."""
    sample = real[:: max(1, len(real) // 500)]
    present = _noise_power(with_look(sample, look))
    power = _excess(wanted, present) / _luma_share(look.grey)
    if not power:
        return look
    for _ in range(ROUNDS):
        noisy = replace(look, noise=float(np.sqrt(power)))
        reached = _noise_power(with_look(sample, noisy)) - present
        power *= np.clip((wanted - present) / max(reached, 1e-9), 0.5, 2.0)
    return replace(look, noise=float(np.sqrt(power)))


def _excess(wanted: float, present: float) -> float:
    """Power of the noise that is lacking; 0 where two halves of one set may differ by as much."""
    lacking = wanted - present
    return lacking if lacking > NOTICEABLE * present + 1.0 else 0.0


def _luma_share(grey: bool) -> float:
    """What the weighted mean of the channels leaves of the power of independent noise in them."""
    return 1.0 if grey else float((LUMA**2).sum())


def _color_moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and covariance (3, 3) of colours, of the means of blocks.

    Of pixels they would fall with blur and grow with noise, which are not matters of colour.
    """
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for start in range(0, len(images), CHUNK):
        colors = _block_means(images[start : start + CHUNK])
        count, total = count + colors.shape[1], total + colors.sum(axis=1)
        products = products + colors @ colors.T
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def _block_means(images: np.ndarray) -> np.ndarray:
    """Mean colours (3, P) of the squares that divide images (N, 3, H, W) in about 8 by 8."""
    height, width = images.shape[2:]
    side = max(1, min(height, width) // BLOCKS)
    down, across = height // side, width // side
    blocks = images[:, :, : down * side, : across * side].reshape(-1, 3, down, side, across, side)
    return blocks.mean(axis=(3, 5)).transpose(1, 0, 2, 3).reshape(3, -1)


def _transport(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The map between two covariances; a variance of one level keeps grey images apart from 0."""
    source, target = source + np.eye(3), target + np.eye(3)
    root = _root(source)
    inverse = np.linalg.inv(root)
    return inverse @ _root(root @ target @ root) @ inverse


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _luma(images: np.ndarray) -> np.ndarray:
    return np.tensordot(images.astype(np.float32), LUMA, axes=(1, 0))


def _noise_power(images: np.ndarray) -> float:
    """Power of the luma's noise in the median image, squared levels."""
    medians = []
    for start in range(0, len(images), CHUNK):
        luma = _luma(images[start : start + CHUNK])
        mixed = np.diff(np.diff(luma, axis=1), axis=2) / 2
        medians.append(np.median(np.abs(mixed).reshape(len(luma), -1), axis=1))
    return float((np.median(np.concatenate(medians)) / 0.6745) ** 2)


def _diagonal_power(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean power of windowed luma in rings of frequency: frequencies and powers, (F,) each."""
    height, width = images.shape[2:]
    window = _window(height, width)
    power = np.zeros((height, width))
    for start in range(0, len(images), CHUNK):
        luma = _luma(images[start : start + CHUNK])
        luma = (luma - luma.mean(axis=(1, 2), keepdims=True)) * window
        power += (np.abs(np.fft.fft2(luma)) ** 2).sum(axis=0) / len(images)
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    radius, angle = np.hypot(down, across), np.degrees(np.arctan2(down, across)) % 90
    edges = np.linspace(INNERMOST, OUTERMOST, RINGS + 1)
    rings = np.digitize(radius, edges) - 1
    rings[np.abs(angle - 45) > SECTOR] = -1
    present = [ring for ring in range(RINGS) if (rings == ring).any()]
    middle = (edges[:-1] + edges[1:]) / 2
    return middle[present], np.array([power[rings == ring].mean() for ring in present])


def _window(height: int, width: int) -> np.ndarray:
    return np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]


def _window_power(height: int, width: int) -> float:
    """The power at each frequency that noise of variance 1 has under the window."""
    return float((_window(height, width) ** 2).sum())
