"""Train the embedded class-conditional GAN.

Hinge loss, spectral normalisation (Miyato et al. 2018), a projection discriminator (Miyato and
Koyama 2018) and differentiable translation and cutout (Zhao et al. 2020, DiffAugment), since
10,000 images are few. The generator kept is an exponential moving average.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.progress import resumable_steps
from gendata.models.generator import ConditionalGenerator

ASSETS = Path(__file__).parents[1]


class Discriminator(nn.Module):
    """Scores images (B, 1, 28, 28) with labels (B,): real ones high."""

    def __init__(self, classes: int, width: int = 48) -> None:
        super().__init__()
        activation = nn.LeakyReLU(0.1)
        self.features = nn.Sequential(
            spectral_norm(nn.Conv2d(1, width, 4, stride=2, padding=1)),
            activation,
            spectral_norm(nn.Conv2d(width, width, 3, padding=1)),
            activation,
            spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
            activation,
            spectral_norm(nn.Conv2d(2 * width, 2 * width, 3, padding=1)),
            activation,
            spectral_norm(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)),
            activation,
        )
        self.score = spectral_norm(nn.Linear(4 * width, 1))
        self.embed = spectral_norm(nn.Embedding(classes, 4 * width))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Returns scores (B,)."""
        features = self.features(images).sum(dim=(2, 3))
        return self.score(features)[:, 0] + (features * self.embed(labels)).sum(dim=1)


def augment(images: Tensor, shift: int = 3, hole: int = 10) -> Tensor:
    """Translates each image by up to `shift` pixels and blanks one square, differentiably."""
    batch, _, height, width = images.shape
    padded = functional.pad(images, (shift,) * 4, value=-1.0)
    top = torch.randint(2 * shift + 1, (batch, 1)) + torch.arange(height)
    left = torch.randint(2 * shift + 1, (batch, 1)) + torch.arange(width)
    rows = torch.arange(batch)[:, None, None]
    moved = padded[rows, 0, top[:, :, None], left[:, None, :]]
    y = torch.randint(height, (batch, 1)) - torch.arange(height)
    x = torch.randint(width, (batch, 1)) - torch.arange(width)
    blank = (y.abs() <= hole // 2)[:, :, None] & (x.abs() <= hole // 2)[:, None, :]
    return torch.where(blank, 0.0, moved)[:, None]


def train_generator(
    images: Tensor, labels: Tensor, classes: int, steps: int, batch_size: int, work: Path
) -> ConditionalGenerator:
    """Trains on images (N, 1, 28, 28) in [-1, 1] and returns the averaged generator."""
    generator = ConditionalGenerator(classes=classes)
    discriminator = Discriminator(classes)
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    generator_steps = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.0, 0.99))
    discriminator_steps = torch.optim.Adam(discriminator.parameters(), lr=4e-4, betas=(0.0, 0.99))
    scores = [(0.0, 0.0)]
    parts = {
        "generator": generator,
        "discriminator": discriminator,
        "average": average,
        "generator_steps": generator_steps,
        "discriminator_steps": discriminator_steps,
    }
    report = lambda: "real {:.2f} fake {:.2f}".format(*np.mean(scores[-500:], axis=0))  # noqa: E731
    for step in resumable_steps(steps, work / "gan.pt", parts, report):
        remaining = min(1.0, 2 * (1 - step / steps))  # the second half anneals to zero
        for optimizer, rate in ((generator_steps, 2e-4), (discriminator_steps, 4e-4)):
            optimizer.param_groups[0]["lr"] = rate * remaining
        rows = torch.randint(len(images), (batch_size,))
        real, label = images[rows], labels[rows]
        with torch.no_grad():
            fake = generator(torch.randn(batch_size, generator.z_dim), label)
        score = discriminator(augment(torch.cat([real, fake])), label.repeat(2))
        real_score, fake_score = score.chunk(2)
        loss = functional.relu(1 - real_score).mean() + functional.relu(1 + fake_score).mean()
        discriminator_steps.zero_grad()
        loss.backward()
        discriminator_steps.step()
        label = torch.randint(classes, (batch_size,))
        fake = generator(torch.randn(batch_size, generator.z_dim), label)
        loss = -discriminator(augment(fake), label).mean()
        generator_steps.zero_grad()
        loss.backward()
        generator_steps.step()
        average.update_parameters(generator)
        scores.append((real_score.mean().item(), fake_score.mean().item()))
    averaged: ConditionalGenerator = average.module  # type: ignore[assignment]
    return averaged.eval()


@click.command()
@click.option("--steps", default=12_000, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
@click.option("--work", default="work", show_default=True, help="Folder for the resumable state.")
@click.option("--out", default=str(ASSETS / "fashion-gan"), show_default=True)
def main(steps: int, batch_size: int, seed: int, threads: int, work: str, out: str) -> None:
    """Train on the embedded Fashion-MNIST training images; save the generator with its card."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    Path(work).mkdir(parents=True, exist_ok=True)
    data = np.load(ASSETS / "fashion-mnist" / "train.npz")
    images = torch.from_numpy(data["images"])[:, None].float() / 127.5 - 1
    class_names = data["classes"].tolist()
    generator = train_generator(
        images, torch.from_numpy(data["labels"]), len(class_names), steps, batch_size, Path(work)
    )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in generator.state_dict().items()
    }
    save_file(weights, folder / "generator.safetensors")
    config = {"z_dim": generator.z_dim, "widths": generator.widths, "classes": class_names}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_card(
        folder,
        title="Class-conditional GAN of Fashion-MNIST at 28x28",
        origin="trained in this repository",
        licence="Apache-2.0",
        training_data="fashion-mnist:train (MIT)",
        script="gendata.assets.recipes.gan",
        command=f"python -m gendata.assets.recipes.gan --steps {steps} "
        f"--batch-size {batch_size} --seed {seed}",
        settings={"steps": steps, "batch_size": batch_size, "seed": seed},
        figures={},
        files={"generator.safetensors": sha256_of(folder / "generator.safetensors")},
    )


if __name__ == "__main__":
    main()
