"""Slow restatements of EDM's networks, with the class and parameter names that are published.

They follow the papers' figures and table 1 step by step, level by level, without the operators
that our networks use, and are pickled as stand-ins for published files.
"""

import math
import pickle

import torch
from torch import nn
from unet_lookalikes import (
    Conv2d,
    FourierEmbedding,
    GroupNorm,
    Linear,
    PositionalEmbedding,
    UNetBlock,
    swish,
)


class UNet(nn.Module):
    """What the architectures have in common; the sub-classes have the published names."""

    def __init__(self, side, inputs, outputs, classes, options):
        super().__init__()
        channels, mults = options.get("width", 8), options.get("mults", (1, 2))
        self.options, self.side, self.levels = options, side, len(mults)
        self.blocks, at = options.get("blocks", 1), options.get("attention", (side // 2,))
        style = {"embedding": 4 * channels, "taps": options.get("taps", (1, 1)), **self.style}
        self.map_embedding(channels, classes, options)
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        widths, out = [], channels * (mults[0] if self.style["adaptive"] else 1)
        small = inputs
        for level, mult in enumerate(mults):
            here = f"{side >> level}x{side >> level}"
            if level == 0:
                self.enc[f"{here}_conv"] = Conv2d(inputs, out, 3)
            else:
                self.enc[f"{here}_down"] = UNetBlock(out, out, style, down=True)
                small = self.add_small(here, small, out, style["taps"])
            widths.append(out)
            for index in range(self.blocks):
                block = UNetBlock(out, channels * mult, style, attention=side >> level in at)
                self.enc[f"{here}_block{index}"], out = block, channels * mult
                widths.append(out)
        for level, mult in reversed(list(enumerate(mults))):
            here = f"{side >> level}x{side >> level}"
            if level == len(mults) - 1:
                self.dec[f"{here}_in0"] = UNetBlock(out, out, style, attention=True)
                self.dec[f"{here}_in1"] = UNetBlock(out, out, style)
            else:
                self.dec[f"{here}_up"] = UNetBlock(out, out, style, up=True)
            for index in range(self.blocks + 1):
                attends = side >> level in at and (self.style["adaptive"] or index == self.blocks)
                block = UNetBlock(out + widths.pop(), channels * mult, style, attention=attends)
                self.dec[f"{here}_block{index}"], out = block, channels * mult
            self.add_image(here, level, out, outputs, style["taps"])

    def encoded(self, x, embedding):
        kept, small = [], x
        for level in range(self.levels):
            here = f"{self.side >> level}x{self.side >> level}"
            x = self.enc[f"{here}_down"](x, embedding) if level else self.enc[f"{here}_conv"](x)
            if level and self.options.get("encoder") == "skip":
                small = self.enc[f"{here}_aux_down"](small)
                x = x + self.enc[f"{here}_aux_skip"](small)
            if level and self.options.get("encoder") == "residual":
                x = small = (x + self.enc[f"{here}_aux_residual"](small)) / math.sqrt(2)
            kept.append(x)
            for index in range(self.blocks):
                x = self.enc[f"{here}_block{index}"](x, embedding)
                kept.append(x)
        return x, kept

    def forward(self, x, noise, labels):
        embedding = self.embedded(noise, labels)
        x, kept = self.encoded(x, embedding)
        image = None
        for level in reversed(range(self.levels)):
            here = f"{self.side >> level}x{self.side >> level}"
            if level == self.levels - 1:
                x = self.dec[f"{here}_in0"](x, embedding)
                x = self.dec[f"{here}_in1"](x, embedding)
            else:
                x = self.dec[f"{here}_up"](x, embedding)
                image = None if image is None else self.dec[f"{here}_aux_up"](image)
            for index in range(self.blocks + 1):
                x = self.dec[f"{here}_block{index}"](torch.cat([x, kept.pop()], 1), embedding)
            if f"{here}_aux_conv" in self.dec:
                added = self.dec[f"{here}_aux_conv"](swish(self.dec[f"{here}_aux_norm"](x)))
                image = added if image is None else image + added
        return self.finished(x, image)


class SongUNet(UNet):
    style = {"adaptive": False, "eps": 1e-6}

    def map_embedding(self, channels, classes, options):
        noise = channels * options.get("noise_mult", 1)
        fourier = options.get("embedding") == "fourier"
        self.map_noise = FourierEmbedding(noise) if fourier else PositionalEmbedding(noise, True)
        self.map_label = Linear(classes, noise) if classes else None
        self.map_augment = Linear(9, noise, bias=False)
        self.map_layer0, self.map_layer1 = (
            Linear(noise, 4 * channels),
            Linear(4 * channels, 4 * channels),
        )

    def embedded(self, noise, labels):
        waves = self.map_noise(noise)
        half = waves.shape[1] // 2
        waves = torch.cat([waves[:, half:], waves[:, :half]], 1)
        if self.map_label is not None:
            waves = waves + self.map_label(labels * math.sqrt(labels.shape[1]))
        return swish(self.map_layer1(swish(self.map_layer0(waves))))

    def add_small(self, here, small, out, taps):
        if self.options.get("encoder") == "skip":
            self.enc[f"{here}_aux_down"] = Conv2d(small, small, 0, taps, down=True)
            self.enc[f"{here}_aux_skip"] = Conv2d(small, out, 1)
        if self.options.get("encoder") == "residual":
            self.enc[f"{here}_aux_residual"] = Conv2d(small, out, 3, taps, down=True, fused=True)
            return out
        return small

    def add_image(self, here, level, out, outputs, taps):
        if self.options.get("decoder") == "skip" or level == 0:
            if level < self.levels - 1 and self.options.get("decoder") == "skip":
                self.dec[f"{here}_aux_up"] = Conv2d(outputs, outputs, 0, taps, up=True)
            self.dec[f"{here}_aux_norm"] = GroupNorm(out, 1e-6)
            self.dec[f"{here}_aux_conv"] = Conv2d(out, outputs, 3)

    def finished(self, x, image):
        return image


class DhariwalUNet(UNet):
    style = {"adaptive": True, "eps": 1e-5}

    def map_embedding(self, channels, classes, options):
        self.map_noise = PositionalEmbedding(channels, False)
        self.map_augment = None
        self.map_layer0, self.map_layer1 = (
            Linear(channels, 4 * channels),
            Linear(4 * channels, 4 * channels),
        )
        self.map_label = Linear(classes, 4 * channels, bias=False) if classes else None

    def embedded(self, noise, labels):
        embedding = self.map_layer1(swish(self.map_layer0(self.map_noise(noise))))
        return swish(embedding if labels is None else embedding + self.map_label(labels))

    def add_small(self, here, small, out, taps):
        return small

    def add_image(self, here, level, out, outputs, taps):
        if level == 0:
            self.out_norm, self.out_conv = GroupNorm(out, 1e-5), Conv2d(out, outputs, 3)

    def finished(self, x, image):
        return self.out_conv(swish(self.out_norm(x)))


class Precond(nn.Module):
    """Equation 7; the sub-classes are the columns of table 1."""

    def __init__(self, network=SongUNet, side=8, channels=3, classes=0, **options):
        super().__init__()
        self.img_resolution, self.img_channels, self.label_dim = side, channels, classes
        self.use_fp16, self.sigma_min, self.sigma_max = True, 0, math.inf
        self.configure()
        self.model = network(side, channels, channels * self.outputs, classes, options)

    outputs = 1

    def forward(self, x, sigma, labels):
        one_hot = None if labels is None else nn.functional.one_hot(labels, self.label_dim).to(x)
        skip, out, into, noise = self.coefficients(sigma)
        image = [
            value if isinstance(value, int) else value[:, None, None, None]
            for value in (skip, out, into)
        ]
        raw = self.model(image[2] * x, noise, one_hot)[:, : self.img_channels]
        return image[0] * x + image[1] * raw


class EDMPrecond(Precond):
    def configure(self):
        self.sigma_data = 0.5

    def coefficients(self, sigma):
        both = sigma**2 + self.sigma_data**2
        return (
            self.sigma_data**2 / both,
            sigma * self.sigma_data / both**0.5,
            both**-0.5,
            sigma.log() / 4,
        )


class VPPrecond(Precond):
    def configure(self):
        self.beta_d, self.beta_min, self.M, self.epsilon_t = 19.9, 0.1, 1000, 1e-5
        self.sigma_min, self.sigma_max = self.sigma(1e-5), self.sigma(1)

    def sigma(self, time):
        return math.sqrt(math.exp(0.5 * self.beta_d * time**2 + self.beta_min * time) - 1)

    def coefficients(self, sigma):
        return 1, -sigma, (sigma**2 + 1) ** -0.5, torch.stack([999 * self.time(s) for s in sigma])

    def time(self, sigma):
        low, high = 0.0, 2.0
        for _ in range(60):  # bisection, for the inverse of sigma(t)
            middle = (low + high) / 2
            low, high = (middle, high) if self.sigma(middle) < sigma else (low, middle)
        return torch.tensor(low, dtype=torch.float64)


class VEPrecond(Precond):
    def configure(self):
        self.sigma_min, self.sigma_max = 0.02, 100

    def coefficients(self, sigma):
        return 1, sigma, 1, (sigma / 2).log()


class iDDPMPrecond(Precond):
    outputs = 2

    def configure(self):
        self.C_1, self.C_2, self.M = 0.001, 0.008, 1000
        alphas = [math.sin(0.5 * math.pi * j / self.M / (self.C_2 + 1)) ** 2 for j in range(1001)]
        levels = [0.0]
        for j in range(self.M, 0, -1):
            ratio = max(alphas[j - 1] / alphas[j], self.C_1)
            levels.append(math.sqrt((levels[-1] ** 2 + 1) / ratio - 1))
        self.register_buffer("u", torch.tensor(levels[::-1]))
        self.sigma_min, self.sigma_max = float(self.u[self.M - 1]), float(self.u[0])

    def coefficients(self, sigma):
        indices = [min(range(1001), key=lambda j: abs(self.u[j] - s)) for s in sigma]
        return 1, -sigma, (sigma**2 + 1) ** -0.5, 999 - torch.tensor(indices).to(sigma)


def save(path, kind=EDMPrecond, seed=0, **options):
    """Pickles a random network as its authors would; returns it in float64, and the path."""
    torch.manual_seed(seed)
    network = kind(**options).eval().requires_grad_(False)
    with open(path, "wb") as file:
        pickle.dump({"ema": network, "loss_fn": None, "dataset_kwargs": {"path": "x"}}, file)
    return network.double(), path


def repickle(path, network):
    """Pickles a network over an earlier one."""
    path.write_bytes(pickle.dumps({"ema": network}))


def network_deviation(reference, denoiser):
    """Largest difference of the bare networks, in standard deviations, in both memory layouts."""
    side, classes = reference.img_resolution, reference.label_dim
    x = torch.randn(
        2, reference.img_channels, side, side, generator=torch.Generator().manual_seed(1)
    )
    noise, labels = torch.tensor([-0.7, 1.3]), torch.tensor([0, 1]) if classes else None
    one_hot = nn.functional.one_hot(labels, classes).double() if classes else None
    expected = reference.model(x.double(), noise.double(), one_hot)
    with torch.inference_mode():
        usual = denoiser.model(x, noise, labels)
        last = denoiser.to(memory_format=torch.channels_last).model(x, noise, labels)
    most = max((usual - expected).abs().max(), (last - expected).abs().max())
    return (most / expected.std()).item()
