"""The generator is checked against a slow one, which draws image by image and in float64."""

import math
import pickle
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.samplers.networks.stylegan_xl import build
from gendata.samplers.networks.stylegan_xl_synthesis import (
    Resample,
    band_blocks,
    separable_terms,
)
from gendata.samplers.restricted_pickle import read_checkpoint

Z_DIM, W_DIM, CLASSES, CHANNELS = 6, 8, 3, 5
LATENTS, LABELS = torch.randn(4, Z_DIM, generator=torch.manual_seed(3)), torch.tensor([2, 0, 1, 2])


class FullyConnectedLayer(nn.Module):
    def __init__(self, inputs, outputs, activation="linear", multiplier=1.0, bias=0.0):
        super().__init__()
        self.activation, self.bias_gain = activation, multiplier
        self.weight_gain = multiplier / np.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter((torch.randn(outputs) / 3 + bias) / multiplier)

    def forward(self, x):
        x = x @ self.weight.T * self.weight_gain + self.bias * self.bias_gain
        return x if self.activation == "linear" else functional.leaky_relu(x, 0.2) * math.sqrt(2)


class MappingNetwork(nn.Module):
    def __init__(self, c_dim):
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.num_layers = Z_DIM, c_dim, W_DIM, 2
        self.embed = nn.Embedding(10, 7)
        self.embed_proj = FullyConnectedLayer(7, Z_DIM, "lrelu") if c_dim else None
        self.fc0 = FullyConnectedLayer(Z_DIM * (2 if c_dim else 1), W_DIM, "lrelu", 0.01)
        self.fc1 = FullyConnectedLayer(W_DIM, W_DIM, "lrelu", 0.01)
        self.register_buffer("w_avg", torch.randn(*([c_dim] if c_dim else []), W_DIM))

    def forward(self, z, label):
        parts = [z] if label is None else [z, self.embed_proj(self.embed.weight[label])]
        parts = [part / (part.square().mean() + 1e-8).sqrt() for part in parts]
        return self.fc1(self.fc0(torch.cat(parts)))


class SynthesisInput(nn.Module):
    def __init__(self, size, rate, bandwidth):
        super().__init__()
        self.size, self.sampling_rate, self.bandwidth = np.array([size, size]), rate, bandwidth
        self.weight = nn.Parameter(torch.randn(CHANNELS, CHANNELS))
        self.affine = FullyConnectedLayer(W_DIM, 4)
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", torch.randn(CHANNELS, 2) * bandwidth)
        self.register_buffer("phases", torch.rand(CHANNELS) - 0.5)

    def forward(self, w):
        pose = self.affine(w)
        cosine, sine, x, y = pose / pose[:2].norm()
        turn = torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])])
        phases = self.phases + self.freqs @ turn @ torch.stack([-x, -y])
        freqs = self.freqs @ turn
        fade = (freqs.norm(dim=1) - self.bandwidth) / (self.sampling_rate / 2 - self.bandwidth)
        place = (torch.arange(int(self.size[0])) + 0.5 - int(self.size[0]) / 2).double()
        y, x = torch.meshgrid(
            place / self.sampling_rate, place / self.sampling_rate, indexing="ij"
        )
        waves = torch.sin(math.tau * (torch.stack([x, y], -1) @ freqs.T + phases))
        waves = waves * (1 - fade).clamp(0, 1)
        return (waves @ self.weight.T / math.sqrt(CHANNELS)).permute(2, 0, 1)[None]


def resample(x, taps, up, down, padding):
    """Inserts zeros, pads or crops, convolves (C, H, W), and keeps every n-th pixel."""
    x = x.permute(1, 0, 2, 3)
    spread = x.new_zeros(len(x), 1, x.shape[2] * up, x.shape[3] * up)
    spread[:, :, ::up, ::up] = x
    plane = torch.ones(1, 1) if taps is None else taps
    plane = torch.outer(plane, plane) if plane.ndim == 1 else plane
    kernel = plane.to(x.dtype).flip(0, 1)[None, None]
    x = functional.conv2d(functional.pad(spread, padding), kernel)[:, :, ::down, ::down]
    return x.permute(1, 0, 2, 3)


class SynthesisLayer(nn.Module):
    def __init__(self, sizes, factors, channels, kernel, radial, is_torgb=False, clamp=256):
        super().__init__()
        self.in_size, self.out_size = np.broadcast_to(np.array(sizes)[:, None], (2, 2)).copy()
        self.up_factor, self.down_factor = factors
        self.is_torgb, self.use_fp16, self.conv_clamp = is_torgb, True, clamp
        self.affine = FullyConnectedLayer(W_DIM, channels[0], bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels[1], channels[0], kernel, kernel))
        self.bias = nn.Parameter(torch.randn(channels[1]) / 3)
        self.register_buffer("magnitude_ema", torch.rand([]) + 0.5)
        taps = [6 * factor if factor > 1 else 1 for factor in factors]
        # Without any symmetry, so that a filter turned around shows.
        shape = (taps[1], taps[1]) if radial else (taps[1],)
        filters = [torch.randn(taps[0]), torch.randn(shape)]
        for name, part, count in zip(("up_filter", "down_filter"), filters, taps, strict=True):
            self.register_buffer(name, None if count == 1 else part / part.norm())
        total = (sizes[1] - 1) * factors[1] + 1 - (sizes[0] + kernel - 1) * factors[0]
        total += sum(taps) - 2
        before = (total + factors[0]) // 2
        self.padding = [before, total - before] * 2

    def forward(self, x, w):
        scales, weight = self.affine(w), self.weight
        if self.is_torgb:
            weight = weight * scales[:, None, None] / math.sqrt(weight[0].numel())
        else:
            weight = weight / weight.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
            weight = weight * (scales / scales.square().mean().sqrt())[:, None, None]
            weight = weight / weight.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        weight = weight / self.magnitude_ema.sqrt()
        x = functional.conv2d(x, weight, self.bias, padding=weight.shape[2] - 1)
        x = resample(x, self.up_filter, self.up_factor, 1, self.padding) * self.up_factor**2
        if not self.is_torgb:
            x = functional.leaky_relu(x, 0.2) * math.sqrt(2)
        x = x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)
        return resample(x, self.down_filter, 1, self.down_factor, [0] * 4)


class SynthesisNetwork(nn.Module):
    def __init__(self, kernel, radial, colours, clamp):
        super().__init__()
        self.output_scale = 0.25
        self.input = SynthesisInput(16, 8.0, 2.0)
        self.layer_names = ["L0_16_5", "L2_24_7", "L3_16_5", f"L4_16_{colours}"]
        stem, critical = (kernel, radial), (kernel, False)
        layers = [
            SynthesisLayer((16, 16), (2, 2), (CHANNELS, 5), *stem, clamp=clamp),
            SynthesisLayer((16, 24), (4, 2), (5, 7), *stem, clamp=clamp),
            SynthesisLayer((24, 16), (2, 2), (7, 5), *critical, clamp=clamp),
            SynthesisLayer((16, 16), (1, 1), (5, colours), 1, False, is_torgb=True),
        ]
        for name, layer in zip(self.layer_names, layers, strict=True):
            setattr(self, name, layer)


class SuperresGenerator(nn.Module):
    def __init__(self, kernel=3, radial=False, c_dim=CLASSES, colours=3, clamp=256):
        super().__init__()
        torch.manual_seed(7)
        self.z_dim, self.c_dim, self.w_dim = Z_DIM, c_dim, W_DIM
        self.img_resolution, self.img_channels = 16, colours
        self.mapping = MappingNetwork(c_dim)
        self.synthesis = SynthesisNetwork(kernel, radial, colours, clamp)

    @torch.no_grad()
    def slow(self, z, labels, psi=1.0, cutoff=5):
        """Draws image by image in float64."""
        self.double()
        images = []
        for index in range(len(z)):
            label = None if labels is None else labels[index]
            w = self.mapping(z[index].double(), label)
            mean = self.mapping.w_avg if label is None else self.mapping.w_avg[label]
            ws = [mean + psi * (w - mean) if i < cutoff else w for i in range(5)]
            x = self.synthesis.input(ws[0])
            for name, style in zip(self.synthesis.layer_names, ws[1:], strict=True):
                x = getattr(self.synthesis, name)(x, style)
            images.append(x * self.synthesis.output_scale)
        self.float()
        return torch.cat(images).float()


class Generator(SuperresGenerator):
    pass


@pytest.fixture
def recorded(tmp_path):
    def read(module):
        (tmp_path / "G.pkl").write_bytes(pickle.dumps({"G_ema": module}))
        return read_checkpoint(tmp_path / "G.pkl")["G_ema"]

    return read


def assert_close(images, expected, tolerance=1e-4):
    assert images.shape == expected.shape and images.dtype == torch.float32
    assert (images - expected).abs().max() < tolerance * expected.std()


@pytest.mark.parametrize(
    "module",
    [
        SuperresGenerator(),
        SuperresGenerator(kernel=1, radial=True),
        Generator(kernel=3, radial=True, colours=1, clamp=None),
        Generator(kernel=1, c_dim=0, clamp=0.7),
    ],
    ids=["T", "R", "grey", "unconditional"],
)
def test_images_are_those_of_the_formulas(recorded, module):
    labels = LABELS if module.c_dim else None
    generator = build(recorded(module))
    assert (generator.z_dim, generator.c_dim, generator.w_dim) == (Z_DIM, module.c_dim, W_DIM)
    assert (generator.img_resolution, generator.img_channels) == (16, module.img_channels)
    assert generator.family == "stylegan-xl" and generator.to_bytes == "(x+1)*127.5"
    assert not generator.noise_shapes and not generator.training
    assert not any(each.requires_grad for each in generator.parameters())
    assert_close(generator(LATENTS, labels), module.slow(LATENTS, labels))
    truncated = generator(LATENTS, labels, psi=0.6, noise="none")
    assert_close(truncated, module.slow(LATENTS, labels, 0.6))
    partly = generator(LATENTS, labels, psi=0.3, cutoff=2)
    assert_close(partly, module.slow(LATENTS, labels, 0.3, 2))


@pytest.mark.parametrize("key", ["image", "image_truncated"])
def test_images_are_the_official_ones(shared, key):
    generator = build(read_checkpoint(shared / "checkpoints" / "sgxl_superres32.pkl")["G_ema"])
    vector = np.load(shared / "checkpoints" / "sgxl_superres32.npz")
    labels = torch.from_numpy(vector["c"]).argmax(dim=1)
    psi = 1.0 if key == "image" else float(vector["psi"])
    images = generator(torch.from_numpy(vector["z"]), labels, psi=psi)
    assert_close(images, torch.from_numpy(vector[key]))


def test_an_image_depends_on_its_latent_and_label_alone(recorded):
    generator = build(recorded(SuperresGenerator()))
    images = generator(LATENTS, LABELS)
    assert torch.equal(generator(LATENTS, LABELS), images)
    for index in range(4):
        alone = generator(LATENTS[index : index + 1], LABELS[index : index + 1])
        assert_close(alone[0], images[index], 1e-5)
    other = generator(LATENTS[[0, 3, 3, 3]], LABELS[[0, 1, 1, 1]])
    assert_close(other[0], images[0], 1e-5)
    relabelled = generator(LATENTS, (LABELS + 1) % 3)
    assert (relabelled - images).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_truncation_ends_at_the_mean_image_of_a_class(recorded):
    generator = build(recorded(Generator()))
    assert generator.w_avg.shape == (CLASSES, W_DIM)
    images = generator(LATENTS, LABELS, psi=0.0)
    assert_close(images[3], images[0], 1e-5)  # both of class 2
    assert (images[1] - images[0]).abs().max() > 0.01
    assert torch.equal(generator(LATENTS, LABELS, psi=0.0, cutoff=0), generator(LATENTS, LABELS))


def test_truncation_to_the_nearest_centroid(recorded):
    generator = build(recorded(Generator()))
    styles = generator.mapping(LATENTS, LABELS)
    generator.use_centroids(styles[:2] + 0.001)
    pulled = generator.truncate(styles[:2], LABELS[:2], 0.25)
    assert torch.allclose(pulled, styles[:2] + 0.00075, atol=1e-6)
    generator.use_centroids(None)
    mean = generator.w_avg[LABELS]
    assert torch.allclose(
        generator.truncate(styles, LABELS, 0.25), mean + 0.25 * (styles - mean), atol=1e-6
    )
    with pytest.raises(GendataError, match=re.escape("found (2, 7); expected (number, 8)")):
        generator.use_centroids(torch.zeros(2, 7))


def test_one_mean_style_for_all_classes(recorded):
    module = Generator()
    module.mapping.w_avg = torch.randn(W_DIM)
    generator = build(recorded(module))
    assert generator.c_dim == CLASSES
    images = generator(LATENTS, LABELS, psi=0.0)
    assert_close(images[1], images[0], 1e-5)


def test_half_precision_files_run_in_single(recorded):
    module = SuperresGenerator()
    expected = module.slow(LATENTS, LABELS)
    images = build(recorded(module.half()))(LATENTS, LABELS)
    assert_close(images, expected, 0.1)


def test_labels_are_needed_where_there_are_classes(recorded):
    with pytest.raises(GendataError, match="needs labels"):
        build(recorded(Generator()))(LATENTS, None)


def set_layer(name, value, layer="L2_24_7", **others):
    def change(module):
        for key, each in {name: value, **others}.items():
            setattr(getattr(module.synthesis, layer), key, each)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_layer("in_size", 17), "the side of its input; found 17; expected 16"),
        (set_layer("out_size", 10**9), "bad 'out_size'; found 1000000000"),
        (set_layer("out_size", [24, 25]), "the side of a square"),
        (set_layer("out_size", "24"), "bad 'out_size'; found 24"),
        (set_layer("up_factor", 10**6), "bad 'up_factor'"),
        (set_layer("up_factor", float("nan")), "bad 'up_factor'"),
        (set_layer("down_factor", 64, out_size=4352), "the size of its activations"),
        (set_layer("down_filter", torch.ones(90, 90), out_size=600), "the size of its filters"),
        (set_layer("conv_clamp", "256"), "bad 'conv_clamp'"),
        (set_layer("magnitude_ema", torch.zeros([])), "the magnitude of its input"),
        (set_layer("up_filter", torch.ones(2, 3)), "the shape of 'up_filter'"),
        (set_layer("down_filter", torch.full((12,), float("nan"))), "is not finite"),
        (set_layer("down_filter", torch.ones(800)), "the shape of 'down_filter'"),
        (set_layer("is_torgb", False, "L4_16_3"), "its last layer"),
        (set_layer("bias", nn.Parameter(torch.ones(6))), "the shape of 'bias'"),
        (lambda module: setattr(module.synthesis, "layer_names", "L0"), "its layer names"),
        (lambda module: setattr(module.synthesis, "layer_names", ["L9"]), "no module 'L9'"),
        (lambda module: setattr(module.synthesis, "layer_names", ["L0_16_5"] * 99), "1 to 48"),
        (lambda module: setattr(module, "img_resolution", 32), "16 pixels; expected 32"),
        (lambda module: setattr(module, "synthesis", None), "no module 'synthesis'"),
        (lambda module: setattr(module, "img_channels", 4), "the number of colours"),
        (lambda module: setattr(module.mapping, "c_dim", 4), "the number of its mean styles"),
        (lambda module: setattr(module.mapping, "embed", nn.Embedding(2, 7)), "at most 2"),
        (lambda module: setattr(module.mapping, "embed_proj", None), "no module 'embed_proj'"),
        (lambda module: setattr(module.mapping, "num_layers", 10**9), "bad 'num_layers'"),
        (lambda module: setattr(module.mapping, "z_dim", 64), "the size of its latents"),
        (
            lambda module: setattr(module.mapping.fc0, "activation", "gelu"),
            "its activation; found gelu",
        ),
    ],
)
def test_files_that_do_not_fit_are_one_line(recorded, change, words):
    module = SuperresGenerator()
    change(module)
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        build(recorded(module))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def records_of(record, found):
    """One record of each class."""
    found.setdefault(record.name, record)
    for child in record.modules().values():
        records_of(child, found)
    return found.values()


def test_any_attribute_may_be_anything(recorded):
    record = recorded(SuperresGenerator())
    values = (None, True, -1, 0, 10**12, float("nan"), "x", [], [3, "x"], {}, record)
    values = (*values, torch.ones(3), torch.ones(2, 2, dtype=torch.int64), torch.zeros(0))
    for each in list(records_of(record, {})):
        members = [each.state[name] for name in ("_parameters", "_buffers", "_modules")]
        for dictionary in (each.state, *members):
            for name in [key for key in dictionary if "hooks" not in key]:
                kept = dictionary[name]
                for value in values:
                    dictionary[name] = value
                    try:
                        build(record)
                    except GendataError as error:
                        assert "\n" not in str(error)
                dictionary[name] = kept
    assert build(record)(LATENTS, LABELS).shape == (4, 3, 16, 16)


@pytest.mark.parametrize(
    ("up", "down", "before", "size", "shape"),
    [(2, 1, 5, 70, (12,)), (4, 1, -7, 40, (24,)), (1, 2, 0, 150, (12, 12)), (1, 2, 3, 9, (5,))],
)
def test_filters_as_matrices(up, down, before, size, shape):
    torch.manual_seed(1)
    images, taps = torch.randn(2, size, size, 3), torch.rand(shape)
    after = 4
    out_size = (size * up + before + after - shape[0]) // down + 1
    padding = [before, after] * 2
    expected = resample(images.permute(0, 3, 1, 2)[:1].double(), taps, up, down, padding)
    images = Resample(taps, up, down, before, size, out_size, 1.0)(images)
    assert_close(images[:1], expected.permute(0, 2, 3, 1).float())


def test_a_filter_beside_the_image_gives_zeros():
    blocks = band_blocks(torch.ones(1, 3), 1, 1, 500, 4, 200, 32)
    assert not any(matrix.any() for _, _, matrix in blocks)


def test_radial_filters_are_few_separable_ones():
    place = torch.arange(12) - 5.5
    radial = torch.exp(-(place[:, None] ** 2 + place**2).sqrt())
    rows, columns = separable_terms(radial)
    assert len(rows) <= 6
    assert torch.allclose(torch.einsum("ti,tj->ij", rows, columns), radial, atol=1e-6)
