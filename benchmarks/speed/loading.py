"""Is the resident loader ten times as fast as torchvision's ImageFolder and DataLoader?"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from torch.utils.data import DataLoader

from gendata.benchmarks.speed.measurement import Measurement, median_ratio, seconds
from gendata.images import decode_all, export_images, make_loader, open_images

__all__ = ["measure"]

BATCH = 128
WORKERS = 2


def measure() -> list[Measurement]:
    """Loads the same 10,000 images of 32x32 with crop and flip, both ways."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images"
        export_images(decode_all(open_images("fashion-mnist:train"), size=32), folder)
        images = open_images(folder)
        ours, theirs = resident_epochs(folder), torchvision_epochs(folder)

        def rate(epochs: Callable[[], Iterable[object]]) -> float:
            return len(images) // BATCH * BATCH / seconds(lambda: exhaust(epochs()))

        rate(ours)  # warm up
        ratio, first, second = median_ratio(lambda: rate(ours), lambda: rate(theirs), repeats=3)
    how = (
        f"{first:.0f} against {second:.0f} images/s, {len(images)} images, batch {BATCH}, 3 pairs"
    )
    name = f"resident loader / ImageFolder + DataLoader ({WORKERS} workers), crop + flip at 32x32"
    return [Measurement(name, ">= 10", f"{ratio:.1f}", ratio, how)]


def exhaust(batches: Iterable[object]) -> None:
    """Takes every batch."""
    for _ in batches:
        pass


def resident_epochs(folder: Path) -> Callable[[], Iterable[object]]:
    """Decodes once; each call is one epoch."""
    loader = make_loader(open_images(folder), BATCH, augment="crop-flip", seed=0)
    numbers = itertools.count()
    return lambda: loader.epoch(next(numbers))


def torchvision_epochs(folder: Path) -> Callable[[], Iterable[object]]:
    """What most people write; the workers stay between epochs."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.ToImage()])
    loader = DataLoader(
        ImageFolder(str(folder), augment),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    exhaust(loader)  # starts the workers
    return lambda: loader
