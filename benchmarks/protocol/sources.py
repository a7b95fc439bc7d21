"""The image sets of a study: opened, drawn and cut once, then shared by all of its runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.references import Source, is_sampler
from gendata.clone import ConfidenceFilter, draw_clone
from gendata.errors import GendataError
from gendata.images import (
    Subset,
    balanced_split,
    balanced_subset,
    check_same_classes,
    open_images,
)
from gendata.images.loader import RESIDENT_BYTES
from gendata.images.memory import decode_all
from gendata.images.parquet import clone_state
from gendata.models import load_classifier
from gendata.samplers import load_sampler
from gendata.training.fingerprint import fingerprint
from gendata.types import Images, Sampler

__all__ = ["Bank", "NotDrawn", "clone_folder"]

VALIDATION_SEED = 0  # the validation images are the same in every study on the same data


class NotDrawn(GendataError):
    """A clone that the study will draw is not there yet."""


class Bank:
    """The sets of one protocol, each opened on first use and then kept.

    Args:
        protocol: says which.
        out: the study's folder; the clones lie in it.
    """

    def __init__(self, protocol: Protocol, out: Path) -> None:
        self.protocol, self.out = protocol, out
        self._kept: dict[Any, Images] = {}
        self._prints: dict[Any, str] = {}

    def draw(self) -> None:
        """Draws the clones that are missing; ranks of one launch share the work."""
        samplers = [each for each in self.protocol.sources if is_sampler(each.reference)]
        missing = [source for source in samplers if self._drawn(source) is None]
        for source in missing[1:]:
            self._sampler(source)  # a mistake shall show before the first one has drawn for hours
        for source in missing:
            self._draw(source)

    def test(self) -> Images:
        """The images that judge."""
        return self._keep("test", lambda: self._open(self.protocol.test))

    def validation(self) -> Images:
        """Real images that may choose, none of which is in `training`."""
        if not self.protocol.validation:
            raise GendataError(
                "the study needs validation images",
                found="none",
                do="give validation=N, and N images of each class of the data are held out",
            )
        if isinstance(self.protocol.validation, int):
            return self._keep("validation", lambda: self._split()[0])
        return self._keep("validation", lambda: self._open(self.protocol.validation))

    def training(self) -> Images:
        """All real images that may be trained on."""
        return self._keep("training", lambda: self._split()[1])

    def few(self, shots: int | None, seed: int) -> Images:
        """The real images of one seed: so many of each class, or all of them."""
        if shots is None:
            return self.training()
        chosen = self.protocol.subset_seed
        number = seed if chosen is None else chosen
        few = ("few", shots, number)
        return self._keep(few, lambda: balanced_subset(self.training(), shots, number))

    def synthetic(
        self, name: str, per_class: int | None, rows: Sequence[int] | None = None
    ) -> Images:
        """A source's images, so many of each class, or some rows of those.

        Raises:
            NotDrawn: they have not been drawn yet.
        """
        key = ("synthetic", name, per_class)
        whole = self._keep(key, lambda: self._source(name, per_class))
        if rows is None:
            return whole
        return self._keep((*key, tuple(rows)), lambda: Subset(decoded(whole, self.size), rows))

    def watched(self) -> dict[str, Images]:
        """Further sets by name that every run is judged on, epoch by epoch; none by default."""
        return {}

    @property
    def size(self) -> int | None:
        """Side that images are resized to, pixels."""
        return self.protocol.settings.get("size")

    def fingerprint(self, images: Images) -> str:
        """The fingerprint of a set of this bank, taken once."""
        if id(images) not in self._prints:
            self._prints[id(images)] = fingerprint(images)
        return self._prints[id(images)]

    def ready(self, images: Images, name: str) -> Images:
        """Decodes a small set once, and gives it the name under which the runs know it."""
        return self._keep(("ready", id(images), name), lambda: self._named(images, name))

    def _named(self, images: Images, name: str) -> Images:
        whole = Subset(images, np.arange(len(images)))
        whole.name = name
        return decoded(whole, self.size)

    def _keep(self, key: Any, make: Callable[[], Images]) -> Images:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _open(self, reference: Any) -> Images:
        return open_images(reference, download=self.protocol.download)

    def _split(self) -> tuple[Images, Images]:
        """Validation and training images."""
        data, held_out = self._open(self.protocol.data), self.protocol.validation
        if not isinstance(held_out, int) or not held_out:
            return data, data
        return balanced_split(data, held_out, VALIDATION_SEED)

    def _source(self, name: str, per_class: int | None) -> Images:
        source = next(each for each in self.protocol.sources if each.name == name)
        if not is_sampler(source.reference):
            images = self._open(source.reference)
            cut = per_class is not None and self.protocol.subset_sources
            return balanced_subset(images, per_class, 0) if cut and per_class else images
        drawn = self._drawn(source)
        if drawn is None:
            raise NotDrawn(f"the clone of '{name}' is not drawn yet")
        return first_of_each_class(drawn, per_class) if per_class else drawn

    def _most(self) -> int:
        """The largest number of images of a class that some run needs."""
        wanted = [each for each in self.protocol.per_class if each is not None]
        if not wanted:
            raise GendataError(
                "a sampler must be told how many images to draw",
                found="none",
                do="give per_class=…, or draw the clone yourself and give its folder",
            )
        return max(wanted)

    def _drawn(self, source: Source) -> Images | None:
        """The clone, where it is whole and large enough."""
        folder = clone_folder(self.out, self.protocol, source)
        if clone_state(folder) != "finished":
            return None
        images = self._keep(folder, lambda: open_images(folder))
        counts = np.bincount(images.labels, minlength=len(images.classes))
        if counts.min() < self._most():
            del self._kept[folder]
            return None
        return images

    def _draw(self, source: Source) -> None:
        most, sampler = self._most(), self._sampler(source)
        judge = None
        if source.filter is not None:
            classifier = load_classifier(source.filter, **self._access())
            judge = ConfidenceFilter(classifier, self.protocol.threshold, self.protocol.label)
        draw_clone(
            sampler,
            most,
            clone_folder(self.out, self.protocol, source),
            filter=judge,
            seed=self.protocol.seed,
            attempts=self.protocol.attempts,
            extend=True,
            sampler_options=source.options,
        )

    def _sampler(self, source: Source) -> Sampler:
        """Loads a source's sampler, of the test images' classes unless the filter names others."""
        sampler = load_sampler(source.reference, **self._access(), **source.options)
        renamed = source.filter is not None and self.protocol.label == "classifier"
        if sampler.classes is not None and not renamed:
            check_same_classes(source.name, sampler.classes, "test", self.test().classes)
        return sampler

    def _access(self) -> dict[str, Any]:
        return {"device": self.protocol.device, "download": self.protocol.download}


def clone_folder(out: Path, protocol: Protocol, source: Source) -> Path:
    """Where a clone is drawn into: named by whatever decides its images, but for their number."""
    judge = [source.filter, protocol.threshold, protocol.label] if source.filter else None
    decisive = [str(source.reference), dict(source.options), judge, protocol.seed]
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode())
    readable = re.sub(r"[^\w.-]+", "-", source.name).strip(".-") or "clone"
    return out / "clones" / f"{readable}-{digest.hexdigest()[:8]}"


def first_of_each_class(images: Images, per_class: int) -> Images:
    """What drawing so many of each class would have drawn: the first of a larger clone."""
    labels = np.asarray(images.labels)
    kept = [np.flatnonzero(labels == label)[:per_class] for label in range(len(images.classes))]
    return Subset(images, np.sort(np.concatenate(kept)))


def decoded(images: Images, size: int | None) -> Images:
    """Decodes a set that fits into memory; a large one stays where it is."""
    if not len(images):
        return images
    height, width = (size, size) if size else tuple(images[0][0].shape[1:])
    fits = len(images) * 3 * height * width <= RESIDENT_BYTES
    return decode_all(images, size) if fits else images
