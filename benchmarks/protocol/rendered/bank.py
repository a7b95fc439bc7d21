"""The image sets of a study of rendered images: each drawn once as a clone, then shared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gendata.benchmarks.protocol.checks import check_networks
from gendata.benchmarks.protocol.rendered.arguments import RenderedProtocol
from gendata.benchmarks.protocol.rendered.real import matched
from gendata.benchmarks.protocol.rendered.trainings import Drawing
from gendata.benchmarks.protocol.sources import Bank, NotDrawn, first_of_each_class
from gendata.clone import draw_clone
from gendata.images import Subset, open_images
from gendata.images.parquet import clone_state
from gendata.samplers import load_sampler
from gendata.samplers.blender import FREE_OPTIONS
from gendata.types import Images, Sampler

__all__ = ["RenderedBank"]

FREE = {"trust", "download", *FREE_OPTIONS}  # options that change no image


class RenderedBank(Bank):
    """The sets of one protocol, each opened on first use and then kept.

    Args:
        protocol: says which.
        out: the study's folder; the clones lie in it.
    """

    protocol: RenderedProtocol

    def draw(self, say: Callable[[str], None] = lambda what: None) -> None:
        """Renders what is missing; ranks of one launch share the work.

        Args:
            say: tells people what is being rendered.
        """
        every = self.all_drawings().items()
        missing = [(name, each) for name, each in every if self._whole(name, each) is None]
        for _, drawing in missing[1:]:
            self._load(drawing)  # a mistake shall show before the first one has drawn for hours
        for number, (name, drawing) in enumerate(missing, start=1):
            images = self.missing(drawing, name) * len(self.protocol.class_names)
            say(f"rendering set {number} of {len(missing)}, {name}: {images:,} images")
            self._render(name, drawing)

    def all_drawings(self) -> dict[str, Drawing]:
        """Training and test sets by name."""
        tests = {f"test {name}": drawing for name, drawing in self.protocol.tests.items()}
        return {**self.protocol.drawings, **tests}

    def missing(self, drawing: Drawing, name: str) -> int:
        """How many images of each class are still to be rendered."""
        folder = self.folder(name, drawing)
        if clone_state(folder) != "finished":
            return drawing.per_class
        images = self._keep(folder, lambda: open_images(folder))
        counts = np.bincount(images.labels, minlength=len(images.classes))
        return max(0, drawing.per_class - int(counts.min()))

    def test(self) -> Images:
        """The rendered images that stand for all tests: those like the training images."""
        name, drawing = next(iter(self.protocol.tests.items()))
        return self._drawn_set(f"test {name}", drawing)

    def watched(self) -> dict[str, Images]:
        """All test sets by name, rendered and real, of the training images' classes."""
        found = {
            name: self._drawn_set(f"test {name}", drawing)
            for name, drawing in self.protocol.tests.items()
        }
        classes = next(iter(found.values())).classes
        return found | {name: self._real(name, classes) for name in self.protocol.real}

    def synthetic(
        self, name: str, per_class: int | None, rows: Sequence[int] | None = None
    ) -> Images:
        """A rendered training set, so many images of each class.

        Raises:
            NotDrawn: it has not been rendered yet.
        """
        whole = self._drawn_set(name, self.protocol.drawings[name])
        key = ("synthetic", name, per_class)
        cut = self._keep(
            key, lambda: whole if per_class is None else first_of_each_class(whole, per_class)
        )
        return cut if rows is None else Subset(cut, rows)

    def folder(self, name: str, drawing: Drawing) -> Path:
        """Where a set is rendered into: named by what decides its images, but for their number."""
        protocol = self.protocol
        options = {key: each for key, each in drawing.options.items() if key not in FREE}
        decisive = [protocol.sampler, options, protocol.classes, drawing.seed]
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode())
        readable = re.sub(r"[^\w.-]+", "-", name).strip(".-")
        return self.out / "clones" / f"{readable}-{digest.hexdigest()[:8]}"

    def check(self) -> None:
        """Opens the real sets, and builds every network, before anything is rendered.

        Raises:
            GendataError: a set has other classes, or there is no such network.
        """
        for name in self.protocol.real:
            self._real(name, self.protocol.class_names)
        check_networks(self.protocol, len(self.protocol.class_names))

    def _real(self, name: str, classes: Sequence[str]) -> Images:
        reference, key = self.protocol.real[name], ("real", name, tuple(classes))
        return self._keep(key, lambda: matched(self._open(reference), classes))

    def _load(self, drawing: Drawing) -> Sampler:
        return load_sampler(self.protocol.sampler, **self._access(), **drawing.options)

    def _render(self, name: str, drawing: Drawing) -> None:
        sampler = self._load(drawing)
        try:
            draw_clone(
                sampler,
                drawing.per_class,
                self.folder(name, drawing),
                seed=drawing.seed,
                extend=True,
                classes=self.protocol.classes,
                sampler_options=drawing.options,
            )
        finally:
            getattr(sampler, "close", lambda: None)()  # ends a renderer's processes

    def _drawn_set(self, name: str, drawing: Drawing) -> Images:
        found = self._whole(name, drawing)
        if found is None:
            raise NotDrawn(f"the images of '{name}' are not rendered yet")
        return self._keep(("drawn", name), lambda: first_of_each_class(found, drawing.per_class))

    def _whole(self, name: str, drawing: Drawing) -> Images | None:
        """The clone, where it is whole and large enough."""
        folder = self.folder(name, drawing)
        if self.missing(drawing, name):
            self._kept.pop(folder, None)
            return None
        return self._keep(folder, lambda: open_images(folder))
