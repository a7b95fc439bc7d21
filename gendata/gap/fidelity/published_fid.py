"""The Fréchet and kernel Inception distances of clean-fid, by its own code: the published numbers.

The network, its weights, the resize and both distances are clean-fid's (Parmar, Zhang and Zhu
2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", mode "clean"). Only the
way there differs: images of any layout are decoded by `gendata.images` and embedded by
`extract_features`, in threads and batch by batch, rather than read from a folder of files.
Transparent, 16-bit or rotated pictures become RGB by the rule of `gendata.images.rgb`, for which
clean-fid has none.

clean-fid 0.1.35 calls `scipy.linalg.sqrtm(…, disp=False)`, which warns under SciPy 1.17 and fails
from 1.18 on. Its functions run here with that one call translated, and with a random generator of
their own for the subsets of the kernel distance. Neither clean-fid nor SciPy nor NumPy's global
state is touched. clean-fid takes means in single precision: on tens of thousands of images its
Fréchet distance lies about 1e-6 from one with moments in double precision.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import scipy
import torch

from gendata.errors import GendataError
from gendata.features.encoders import Encoder, load_encoder
from gendata.features.extract import EncoderCard, Features, extract_features
from gendata.types import Images

__all__ = ["DEFINITIONS", "PublishedFid", "distances_of_clean_fid", "measure_published_fid"]

DEFINITIONS = {
    "fid": "Fréchet Inception distance: how far apart real and synthetic images are in the mean "
    "and the covariance of their Inception-v3 features; 0 is best. It is biased upwards on few "
    "images: compare only figures of equally many (Heusel et al. 2017; clean-fid, Parmar et al. "
    "2022).",
    "kid": "Kernel Inception distance: the squared maximum mean discrepancy of the same features "
    "under a cubic kernel, mean over 100 subsets of at most 1,000 images; 0 is best, it is "
    "unbiased and may be slightly negative (Bińkowski et al. 2018).",
}
FOR_PAPERS = 10_000  # images of a set below which papers would not report a Fréchet distance


@dataclass(frozen=True)
class PublishedFid:
    """What clean-fid says of two image sets; `DEFINITIONS` say what the figures mean.

    Attributes:
        fid: Fréchet distance, at least 0 but for rounding.
        kid: kernel distance; unlike many tables, not multiplied by 1,000.
        real_images: number of real images.
        synthetic_images: number of synthetic ones.
        encoder: the network, its resize, and the digest of its weights.
        seed: of the subsets of the kernel distance.
        version: of clean-fid and SciPy.
        mode: "clean", as published; "custom" where the encoder is not Inception-v3, for figures
            that compare with no published one.
    """

    fid: float
    kid: float
    real_images: int
    synthetic_images: int
    encoder: EncoderCard
    seed: int
    version: str
    mode: str

    @property
    def enough_images(self) -> bool:
        """Whether both sets are as large as is usual where such figures are published."""
        return min(self.real_images, self.synthetic_images) >= FOR_PAPERS

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "enough_images": self.enough_images}


def measure_published_fid(
    real: Images,
    synthetic: Images,
    *,
    encoder: Encoder | str | Path = "inception",
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device = "auto",
    cache: Path | None = None,
    download: bool = False,
    progress: bool = True,
) -> PublishedFid:
    """Measures two image sets as clean-fid does.

    Args:
        real: the real images.
        synthetic: the generated ones.
        encoder: "inception" (where clean-fid keeps it), "inception:FILE", or any other encoder,
            whose figures are then not the published ones.
        seed: of the subsets of the kernel distance.
        batch_size: images the network sees at a time.
        device: where the network runs.
        cache: folder in which features are kept and looked for.
        download: fetch Inception-v3 if it is not on this machine.
        progress: show a bar on stderr.

    Raises:
        GendataError: the weights are missing, a set has fewer than two images, or an image set
            cannot be read.
    """
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder, device=device, download=download)
    options: dict[str, Any] = {"batch_size": batch_size, "cache": cache, "progress": progress}
    first = extract_features(real, encoder, **options)
    return distances_of_clean_fid(first, extract_features(synthetic, encoder, **options), seed)


def distances_of_clean_fid(real: Features, synthetic: Features, seed: int = 0) -> PublishedFid:
    """Hands features to clean-fid's own functions.

    Args:
        real: features of real images.
        synthetic: of generated ones, under the same encoder.
        seed: of the subsets of the kernel distance.

    Raises:
        GendataError: the encoders differ, or a set has fewer than two images.
    """
    if real.encoder != synthetic.encoder:
        raise GendataError(
            "features of different encoders cannot be compared",
            found=f"{real.encoder} and {synthetic.encoder}",
            do="extract both with one encoder",
        )
    for features in (real, synthetic):
        if len(features) < 2:
            raise GendataError(
                f"'{features.name}' has too few images for a distance",
                found=len(features),
                expected="at least 2, and thousands for a figure to rely on",
            )
    functions = _functions_of_clean_fid(seed)
    return PublishedFid(
        fid=float(functions["fid_from_feats"](real.values, synthetic.values)),
        kid=float(functions["kernel_distance"](real.values, synthetic.values)),
        real_images=len(real),
        synthetic_images=len(synthetic),
        encoder=real.encoder,
        seed=seed,
        version=f"clean-fid {version('clean-fid')}, scipy {scipy.__version__}",
        mode="clean" if real.encoder.name.partition(":")[0] == "inception" else "custom",
    )


def _functions_of_clean_fid(seed: int) -> dict[str, Any]:
    """Returns clean-fid's functions, reading our few names in place of those of their module."""
    from cleanfid import fid

    log = logging.getLogger("gendata")
    names: dict[str, Any] = {
        **vars(fid),
        "linalg": SimpleNamespace(sqrtm=_sqrtm),
        "np": _NumpyWithSeed(seed),
        "print": lambda *words: log.warning("clean-fid: %s", " ".join(map(str, words))),
    }
    for name in ("frechet_distance", "fid_from_feats", "kernel_distance"):
        theirs = getattr(fid, name)
        names[name] = FunctionType(theirs.__code__, names, name, theirs.__defaults__)
    return names


def _sqrtm(matrix: np.ndarray, disp: bool = True) -> Any:
    """SciPy's root under the signature it had up to 1.17: with `disp=False`, an error estimate."""
    if disp or "disp" not in signature(scipy.linalg.sqrtm).parameters:
        root = scipy.linalg.sqrtm(matrix)
        return root if disp else (root, None)  # clean-fid does not look at the estimate
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `disp` argument is deprecated", DeprecationWarning)
        return scipy.linalg.sqrtm(matrix, disp=False)


class _NumpyWithSeed:
    """NumPy, but its global random functions draw from a generator of their own."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.RandomState(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)
