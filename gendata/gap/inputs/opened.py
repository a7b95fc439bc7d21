"""What is measured: the image sets, opened and checked, and which images of each are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gendata.errors import GendataError
from gendata.gap.inputs.parts import Part, common_size, decoded, equal_parts
from gendata.gap.result import Source
from gendata.images import Subset, balanced_subset, open_images
from gendata.types import Images

__all__ = ["REAL", "REAL_TEST", "Inputs", "Reference", "opened_inputs"]

REAL, REAL_TEST = "real", "real test"

Reference = str | Path | Images


@dataclass(frozen=True)
class Inputs:
    """The image sets and how classifiers are trained on them.

    Attributes:
        opened: the real set, named REAL, and the clones, as they are.
        parts: what is compared of each, at the size of the trainings.
        test: the test set as it is; None without one.
        tests: the same at the size of the trainings, named REAL_TEST; empty without one.
        limit: most images of a source, where one was given.
        per_class: most images of a class, where it was given.
        seeds: of the trainings.
        training: network, epochs, size and every other setting of `gendata.train`.
        folder: where results and what is kept go; None keeps nothing.
        device: where to train and to extract features.
        download: fetch what is not on this machine.
        progress: show bars on stderr.
    """

    opened: Mapping[str, Images]
    parts: Mapping[str, Part]
    test: Images | None
    tests: Mapping[str, Images]
    limit: int | None
    per_class: int | None
    seeds: Sequence[int]
    training: Mapping[str, Any]
    folder: Path | None
    device: torch.device
    download: bool
    progress: bool

    @property
    def clones(self) -> list[str]:
        """Names of the clones."""
        return [name for name in self.opened if name != REAL]

    @property
    def classes(self) -> list[str]:
        """Class names in label order."""
        return list(self.opened[REAL].classes)

    @property
    def test_rows(self) -> np.ndarray:
        """Test images to compare: of each class as many as of the sources, or all it has."""
        if self.test is None:
            return np.empty(0, dtype=np.int64)
        compared = len(self.parts[REAL].rows) // len(self.classes)
        return balanced_subset(self.test, common_size({REAL_TEST: self.test}, compared), 0).rows

    @property
    def side(self) -> int:
        """Shorter side of the real images, pixels."""
        return _side(self.opened[REAL])

    def source(self, name: str) -> Images:
        """A whole set, by its name in the report."""
        if name == REAL_TEST and self.test is not None:
            return self.test
        return self.opened[name]

    def searched(self, name: str) -> Images:
        """All images of a source, or the compared ones if a limit was given."""
        whole = self.opened[name]
        return whole if self.limit is None else Subset(whole, self.parts[name].rows)

    def kept(self, name: str) -> Path | None:
        """A folder inside the results for what a further call uses again."""
        return None if self.folder is None else self.folder / name

    def sources(self) -> list[Source]:
        """The sets as the report lists them."""
        sources = []
        for name, part in self.parts.items():
            role = "real" if name == REAL else "clone"
            counts = len(self.opened[name]), len(part.training), len(part.held_out)
            sources.append(Source(name, role, self.opened[name].name, *counts))
        for name, images in self.tests.items():
            sources.append(Source(name, "test", images.name, len(images), len(images)))
        return sources


def opened_inputs(
    real: Reference,
    clones: Mapping[str, Reference],
    test: Reference | None,
    *,
    limit: int | None,
    per_class: int | None,
    training: Mapping[str, Any],
    strict: bool,
    **others: Any,
) -> Inputs:
    """Opens the sets and chooses equally many images of each class from each.

    Args:
        real: the real images.
        clones: synthetic images by name.
        test: real images that nothing is trained on.
        limit: no more than this many images of a source.
        per_class: no more than this many of a class.
        training: settings; the size is that of the real images if they name none.
        strict: stop at damaged images.
        **others: further attributes of `Inputs`.

    Raises:
        GendataError: the sets do not fit together, or one cannot be read.
    """
    access = {"download": others["download"], "strict": strict}
    opened = _opened(real, clones, access)
    settings = dict(training)
    settings.setdefault("size", _side(opened[REAL]))
    parts = equal_parts(opened, common_size(opened, per_class, limit), settings["size"])
    judges = None if test is None else open_images(test, **access)
    tests = {}
    if judges is not None:
        common_size({REAL: opened[REAL], REAL_TEST: judges})  # the same classes, some of each
        tests[REAL_TEST] = decoded(judges, settings["size"])
    return Inputs(
        opened=opened,
        parts=parts,
        test=judges,
        tests=tests,
        limit=limit,
        per_class=per_class,
        training=settings,
        **others,
    )


def _opened(
    real: Reference, clones: Mapping[str, Reference], access: Mapping[str, bool]
) -> dict[str, Images]:
    if not clones:
        raise GendataError("no clone to measure", expected="at least one")
    for name in clones:
        if name in (REAL, REAL_TEST) or not name.strip():
            raise GendataError(
                "a clone has a name it cannot have", found=f"'{name}'", do="give it another name"
            )
    references = {REAL: real, **clones}
    return {name: open_images(each, **access) for name, each in references.items()}


def _side(images: Images) -> int:
    """The shorter side of the first real image: every source is brought to this size."""
    if not len(images):
        raise GendataError(f"'{images.name}' holds no image")
    return min(images[0][0].shape[1:])
