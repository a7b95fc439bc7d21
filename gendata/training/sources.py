"""Which images a method's stages see, and in which batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from gendata.errors import GendataError
from gendata.images import (
    Loader,
    balanced_split,
    check_same_classes,
    joined,
    make_loader,
    open_images,
)
from gendata.seeds import hash_seed
from gendata.training.settings import Settings
from gendata.types import Batch, Examples, Images, Stage

__all__ = [
    "ROLES",
    "Reference",
    "Sources",
    "batches",
    "open_roles",
    "prepare_sources",
    "source_loaders",
]

Reference = str | Path | Images
ROLES = ("synthetic", "real", "test", "validation")
PARTS = {"synthetic": ("synthetic",), "real": ("real",), "mixed": ("synthetic", "real")}
HELD_OUT_SHARE = 10  # one in ten


@dataclass(frozen=True)
class Sources:
    """The image sets of a training, decoded where they are small, all with the same classes.

    Attributes:
        train: by source name: "synthetic", "real", "mixed", as far as the method's stages need.
        judges: by role, as far as there are any: "test" judges the result; "validation" (real
            images) and "held_out" (training images) only choose an epoch; others by their names
            are watched, and decide nothing.
    """

    train: dict[str, Images]
    judges: dict[str, Images]


def open_roles(
    stages: Sequence[Stage],
    given: Mapping[str, Reference | None],
    settings: Settings,
    *,
    download: bool = False,
    strict: bool = False,
) -> dict[str, Images]:
    """Opens the sets that the stages need, and those that judge; no other one is touched.

    Args:
        stages: the method's.
        given: references by role: "synthetic", "real", "test" and "validation"; under other names
            sets that are only watched.
        settings: only the selection rule is used.
        download: fetch sets that are not on this machine.
        strict: stop at damaged images.

    Returns:
        Sets by role, with the same classes; training roles first.

    Raises:
        GendataError: one is missing, or their class lists differ.
    """
    opened: dict[str, Images] = {}
    roles = _training_roles(stages)
    watched = [name for name in given if name not in ROLES]
    for role in (*roles, "test", "validation", *watched):
        reference = given.get(role)
        if reference is not None:
            opened[role] = open_images(reference, download=download, strict=strict)
            if not len(opened[role]):
                raise GendataError(f"the {role} set '{opened[role].name}' holds no image")
        elif role in roles:
            raise GendataError(
                f"the method needs {role} images", found="none", do=f"give {role}=…"
            )
    (first, images), *others = opened.items()
    for role, other in others:
        check_same_classes(first, images.classes, role, other.classes)
    needed = {"target-val": "validation", "oracle": "test"}.get(settings.select)
    if needed is not None and needed not in opened:
        raise GendataError(
            f"select='{settings.select}' needs {needed} images",
            found="none",
            do=f"give {needed}=…",
        )
    return opened


def prepare_sources(
    opened: Mapping[str, Images], stages: Sequence[Stage], settings: Settings
) -> Sources:
    """Decodes small sets, holds images out where the selection rule asks, joins the mixed set."""
    decoded = {role: _decoded(images, settings.size) for role, images in opened.items()}
    roles = _training_roles(stages)
    judges: dict[str, Images] = {
        role: images for role, images in decoded.items() if role not in roles
    }
    if settings.select == "source-val":
        judges["held_out"], decoded[roles[0]] = _hold_out(decoded[roles[0]], settings.seed)
    train = {role: decoded[role] for role in roles}
    if any("mixed" in stage.sources for stage in stages):
        train["mixed"] = joined(train["synthetic"], train["real"])
    return Sources(train, judges)


def _training_roles(stages: Sequence[Stage]) -> list[str]:
    sources = (source for stage in stages for source in stage.sources)
    return list(dict.fromkeys(part for source in sources for part in PARTS[source]))


def _decoded(images: Images, size: int | None) -> Images:
    """Decodes a small set now, so that the rows of a union are known whatever is damaged."""
    return make_loader(images, len(images), augment="none", size=size).images


def _hold_out(images: Images, seed: int) -> tuple[Images, Images]:
    per_class = max(1, len(images) // len(images.classes) // HELD_OUT_SHARE)
    return balanced_split(images, per_class, seed)


def source_loaders(
    sources: Sources, stages: Sequence[Stage], settings: Settings, accelerator: Accelerator
) -> dict[str, Loader]:
    """Makes a training loader for every source that some stage draws from."""
    used = dict.fromkeys(source for stage in stages for source in stage.sources)
    loaders = {}
    for number, name in enumerate(PARTS):
        if name not in used:
            continue
        images = sources.train[name]
        batch = settings.real_batch_size if name == "real" else None
        loaders[name] = make_loader(
            images,
            min(batch or settings.batch_size, len(images)),
            augment=settings.augment,
            size=settings.size,
            seed=hash_seed(settings.seed, number),
            rank=accelerator.process_index,
            world=accelerator.num_processes,
            views=settings.views,
            drop_last=None if settings.repeat else False,
            device=accelerator.device,
        )
    return loaders


def batches(loaders: Mapping[str, Loader], stage: Stage, span: tuple[int, int]) -> Iterator[Batch]:
    """Yields an epoch's batches; they depend on its place in the training and on nothing before.

    Args:
        loaders: by source name.
        stage: says which sources.
        span: the first of its batches and the one after the last, counted from the training's
            first.
    """
    first, *others = stage.sources
    start, end = span
    cycles = {name: _cycle(loaders[name], start) for name in others}
    for examples in _cycle(loaders[first], start, end):
        yield {first: examples, **{name: next(cycle) for name, cycle in cycles.items()}}


def _cycle(loader: Loader, start: int, end: int | None = None) -> Iterator[Examples]:
    """Yields batches from number `start` to `end`, or for ever; each pass is shuffled anew."""
    while end is None or start < end:
        number, skipped = divmod(start, loader.steps)
        stop = loader.steps if end is None else min(loader.steps, skipped + end - start)
        yield from loader.epoch(number, skipped, stop)
        start += stop - skipped
