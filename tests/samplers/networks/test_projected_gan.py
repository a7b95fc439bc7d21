import pickle
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm

from gendata import load_sampler
from gendata.errors import GendataError
from gendata.samplers.networks import stylegan2
from gendata.samplers.networks.projected_gan import build
from gendata.samplers.restricted_pickle import read_checkpoint

Z_DIM, CLASSES = 6, 3
SOURCES = {64: 4, 128: 8}  # which maps excite which


class Noise(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.drawn = []

    def forward(self, maps):
        self.drawn.append(torch.randn(len(maps), 1, *maps.shape[2:]))
        return maps + self.weight * self.drawn[-1]


class ClassNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gain = spectral_norm(nn.Linear(Z_DIM, channels))
        self.bias = spectral_norm(nn.Linear(Z_DIM, channels))
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def forward(self, maps, embedded):
        mean, variance = self.stored_mean[:, None, None], self.stored_var[:, None, None]
        maps = (maps - mean) / (variance + 1e-5).sqrt()
        gain, shift = 1 + self.gain(embedded), self.bias(embedded)
        return maps * gain[:, :, None, None] + shift[:, :, None, None]


def convolution(inputs, outputs, side=3, bias=False):
    return spectral_norm(nn.Conv2d(inputs, outputs, side, padding=int(side == 3), bias=bias))


def block(inputs, outputs, lite):
    parts = [nn.Upsample(scale_factor=2), convolution(inputs, 2 * outputs)]
    for again in (False,) if lite else (False, True):
        parts += [convolution(outputs, 2 * outputs)] * again + [Noise()] * (not lite)
        parts += [nn.BatchNorm2d(2 * outputs), nn.GLU(dim=1)]
    return nn.Sequential(*parts)


class ClassBlock(nn.Module):
    def __init__(self, inputs, outputs, lite):
        super().__init__()
        self.lite = lite
        if lite:
            self.conv, self.bn = convolution(inputs, 2 * outputs), ClassNorm(2 * outputs)
        else:
            self.conv1, self.bn1 = convolution(inputs, 2 * outputs), ClassNorm(2 * outputs)
            self.conv2, self.bn2 = convolution(outputs, 2 * outputs), ClassNorm(2 * outputs)
            self.noise = Noise()

    def forward(self, maps, embedded):
        maps = maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        if self.lite:
            return nn.functional.glu(self.bn(self.conv(maps), embedded), dim=1)
        maps = nn.functional.glu(self.bn1(self.noise(self.conv1(maps)), embedded), dim=1)
        return nn.functional.glu(self.bn2(self.noise(self.conv2(maps)), embedded), dim=1)


class Excite(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        first, second = convolution(inputs, outputs, 4), convolution(outputs, outputs, 1)
        pool = nn.AdaptiveAvgPool2d(4)
        self.main = nn.Sequential(pool, first, nn.SiLU(), second, nn.Sigmoid())


class Start(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        first = spectral_norm(nn.ConvTranspose2d(Z_DIM, 2 * outputs, 4, bias=False))
        self.init = nn.Sequential(first, nn.BatchNorm2d(2 * outputs), nn.GLU(dim=1))


class Synthesis(nn.Module):
    def __init__(self, resolution, lite, conditional):
        super().__init__()
        self.img_resolution, self.conditional = resolution, conditional
        width = {4: 8, 8: 6, 16: 4, 32: 3, 64: 2, 128: 2}
        self.init = Start(width[4])
        for side, outputs in list(width.items())[1:]:
            # The first release had full and lite blocks in turn.
            is_lite = side in (16, 64) if lite == "mixed" else lite
            kind = ClassBlock if conditional else block
            self.add_module(f"feat_{side}", kind(width[side // 2], outputs, is_lite))
            if side in SOURCES:
                self.add_module(f"se_{side}", Excite(width[SOURCES[side]], outputs))
        self.to_big = convolution(width[resolution], 3, bias=True)
        if conditional:
            self.embed = nn.Embedding(10, Z_DIM)

    def forward(self, z, labels):
        embedded = (self.embed(labels),) if self.conditional else ()
        z = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
        maps, side = {4: self.init.init(z[:, :, None, None])}, 4
        while side < self.img_resolution:
            side *= 2
            maps[side] = self.get_submodule(f"feat_{side}")(maps[side // 2], *embedded)
            if side in SOURCES:
                factors = self.get_submodule(f"se_{side}").main(maps[SOURCES[side]])
                maps[side] = maps[side] * factors
        return self.to_big(maps[side])


class Generator(nn.Module):
    """What a file of FastGAN holds, by name and shape, and what it computes, step by step."""

    def __init__(self, resolution=16, lite=False, conditional=False, strength=0.5):
        super().__init__()
        torch.manual_seed(resolution)
        self.z_dim, self.c_dim, self.img_resolution = Z_DIM, CLASSES * conditional, resolution
        self.mapping, self.synthesis = nn.Module(), Synthesis(resolution, lite, conditional)
        for name, tensor in self.state_dict().items():
            if name.endswith(("running_var", "stored_var")):
                tensor.uniform_(0.3, 2)
            elif name.endswith(("running_mean", "stored_mean")):
                tensor.normal_(0, 0.3)
        for module in self.modules():
            if isinstance(module, Noise):
                nn.init.constant_(module.weight, strength)
            if hasattr(module, "weight_orig"):  # a step of power iteration, as training makes
                axis = int(isinstance(module, nn.ConvTranspose2d))
                matrix = module.weight_orig.detach().movedim(axis, 0).flatten(1)
                module.weight_v = nn.functional.normalize(matrix.T @ module.weight_u, dim=0)
        self.eval().requires_grad_(False)

    def forward(self, z, labels=None):
        """Returns images and the noise that was drawn for them, in order of use."""
        parts = [part for part in self.modules() if isinstance(part, Noise)]
        for part in parts:
            part.drawn = []
        images = self.synthesis(z, labels)
        drawn = [noise for part in parts for noise in part.drawn]
        return images, sorted(drawn, key=lambda noise: noise.shape[-1])


@pytest.fixture
def record(tmp_path):
    def write(generator):
        (tmp_path / "g.pkl").write_bytes(pickle.dumps({"G_ema": generator}))
        return read_checkpoint(tmp_path / "g.pkl")["G_ema"]

    return write


def inputs(conditional, count=3):
    torch.manual_seed(1)
    labels = torch.tensor([2, 0, 1])[:count]
    return torch.randn(count, Z_DIM), labels if conditional else None


def deviation(images, expected):
    return ((images - expected).abs().max() / expected.std()).item()


def test_the_published_generator(shared):
    file = shared / "checkpoints" / "projgan_fastgan256"
    network = build(read_checkpoint(file.with_suffix(".pkl"))["G_ema"])
    official = {name: torch.from_numpy(array) for name, array in np.load(f"{file}.npz").items()}
    images = network(official["z"], None)
    assert deviation(images, official["image"]) < 1e-4
    truncated = network(official["z"], None, psi=official["psi"].item())
    assert deviation(truncated, official["image_truncated"]) < 1e-4 and not network.truncates
    assert (network.z_dim, network.c_dim, network.img_resolution) == (64, 0, 128)
    assert network.family == "projected-gan" and network.to_bytes == "x*127.5+128"
    assert network.noise_shapes == []  # each is of strength zero in this file


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("resolution", "lite"),
    [(8, False), (16, True), (32, "mixed"), (64, True), (128, False), (128, True)],
)
def test_against_the_formulas(record, resolution, lite, conditional):
    generator = Generator(resolution, lite, conditional)
    network = build(record(generator))
    z, labels = inputs(conditional)
    expected, drawn = generator(z, labels)
    images = network(z, labels, noise=drawn)
    assert images.shape == (3, 3, resolution, resolution) and images.dtype == torch.float32
    assert deviation(images, expected) < 2e-5
    assert network.noise_shapes == [tuple(noise.shape[2:]) for noise in drawn]
    assert network.c_dim == CLASSES * conditional and network.img_channels == 3
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_no_noise_is_noise_of_zeros(record):
    network = build(record(Generator(16)))
    z, _ = inputs(False)
    zeros = [torch.zeros(3, 1, *shape) for shape in network.noise_shapes]
    assert network.noise_shapes == [(8, 8), (8, 8), (16, 16), (16, 16)]
    assert torch.equal(network(z, None), network(z, None, noise=zeros))
    assert torch.equal(network(z, None), network(z, None, noise="none"))
    ones = [torch.ones_like(noise) for noise in zeros]
    assert not torch.equal(network(z, None), network(z, None, noise=ones))
    for wrong, words in (("random", "found 'random'"), (zeros[1:], "found 3 tensors")):
        with pytest.raises(GendataError, match=f"noise does not fit.*{words}.*4 tensors"):
            network(z, None, noise=wrong)


def test_noise_of_strength_zero_is_not_asked_for(record):
    assert build(record(Generator(16, strength=0))).noise_shapes == []


def test_an_image_depends_on_its_latent_and_label_alone(record):
    network = build(record(Generator(32, conditional=True)))
    z, labels = inputs(True)
    images = network(z, labels)
    assert torch.equal(images, network(z, labels))
    assert deviation(network(z[1:2], labels[1:2]), images[1:2]) < 1e-5
    other = network(z, torch.tensor([2, 1, 1]))
    assert torch.equal(other[0], images[0]) and not torch.equal(other[1], images[1])
    assert torch.equal(network(z, labels, psi=0.5, cutoff=1), images)  # as published: ignored


def test_half_precision_runs_in_full(record):
    half, z = Generator(16), inputs(False)[0]
    expected = build(record(half))(z, None)
    images = build(record(half.half()))(z, None)
    assert images.dtype == torch.float32 and deviation(images, expected) < 0.05


def test_weights_whose_norm_was_removed(record):
    generator, z = Generator(16), inputs(False)[0]
    expected, drawn = generator(z)
    nn.utils.remove_spectral_norm(generator.synthesis.feat_8[1])
    assert deviation(build(record(generator))(z, None, noise=drawn), expected) < 2e-5


def test_labels_without_an_embedding_mean_nothing(record):
    generator = Generator(16)
    generator.c_dim = 5
    assert build(record(generator)).c_dim == 0


def change(path, attribute, value):
    """A change of one attribute of a generator."""

    def apply(generator):
        setattr(generator.get_submodule(path), attribute, value)

    return apply


def without(path, name):
    """Takes a sub-module out."""
    return lambda generator: delattr(generator.get_submodule(path), name)


def fill(path, name, value):
    """Fills a tensor."""
    return lambda generator: getattr(generator.get_submodule(path), name).fill_(value)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (without("", "synthesis"), "no module 'synthesis'"),
        (without("synthesis", "init"), "found embed, feat_128, feat_16"),
        (change("synthesis", "img_resolution", 100), "found 100; expected a power of two"),
        (change("synthesis", "img_resolution", 2048), "found 2048"),
        (change("synthesis", "img_resolution", torch.ones(2)), "bad 'img_resolution'"),
        (change("synthesis", "img_resolution", 256), "no module 'feat_256'"),
        (change("", "c_dim", 0), "bad 'c_dim'; found 0"),
        (change("", "c_dim", 10**9), "bad 'c_dim'; found 1000000000"),
        (change("", "c_dim", None), "bad 'c_dim'"),
        (without("synthesis", "feat_8"), "no module 'feat_8'"),
        (without("synthesis", "to_big"), "no module 'to_big'"),
        (without("synthesis.feat_8", "bn1"), "no module 'bn1'"),
        (without("synthesis.feat_8", "noise"), "no module 'noise'"),
        (change("synthesis", "feat_8", ClassBlock(7, 6, False)), "expected (any, 8, 3, 3)"),
        (change("synthesis", "embed", nn.Embedding(10, 7)), "expected (any, 6)"),
        (change("synthesis.init.init.1", "weight", None), "BatchNorm2d does not fit"),
        (fill("synthesis.to_big", "weight_u", 0), "its spectral norm; found 0.0"),
        (fill("synthesis.to_big", "weight_v", np.inf), "its spectral norm; found "),
        (
            change("synthesis.init.init", "0", nn.ConvTranspose2d(6, 15, 4)),
            "an odd number of channels before a gate; found 15",
        ),
        (change("synthesis.to_big", "bias", None), "Conv2d does not fit"),
    ],
)
def test_files_that_do_not_fit(record, mistake, words):
    generator = Generator(16, conditional=True)
    mistake(generator)
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        build(record(generator))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_conditional_generator_needs_labels(record):
    with pytest.raises(GendataError, match="needs labels"):
        build(record(Generator(16, conditional=True)))(inputs(True)[0], None)


def test_its_stylegan2_configuration_is_stylegan2(record, monkeypatch):
    generator = Generator(16)
    generator.synthesis = nn.Module()
    generator.synthesis.b4 = nn.Module()
    monkeypatch.setattr(stylegan2, "build", lambda record: record.name)
    assert build(record(generator)) == "Generator"


@pytest.mark.parametrize("lite", [False, True])
def test_as_a_sampler(record, tmp_path, lite):
    record(Generator(16, lite, conditional=True))
    sampler = load_sampler(f"stylegan:{tmp_path / 'g.pkl'}", device="cpu")
    assert sampler.card.settings["noise_mode"] == "random", "as its authors draw it"
    labels, seeds = torch.tensor([2, 0, 1]), torch.tensor([7, 8, 9])
    images = sampler.sample(labels, seeds)
    assert images.shape == (3, 3, 16, 16) and images.dtype == torch.uint8
    assert torch.equal(images, sampler.sample(labels, seeds))
    alone = sampler.sample(labels[1:2], seeds[1:2])
    assert (alone.int() - images[1:2].int()).abs().max() <= 1
    with pytest.warns(UserWarning, match="no truncation"):
        still = load_sampler(sampler.name, noise_mode="const", psi=0.5, device="cpu")
    assert still.card.settings["psi"] == 1
    quiet = still.sample(labels, seeds)
    assert torch.equal(quiet, images) == lite  # lite blocks have no noise
    with pytest.raises(GendataError, match="labels"):
        sampler.sample(torch.tensor([0, 1, 3]), seeds)
