"""The settings of a training: defaults, the paper's values, what is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from gendata.errors import GendataError
from gendata.training.learner import BATCH_NORM_POLICIES
from gendata.training.options import check_choice, check_flag, check_number
from gendata.training.schedules import SCHEDULES, scheduled_rate

__all__ = ["PRESETS", "Settings", "build_optimizer", "learning_rate_at"]

PRESETS: dict[str, dict[str, Any]] = {
    # The defaults below: a few minutes on a CPU.
    "small": {},
    # Wang, Schmedding and Huber 2024, section 3. The paper leaves optimiser, schedule, weight
    # decay and the choice of the epoch open: those four are ours.
    "paper": {
        "network": "timm:resnet50",
        "init": "imagenet",
        "size": 224,
        "batch_size": 128,
        "epochs": 200,
        "learning_rate": 1e-4,
        "augment": "crop-flip",
        "optimizer": "adam",
        "schedule": "constant",
        "weight_decay": 0.0,
        "select": "last",
    },
}

LATER: dict[str, Any] = {"iterations": None, "repeat": True}


@dataclass(frozen=True)
class Settings:
    """What decides the weights that a training ends with, besides its images and its method.

    Args:
        network: "small-cnn", "cifar-resnet20" (32, 44, 56), "wrn-28-10", "vit-b16", "mixer-b16"
            (s, l), their like for 32 pixels "small-vit" and "small-mixer-b" (s, l),
            "torchvision-resnet50", or any timm model.
        init: "random", "imagenet" or a weights file.
        tap: the network's layer whose pooled output are its features; None for the last one.
        epochs: passes over the stage's first source; with `iterations`, or where no image is
            repeated, parts of equal length, after each of which the state is kept.
        iterations: updates in all, through as many passes as they take; None for `epochs` passes.
        repeat: whether an image may come again. If not, the synthetic images are passed once, in
            batches that share none, the last one as small as it is.
        batch_size: images a step, all processes together.
        real_batch_size: real images a step; None for the batch size, or all where they are fewer.
        optimizer: "adam", "adamw" or "sgd" (momentum 0.9).
        learning_rate: at the start.
        schedule: "constant"; "cosine" down to 0, in each stage anew; "asg" or "csg": a warm-up of
            100 steps, then the polynomial decay of that method, for ASG down to 23 %.
        weight_decay: applied by the optimiser, after gradients are merged.
        augment: as in `make_loader`.
        views: fixed augmentations of each image, so that a frozen teacher's work is paid once;
            0 for fresh ones.
        size: side that images are resized to, pixels; None for their own.
        select: which epoch's network counts: "last"; "source-val" (best on a tenth of the training
            images, held out); "target-val" (best on the given validation images); "oracle" (best
            on the test images, an upper bound and no fair figure).
        batch_norm: "both", "freeze-real" (real batches use the running statistics) or "freeze"
            (all batches do; of use with pretrained weights only).
        clip: greatest length of an update's gradient; None for no limit.
        precision: "no" (float32), "fp16" or "bf16".
        seed: decides everything random.
    """

    network: str = "small-cnn"
    init: str = "random"
    tap: str | None = None
    epochs: int = 40
    iterations: int | None = None
    repeat: bool = True
    batch_size: int = 128
    real_batch_size: int | None = None
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    weight_decay: float = 0.0
    augment: str = "crop-flip"
    views: int = 0
    size: int | None = None
    select: str = "last"
    batch_norm: str = "both"
    clip: float | None = None
    precision: str = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("network", "init"):  # a Path is welcome, and run.json holds texts
            object.__setattr__(self, name, str(getattr(self, name)))
        check_choice("optimizer", self.optimizer, ("adam", "adamw", "sgd"))
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("select", self.select, ("last", "source-val", "target-val", "oracle"))
        check_choice("batch_norm", self.batch_norm, BATCH_NORM_POLICIES)
        check_choice("precision", self.precision, ("no", "fp16", "bf16"))
        for name, least in (("epochs", 1), ("batch_size", 1), ("views", 0), ("seed", 0)):
            check_number(name, getattr(self, name), least, whole=True)
        check_number("learning_rate", self.learning_rate, 0, above=True)
        check_number("weight_decay", self.weight_decay, 0)
        check_flag("repeat", self.repeat)
        for name in ("real_batch_size", "size", "iterations"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 1, whole=True)
        if self.clip is not None:
            check_number("clip", self.clip, 0, above=True)

    @classmethod
    def names(cls) -> list[str]:
        """Lists the settings."""
        return [each.name for each in dataclasses.fields(cls)]

    def decisive(self) -> dict[str, Any]:
        """All settings with their values, as runs are told apart by them.

        Those that came later are left out where they change nothing: a run that was trained before
        them is still the same.
        """
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in LATER or value != LATER[name]
        }

    @classmethod
    def resolve(cls, preset: str | None, given: Mapping[str, Any]) -> Settings:
        """Takes the preset's values where none is given.

        Raises:
            GendataError: the preset is unknown or a value is not allowed.
        """
        if preset is not None and preset not in PRESETS:
            raise GendataError(
                f"unknown preset '{preset}'", expected=f"one of {', '.join(PRESETS)}"
            )
        return cls(**{**PRESETS.get(preset or "small", {}), **given})


def build_optimizer(settings: Settings, network: nn.Module, device: torch.device) -> Optimizer:
    """Builds the optimiser over the network's trainable parameters."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    options: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "fused": device.type in ("cpu", "cuda"),
    }
    if settings.optimizer == "sgd":
        return SGD(parameters, momentum=0.9, **options)
    return {"adam": Adam, "adamw": AdamW}[settings.optimizer](parameters, **options)


def learning_rate_at(settings: Settings, progress: float, steps: int) -> float:
    """The learning rate at a share of a training's steps, between 0 and 1."""
    return scheduled_rate(settings.schedule, settings.learning_rate, progress, steps)
