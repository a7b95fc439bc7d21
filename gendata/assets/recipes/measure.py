"""Measure the embedded checkpoints on real test images that no training saw; write their cards."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import torch

from gendata.assets import asset_folder
from gendata.assets.recipes.card import set_figures
from gendata.clone import draw_clone
from gendata.images import decode_all, open_images
from gendata.models import load_classifier
from gendata.samplers import load_sampler
from gendata.training import train
from gendata.types import Classifier, Images

CLASSIFIER = "embedded:fashion-classifier"


def agreement(classifier: Classifier, images: Images) -> float:
    """Returns the share of images whose most probable class is their label."""
    decoded = decode_all(images)
    predicted = torch.cat(
        [classifier.probabilities(chunk).argmax(dim=1) for chunk in decoded.images.split(500)]
    )
    return (predicted == torch.as_tensor(decoded.labels)).double().mean().item()


def draw_unfiltered(name: str, per_class: int, seed: int, folder: Path) -> Images:
    """Draws a class-balanced clone in which every drawn image is kept."""
    sampler = load_sampler(f"embedded:{name}", device="cpu")
    return draw_clone(sampler, per_class=per_class, out=folder / name, seed=seed)


@click.command()
@click.option("--agreement-images", default=1000, show_default=True)
@click.option("--training-images", default=6000, show_default=True)
@click.option("--epochs", default=40, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(agreement_images: int, training_images: int, epochs: int, seed: int) -> None:
    """Fill in the figures of the classifier, the diffusion model and the GAN."""
    command = (
        f"python -m gendata.assets.recipes.measure --agreement-images {agreement_images} "
        f"--training-images {training_images} --epochs {epochs} --seed {seed}"
    )
    classifier = load_classifier(CLASSIFIER, device="cpu")
    test = open_images("fashion-mnist:test")
    measured = {"measured by": command, "device": "cpu"}
    accuracy = agreement(classifier, test)
    report("fashion-classifier", {f"accuracy on {len(test)} real test images": accuracy}, measured)
    with tempfile.TemporaryDirectory() as folder:
        shares = {}
        for name in ("fashion-gan", "fashion-diffusion"):
            clone = draw_unfiltered(name, agreement_images // 10, seed, Path(folder) / "agreement")
            label = f"share of {len(clone)} unfiltered images that {CLASSIFIER} labels as asked"
            shares[name] = {label: agreement(classifier, clone)}
        report("fashion-gan", shares["fashion-gan"], measured)
        clone = draw_unfiltered(name, training_images // 10, seed, Path(folder) / "training")
        result = train(
            synthetic=clone,
            test=test,
            method="fake",
            epochs=epochs,
            schedule="cosine",  # better than a constant rate on real images outside the subset
            seed=seed,
        )
    label = (
        f"accuracy on {len(test)} real test images of a small CNN trained for {epochs} epochs "
        f"of a cosine schedule on {len(clone)} unfiltered images alone (last epoch)"
    )
    report(name, {**shares[name], label: result.test_accuracy}, measured)


def report(name: str, figures: dict[str, float], measured: dict[str, str]) -> None:
    """Replaces the figures of a card and prints them."""
    rounded = {label: round(value, 4) for label, value in figures.items()}
    set_figures(asset_folder(name), {**rounded, **measured})
    for label, value in rounded.items():
        click.echo(f"{name}: {label}: {value}")


if __name__ == "__main__":
    main()
