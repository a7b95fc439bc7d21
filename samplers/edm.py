"""EDM's diffusion models, drawn with the stochastic or deterministic Heun sampler.

Karras, Aittala, Aila, Laine 2022, "Elucidating the Design Space of Diffusion-Based Generative
Models", https://arxiv.org/abs/2206.00364, algorithm 2 with the noise levels of equation 5. It
differs from the published script in its random numbers alone: an image's first noise comes from
its seed, and the noise of each later step from a hash of seed and step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.models.device import resolve_device
from gendata.models.weights import digest_of
from gendata.registry import samplers
from gendata.samplers.compilation import compile_network, compile_setting
from gendata.samplers.labels import check_labels, class_names
from gendata.samplers.networks.preconditioning import Denoiser, build
from gendata.samplers.pixels import to_uint8
from gendata.samplers.records import Record, brief
from gendata.samplers.restricted_pickle import read_checkpoint
from gendata.seeds import hash_seed, image_noise
from gendata.types import Card

__all__ = ["EdmSampler", "heun_sampler", "load_edm", "noise_levels"]

PRESETS: dict[str | None, dict[str, float]] = {
    None: {},
    "cifar10": {"steps": 18},
    "imagenet-64": {
        "steps": 256,
        "churn": 40.0,
        "churn_min": 0.05,
        "churn_max": 50.0,
        "churn_noise": 1.003,
    },
}
DEFAULTS: dict[str, float] = {
    "steps": 18,
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "churn": 0.0,
    "churn_min": 0.0,
    "churn_max": math.inf,
    "churn_noise": 1.0,
}
DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
NOISE_OF_STEPS = 1  # what a step's noise is hashed with


class EdmSampler:
    """A denoiser and its settings as a `gendata.types.Sampler`.

    Args:
        network: the denoiser.
        name: the reference it was loaded from.
        classes: class names, or None for an unconditional network.
        card: origin, digest and settings.
        settings: steps, sigma_min, sigma_max, rho, churn, churn_min, churn_max, churn_noise.
        device: where it runs.
        compile: whether `torch.compile` makes the network's code.
    """

    def __init__(
        self,
        network: Denoiser,
        name: str,
        classes: list[str] | None,
        card: Card,
        settings: dict[str, float],
        device: torch.device,
        compile: bool = False,
    ) -> None:
        # Channels last is the layout in which a CPU convolves fastest.
        layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self.network = network.to(device, memory_format=layout)
        self._evaluate = compile_network(self.network, compile, device)
        self.name, self.classes, self.card, self.device = name, classes, card, device
        self.resolution = network.side
        self.sigmas = network.round_sigma(
            noise_levels(
                int(settings["steps"]),
                settings["sigma_min"],
                settings["sigma_max"],
                settings["rho"],
            )
        )
        self._churn = {key: settings[key] for key in settings if key.startswith("churn")}
        # Apple's accelerators have no float64, which the images are kept in between the steps.
        self._home = torch.device("cpu") if device.type == "mps" else device

    @torch.inference_mode()
    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Draws uint8 (B, 3, H, W) for labels (B,) and seeds (B,)."""
        labels = check_labels(labels, seeds, self.network.classes or None, self.device)
        network, numbers = self.network, seeds.tolist()
        shape = (network.channels, network.side, network.side)

        def step_noise(step: int) -> Tensor:
            hashed = [hash_seed(seed, NOISE_OF_STEPS, step) for seed in numbers]
            return image_noise(hashed, shape, self._home)

        images = heun_sampler(
            lambda x, sigma: self._denoise(x, sigma, labels),
            image_noise(seeds, shape, self._home),
            self.sigmas,
            **self._churn,
            step_noise=step_noise,
            round_sigma=network.round_sigma,
        )
        return to_uint8(images, "x*127.5+128")

    @torch.inference_mode()
    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns D(x; sigma), float32, for x (B, C, H, W), sigma (B,) and labels (B,)."""
        network, sigma = self.network, torch.as_tensor(sigma)
        expected = (network.channels, network.side, network.side)
        if x.ndim != 4 or tuple(x.shape[1:]) != expected or sigma.shape not in ((), x.shape[:1]):
            raise GendataError(
                "images and noise levels do not fit the network",
                found=f"shapes {tuple(x.shape)} and {tuple(sigma.shape)}",
                expected=f"(B, {', '.join(map(str, expected))}) and (B,)",
            )
        sigma = sigma.expand(len(x))
        labels = check_labels(labels, sigma, network.classes or None, self.device)
        return self._denoise(x, sigma, labels)

    def _denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        x, sigma = x.float().to(self.device), sigma.float().to(self.device)
        return self._evaluate(x, sigma, labels)


def noise_levels(steps: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """Returns falling noise levels (steps,), float64, without the final zero (equation 5)."""
    if steps == 1:
        return torch.tensor([sigma_max], dtype=torch.float64)
    ramp = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (ends[0] + ramp * (ends[1] - ends[0])) ** rho


def heun_sampler(
    denoise: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    sigmas: Tensor,
    *,
    churn: float = 0.0,
    churn_min: float = 0.0,
    churn_max: float = math.inf,
    churn_noise: float = 1.0,
    step_noise: Callable[[int], Tensor] | None = None,
    round_sigma: Callable[[Tensor], Tensor] = lambda sigma: sigma,
) -> Tensor:
    """Draws with algorithm 2: noise is raised a little, then a Heun step goes down.

    Args:
        denoise: D(x, sigma) for x (B, C, H, W) and sigma (B,), both float64.
        noise: standard normal (B, C, H, W).
        sigmas: falling noise levels (steps,), float64; a last step leads from there to 0.
        churn: how much noise is added over all steps; 0: deterministic.
        churn_min: noise level below which none is added.
        churn_max: noise level above which none is added.
        churn_noise: standard deviation of the added noise.
        step_noise: standard normal noise (B, C, H, W) for a step's number; needed for a churn.
        round_sigma: the nearest noise levels that the network knows.

    Returns:
        images (B, C, H, W), float64, in [-1, 1] or a little outside.
    """
    if churn and step_noise is None:
        raise GendataError("a churn needs noise for its steps", do="give step_noise")
    most = min(churn / len(sigmas), math.sqrt(2) - 1)
    x = noise.to(torch.float64) * sigmas[0].item()
    ends = [*sigmas.tolist()[1:], 0.0]
    for step, (sigma, following) in enumerate(zip(sigmas.tolist(), ends, strict=True)):
        gamma = most if churn_min <= sigma <= churn_max else 0.0
        raised = round_sigma(sigmas[step] + gamma * sigmas[step]).item()
        if raised > sigma and step_noise is not None:
            added = math.sqrt(raised**2 - sigma**2) * churn_noise
            x = x + added * step_noise(step).to(x)
        x = _heun_step(denoise, x, raised, following)
    return x


def _heun_step(
    denoise: Callable[[Tensor, Tensor], Tensor], x: Tensor, above: float, below: float
) -> Tensor:
    """Goes from one noise level to a lower one; to 0 it goes with Euler's step."""
    slope = (x - _at(denoise, x, above)) / above
    reached = x + (below - above) * slope
    if below == 0:
        return reached
    second = (reached - _at(denoise, reached, below)) / below
    return x + (below - above) * (0.5 * slope + 0.5 * second)


def _at(denoise: Callable[[Tensor, Tensor], Tensor], x: Tensor, sigma: float) -> Tensor:
    return denoise(x, x.new_full((len(x),), sigma)).to(x)


@samplers.register("edm")
def load_edm(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    preset: str | None = None,
    steps: int | None = None,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    rho: float = 7.0,
    churn: float | None = None,
    churn_min: float | None = None,
    churn_max: float | None = None,
    churn_noise: float | None = None,
    network: str = "ema",
    dtype: str = "float32",
    classes: int | Sequence[str] | None = None,
    compile: bool = False,
) -> EdmSampler:
    """Loads a published network: DDPM++, NCSN++ or ADM with EDM, VP, VE or iDDPM preconditioning.

    Args:
        path: the pickle.
        device: "auto", "cpu", "cuda", …
        preset: "cifar10" (18 steps, deterministic) or "imagenet-64" (256 steps, stochastic), the
            paper's settings; an option that is given goes before it.
        steps: noise levels to denoise at; None: 18.
        sigma_min: lowest noise level; None: 0.002. It is kept within what the network knows.
        sigma_max: highest noise level; None: 80. It is kept within what the network knows.
        rho: how much the steps are shorter at low noise.
        churn: noise that is added on the way; None: 0, deterministic.
        churn_min: noise level below which none is added; None: 0.
        churn_max: noise level above which none is added; None: no limit.
        churn_noise: standard deviation of the added noise; None: 1.
        network: which network of the file, such as "ema".
        dtype: "float32", or on an accelerator "float16" or "bfloat16" for the network's layers.
        classes: names or number of the classes, where they should be other than "0", "1", …
        compile: whether `torch.compile` makes the network's code; images then differ in rounding.
    """
    where = resolve_device(device)
    _check("network", network, isinstance(network, str), "a name, such as ema")
    denoiser = _open(Path(path), network).cast(_precision(dtype, where))
    given = {
        "steps": steps,
        "sigma_min": sigma_min,
        "sigma_max": sigma_max,
        "rho": rho,
        "churn": churn,
        "churn_min": churn_min,
        "churn_max": churn_max,
        "churn_noise": churn_noise,
    }
    settings = _settings(given, preset, denoiser)
    names = _names(denoiser.classes, classes)
    shown = {key: None if value == math.inf else value for key, value in settings.items()}
    shown = {**shown, **compile_setting(compile)}
    card = Card(
        title=f"{denoiser.kind[1]} {Path(path).stem}",
        origin=str(path),
        sha256=digest_of(path),
        settings={**shown, "dtype": dtype, "network": network, "family": " ".join(denoiser.kind)},
    )
    return EdmSampler(denoiser, f"edm:{path}", names, card, settings, where, compile)


def _open(path: Path, network: str) -> Denoiser:
    denoiser = build(_record(path, network), path.stat().st_size)
    if denoiser.channels not in (1, 3):
        raise GendataError(
            f"{path} draws neither grey nor RGB images",
            found=f"{denoiser.channels} channels",
            expected="1 or 3",
        )
    return denoiser


def _record(path: Path, network: str) -> Record:
    content: Any = read_checkpoint(path)
    if isinstance(content, dict):
        networks = [brief(key) for key, value in content.items() if isinstance(value, Record)]
        content = content.get(network)
    else:
        networks = []
    if not isinstance(content, Record):
        raise GendataError(
            f"{path} has no network '{network}'",
            found=", ".join(networks)[:200] or "no network",
            expected="a pickle of EDM's authors, or the option network",
        )
    return content


def _settings(given: dict[str, Any], preset: str | None, denoiser: Denoiser) -> dict[str, float]:
    """Resolves options, preset and defaults, and keeps the noise within what the network knows."""
    _check(
        "preset", preset, preset in list(PRESETS), " or ".join(str(key) for key in PRESETS if key)
    )
    settings = {**DEFAULTS, **PRESETS[preset]}
    settings.update((key, value) for key, value in given.items() if value is not None)
    for key, value in settings.items():
        good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        _check(key, value, good, "a number that is at least 0")
        settings[key] = float(value)
    steps, rho = settings["steps"], settings["rho"]
    _check("steps", given["steps"], steps in range(1, 10_001), "1…10,000")
    settings["steps"] = int(steps)
    _check("rho", rho, 0 < rho < math.inf, "more than 0")
    _check("churn", settings["churn"], settings["churn"] < math.inf, "a finite number")
    _check("churn_noise", settings["churn_noise"], settings["churn_noise"] < 100, "below 100")
    low, high = settings["sigma_min"], settings["sigma_max"]
    low, high = max(low, denoiser.least_sigma), min(high, denoiser.most_sigma)
    if not 0 < low < high < math.inf:
        raise GendataError(
            "bad options sigma_min and sigma_max",
            found=f"{low:g} and {high:g} after the network's limits",
            expected="0 < sigma_min < sigma_max",
        )
    return {**settings, "sigma_min": low, "sigma_max": high}


def _precision(dtype: str, device: torch.device) -> torch.dtype:
    _check("dtype", dtype, dtype in list(DTYPES), " or ".join(DTYPES))
    on_cpu = device.type == "cpu" and dtype != "float32"
    _check("dtype", dtype, not on_cpu, "float32 on a CPU")
    return DTYPES[dtype]


def _check(option: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise GendataError(f"bad option {option}", found=repr(value), expected=expected)


def _names(count: int, classes: int | Sequence[str] | None) -> list[str] | None:
    names = class_names(classes)
    if names is None:
        return class_names(count) if count else None
    if len(names) != count:
        raise GendataError(
            "bad option classes",
            found=f"{len(names)} classes",
            expected=f"{count}, as the network has" if count else "none: it is unconditional",
        )
    return names
