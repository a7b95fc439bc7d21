"""Diffusion models in diffusers' folder format, denoised image by image in one batch.

Unconditional and class-conditional UNet2DModel pipelines (DDPM, Ho et al. 2020; DDIM, Song et al.
2021; consistency models, Song et al. 2023; latent diffusion, Rombach et al. 2022) and the
class-conditional latent transformer (DiT, Peebles and Xie 2023), with classifier-free guidance
(Ho and Salimans 2022) as one doubled batch. Given the same generators the images are those of
diffusers' own pipelines, with two differences: a guidance other than 1 always guides, and the
label after the last class is the null label whatever the number of classes. What draws from text
is opened here too, and drawn in `prompts.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.compilation import compile_network, compile_setting
from gendata.samplers.hub import PipelineFolder, locate_pipeline
from gendata.samplers.labels import check_labels, class_names
from gendata.samplers.pipeline import (
    Pipeline,
    build_scheduler,
    open_pipeline,
    part_classes,
    read_index,
    read_scheduler,
    scheduler_class,
)
from gendata.samplers.pixels import to_uint8
from gendata.samplers.prompts import PromptOptions, PromptSampler, build_prompt_sampler
from gendata.samplers.text_pipeline import (
    compile_unet,
    draws_from_text,
    open_text_pipeline,
    text_parts,
)
from gendata.types import Card

__all__ = ["DiffusionSampler", "load_diffusers"]

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


LARGEST = 1e6  # of numbers that images depend on


class DiffusionSampler:
    """A pipeline as a `gendata.types.Sampler`.

    Args:
        pipeline: its parts.
        place: where it was found.
        classes: class names, or None for an unconditional model.
        null_label: the label of "no class" to guide away from; None: no guidance.
        settings: steps, guidance, eta and scheduler, complete.
        scheduler: the scheduler itself.
        device: where it runs.
        compile: whether `torch.compile` makes the network's code.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        place: PipelineFolder,
        classes: list[str] | None,
        null_label: int | None,
        settings: dict[str, Any],
        scheduler: Any,
        device: torch.device,
        compile: bool = False,
    ) -> None:
        # Channels last is the layout in which convolutions are quickest on CPU and GPU alike.
        self.network = pipeline.network.to(device, memory_format=torch.channels_last)
        self._evaluate = compile_network(self._network_output, compile, device)
        self.vae: Any = None if pipeline.vae is None else pipeline.vae.to(device)
        self.name, self.classes = f"diffusers:{place.name}", classes
        self.null_label = null_label
        self.scheduler, self.device = scheduler, device
        self.steps, self.guidance = settings["steps"], settings["guidance"]
        side = _side(pipeline.network.config.sample_size)
        self.shape = (pipeline.network.config.in_channels, side, side)
        scale = 1 if self.vae is None else 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.resolution = side * scale
        accepted = inspect.signature(scheduler.step).parameters
        self._takes_generator = "generator" in accepted
        self._extra = {"eta": settings["eta"]} if "eta" in accepted else {}
        variance = getattr(scheduler.config, "variance_type", None) or ""
        self._keeps_variance = (
            type(scheduler).__name__ == "DDPMScheduler" and "learned" in variance
        )
        self.card = Card(
            title=f"{pipeline.kind} {place.title}",
            origin=place.name,
            licence=place.licence,
            sha256=digest_of(*pipeline.weights),
            settings=settings,
        )

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,)."""
        count = None if self.classes is None else len(self.classes)
        conditions = check_labels(labels, seeds, count, self.device)
        if conditions is not None and self.null_label is not None:
            conditions = torch.cat([conditions, torch.full_like(conditions, self.null_label)])
        # One generator per image, on the CPU: the start is `image_noise` of the seed, and a
        # scheduler that adds noise later draws on from the same generator.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
        start = torch.stack([torch.randn(self.shape, generator=part) for part in generators])
        extra = {**self._extra, "generator": generators} if self._takes_generator else self._extra
        self.scheduler.set_timesteps(self.steps, device=self.device)
        x = start.to(self.device) * self.scheduler.init_noise_sigma
        for time in self.scheduler.timesteps:
            output = self._predict(self.scheduler.scale_model_input(x, time), time, conditions)
            x = self.scheduler.step(output, time, x, **extra).prev_sample
        return to_uint8(x if self.vae is None else self._decode(x))

    def _predict(self, x: Tensor, time: Tensor, conditions: Tensor | None) -> Tensor:
        """Runs the network once for all images, with and without labels where it is guided."""
        channels, guided = x.shape[1], conditions is not None and len(conditions) > len(x)
        x = torch.cat([x, x]) if guided else x
        x = x.to(self.network.dtype, memory_format=torch.channels_last)
        output = self._evaluate(x, time.expand(len(x)), conditions).float()
        prediction, variance = output[:, :channels], output[:, channels:]
        if guided:
            conditional, free = prediction.chunk(2)
            prediction = free + self.guidance * (conditional - free)
            variance = variance.chunk(2)[0]
        if self._keeps_variance and variance.shape[1]:
            return torch.cat([prediction, variance], dim=1)
        return prediction

    def _network_output(self, x: Tensor, times: Tensor, conditions: Tensor | None) -> Tensor:
        return self.network(x, times, class_labels=conditions, return_dict=False)[0]

    def _decode(self, latents: Tensor) -> Tensor:
        latents = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        return self.vae.decode(latents, return_dict=False)[0].float()


@samplers.register("diffusers")
def load_diffusers(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    steps: int | None = None,
    guidance: float | None = None,
    eta: float = 0.0,
    scheduler: str | None = None,
    dtype: str = "float32",
    classes: int | Sequence[str] | None = None,
    template: str | Sequence[str] | None = None,
    negative: str | None = None,
    height: int | None = None,
    from_real: str | Path | None = None,
    strength: float | None = None,
    compile: bool = False,
    download: bool = False,
) -> DiffusionSampler | PromptSampler:
    """Loads a pipeline folder, or a repository of the Hugging Face hub.

    Args:
        path: the folder, or "owner/name" or "owner/name@revision" of a repository; what exists
            here wins.
        device: "auto", "cpu", "cuda", …
        steps: denoising steps; None: the pipeline's default in diffusers, or 1000 for DDPM's
            scheduler, 1 for consistency models, else 50.
        guidance: scale of classifier-free guidance, 1: none; None: the pipeline's default in
            diffusers, or 4 for DiT, else 1.
        eta: noise of DDIM's scheduler, between 0 and 1.
        scheduler: class of diffusers to denoise with, such as "ddim"; None: the pipeline's own.
        dtype: "float32", or on an accelerator "float16" or "bfloat16".
        classes: names or number of the classes, where the folder has no `id2label`.
        template: of pipelines that draw from text: a prompt in which "{class}" stands for the
            class, or several, among which each image's seed chooses.
        negative: of those too: what the images shall not show.
        height: of those too: side of the images, pixels.
        from_real: of those too: real photos to start from, as `gendata.open_images` takes them;
            an image's seed chooses among those of its class.
        strength: with `from_real`: the share of the denoising that is done, in (0, 1].
        compile: whether `torch.compile` makes the network's code; images then differ in rounding.
        download: fetch a repository that is not on this machine.
    """
    where, names = resolve_device(device), class_names(classes)
    _check("scheduler", scheduler, isinstance(scheduler, str | None), "a name, such as ddim")
    precision = _precision(dtype, where)
    place = locate_pipeline(path, _parts, download=download)
    index = read_index(place.folder)
    chosen, described = _scheduler_of(place.folder, index, scheduler)
    settings = {"dtype": dtype, **described, **place.settings, **compile_setting(compile)}
    options = PromptOptions(template, negative, height, from_real, strength)
    if draws_from_text(index):
        texts = open_text_pipeline(
            place.folder, index, chosen, precision, with_photos=from_real is not None
        )
        compile_unet(texts.pipe.unet, compile, where)
        numbers = {"steps": steps, "guidance": guidance, "eta": eta, "settings": settings}
        given = {**numbers, "classes": names, "options": options, "download": download}
        return build_prompt_sampler(texts, place, where, **given)
    for option, value in asdict(options).items():
        _check(option, value, value is None, "nothing: this pipeline takes no text")
    pipeline = open_pipeline(place.folder, precision)
    names, null_label = _conditioning(pipeline, names)
    steps, guidance = _defaults(pipeline, described["scheduler"], steps, guidance)
    _check_numbers(chosen, steps, guidance, eta, null_label)
    null_label = None if guidance == 1 else null_label
    settings = {"steps": steps, "guidance": float(guidance), "eta": float(eta), **settings}
    return DiffusionSampler(pipeline, place, names, null_label, settings, chosen, where, compile)


def _parts(folder: Path) -> list[str]:
    """Names what a folder with an index is loaded from, before the rest of it is fetched."""
    index = read_index(folder)
    scheduler_class(folder, index)
    networks = text_parts if draws_from_text(index) else part_classes
    return ["scheduler", *networks(folder, index)]


def _scheduler_of(
    folder: Path, index: dict[str, Any], wanted: str | None
) -> tuple[Any, dict[str, Any]]:
    """Builds the scheduler, and says in settings what it is."""
    own, config = read_scheduler(folder, index)
    chosen = build_scheduler(str(index.get("_class_name")), own, config, wanted)
    shown = {key: value for key, value in config.items() if not key.startswith("_")}
    return chosen, {"scheduler": type(chosen).__name__, "scheduler_config": shown}


def _defaults(
    pipeline: Pipeline, scheduler: str, steps: int | None, guidance: float | None
) -> tuple[int, float]:
    if steps is None:
        steps = {"DDPMScheduler": 1000, "CMStochasticIterativeScheduler": 1}.get(scheduler, 50)
    if guidance is None:
        guidance = 4.0 if _is_transformer(pipeline) else 1.0
    return steps, guidance


def _check_numbers(
    scheduler: Any, steps: int, guidance: float, eta: float, null_label: int | None
) -> None:
    most = scheduler.config.num_train_timesteps
    _check("steps", steps, isinstance(steps, int) and 1 <= steps <= most, f"1…{most}")
    _check("guidance", guidance, _is_number(guidance) and guidance >= 0, "at least 0")
    _check("guidance", guidance, guidance == 1 or null_label is not None, "1: no null label")
    _check("eta", eta, _is_number(eta) and 0 <= eta <= 1, "between 0 and 1")
    takes_eta = "eta" in inspect.signature(scheduler.step).parameters
    _check("eta", eta, eta == 0 or takes_eta, f"0: {type(scheduler).__name__} has none")


def _is_transformer(pipeline: Pipeline) -> bool:
    return hasattr(pipeline.network.config, "num_embeds_ada_norm")


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(float(str(value))) <= LARGEST


def _check(option: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise GendataError(f"bad option {option}", found=value, expected=expected)


def _precision(dtype: str, device: torch.device) -> torch.dtype:
    _check("dtype", dtype, dtype in list(DTYPES), " or ".join(DTYPES))
    on_cpu = device.type == "cpu" and dtype != "float32"
    _check("dtype", dtype, not on_cpu, "float32 on a CPU")
    return DTYPES[dtype]


def _conditioning(
    pipeline: Pipeline, given: list[str] | None
) -> tuple[list[str] | None, int | None]:
    """Finds the class names and the null label: the embedding after the last class."""
    config = pipeline.network.config
    if _is_transformer(pipeline):
        embeddings = config.num_embeds_ada_norm + 1
        names = given or pipeline.classes or class_names(embeddings - 1)
    else:
        embeddings = config.num_class_embeds
        if embeddings is None:
            if given or pipeline.network.class_embedding is not None:
                raise GendataError(
                    f"{pipeline.kind} has no table of classes",
                    found=f"class_embed_type {config.class_embed_type}",
                    expected="num_class_embeds",
                )
            return None, None
        names = given or pipeline.classes or class_names(embeddings)
    if names is None or len(names) not in (embeddings, embeddings - 1):
        raise GendataError(
            "the class names do not fit the network",
            found=f"{len(names or [])} names",
            expected=f"{embeddings}, or {embeddings - 1} and a null label",
        )
    return names, embeddings - 1 if len(names) == embeddings - 1 else None


def _side(size: int | Sequence[int]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise GendataError("the pipeline's images are not square", found=size)
    return sides.pop()
