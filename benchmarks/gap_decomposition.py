"""Whether appearance, quality and content gap are told apart: on gaps that were made on purpose.

One set of real images is compared with other real images, first as they are, then blurred,
recoloured, compressed or noisy (appearance), cut into tiles that are put together wrongly
(quality), without some classes or a part of each class or with few images copied often (content),
and with two of these at once. See `gendata.gap.decomposition` for the three numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gendata.benchmarks import known_gaps
from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.tables import StudyResult, Table
from gendata.errors import GendataError
from gendata.features.encoders import Encoder, load_encoder
from gendata.features.extract import Features
from gendata.files import write_json
from gendata.gap.decomposition import Decomposition, decompose
from gendata.gap.measures.clusters import principal_components
from gendata.images import Subset, decode_all, open_images
from gendata.registry import studies

__all__ = ["CASES", "Case", "gap_decomposition"]

POOL = 4  # times as many images to take from as are compared: some cases leave many out
PARTS = ("appearance", "quality", "content")


@dataclass(frozen=True)
class Pool:
    """Real images that no comparison uses as its real side.

    Attributes:
        images: uint8 (N, 3, H, W), in a random order.
        labels: (N,) int64.
        places: (N,) 0 to 1, where each stands among the images of its class, ordered along the
            direction in which their features vary most.
        count: how many images a case must return.
    """

    images: np.ndarray
    labels: np.ndarray
    places: np.ndarray
    count: int

    def where(self, kept: np.ndarray) -> Pool:
        """The images that a mask (N,) keeps."""
        return replace(
            self, images=self.images[kept], labels=self.labels[kept], places=self.places[kept]
        )

    def taken(self, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels: the first of all, or fewer of them with `every` copies of each.

        Raises:
            GendataError: there are too few.
        """
        count = self.count // every
        if len(self.images) < count:
            raise GendataError(
                "too few images are left to make this gap",
                found=len(self.images),
                expected=count,
                do="compare fewer, or give a larger set",
            )
        rows = np.repeat(np.arange(count), every)
        return self.images[rows], self.labels[rows]


@dataclass(frozen=True)
class Case:
    """One gap of a known kind and dose.

    Attributes:
        kind: what was done, in words.
        dose: how much of it, in words.
        make: takes a pool and returns images and labels.
    """

    kind: str
    dose: str
    make: Callable[[Pool], tuple[np.ndarray, np.ndarray]]


def _altered(change: Callable[..., np.ndarray], *values: float) -> Callable[[Pool], Any]:
    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = pool.taken()
        return change(images, *values), labels

    return make


def _without_classes(share: float) -> Callable[[Pool], Any]:
    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        return _some_classes(pool, share).taken()

    return make


def _some_classes(pool: Pool, share: float) -> Pool:
    return pool.where(pool.labels >= round(share * (pool.labels.max() + 1)))


def _without_ends(share: float) -> Callable[[Pool], Any]:
    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        return pool.where(pool.places >= share).taken()

    return make


def _copied(times: int) -> Callable[[Pool], Any]:
    return lambda pool: pool.taken(times)


def _two(
    share: float, *changes: tuple[Callable[..., np.ndarray], Sequence[float]]
) -> Callable[[Pool], Any]:
    """Classes left out, then changes to the images."""

    def make(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = _some_classes(pool, share).taken()
        for change, values in changes:
            images = change(images, *values)
        return images, labels

    return make


BLUR = (known_gaps.blurred, (0.8,))
HALF_CUT = (known_gaps.shuffled, (4, 0.5))

CASES: dict[str, Case] = {
    "none": Case("other real images", "", lambda pool: pool.taken()),
    **{
        f"blur-{sigma}": Case("blurred", f"{sigma} pixels", _altered(known_gaps.blurred, sigma))
        for sigma in (0.5, 0.8, 1.2)
    },
    **{
        f"faded-{share}": Case("faded", f"{share:.0%}", _altered(known_gaps.faded, share))
        for share in (0.3, 0.6, 1.0)
    },
    **{
        f"tinted-{share}": Case("tinted", f"{share:.0%}", _altered(known_gaps.tinted, share))
        for share in (0.1, 0.2, 0.4)
    },
    **{
        f"noise-{level}": Case("noisy", f"{level} levels", _altered(known_gaps.noisy, level))
        for level in (5, 10, 20)
    },
    **{
        f"jpeg-{level}": Case("JPEG", f"quality {level}", _altered(known_gaps.compressed, level))
        for level in (60, 30, 10)
    },
    **{
        f"tiles-{side}": Case(
            "tiles shuffled", f"{side} x {side}", _altered(known_gaps.shuffled, side)
        )
        for side in (2, 4, 8)
    },
    **{
        f"tiles-4-of-{share}": Case(
            "4 x 4 tiles shuffled",
            f"{share:.0%} of the images",
            _altered(known_gaps.shuffled, 4, share),
        )
        for share in (0.25, 0.5, 0.75)
    },
    **{
        f"classes-{share}": Case("classes left out", f"{share:.0%}", _without_classes(share))
        for share in (0.1, 0.3, 0.5)
    },
    **{
        f"modes-{share}": Case("part of each class left out", f"{share:.0%}", _without_ends(share))
        for share in (0.2, 0.4, 0.6)
    },
    **{
        f"copies-{times}": Case("images copied", f"{times} times", _copied(times))
        for times in (2, 5, 20)
    },
    "blur+classes": Case("blurred, classes left out", "0.8 pixels, 30%", _two(0.3, BLUR)),
    "tiles+classes": Case("tiles shuffled, classes left out", "50%, 30%", _two(0.3, HALF_CUT)),
    "blur+tiles": Case("blurred, tiles shuffled", "0.8 pixels, 50%", _two(0.0, BLUR, HALF_CUT)),
}


@studies.register("gap-decomposition")
def gap_decomposition(
    *,
    out: Path,
    data: str = "fashion-mnist:train",
    images: int = 1000,
    encoder: str = "embedded:efficientnet-lite0",
    size: int = 64,
    cases: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
) -> StudyResult:
    """Makes known gaps from real images and measures appearance, quality and content of each.

    Cases that are measured already are not measured again.

    Args:
        out: folder for the results.
        data: real images; five times as many as are compared, or some gaps cannot be made.
        images: how many are compared with as many others.
        encoder: whose features quality and content are measured on.
        size: side that images are resized to for it, pixels; 0: as they come.
        cases: which gaps; all by default.
        seed: which images are taken, and of everything random.
        device: auto, cpu, cuda, cuda:1, mps, ….

    Raises:
        GendataError: something does not fit.
    """
    values = dict(locals())
    names = list(cases) or list(CASES)
    for name in names:
        if name not in CASES:
            raise GendataError(f"no case '{name}'", expected=", ".join(CASES))
    command = command_line("bench gap-decomposition", gap_decomposition, values)
    file = Path(out) / "gap-decomposition.json"
    settings = {key: values[key] for key in ("data", "images", "encoder", "size", "seed")}
    found = _found(file, settings)
    missing = [name for name in names if name not in found]
    if missing:
        network = load_encoder(encoder, input_size=size or None, device=device)
        real, labels, pool = _sets(data, images, network, seed)
        features = _features(real, labels, network)
        for name in missing:
            synthetic, of_synthetic = CASES[name].make(pool)
            result = decompose(
                real,
                synthetic,
                features,
                _features(synthetic, of_synthetic, network),
                encode=network.features,
                limit=images,
                seed=seed,
            )
            found[name] = {**vars(CASES[name]), **_as_json(result)}
            del found[name]["make"]
            write_json(file, {"command": command, "settings": settings, "cases": found})
    chosen = {name: found[name] for name in names}
    caption = (
        f"The gap of {images} images of {data} to {images} others, with 95 % intervals; "
        f"{encoder} at {size or 'their own'} px, seed {seed}"
    )
    return StudyResult(
        {"command": command, "settings": settings, "cases": chosen}, [_table(chosen, caption)]
    )


def _found(file: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier run with the same settings has measured."""
    if not file.is_file():
        return {}
    written = json.loads(file.read_text(encoding="utf-8"))
    if written["settings"] != dict(settings):
        raise GendataError(
            f"{file.parent} holds results of other settings",
            found=written["settings"],
            do="choose another folder",
        )
    return written["cases"]


def _sets(
    data: str, images: int, network: Encoder, seed: int
) -> tuple[np.ndarray, np.ndarray, Pool]:
    """The real images with their labels, and the pool that the gaps are made of."""
    whole = open_images(data)
    rows = np.random.default_rng(seed).permutation(len(whole))[: images * (1 + POOL)]
    if len(rows) < 2 * images:
        raise GendataError(
            f"'{data}' is too small to compare {images} images with others",
            found=len(rows),
            expected=f"at least {2 * images}",
        )
    decoded = decode_all(Subset(whole, rows))
    pixels, labels = decoded.images.numpy(), decoded.labels
    others, of_others = pixels[images:], labels[images:]
    places = _places(_encoded(others, network), of_others)
    return pixels[:images], labels[:images], Pool(others, of_others, places, images)


def _places(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Ranks (N,) within each class, 0 to 1, along the first principal component of the class."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    places = np.zeros(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        order = np.argsort(principal_components(features[rows], 1)[:, 0], kind="stable")
        places[rows[order]] = np.arange(len(rows)) / len(rows)
    return places


def _features(images: np.ndarray, labels: np.ndarray, network: Encoder) -> Features:
    classes = [str(label) for label in range(int(labels.max()) + 1)]
    return Features(_encoded(images, network), labels, classes, network.card, "made", None)


def _encoded(images: np.ndarray, network: Encoder) -> np.ndarray:
    batches = torch.from_numpy(np.ascontiguousarray(images)).split(100)
    return np.concatenate([network.features(batch).cpu().numpy() for batch in batches])


def _as_json(result: Decomposition) -> dict[str, Any]:
    found = result.to_json()
    return {key: found[key] for key in (*PARTS, "floor", "real_images", "synthetic_images")}


def _table(found: Mapping[str, Mapping[str, Any]], caption: str) -> Table:
    rows = [
        [case["kind"], case["dose"], *(_shown(case[part]["gap"]) for part in PARTS)]
        for case in found.values()
    ]
    floor = next(iter(found.values()))["floor"]
    halves = ["halves of the real images", "", *(_shown(floor[part]) for part in PARTS)]
    return Table(["what was done", "dose", *PARTS], [halves, *rows], caption)


def _shown(estimate: Mapping[str, float]) -> str:
    return "{value:.2f} ({low:.2f} to {high:.2f})".format(**estimate)
