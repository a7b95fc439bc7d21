"""Text-to-image pipelines as samplers: a class is a prompt, "a photo of a {class}".

Each image has a generator of its own, made from its seed; where an image starts from a real photo
(`from_real`; SDEdit, Meng et al. 2022, as used for classes by He et al. 2023), its seed chooses
the photo among those of its class.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError, UnusableImages
from gendata.models.weights import digest_of
from gendata.samplers.folder import FolderSampler, load_folder
from gendata.samplers.hub import PipelineFolder
from gendata.samplers.labels import check_labels, class_names
from gendata.samplers.pixels import to_uint8
from gendata.samplers.text_pipeline import TextPipeline
from gendata.seeds import hash_seed
from gendata.types import Card

__all__ = ["Photos", "PromptOptions", "PromptSampler", "build_prompt_sampler"]

TEMPLATE = "a photo of a {class}"
STRENGTH = 0.8
LARGEST = 1e6  # of numbers that images depend on
TEMPLATE_STREAM, PHOTO_STREAM = 1, 2  # of an image's seed; its noise is drawn from the seed itself


class Photos:
    """Real photos by the sampler's classes.

    Args:
        source: the photos, brought to the sampler's resolution.
        classes: the sampler's class names.
    """

    def __init__(self, source: FolderSampler, classes: Sequence[str]) -> None:
        self.source = source
        theirs = {str(name): label for label, name in enumerate(source.classes)}
        missing = [name for name in classes if name not in theirs]
        if missing:
            raise GendataError(
                f"{source.name.partition(':')[2]} has no class '{missing[0]}'",
                found=", ".join(map(repr, [*theirs][:5])),
                do="name the sampler's classes as the photos' are (classes=[…])",
            )
        labels = torch.as_tensor(source.labels)
        self.rows = [(labels == theirs[name]).nonzero()[:, 0] for name in classes]
        for name, rows in zip(classes, self.rows, strict=True):
            if not len(rows):
                raise GendataError(f"there is no photo of class '{name}'", found="0 images")

    def of(self, labels: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Returns photos uint8 (B, 3, H, H), and which of them are damaged, bool (B,)."""
        rows = []
        for label, seed in zip(labels.tolist(), seeds.tolist(), strict=True):
            own = self.rows[label]
            rows.append(int(own[hash_seed(seed, PHOTO_STREAM) % len(own)]))
        try:
            return self.source.sample(None, torch.tensor(rows)), torch.zeros(len(rows)) > 0
        except UnusableImages as error:
            return error.images, error.bad


class PromptSampler:
    """A text-to-image pipeline as a `gendata.types.Sampler`.

    Args:
        pipeline: the pipeline.
        classes: class names.
        name: the reference it was loaded from.
        card: origin, digest and settings.
        device: where it runs.
        templates: prompts in which "{class}" stands for the class; an image's seed chooses.
        resolution: side of the images, pixels.
        call: what the pipeline is called with, besides prompts, generators and photos.
        negative: what the images shall not show, or None.
        photos: what the images start from, or None: from noise.
    """

    file_options = ("from_real",)

    def __init__(
        self,
        pipeline: TextPipeline,
        classes: list[str],
        name: str,
        card: Card,
        device: torch.device,
        *,
        templates: list[str],
        resolution: int,
        call: dict[str, Any],
        negative: str | None = None,
        photos: Photos | None = None,
    ) -> None:
        self.pipe = pipeline.pipe.to(device)
        for network in (self.pipe.unet, self.pipe.vae):
            network.to(memory_format=torch.channels_last)
        self.classes, self.name, self.card, self.device = classes, name, card, device
        self.templates, self.resolution = templates, resolution
        self.call, self.negative, self.photos = call, negative, photos

    def prompts(self, labels: Tensor, seeds: Tensor) -> list[str]:
        """Returns the prompt of each image."""
        count = len(self.templates)
        return [
            self.templates[hash_seed(seed, TEMPLATE_STREAM) % count].replace(
                "{class}", self.classes[label]
            )
            for label, seed in zip(labels.tolist(), seeds.tolist(), strict=True)
        ]

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,).

        Raises:
            UnusableImages: the pipeline's safety checker withheld some ("safety"), or some are not
                finite ("nan"), or start from a damaged photo ("damaged").
        """
        checked = check_labels(labels, seeds, len(self.classes), torch.device("cpu"))
        assert checked is not None  # there are classes, so there are labels
        prompts, inputs = self.prompts(checked, seeds), dict(self.call)
        if self.negative is not None:
            inputs["negative_prompt"] = [self.negative] * len(prompts)
        damaged = torch.zeros(len(prompts), dtype=torch.bool)
        if self.photos is None:
            inputs["height"] = inputs["width"] = self.resolution
        else:
            photos, damaged = self.photos.of(checked, seeds)
            inputs["image"] = photos.float() / 255
        generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
        drawn = self.pipe(prompts, generator=generators, output_type="pt", **inputs)
        withheld = getattr(drawn, "nsfw_content_detected", None) or [False] * len(prompts)
        return _usable(drawn.images, damaged, torch.tensor(withheld, dtype=torch.bool))


def _usable(images: Tensor, damaged: Tensor, withheld: Tensor) -> Tensor:
    """Turns images in [0, 1] into bytes, and names those that cannot be used."""
    reason, bad = "nan", torch.zeros_like(damaged)
    try:
        pixels = to_uint8(images * 2 - 1)
    except UnusableImages as error:
        pixels, bad = error.images, error.bad.cpu()
    for word, marked in (("damaged", damaged), ("safety", withheld)):
        if bool(marked.any()):
            reason, bad = word, bad | marked
    if bool(bad.any()):
        bad = bad.to(pixels.device)
        raise UnusableImages(reason, pixels * ~bad[:, None, None, None], bad)
    return pixels


@dataclass(frozen=True)
class PromptOptions:
    """What can be asked of pipelines that draw from text only; None: the default.

    Attributes:
        template: prompt or prompts; None: "a photo of a {class}".
        negative: what the images shall not show.
        height: side of the images, pixels; None: the pipeline's own.
        from_real: real photos to start from.
        strength: share of the denoising that is done, with `from_real`.
    """

    template: str | Sequence[str] | None = None
    negative: str | None = None
    height: int | None = None
    from_real: str | Path | None = None
    strength: float | None = None


def build_prompt_sampler(
    pipeline: TextPipeline,
    place: PipelineFolder,
    device: torch.device,
    *,
    steps: int | None,
    guidance: float | None,
    eta: float,
    classes: list[str] | None,
    options: PromptOptions,
    settings: dict[str, Any],
    download: bool = False,
) -> PromptSampler:
    """Checks the options against the pipeline, and builds the sampler.

    Args:
        pipeline: the pipeline, opened for photos where `from_real` is given.
        place: where it was found.
        device: where it runs.
        steps: denoising steps; None: the pipeline's own default.
        guidance: scale of classifier-free guidance; None: the pipeline's own default.
        eta: noise of DDIM's scheduler, between 0 and 1.
        classes: class names; None: the folder's `id2label`, or the classes of the photos.
        options: those of prompts and photos.
        settings: what is known already: dtype and scheduler.
        download: fetch photos of a known set that is not on this machine.
    """
    templates, call = _templates(options.template), _numbers(pipeline, steps, guidance, eta)
    _check_negative(options.negative, call["guidance_scale"], pipeline)
    resolution = _resolution(pipeline, options.height)
    strength = _strength(options.strength, options.from_real, call["num_inference_steps"])
    call = call if strength is None else {**call, "strength": strength}
    source = _photo_source(options.from_real, resolution, download)
    names = classes or pipeline.classes or _classes_of(source, place)
    photos = None if source is None else Photos(source, names)
    kept = {
        "steps": call["num_inference_steps"],
        "guidance": call["guidance_scale"],
        "eta": float(eta),
        "template": templates,
        "negative": options.negative,
        "height": resolution,
        "classes": names,
        "strength": strength,
        "from_real": None if source is None else source.card.sha256,
    }
    return PromptSampler(
        pipeline,
        names,
        f"diffusers:{place.name}",
        _card(pipeline, place, {**settings, **kept}),
        device,
        templates=templates,
        resolution=resolution,
        call=call,
        negative=options.negative,
        photos=photos,
    )


def _photo_source(
    from_real: str | Path | None, resolution: int, download: bool
) -> FolderSampler | None:
    if from_real is None:
        return None
    access: dict[str, Any] = {"device": "cpu", "download": download}
    return load_folder(str(from_real), resolution=resolution, **access)


def _classes_of(source: FolderSampler | None, place: PipelineFolder) -> list[str]:
    names = None if source is None else class_names(list(source.classes))
    if names is None:
        raise GendataError(
            f"the classes to ask {place.name} for are unknown", do="give classes=[…]"
        )
    return names


def _card(pipeline: TextPipeline, place: PipelineFolder, settings: dict[str, Any]) -> Card:
    return Card(
        f"{pipeline.kind} {place.title}",
        place.name,
        licence=place.licence,
        sha256=digest_of(*pipeline.files),
        settings=settings,
    )


def _numbers(
    pipeline: TextPipeline, steps: int | None, guidance: float | None, eta: float
) -> dict[str, Any]:
    """Checks the numbers, and returns them as the pipeline is called with them."""
    pipe = pipeline.pipe
    defaults = inspect.signature(pipe.__call__).parameters
    most = int(pipe.scheduler.config.num_train_timesteps)
    steps = defaults["num_inference_steps"].default if steps is None else steps
    guidance = defaults["guidance_scale"].default if guidance is None else guidance
    whole = isinstance(steps, int) and not isinstance(steps, bool) and 1 <= steps <= most
    _check("steps", steps, whole, f"1…{most}")
    _check("guidance", guidance, _is_number(guidance) and guidance >= 0, "at least 0")
    _check("eta", eta, _is_number(eta) and 0 <= eta <= 1, "between 0 and 1")
    takes_eta = "eta" in inspect.signature(pipe.scheduler.step).parameters and "eta" in defaults
    _check("eta", eta, eta == 0 or takes_eta, "0: there is none here")
    numbers = {"num_inference_steps": steps, "guidance_scale": float(guidance)}
    return {**numbers, "eta": float(eta)} if "eta" in defaults else numbers


def _templates(template: str | Sequence[str] | None) -> list[str]:
    templates = [template] if isinstance(template, str) else template
    templates = [TEMPLATE] if templates is None else templates
    good = (
        isinstance(templates, list | tuple)
        and templates
        and all(isinstance(part, str) and "{class}" in part for part in templates)
    )
    _check(
        "template", template, bool(good), f'a prompt with {{class}} in it, such as "{TEMPLATE}"'
    )
    return list(templates)


def _check_negative(negative: str | None, guidance: float, pipeline: TextPipeline) -> None:
    _check("negative", negative, negative is None or isinstance(negative, str), "words")
    takes = "negative_prompt" in inspect.signature(pipeline.pipe.__call__).parameters
    if negative is not None and not (takes and guidance > 1):
        raise GendataError(
            "the option negative would change nothing",
            found=f"guidance {guidance:g}" if takes else "a pipeline without negative prompts",
        )


def _resolution(pipeline: TextPipeline, height: int | None) -> int:
    scale = int(pipeline.pipe.vae_scale_factor)
    size = pipeline.pipe.unet.config.sample_size
    own = (size if isinstance(size, int) else max(size or [64])) * scale
    height = own if height is None else height
    step = math.lcm(8, scale)
    good = isinstance(height, int) and not isinstance(height, bool) and height >= step
    _check("height", height, good and height % step == 0, f"a multiple of {step}")
    return height


def _strength(strength: float | None, from_real: object, steps: int) -> float | None:
    if from_real is None:
        _check("strength", strength, strength is None, "the option from_real with it")
        return None
    strength = STRENGTH if strength is None else strength
    _check("strength", strength, _is_number(strength) and 0 < strength <= 1, "in (0, 1]")
    least = f"at least {1 / steps:.3g}: of {steps} steps none would be left"
    _check("strength", strength, int(steps * strength) >= 1, least)
    return float(strength)


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(float(str(value))) <= LARGEST


def _check(option: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise GendataError(f"bad option {option}", found=repr(value), expected=expected)
