"""Train a class-conditional GAN: the embedded one, or one of any colour images as TorchScript.

Hinge loss, spectral normalisation (Miyato et al. 2018), a projection discriminator (Miyato and
Koyama 2018) and differentiable translation and cutout (Zhao et al. 2020, DiffAugment), since
10,000 images are few. The generator kept is an exponential moving average. Colour images get the
residual networks of `gan_networks` and the colour augmentation of `diff_augment` besides.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.diff_augment import augmented
from gendata.assets.recipes.gan_networks import ResidualDiscriminator, ResidualGenerator
from gendata.assets.recipes.images import TrainingImages, mirrored, signed
from gendata.assets.recipes.options import Run, numbers_of, opened, shared_options
from gendata.assets.recipes.pictures import fixed_noise, write_samples
from gendata.assets.recipes.progress import mean_of, resumable_steps
from gendata.files import publish
from gendata.models.generator import ConditionalGenerator
from gendata.models.torchscript import quiet_torchscript

CPU = torch.device("cpu")
RATES = {"generator": 2e-4, "discriminator": 4e-4}  # of Adam, for batches of 64


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


def adversarial_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizers: Mapping[str, torch.optim.Optimizer],
    real: Tensor,
    labels: Tensor,
    classes: int,
    augment: Callable[[Tensor], Tensor],
    bfloat16: bool,
) -> tuple[Tensor, Tensor]:
    """One step of the discriminator, one of the generator; returns mean scores, real and fake."""
    batch, device = len(real), real.device
    latents = partial(torch.randn, batch, int(generator.z_dim), device=device)  # type: ignore[arg-type]
    precision = partial(torch.autocast, device.type, torch.bfloat16, enabled=bfloat16)
    with precision():
        with torch.no_grad():
            fake = generator(latents(), labels).float()
        score = discriminator(augment(torch.cat([real, fake])), labels.repeat(2)).float()
    real_score, fake_score = score.chunk(2)
    loss = functional.relu(1 - real_score).mean() + functional.relu(1 + fake_score).mean()
    optimizers["discriminator"].zero_grad()
    loss.backward()
    optimizers["discriminator"].step()
    labels = torch.randint(classes, (batch,), device=device)
    with precision():
        fake = generator(latents(), labels).float()
        loss = -discriminator(augment(fake), labels).float().mean()
    optimizers["generator"].zero_grad()
    loss.backward()
    optimizers["generator"].step()
    return real_score.detach().mean(), fake_score.detach().mean()


def train_generator(
    generator: nn.Module,
    discriminator: nn.Module,
    data: TrainingImages,
    steps: int,
    batch_size: int,
    work: Path,
    *,
    augment: Callable[[Tensor], Tensor] = augment,
    decay: float = 0.999,
    flip: bool = False,
    bfloat16: bool = False,
    pictures: bool = False,
    device: torch.device = CPU,
    **saving: Any,
) -> nn.Module:
    """Trains both networks and returns the averaged generator on the CPU, in evaluation mode.

    Args:
        generator: maps latents (B, z_dim) and labels (B,) to images in [-1, 1].
        discriminator: scores images with labels.
        data: what to train on.
        steps: how many, of each network.
        batch_size: images of each step.
        work: folder of the resumable state.
        augment: differentiable augmentation of what the discriminator sees.
        decay: of the average, per step.
        flip: whether half of the real images are mirrored.
        bfloat16: whether the networks run in mixed precision.
        pictures: whether each save of the state comes with a picture of samples.
        device: where it trains.
        saving: as `resumable_steps` takes it.
    """
    networks = {"generator": generator.to(device), "discriminator": discriminator.to(device)}
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimizers = {
        name: torch.optim.Adam(network.parameters(), lr=RATES[name], betas=(0.0, 0.99))
        for name, network in networks.items()
    }
    images, labels, classes = data.images.to(device), data.labels.to(device), len(data.classes)
    scores = deque([(torch.zeros(()), torch.zeros(()))], maxlen=500)
    parts: dict[str, Any] = {**networks, "average": average}
    parts |= {f"{name}_steps": optimizer for name, optimizer in optimizers.items()}

    def show(step: int) -> None:
        if pictures:
            write_samples(work, classes, partial(draw, average.module, classes, device), step)

    report = lambda: "real {:.2f} fake {:.2f}".format(*map(mean_of, zip(*scores, strict=True)))  # noqa: E731
    saving |= {"report": report, "at_save": show, "device": device}
    for step in resumable_steps(steps, work / "gan.pt", parts, **saving):
        remaining = min(1.0, 2 * (1 - step / steps))  # the second half anneals to zero
        for name, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = RATES[name] * remaining
        rows = torch.randint(len(images), (batch_size,), device=device)
        real = signed(images[rows])
        real = mirrored(real) if flip else real
        scores.append(
            adversarial_step(
                generator,
                discriminator,
                optimizers,
                real,
                labels[rows],
                classes,
                augment,
                bfloat16,
            )
        )
        average.update_parameters(generator)
    return average.module.cpu().eval()


def draw(generator: nn.Module, classes: int, device: torch.device) -> Tensor:
    """Draws the same few images of every class."""
    z, labels = fixed_noise(classes, int(generator.z_dim))  # type: ignore[arg-type]
    images = generator.eval()(z.to(device), labels.to(device))
    generator.train()
    return images


def save_embedded(generator: ConditionalGenerator, class_names: list[str], folder: Path) -> str:
    """Saves half-precision weights and the configuration; returns the name of the weights."""
    weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in generator.state_dict().items()
    }
    save_file(weights, folder / "generator.safetensors")
    config = {"z_dim": generator.z_dim, "widths": generator.widths, "classes": class_names}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return "generator.safetensors"


def save_torchscript(generator: nn.Module, folder: Path) -> str:
    """Saves the generator with its definition, latent size and classes; returns the file's name.

    The attributes `z_dim` and `classes` are those of the options of the same names of
    `torchscript:`.
    """
    generator = generator.to(memory_format=torch.contiguous_format)
    with quiet_torchscript():
        publish(folder / "generator.pt", partial(torch.jit.save, torch.jit.script(generator)))
    return "generator.pt"


@click.command()
@click.option("--steps", default=12_000, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--generator-widths", default="256,128,64,32", show_default=True, help="For --data.")
@click.option(
    "--discriminator-widths", default="32,64,128,128", show_default=True, help="For --data."
)
@click.option("--bfloat16", is_flag=True, help="For --data: in mixed precision.")
@shared_options
def main(
    steps: int,
    batch_size: int,
    generator_widths: str,
    discriminator_widths: str,
    bfloat16: bool,
    **given: Any,
) -> None:
    """Train a GAN; save the generator with its card."""
    script, settings = "gendata.assets.recipes.gan", {"steps": steps, "batch_size": batch_size}
    if given["data"] is None:
        run = opened(script, "fashion-gan", settings, given)
        generator = ConditionalGenerator(classes=len(run.images.classes))
        discriminator = Discriminator(len(run.images.classes))
        train = (generator, discriminator, run.images, steps, batch_size, run.work)
        generator.load_state_dict(train_generator(*train, **run.saving()).state_dict())
        name = save_embedded(generator, run.images.classes, run.out)
    else:
        widths = {
            "generator_widths": generator_widths,
            "discriminator_widths": discriminator_widths,
        }
        precision = {"bfloat16": True} if bfloat16 else {}
        run = opened(script, "", {**settings, **widths, **precision}, given)
        name = save_torchscript(train_colour(run, steps, batch_size), run.out)
    what = "Fashion-MNIST at 28x28" if run.embedded else run.subject()
    write_card(
        run.out,
        title=f"Class-conditional GAN of {what}",
        **run.described(script),
        files={name: sha256_of(run.out / name)},
    )


def train_colour(run: Run, steps: int, batch_size: int) -> nn.Module:
    """Trains the residual networks as the run says."""
    data, settings = run.images, run.settings
    widths = numbers_of(settings["generator_widths"])
    generator = ResidualGenerator(data.classes, data.side, widths)
    widths = numbers_of(settings["discriminator_widths"])
    discriminator = ResidualDiscriminator(len(data.classes), widths)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    return train_generator(
        generator,
        discriminator,
        data,
        steps,
        batch_size,
        run.work,
        augment=augmented,
        flip=True,
        bfloat16=bool(settings.get("bfloat16")),
        pictures=True,
        **run.saving(),
    )


if __name__ == "__main__":
    main()
