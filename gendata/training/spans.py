"""Which updates of a training belong to which of its epochs.

Without a number of updates, an epoch is a pass over its first source. With one, the training is
that many updates on end, through as many passes as they take, and its epochs are the parts of
equal length after which it is judged and its state is kept. So training on images that never come
again (Tang and Jia 2023, "A New Benchmark: On the Utility of Synthetic Data with Blender for Bare
Supervised Learning and Downstream Domain Adaptation", https://arxiv.org/abs/2303.09165) is one
pass in several parts, and a killed one goes on from its last part without drawing a batch twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gendata.errors import GendataError
from gendata.images import Loader
from gendata.training.settings import Settings
from gendata.types import Stage

__all__ = ["check_repetition", "check_supply", "span_of", "total_updates"]


def total_updates(settings: Settings, loaders: Mapping[str, Loader]) -> int | None:
    """Updates in all, or None where every epoch is a pass over its first source."""
    if settings.iterations is None and not settings.repeat:
        return loaders["synthetic"].steps
    return settings.iterations


def span_of(epoch: int, epochs: int, total: int | None, steps: int) -> tuple[int, int]:
    """The first update of an epoch, counted from the training's first, and the one after its last.

    Args:
        epoch: from 0.
        epochs: of the training.
        total: updates in all; None for passes.
        steps: batches in a pass over the epoch's first source.
    """
    if total is None:
        return epoch * steps, (epoch + 1) * steps
    return total * epoch // epochs, total * (epoch + 1) // epochs


def check_repetition(stages: Sequence[Stage], settings: Settings) -> None:
    """Checks that a method can be trained so long, and on images that come once.

    Raises:
        GendataError: there are more epochs than updates, or the method sees other images too.
    """
    if settings.iterations is not None and settings.iterations < settings.epochs:
        raise GendataError(
            "iterations is out of range",
            found=settings.iterations,
            expected=f"at least one for each of the {settings.epochs} epochs, which are the parts "
            "of the training",
        )
    if not settings.repeat and any(stage.sources != ("synthetic",) for stage in stages):
        raise GendataError(
            "only a training on synthetic images alone can see each image once",
            found=" and ".join(dict.fromkeys("+".join(stage.sources) for stage in stages)),
            do="choose the method fake, or leave repeat as it is",
        )


def check_supply(settings: Settings, loaders: Mapping[str, Loader]) -> None:
    """Checks that there is an image for every place of every batch, where none may come twice.

    Raises:
        GendataError: there are fewer, or so few that an epoch would be empty.
    """
    if settings.repeat:
        return
    steps = loaders["synthetic"].steps
    wanted = settings.iterations or settings.epochs
    if steps < wanted:
        raise GendataError(
            "there are too few images to see each once",
            found=f"{len(loaders['synthetic'].images)}, which are {steps} batches",
            expected=f"at least {wanted} batches of {settings.batch_size}",
            do="draw more images, or train for fewer iterations",
        )
