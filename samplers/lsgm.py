"""LSGM checkpoints: score-based generation in a variational autoencoder's latent space.

Vahdat, Kreis and Kautz, "Score-based Generative Modeling in Latent Space" (2021),
https://arxiv.org/abs/2106.05931. Noise follows the probability-flow ODE to latents (Section 3,
Appendix G), which the autoencoder's decoder turns into the mean image. Images have no labels: a
classifier gives them.

Where we differ from the published evaluation: networks run in float32 unless mixed precision is
asked for, coefficients of the ODE are float64, the solver controls the error of each image instead
of a batch's, and the decoder always uses its stored batch statistics (for the CelebA-HQ tables the
authors used those of the batch at hand, in which an image depends on its batch mates).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.archives import Unchanged
from gendata.samplers.compilation import compile_network, compile_setting
from gendata.samplers.labels import check_labels
from gendata.samplers.networks.lsgm_decoder import Decoder, build_decoder, decoder_tensors
from gendata.samplers.networks.lsgm_diffusion import Diffusion, build_diffusion
from gendata.samplers.networks.lsgm_ode import integrate
from gendata.samplers.networks.lsgm_parts import Arguments, fit, shown
from gendata.samplers.networks.lsgm_score import ScoreNetwork, build_score
from gendata.samplers.pixels import to_uint8
from gendata.samplers.restricted_pickle import Record, read_checkpoint
from gendata.seeds import hash_seed, image_noise
from gendata.types import Card

__all__ = ["LsgmSampler", "load_lsgm"]

WITH_AVERAGES = {  # by file name: whether the averaged weights still lie with the optimiser
    "checkpoint.pt": True,
    "checkpoint_fid.pt": False,
    "checkpoint_nll.pt": False,
    "checkpoint_finetuned.pt": False,
}
TOLERANCE = 1e-5
LATEST_TIMES = {"cifar10": 1e-6}  # the authors' cut-offs, by data set
LATEST_TIME = 1e-5


class LsgmSampler:
    """An LSGM as a `gendata.types.Sampler`.

    Args:
        score: predicts the noise in latents.
        decoder: turns latents into images.
        diffusion: what the score network was trained on.
        settings: tolerance, eps, temperature, decoder_temperature and half.
        name: the reference it was loaded from.
        card: origin, digest and settings.
        device: where it runs.
        compile: whether `torch.compile` makes the score network's code; the decoder runs once.
    """

    classes = None

    def __init__(
        self,
        score: ScoreNetwork,
        decoder: Decoder,
        diffusion: Diffusion,
        settings: Mapping[str, float],
        name: str,
        card: Card,
        device: torch.device,
        compile: bool = False,
    ) -> None:
        self.score, self.decoder, self.diffusion = score.to(device), decoder.to(device), diffusion
        self.score.to(memory_format=torch.channels_last)  # as convolutions run fastest
        self._predict = compile_network(self.score, compile, device)
        self.device = device
        self.settings, self.name, self.card = dict(settings), name, card
        self.resolution = decoder.resolution
        self.latent_shape = (score.shape.channels, score.shape.side, score.shape.side)
        # Apple's accelerators have no float64.
        self._precision = torch.float32 if device.type == "mps" else torch.float64

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for seeds (B,); labels must be None."""
        check_labels(labels, seeds, None, self.device)
        noise = image_noise(seeds, self.latent_shape, self.device)
        groups = self.decoder.latent_shapes
        finer = [  # latents without a score model of their own
            image_noise([hash_seed(seed, group) for seed in seeds.tolist()], shape, self.device)
            for group, shape in enumerate(groups)
            if group >= self.decoder.shape.groups
        ]
        return to_uint8(self.decode(self.latents(noise), finer))

    @torch.inference_mode()
    def latents(self, noise: Tensor) -> Tensor:
        """Solves the probability-flow ODE from standard normal noise (B, C, H, H) to latents."""
        start = noise.to(self._precision) * self.settings["temperature"]
        start = start * self.diffusion.prior_deviation

        def velocity(times: Tensor, states: Tensor) -> Tensor:
            return self.velocity(states.view(-1, *noise.shape[1:]), times).flatten(1)

        eps, tolerance = self.settings["eps"], self.settings["tolerance"]
        ends = integrate(velocity, start.flatten(1), 1.0, eps, tolerance)
        return ends.view(noise.shape).float()

    @torch.inference_mode()
    def velocity(self, states: Tensor, times: Tensor) -> Tensor:
        """Right-hand side of the ODE for states (B, C, H, H) at times (B,), float64."""
        inputs = states.float().contiguous(memory_format=torch.channels_last)
        with self._autocast():
            noise = self._predict(inputs, times.float())
        noise = noise.to(states.dtype).contiguous()
        if self.score.mixing_logit is not None:
            share = self.score.mixing_logit.to(states.dtype).sigmoid()
            normal = self.diffusion.normal_prediction(states, times)
            noise = torch.lerp(normal, noise, share)
        return self.diffusion.velocity(states, noise, times)

    @torch.inference_mode()
    def decode(self, latents: Tensor, finer: list[Tensor]) -> Tensor:
        """Turns latents into float32 images (B, 1 or 3, H, H) in [-1, 1].

        Args:
            latents: (B, C, H, H) of the coarsest scale, all groups.
            finer: standard normal noise for each group of the other scales.
        """
        groups = list(latents.chunk(self.decoder.shape.groups, dim=1))
        groups += [each * self.settings["decoder_temperature"] for each in finer]
        with self._autocast():
            return self.decoder(groups)

    def _autocast(self) -> torch.autocast:
        half = bool(self.settings["half"])
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=half)


@samplers.register("lsgm")
def load_lsgm(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    tolerance: float = TOLERANCE,
    eps: float | None = None,
    temperature: float = 1.0,
    decoder_temperature: float = 1.0,
    ema: bool | None = None,
    half: bool = False,
    compile: bool = False,
) -> LsgmSampler:
    """Loads a checkpoint as LSGM's authors publish it.

    Args:
        path: checkpoint.pt, checkpoint_fid.pt, checkpoint_nll.pt or checkpoint_finetuned.pt.
        device: "auto", "cpu", "cuda", …
        tolerance: the ODE solver's, absolute and relative.
        eps: where the ODE ends, between 0 and 1; None: the authors' 1e-6 for CIFAR-10, else 1e-5.
        temperature: scale of the noise that latents start from.
        decoder_temperature: scale of the noise of finer scales, where there are any.
        ema: whether averaged weights are to be taken from the optimiser's state; None: as the
            file's name says (for checkpoint.pt only).
        half: whether to run the networks in mixed precision (float16), as the authors do.
        compile: whether `torch.compile` makes the score network's code; images then differ in
            rounding.
    """
    path, target = Path(path), resolve_device(device)
    averaged = _averages_wanted(path, ema)
    settings: dict[str, Any] = {
        "tolerance": tolerance,
        "eps": eps,
        "temperature": temperature,
        "decoder_temperature": decoder_temperature,
        "half": half,
    }
    _check_settings(settings)
    file = Unchanged(path)
    content = read_checkpoint(path, mapped=True)
    arguments = _arguments(content, path)
    dataset = arguments.values.get("dataset")
    dataset = dataset[:80] if isinstance(dataset, str) else "unknown"
    if eps is None:
        settings["eps"] = LATEST_TIMES.get(dataset, LATEST_TIME)
    diffusion = build_diffusion(arguments)
    score, decoder = _networks(content, arguments, averaged, file)
    card = Card(
        title=f"LSGM {dataset}",
        origin=str(path),
        training_data=dataset,
        sha256=digest_of(path),
        settings={**settings, "ema": averaged, "sde": diffusion.kind, **compile_setting(compile)},
    )
    file.check()  # now that it has been copied and its digest taken
    name = f"lsgm:{path}"
    return LsgmSampler(score, decoder, diffusion, settings, name, card, target, compile)


def _networks(
    content: Mapping[str, Any], arguments: Arguments, averaged: bool, file: Unchanged
) -> tuple[ScoreNetwork, Decoder]:
    path = file.path
    vae = _tensors(content, "vae_state_dict", path)
    dae = _tensors(content, "dae_state_dict", path)
    decoder = build_decoder(arguments, vae)
    shape = decoder.shape
    score = build_score(arguments, dae, shape.groups * shape.latents, shape.first[1])
    if averaged and arguments.number("ema_decay", 0.9999) > 0:
        dae |= _averages(content, score, path)
    file.check()
    fit(decoder, decoder_tensors(vae), "decoder")
    fit(score, dae, "score network")
    return score, decoder


def _averages_wanted(path: Path, ema: bool | None) -> bool:
    if ema is not None and not isinstance(ema, bool):
        raise GendataError("bad option ema", found=ema, expected="true or false")
    if ema is None and path.name not in WITH_AVERAGES:
        raise GendataError(
            "the file's name does not say where its averaged weights lie",
            found=path.name,
            expected=f"one of {', '.join(WITH_AVERAGES)}",
            do="give the option ema: true if they are in the optimiser's state, false if the "
            "network has them",
        )
    return WITH_AVERAGES[path.name] if ema is None else ema


def _check_settings(settings: Mapping[str, Any]) -> None:
    limits = {
        "tolerance": (1e-10, 1.0),
        "eps": (1e-12, 0.5),
        "temperature": (0.0, 100.0),
        "decoder_temperature": (0.0, 100.0),
    }
    if not isinstance(settings["half"], bool):
        raise GendataError("bad option half", found=settings["half"], expected="true or false")
    for name, (low, high) in limits.items():
        value = settings[name]
        if name == "eps" and value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not low <= value <= high:
            raise GendataError(
                f"bad option {name}", found=value, expected=f"a number from {low:g} to {high:g}"
            )


def _arguments(content: Any, path: Path) -> Arguments:
    parts = ("args", "vae_state_dict", "dae_state_dict")
    if not isinstance(content, dict) or not all(part in content for part in parts):
        found = type(content).__name__
        if isinstance(content, dict):
            found = f"a dictionary of {', '.join(shown(name) for name in list(content)[:8])}"
        raise GendataError(
            f"{path} is no checkpoint of LSGM", found=found, expected=f"{', '.join(parts)}"
        )
    values = content["args"]
    values = values.state if isinstance(values, Record) else values
    if not isinstance(values, dict):
        raise GendataError(f"{path} holds no arguments", found=type(values).__name__)
    return Arguments(values, path)


def _tensors(content: Mapping[str, Any], part: str, path: Path) -> dict[str, Tensor]:
    """Returns a state dict whose tensors together are no larger than the file."""
    tensors = content[part]
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) and not value.is_complex()
        for name, value in tensors.items()
    ):
        raise GendataError(f"{path} is damaged", found=f"no tensors by name in {part}")
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if size > path.stat().st_size:
        raise GendataError(
            f"{path} is not safe to read as a checkpoint",
            found=f"tensors of {size} bytes in {part}, more than the file has",
        )
    return dict(tensors)


def _averages(content: Mapping[str, Any], score: nn.Module, path: Path) -> dict[str, Tensor]:
    """Returns the averaged weights by name; the optimiser numbers them in the network's order."""
    try:
        optimiser = content["dae_optimizer"]
        numbers = [number for group in optimiser["param_groups"] for number in group["params"]]
        states = [optimiser["state"].get(number, {}) for number in numbers]
        averages = [state.get("ema") for state in states]
    except (AttributeError, KeyError, TypeError) as error:
        raise GendataError(
            f"{path} has no averaged weights", found="no state of an optimiser", do=_remedy()
        ) from error
    names = [name for name, _ in score.named_parameters()]
    fixed = {"temb_fun.w"}  # never trained, so never averaged
    found: dict[str, Tensor] = {}
    for name, average in zip(names, averages, strict=False):
        if isinstance(average, Tensor):
            found[name] = average
    missing = [name for name in names if name not in found and name not in fixed]
    if missing or len(names) != len(averages):
        raise GendataError(
            f"{path} has not the averaged weights of its network",
            found=f"{len(found)} averages among {len(averages)} parameters",
            expected=f"{len(names)}",
            do=_remedy(),
        )
    return {name: value for name, value in found.items() if name not in fixed}


def _remedy() -> str:
    return "give the option ema=false to draw with the weights as they are"
