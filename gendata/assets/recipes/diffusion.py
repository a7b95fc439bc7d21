"""Train a class-conditional diffusion model, saved in diffusers format: the embedded one, or any.

A small U-Net predicts the velocity (Salimans and Ho 2022, "Progressive Distillation for Fast
Sampling of Diffusion Models") under the cosine schedule (Nichol and Dhariwal 2021); one label in
ten is replaced by the null class, for classifier-free guidance (Ho and Salimans 2022).
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from torch import Tensor

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.images import TrainingImages, mirrored, signed
from gendata.assets.recipes.options import numbers_of, opened, shared_options
from gendata.assets.recipes.pictures import fixed_noise, write_samples
from gendata.assets.recipes.progress import mean_of, resumable_steps
from gendata.errors import GendataError

NULL_LABEL_SHARE = 0.1
SAMPLE_STEPS = 20
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CPU = torch.device("cpu")


def build_unet(
    classes: int, channels: int = 1, side: int = 28, widths: tuple[int, ...] = (24, 48, 128)
) -> UNet2DModel:
    """Builds the U-Net; the label after the last class is null.

    In colour there is one attention layer, in the middle, of 32 channels a head.

    Raises:
        GendataError: widths that cannot be split into groups and heads.
    """
    if any(width % 8 for width in widths) or (channels == 3 and widths[-1] % 32):
        raise GendataError(
            "bad widths of the U-Net",
            found=",".join(map(str, widths)),
            expected="multiples of 8, the last one of 32",
        )
    return UNet2DModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=widths,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        add_attention=channels == 3,
        attention_head_dim=32 if channels == 3 else 8,
        norm_num_groups=8,
        num_class_embeds=classes + 1,
    )


def learning_rate(step: int, steps: int, peak: float, warmup: int = 200) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def velocity_loss(
    network: UNet2DModel,
    schedule: DDPMScheduler,
    clean: Tensor,
    labels: Tensor,
    null_label: int,
    bfloat16: bool,
) -> Tensor:
    """Mean squared error of the predicted velocity of images (B, C, H, H) in [-1, 1]."""
    batch, device = len(clean), clean.device
    dropped = torch.rand(batch, device=device) < NULL_LABEL_SHARE
    labels = torch.where(dropped, null_label, labels)
    time = torch.randint(schedule.config.num_train_timesteps, (batch,), device=device)
    noise = torch.randn_like(clean)
    noisy = schedule.add_noise(clean, noise, time).to(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        velocity = network(noisy, time, labels).sample
    return (velocity.float() - schedule.get_velocity(clean, noise, time)).square().mean()


def train_unet(
    network: UNet2DModel,
    data: TrainingImages,
    steps: int,
    batch_size: int,
    work: Path,
    *,
    flip: bool = False,
    bfloat16: bool = True,
    pictures: bool = False,
    device: torch.device = CPU,
    **saving: Any,
) -> UNet2DModel:
    """Trains the network and returns it with averaged weights, on the CPU.

    Args:
        network: as `build_unet` builds it.
        data: what to train on.
        steps: how many.
        batch_size: images of each step.
        work: folder of the resumable state.
        flip: whether half of the images are mirrored.
        bfloat16: whether the network runs in mixed precision.
        pictures: whether each save of the state comes with a picture of samples.
        device: where it trains.
        saving: as `resumable_steps` takes it.
    """
    network = network.to(device, memory_format=torch.channels_last)
    images, labels = data.images.to(device), data.labels.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    average = EMAModel(network.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75)
    schedule = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    losses = deque([torch.zeros(())], maxlen=500)
    parts = {"network": network, "optimizer": optimizer, "average": average}

    def show(step: int) -> None:
        if pictures:
            with averaged(average, network):
                write_samples(work, len(data.classes), partial(draw, network, data), step)

    saving |= {"report": lambda: f"loss {mean_of(losses):.4f}", "at_save": show, "device": device}
    for step in resumable_steps(steps, work / "diffusion.pt", parts, **saving):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak=8e-4)
        rows = torch.randint(len(images), (batch_size,), device=device)
        clean = signed(images[rows])
        clean = mirrored(clean) if flip else clean
        null_label = len(data.classes)
        loss = velocity_loss(network, schedule, clean, labels[rows], null_label, bfloat16)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.step(network.parameters())
        losses.append(loss.detach())
    average.copy_to(network.parameters())
    return network.to("cpu", memory_format=torch.contiguous_format)


@contextmanager
def averaged(average: EMAModel, network: UNet2DModel) -> Iterator[None]:
    """Lends the network its averaged weights."""
    average.store(network.parameters())
    average.copy_to(network.parameters())
    yield
    average.restore(network.parameters())


def sampling_schedule() -> DPMSolverMultistepScheduler:
    """The second-order solver that the pipeline denoises with (Lu et al. 2022, DPM-Solver++)."""
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        solver_order=2,
    )


def draw(network: UNet2DModel, data: TrainingImages) -> Tensor:
    """Draws the same few images of every class, in a few steps and without guidance."""
    x, labels = fixed_noise(len(data.classes), data.channels, data.side, data.side)
    x, labels = x.to(network.device), labels.to(network.device)
    schedule = sampling_schedule()
    schedule.set_timesteps(SAMPLE_STEPS, device=network.device)
    for time in schedule.timesteps:
        velocity = network(x, time.expand(len(x)), labels).sample
        x = schedule.step(velocity, time, x).prev_sample
    return x


def save(network: UNet2DModel, class_names: list[str], out: Path) -> None:
    """Saves the pipeline folder: half-precision weights, a 2nd-order scheduler, class names."""
    network.half().save_pretrained(out / "unet")
    sampling_schedule().save_pretrained(out / "scheduler")
    index = {
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
        "id2label": dict(enumerate(class_names)),
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


@click.command()
@click.option("--steps", default=9_000, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--widths", default="32,64,128,128", show_default=True, help="For --data: channels.")
@click.option("--float32", is_flag=True, help="Not in mixed precision with bfloat16.")
@shared_options
def main(steps: int, batch_size: int, widths: str, float32: bool, **given: Any) -> None:
    """Train a diffusion model and save the pipeline with its card."""
    script, asset = "gendata.assets.recipes.diffusion", "fashion-diffusion"
    settings: dict[str, Any] = {"steps": steps, "batch_size": batch_size}
    if given["data"] is not None:
        settings |= {"widths": widths, **({"float32": True} if float32 else {})}
    run = opened(script, asset, settings, given)
    data = run.images
    if run.embedded:
        network = build_unet(len(data.classes))
    else:
        network = build_unet(len(data.classes), data.channels, data.side, numbers_of(widths))
    network = train_unet(
        network,
        data,
        steps,
        batch_size,
        run.work,
        flip=not run.embedded,
        bfloat16=not float32,
        pictures=not run.embedded,
        **run.saving(),
    )
    save(network, data.classes, run.out)
    what = f"Fashion-MNIST at {data.side}x{data.side}" if run.embedded else run.subject()
    write_card(
        run.out,
        title=f"Class-conditional diffusion model of {what}",
        **run.described(script),
        files={WEIGHTS: sha256_of(run.out / WEIGHTS)},
    )


if __name__ == "__main__":
    main()
