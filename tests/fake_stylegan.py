"""Files like those that StyleGAN2's and StyleGAN3's authors publish, and slow networks in them.

The modules carry the published names and attributes, so that a pickle of one is a file to load;
their own forward passes restate the papers' formulas image by image: kernels are modulated and
demodulated one at a time, and filters are applied to images with zeros between the pixels.
"""

import math
import pickle

import numpy as np
import scipy.signal
import scipy.special
import torch
from torch import nn
from torch.nn import functional

from gendata.samplers.restricted_pickle import read_checkpoint

LABELS = torch.tensor([2, 0, 1])
BENT = {"linear": (lambda x: x, 1.0), "lrelu": (lambda x: functional.leaky_relu(x, 0.2), 2**0.5)}
BENT["relu"] = functional.relu, 2**0.5
BENT["sigmoid"] = torch.sigmoid, 1.0


def save(generator, path, **others):
    """Writes a file with G_ema, as the training programs do."""
    content = {"G": generator, "D": None, "G_ema": generator, "training_set_kwargs": {}, **others}
    path.write_bytes(pickle.dumps(content))
    return path


def rebuilt(build, generator, folder):
    """What `build` makes of a generator that was written to a file and read again."""
    return build(read_checkpoint(save(generator, folder / "g.pkl"))["G_ema"])


def inputs(generator):
    """Three latents, and labels where the generator has classes."""
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(1))
    return z, LABELS if generator.c_dim else None


def spread(images, up):
    """Puts zeros between the pixels, and after the last."""
    batch, channels, height, width = images.shape
    zeros = torch.zeros(batch, channels, height * up, width * up)
    zeros[:, :, ::up, ::up] = images
    return zeros


def filtered(images, taps, before, after):
    """Pads (or crops) and convolves every channel with a filter, which is thereby turned."""
    plane = torch.outer(taps, taps) if taps.ndim == 1 else taps
    images = functional.pad(images, [before[1], after[1], before[0], after[0]])
    kernel = plane.flip(0, 1).expand(images.shape[1], 1, -1, -1)
    return functional.conv2d(images, kernel, groups=images.shape[1])


def doubled(images, taps, margin=0):
    """Doubles images as StyleGAN2 does, with margins for a kernel that follows."""
    plane = torch.outer(taps, taps) if taps.ndim == 1 else taps
    before = [(side + 1) // 2 + margin for side in plane.shape]
    after = [(side - 2) // 2 + margin for side in plane.shape]
    return filtered(spread(images, 2), taps, before, after) * 4


class Dense(nn.Module):
    def __init__(self, inputs, outputs, activation="linear", rate=1.0, bias=0.0):
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter((torch.randn(outputs) * 0.3 + bias) / rate)
        self.weight_gain, self.bias_gain = np.float64(rate / math.sqrt(inputs)), rate

    def forward(self, x):
        bent, gain = BENT[self.activation]
        return bent(x @ (self.weight * self.weight_gain).T + self.bias * self.bias_gain) * gain


class Mapping(nn.Module):
    def __init__(self, z_dim, c_dim, w_dim, num_ws, activation="lrelu", layers=2):
        super().__init__()
        self.z_dim, self.c_dim, self.num_ws, self.num_layers = z_dim, c_dim, num_ws, layers
        if c_dim:
            self.embed = Dense(c_dim, 5)
        width = z_dim + (5 if c_dim else 0)
        for index in range(layers):
            setattr(self, f"fc{index}", Dense(width, w_dim, activation, rate=0.1))
            width = w_dim
        self.register_buffer("w_avg", torch.randn(w_dim) * 0.3)

    def forward(self, z, labels, psi, cutoff):
        x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
        if self.c_dim:
            y = self.embed(functional.one_hot(labels, self.c_dim).float())
            x = torch.cat([x, y / (y.square().mean(1, keepdim=True) + 1e-8).sqrt()], 1)
        for index in range(self.num_layers):
            x = getattr(self, f"fc{index}")(x)
        styles = x[:, None].repeat(1, self.num_ws, 1)
        cutoff = self.num_ws if cutoff is None else cutoff
        styles[:, :cutoff] = self.w_avg + psi * (styles[:, :cutoff] - self.w_avg)
        return styles


class Convolution(nn.Module):
    """A modulated layer of StyleGAN2."""

    def __init__(self, inputs, outputs, w_dim, side, up, options):
        super().__init__()
        kernel, taps = options["kernel"], options["taps"]
        self.up, self.use_noise, self.resolution = up, options["noise"], side
        self.activation, self.conv_clamp = options["activation"], options["clamp"]
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.randn(outputs) * 0.3)
        self.register_buffer("resample_filter", taps / taps.sum())
        if self.use_noise:
            self.noise_strength = nn.Parameter(torch.tensor(0.4))
            self.register_buffer("noise_const", torch.randn(side, side))

    def forward(self, x, style, noise, gain=1.0):
        margin = self.weight.shape[2] // 2
        if self.up == 2:
            x, margin = doubled(x, self.resample_filter, margin), 0
        pieces = []
        for image, scales in zip(x, self.affine(style), strict=True):
            kernel = self.weight * scales[None, :, None, None]
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            kernel = kernel.flip(2, 3) if self.up == 2 else kernel
            pieces.append(functional.conv2d(image[None], kernel, padding=margin))
        x = torch.cat(pieces)
        if self.use_noise and noise != "none":
            noise = self.noise_const if noise == "const" else noise.pop(0)
            x = x + noise * self.noise_strength
        bent, own = BENT[self.activation]
        x = bent(x + self.bias[:, None, None]) * (own * gain)
        return (
            x
            if self.conv_clamp is None
            else x.clamp(-self.conv_clamp * gain, self.conv_clamp * gain)
        )


class ToColour(nn.Module):
    def __init__(self, inputs, outputs, w_dim, clamp):
        super().__init__()
        self.conv_clamp, self.affine = clamp, Dense(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.randn(outputs) * 0.3)

    def forward(self, x, style):
        scales = self.affine(style) / math.sqrt(self.weight.shape[1])
        x = torch.einsum("oi,bi,bihw->bohw", self.weight[:, :, 0, 0], scales, x)
        x = x + self.bias[:, None, None]
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)


class Skip(nn.Module):
    def __init__(self, inputs, outputs, taps):
        super().__init__()
        self.conv_clamp, self.bias = None, None
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.register_buffer("resample_filter", taps / taps.sum())

    def forward(self, x):
        weight = self.weight / math.sqrt(self.weight.shape[1])
        return functional.conv2d(doubled(x, self.resample_filter), weight) * math.sqrt(0.5)


class Block2(nn.Module):
    def __init__(self, inputs, outputs, w_dim, side, colours, is_last, options):
        super().__init__()
        self.architecture = options["architecture"]
        self.register_buffer("resample_filter", options["taps"] / options["taps"].sum())
        if inputs:
            self.conv0 = Convolution(inputs, outputs, w_dim, side, 2, options)
            if self.architecture == "resnet":
                self.skip = Skip(inputs, outputs, options["taps"])
        else:
            self.const = nn.Parameter(torch.randn(outputs, side, side))
        self.conv1 = Convolution(outputs, outputs, w_dim, side, 1, options)
        if is_last or self.architecture == "skip":
            self.torgb = ToColour(outputs, colours, w_dim, options["clamp"])

    def forward(self, x, image, styles, noise):
        if x is None:
            x = self.conv1(self.const.repeat(len(styles[0]), 1, 1, 1), styles.pop(0), noise)
        elif self.architecture == "resnet":
            branch = self.skip(x)
            x = self.conv0(x, styles.pop(0), noise)
            x = branch + self.conv1(x, styles.pop(0), noise, gain=math.sqrt(0.5))
        else:
            x = self.conv0(x, styles.pop(0), noise)
            x = self.conv1(x, styles.pop(0), noise)
        image = image if image is None else doubled(image, self.resample_filter)
        if hasattr(self, "torgb"):
            colours = self.torgb(x, styles[0])
            image = colours if image is None else image + colours
        return x, image


class Synthesis2(nn.Module):
    def __init__(self, widths, w_dim, colours, options):
        super().__init__()
        before = 0
        for index, width in enumerate(widths):
            side, is_last = 4 * 2**index, index == len(widths) - 1
            block = Block2(before, width, w_dim, side, colours, is_last, options)
            setattr(self, f"b{side}", block)
            before = width

    def forward(self, styles, noise):
        styles, x, image = list(styles.unbind(1)), None, None
        for block in self.children():
            x, image = block(x, image, styles, noise)
        return image


class Generator(nn.Module):
    """A generator of either kind: published attributes, and a slow forward pass."""

    def __init__(self, mapping, synthesis, resolution, colours):
        super().__init__()
        self.z_dim, self.c_dim = mapping.z_dim, mapping.c_dim
        self.img_resolution, self.img_channels = resolution, colours
        self.mapping, self.synthesis = mapping, synthesis
        self.eval().requires_grad_(False)

    def forward(self, z, labels, psi=1.0, cutoff=None, noise="const"):
        noise = list(noise) if isinstance(noise, list) else noise
        return self.synthesis(self.mapping(z, labels, psi, cutoff), noise)


def stylegan2(widths=(6, 5, 4), c_dim=3, colours=3, seed=0, z_dim=7, mapping="lrelu", **options):
    """Makes a StyleGAN2 generator, all its tensors random."""
    torch.manual_seed(seed)
    known = {"architecture": "skip", "taps": (1, 3, 3, 1), "clamp": 256, "noise": True}
    options = {**known, "kernel": 3, "activation": "lrelu", **options}
    taps = torch.tensor(options["taps"], dtype=torch.float32)
    options["taps"] = torch.outer(taps, taps) if taps.ndim == 1 and len(taps) < 8 else taps
    return Generator(
        Mapping(z_dim, c_dim, 8, 2 * len(widths), mapping),
        Synthesis2(widths, 8, colours, options),
        2 ** (len(widths) + 1),
        colours,
    )


class Waves(nn.Module):
    """The Fourier features of StyleGAN3."""

    def __init__(self, w_dim, channels, size, rate, bandwidth):
        super().__init__()
        self.size = np.broadcast_to(np.asarray(size), [2])
        self.sampling_rate, self.bandwidth = np.float64(rate), np.float64(bandwidth)
        self.affine = Dense(w_dim, 4, bias=0.5)
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", torch.randn(channels, 2) * bandwidth)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, style):
        size, images = int(self.size[0]), []
        places = (torch.arange(size) + 0.5 - size / 2) / self.sampling_rate
        points = torch.stack(torch.meshgrid(places, places, indexing="xy"), -1)  # (H, W, xy)
        for c, s, x, y in self.affine(style).tolist():
            length = math.hypot(c, s)
            turn = torch.tensor([[c, -s], [s, c]]) / length
            moved = points.float() @ turn.T - (torch.tensor([x, y]) / length) @ turn.T
            excess = self.freqs.norm(dim=1) - self.bandwidth
            fading = (1 - excess / (self.sampling_rate / 2 - self.bandwidth)).clamp(0, 1)
            waves = torch.sin(math.tau * (moved @ self.freqs.T + self.phases)) * fading
            images.append(waves.float() @ self.weight.T / math.sqrt(len(self.weight)))
        return torch.stack(images).permute(0, 3, 1, 2)


class Filtered(nn.Module):
    """A layer of StyleGAN3."""

    def __init__(self, w_dim, inputs, outputs, spec, before, is_torgb, radial, kernel):
        super().__init__()
        self.is_torgb, self.magnitude, self.conv_clamp = is_torgb, None, 2.0
        size, rate, cutoff, half = spec
        self.in_size = np.broadcast_to(np.asarray(before[0]), [2])
        self.out_size = np.broadcast_to(np.asarray(size), [2])
        middle = max(rate, before[1]) * (1 if is_torgb else 2)
        self.up_factor, self.down_factor = middle // before[1], middle // rate
        up = None if is_torgb else lowpass(6 * self.up_factor, before[2], before[3], middle)
        down = lowpass(6 * self.down_factor, cutoff, half, middle, radial)
        self.register_buffer("up_filter", up)
        self.register_buffer("down_filter", None if is_torgb else down)
        kernel = 1 if is_torgb else kernel
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.randn(outputs) * 0.3)
        self.register_buffer("magnitude_ema", torch.rand([]) + 0.5)

    def forward(self, x, style):
        kernel, pieces = self.weight.shape[2], []
        for image, scales in zip(x, self.affine(style), strict=True):
            if self.is_torgb:
                weight = self.weight * scales[None, :, None, None] / math.sqrt(len(scales))
            else:
                weight = self.weight / self.weight.square().mean((1, 2, 3), keepdim=True).sqrt()
                weight = weight * (scales / scales.square().mean().sqrt())[None, :, None, None]
                weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            weight = weight / self.magnitude_ema.sqrt()
            pieces.append(functional.conv2d(image[None], weight, padding=kernel - 1))
        return self.bent(torch.cat(pieces) + self.bias[:, None, None])

    def bent(self, x):
        one = torch.ones(1)
        up = one if self.up_filter is None else self.up_filter
        down = one if self.down_filter is None else self.down_filter
        between = (int(self.out_size[0]) - 1) * self.down_factor + len(down)
        total = between - x.shape[2] * self.up_factor + len(up) - 1
        before = (total + self.up_factor) // 2
        x = spread(x, self.up_factor) * self.up_factor**2
        x = filtered(x, up, [before] * 2, [total - before] * 2)
        if not self.is_torgb:
            x = functional.leaky_relu(x, 0.2) * math.sqrt(2)
        x = x.clamp(-self.conv_clamp, self.conv_clamp)
        return filtered(x, down, [0, 0], [0, 0])[:, :, :: self.down_factor, :: self.down_factor]


def lowpass(count, cutoff, half_width, rate, radial=False):
    """Designs a Kaiser filter, separable or (by the jinc function) radial."""
    if not radial:
        taps = scipy.signal.firwin(count, cutoff, width=2 * half_width, fs=rate)
        return torch.as_tensor(taps, dtype=torch.float32)
    places = (np.arange(count) - (count - 1) / 2) / rate
    radii = np.hypot(*np.meshgrid(places, places))
    window = np.kaiser(count, 5)
    plane = scipy.special.j1(2 * cutoff * np.pi * radii) / radii * np.outer(window, window)
    return torch.as_tensor(plane / plane.sum(), dtype=torch.float32)


class Synthesis3(nn.Module):
    def __init__(self, specs, widths, w_dim, radial, kernel):
        super().__init__()
        self.output_scale, self.layer_names = 0.25, []
        size, rate, cutoff, _ = specs[0]
        self.input = Waves(w_dim, widths[0], size, rate, cutoff)
        inputs, before = widths[0], specs[0]
        for index, (spec, width) in enumerate(zip(specs, widths, strict=True)):
            is_torgb = index == len(specs) - 1
            layer = Filtered(w_dim, inputs, width, spec, before, is_torgb, radial, kernel)
            name = f"L{index}_{spec[0]}_{width}"
            setattr(self, name, layer)
            self.layer_names.append(name)
            inputs, before = width, spec

    def forward(self, styles, noise):
        first, *styles = styles.unbind(1)
        x = self.input(first)
        for name, style in zip(self.layer_names, styles, strict=True):
            x = getattr(self, name)(x, style)
        return x * self.output_scale


def stylegan3(c_dim=0, colours=3, radial=False, kernel=3, seed=0, z_dim=7):
    """Makes a StyleGAN3 generator of 16 pixels: (size, rate, cutoff, half width) a layer."""
    torch.manual_seed(seed)
    specs = [(16, 8, 2, 2.5), (16, 8, 3, 2.5), (24, 16, 5, 4), (16, 16, 6, 4), (16, 16, 6, 4)]
    widths = [6, 6, 5, 4, colours]
    synthesis = Synthesis3(specs, widths, 8, radial, kernel)
    return Generator(Mapping(z_dim, c_dim, 8, len(specs) + 1), synthesis, 16, colours)
