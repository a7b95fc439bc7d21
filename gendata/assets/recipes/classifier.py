"""Train a filter classifier, the embedded one or any: one learning-rate cycle, cutout."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.nn import functional

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.diff_augment import blanked, translated
from gendata.assets.recipes.images import TrainingImages, mirrored
from gendata.assets.recipes.options import opened, shared_options
from gendata.assets.recipes.progress import mean_of, resumable_steps
from gendata.models import build_network
from gendata.models.network import Network
from gendata.models.weights import save_weights

CPU = torch.device("cpu")


def augment(images: Tensor, shift: int = 2, hole: int = 6) -> Tensor:
    """Shifts by up to `shift` pixels, flips half of the images, blanks one square in each."""
    batch, _, height, width = images.shape
    padded = functional.pad(images, (shift,) * 4)
    top = torch.randint(2 * shift + 1, (batch, 1)) + torch.arange(height)
    left = torch.randint(2 * shift + 1, (batch, 1)) + torch.arange(width)
    left = torch.where(torch.rand(batch, 1) < 0.5, left.flip(1), left)
    moved = padded[torch.arange(batch)[:, None, None], 0, top[:, :, None], left[:, None, :]]
    y = torch.randint(height, (batch, 1)) - torch.arange(height)
    x = torch.randint(width, (batch, 1)) - torch.arange(width)
    blank = (y.abs() <= hole // 2)[:, :, None] & (x.abs() <= hole // 2)[:, None, :]
    return torch.where(blank, 0, moved)[:, None].expand(-1, 3, -1, -1)


def augment_colour(images: Tensor) -> Tensor:
    """Shifts by up to an eighth of the side, flips half of the images, blanks a small square."""
    side = images.shape[-1]
    return blanked(mirrored(translated(images, side // 8)), side // 4)


def train_classifier(
    network: Network,
    data: TrainingImages,
    epochs: int,
    batch_size: int,
    work: Path,
    *,
    augment: Callable[[Tensor], Tensor] = augment,
    device: torch.device = CPU,
    **saving: Any,
) -> None:
    """Trains in place on images (N, C, H, H) uint8; the network ends on the CPU."""
    steps = epochs * (len(data.images) // batch_size)
    images, labels = data.images.to(device), data.labels.to(device)
    optimizer = torch.optim.SGD(
        network.to(device).parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.15, steps, pct_start=0.2)
    losses = deque([torch.zeros(())], maxlen=500)
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    saving |= {"report": lambda: f"loss {mean_of(losses):.3f}", "device": device}
    network.train()
    for _ in resumable_steps(steps, work / "classifier.pt", parts, **saving):
        rows = torch.randint(len(images), (batch_size,), device=device)
        logits = network(augment(images[rows])).logits
        loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    network.cpu()


def save_embedded(network: Network, data: TrainingImages, folder: Path) -> str:
    """Saves the weights and the configuration; returns the name of the weights."""
    save_weights(network.backbone, folder / "weights.safetensors")
    config = {
        "network": network.name,
        "classes": data.classes,
        "mean": network.mean.flatten().tolist(),
        "std": network.std.flatten().tolist(),
        "input_size": data.side,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return "weights.safetensors"


@click.command()
@click.option("--network", "name", default="small-cnn", show_default=True)
@click.option("--epochs", default=150, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@shared_options
def main(name: str, epochs: int, batch_size: int, **given: Any) -> None:
    """Train a classifier; save the weights with their card."""
    script = "gendata.assets.recipes.classifier"
    settings = {"network": name, "epochs": epochs, "batch_size": batch_size}
    run = opened(script, "fashion-classifier", settings, given)
    network = build_network(name, len(run.images.classes))
    chosen = augment if run.embedded else augment_colour
    train_classifier(
        network, run.images, epochs, batch_size, run.work, augment=chosen, **run.saving()
    )
    file = save_embedded(network, run.images, run.out)
    title = "Fashion-MNIST classifier for filtering, 28x28"
    write_card(
        run.out,
        title=title if run.embedded else f"Classifier of {run.subject()}",
        **run.described(script),
        files={file: sha256_of(run.out / file)},
    )


if __name__ == "__main__":
    main()
