"""Train the embedded filter classifier: a small network, one learning-rate cycle, cutout."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.progress import resumable_steps
from gendata.models import build_network
from gendata.models.network import Network
from gendata.models.weights import save_weights

ASSETS = Path(__file__).parents[1]


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


def train_classifier(
    network: Network, images: Tensor, labels: Tensor, epochs: int, batch_size: int, work: Path
) -> None:
    """Trains in place on images (N, 1, 28, 28) uint8."""
    steps = epochs * (len(images) // batch_size)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.15, steps, pct_start=0.2)
    losses = [0.0]
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    report = lambda: f"loss {np.mean(losses[-500:]):.3f}"  # noqa: E731
    network.train()
    for _ in resumable_steps(steps, work / "classifier.pt", parts, report):
        rows = torch.randint(len(images), (batch_size,))
        logits = network(augment(images[rows])).logits
        loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())


@click.command()
@click.option("--network", "name", default="small-cnn", show_default=True)
@click.option("--epochs", default=150, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
@click.option("--work", default="work", show_default=True, help="Folder for the resumable state.")
@click.option("--out", default=str(ASSETS / "fashion-classifier"), show_default=True)
def main(
    name: str, epochs: int, batch_size: int, seed: int, threads: int, work: str, out: str
) -> None:
    """Train on the embedded Fashion-MNIST training images; save the weights with their card."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    Path(work).mkdir(parents=True, exist_ok=True)
    data = np.load(ASSETS / "fashion-mnist" / "train.npz")
    class_names = data["classes"].tolist()
    network = build_network(name, len(class_names))
    images = torch.from_numpy(data["images"])[:, None]
    labels = torch.from_numpy(data["labels"])
    train_classifier(network, images, labels, epochs, batch_size, Path(work))
    save_weights(network.backbone, folder / "weights.safetensors")
    config = {
        "network": name,
        "classes": class_names,
        "mean": network.mean.flatten().tolist(),
        "std": network.std.flatten().tolist(),
        "input_size": images.shape[-1],
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_card(
        folder,
        title="Fashion-MNIST classifier for filtering, 28x28",
        origin="trained in this repository",
        licence="Apache-2.0",
        training_data="fashion-mnist:train (MIT)",
        script="gendata.assets.recipes.classifier",
        command=f"python -m gendata.assets.recipes.classifier --network {name} --epochs {epochs} "
        f"--batch-size {batch_size} --seed {seed}",
        settings={"network": name, "epochs": epochs, "batch_size": batch_size, "seed": seed},
        figures={},
        files={"weights.safetensors": sha256_of(folder / "weights.safetensors")},
    )


if __name__ == "__main__":
    main()
