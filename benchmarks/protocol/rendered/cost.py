"""What a study of rendered images will cost: images, hours and disk, before anything is begun.

The paces are the preset's, and so is the machine that they hold for; what is finished costs
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gendata.benchmarks.protocol.rendered.bank import RenderedBank
from gendata.benchmarks.protocol.sweep import Planned
from gendata.training.settings import Settings

__all__ = ["Cost", "cost_of"]

GIGABYTE = 1e9


@dataclass(frozen=True)
class Cost:
    """What is left to do.

    Attributes:
        images: to render.
        iterations: of all trainings.
        rendering_hours: None where the preset names no pace.
        training_hours: likewise.
        gigabytes: of the images on disk; likewise.
        machine: what the paces hold for.
    """

    images: int
    iterations: int
    rendering_hours: float | None
    training_hours: float | None
    gigabytes: float | None
    machine: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))

    def notes(self) -> list[str]:
        """The same for people."""
        hours = [
            f"{value:,.1f} h of {what}"
            for what, value in (
                ("rendering", self.rendering_hours),
                ("training", self.training_hours),
            )
            if value is not None
        ]
        disk = f", {self.gigabytes:,.1f} GB of disk" if self.gigabytes is not None else ""
        first = f"Cost: {self.images:,} images to render, {self.iterations:,} iterations to train"
        on = f" on {self.machine}" if self.machine and hours else ""
        return [f"{first}{disk}.", *([f"About {' and '.join(hours)}{on}."] if hours else [])]


def cost_of(bank: RenderedBank, planned: Sequence[Planned], done: Mapping[str, Any]) -> Cost:
    """Reckons what is not finished.

    Args:
        bank: of the study.
        planned: its runs.
        done: the finished ones by key.
    """
    protocol = bank.protocol
    rates, classes = protocol.cost, len(protocol.class_names)
    images = classes * sum(
        bank.missing(drawing, name) for name, drawing in bank.all_drawings().items()
    )
    left = {each.key or each.title: each for each in planned if each.key not in done}
    by_network: dict[str, int] = {}
    for each in left.values():
        settings = protocol.settings_of(each.run.row)
        count = _iterations(settings, (each.run.per_class or 0) * classes)
        by_network[settings.network] = by_network.get(settings.network, 0) + count
    pace, bytes_each = rates.get("images_a_second"), rates.get("bytes_an_image")
    return Cost(
        images=images,
        iterations=sum(by_network.values()),
        rendering_hours=images / pace / 3600 if pace else None,
        training_hours=_training_hours(by_network, rates.get("iterations_a_second", {})),
        gigabytes=images * bytes_each / GIGABYTE if bytes_each else None,
        machine=rates.get("machine", ""),
    )


def _iterations(settings: Settings, images: int) -> int:
    """Updates of one training."""
    if settings.iterations is not None:
        return settings.iterations
    if settings.repeat:
        return max(1, images // settings.batch_size) * settings.epochs
    return -(-images // settings.batch_size)


def _training_hours(iterations: Mapping[str, int], paces: Mapping[str, float]) -> float | None:
    """None where a network's pace is not known."""
    if not iterations:
        return 0.0
    if not all(network in paces for network in iterations):
        return None
    return sum(count / paces[network] for network, count in iterations.items()) / 3600
