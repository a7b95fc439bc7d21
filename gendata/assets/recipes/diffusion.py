"""Train the embedded class-conditional diffusion model, saved in diffusers format.

A small U-Net predicts the velocity (Salimans and Ho 2022, "Progressive Distillation for Fast
Sampling of Diffusion Models") under the cosine schedule (Nichol and Dhariwal 2021); one label in
ten is replaced by the null class, for classifier-free guidance (Ho and Salimans 2022).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
from diffusers.training_utils import EMAModel

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.progress import resumable_steps

ASSETS = Path(__file__).parents[1]
NULL_LABEL_SHARE = 0.1


def build_unet(classes: int) -> UNet2DModel:
    """Builds the U-Net for one grey channel at 28x28; the label after the last class is null."""
    return UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(24, 48, 128),
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "UpBlock2D"),
        add_attention=False,
        norm_num_groups=8,
        num_class_embeds=classes + 1,
    )


def learning_rate(step: int, steps: int, peak: float, warmup: int = 200) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train_unet(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    steps: int,
    batch_size: int,
    work: Path,
) -> UNet2DModel:
    """Trains on images (N, 1, 28, 28) in [-1, 1] and returns the averaged network."""
    network = build_unet(classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    average = EMAModel(network.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75)
    schedule = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    losses = [0.0]
    parts = {"network": network, "optimizer": optimizer, "average": average}
    report = lambda: f"loss {np.mean(losses[-500:]):.4f}"  # noqa: E731
    for step in resumable_steps(steps, work / "diffusion.pt", parts, report):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak=8e-4)
        rows = torch.randint(len(images), (batch_size,))
        clean, label = images[rows], labels[rows]
        label = torch.where(torch.rand(batch_size) < NULL_LABEL_SHARE, classes, label)
        time = torch.randint(1000, (batch_size,))
        noise = torch.randn_like(clean)
        noisy = schedule.add_noise(clean, noise, time).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            velocity = network(noisy, time, label).sample
        loss = (velocity.float() - schedule.get_velocity(clean, noise, time)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.step(network.parameters())
        losses.append(loss.item())
    average.copy_to(network.parameters())
    return network.to(memory_format=torch.contiguous_format)


def save(network: UNet2DModel, class_names: list[str], out: Path) -> None:
    """Saves the pipeline folder: half-precision weights, a 2nd-order scheduler, class names."""
    network.half().save_pretrained(out / "unet")
    DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        solver_order=2,
    ).save_pretrained(out / "scheduler")
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
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
@click.option("--work", default="work", show_default=True, help="Folder for the resumable state.")
@click.option("--out", default=str(ASSETS / "fashion-diffusion"), show_default=True)
def main(steps: int, batch_size: int, seed: int, threads: int, work: str, out: str) -> None:
    """Train on the embedded Fashion-MNIST training images and save the pipeline with its card."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    Path(work).mkdir(parents=True, exist_ok=True)
    data = np.load(ASSETS / "fashion-mnist" / "train.npz")
    images = torch.from_numpy(data["images"])[:, None].float() / 127.5 - 1
    class_names = data["classes"].tolist()
    network = train_unet(
        images, torch.from_numpy(data["labels"]), len(class_names), steps, batch_size, Path(work)
    )
    folder = Path(out)
    save(network, class_names, folder)
    weights = "unet/diffusion_pytorch_model.safetensors"
    write_card(
        folder,
        title="Class-conditional diffusion model of Fashion-MNIST at 28x28",
        origin="trained in this repository",
        licence="Apache-2.0",
        training_data="fashion-mnist:train (MIT)",
        script="gendata.assets.recipes.diffusion",
        command=f"python -m gendata.assets.recipes.diffusion --steps {steps} "
        f"--batch-size {batch_size} --seed {seed}",
        settings={"steps": steps, "batch_size": batch_size, "seed": seed},
        figures={},
        files={weights: sha256_of(folder / weights)},
    )


if __name__ == "__main__":
    main()
