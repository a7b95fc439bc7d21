import json
import math
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.models.weights import digest_of
from gendata.samplers.biggan import imagenet_names, truncated_latents

SEEDS = torch.tensor([5, 2**62 + 1, 7, 11])
LABELS = torch.tensor([2, 0, 1, 2])
LAYERS = [[False, 16, 16], [True, 16, 8], [True, 8, 4], [False, 4, 4], [True, 4, 2], [False, 2, 1]]
CONFIG = {
    "output_dim": 32, "z_dim": 6, "class_embed_dim": 6, "channel_width": 8, "num_classes": 3,
    "layers": LAYERS, "attention_layer_position": 3, "eps": 1e-3, "n_stats": 6,
}  # fmt: skip


class Maker:
    """Random weights under the names of the release, made layer by layer."""

    def __init__(self):
        self.state, self.random = {}, torch.Generator().manual_seed(3)

    def tensor(self, name, *shape, scale=0.5, offset=0.0):
        self.state[name] = offset + scale * torch.randn(shape, generator=self.random)

    def spectral(self, name, *shape, bias=False):
        self.tensor(f"{name}.weight_orig", *shape)
        self.tensor(f"{name}.weight_u", shape[0])
        self.tensor(f"{name}.weight_v", math.prod(shape[1:]))
        weight = self.state[f"{name}.weight_orig"].flatten(1)
        for side, other in (("v", weight.t()), ("u", weight)) * 3:
            vector = other @ self.state[f"{name}.weight_{'u' if side == 'v' else 'v'}"]
            self.state[f"{name}.weight_{side}"] = functional.normalize(vector, dim=0)
        if bias:
            self.tensor(f"{name}.bias", shape[0])

    def norm(self, name, channels, condition=None):
        self.tensor(f"{name}.running_means", CONFIG["n_stats"], channels)
        self.tensor(f"{name}.running_vars", CONFIG["n_stats"], channels, scale=0)
        self.state[f"{name}.running_vars"] = torch.rand(6, channels, generator=self.random) + 0.5
        if condition:
            self.spectral(f"{name}.scale", channels, condition)
            self.spectral(f"{name}.offset", channels, condition)
        else:
            self.tensor(f"{name}.weight", channels, offset=1)
            self.tensor(f"{name}.bias", channels)


def make_state():
    maker, width = Maker(), CONFIG["channel_width"]
    maker.tensor("embeddings.weight", 6, 3)
    maker.spectral("generator.gen_z", 4 * 4 * 16 * width, 12, bias=True)
    number = 0
    for position, (_, inputs, outputs) in enumerate(LAYERS):
        inputs, outputs = inputs * width, outputs * width
        if position == CONFIG["attention_layer_position"]:
            name = f"generator.layers.{number}"
            maker.tensor(f"{name}.gamma", 1)
            for part, ins, outs in (
                ("theta", inputs, inputs // 8), ("phi", inputs, inputs // 8),
                ("g", inputs, inputs // 2), ("o_conv", inputs // 2, inputs),
            ):  # fmt: skip
                maker.spectral(f"{name}.snconv1x1_{part}", outs, ins, 1, 1)
            number += 1
        middle, name = inputs // 4, f"generator.layers.{number}"
        shapes = [(inputs, middle, 1), (middle, middle, 3), (middle, middle, 3)]
        for part, (ins, outs, side) in enumerate([*shapes, (middle, outputs, 1)]):
            maker.norm(f"{name}.bn_{part}", ins, 12)
            maker.spectral(f"{name}.conv_{part}", outs, ins, side, side, bias=True)
        number += 1
    maker.norm("generator.bn", width)
    maker.spectral("generator.conv_to_rgb", width, width, 3, 3, bias=True)
    return maker.state


class Slow:
    """The paper's network, one image at a time, its formulas written out."""

    def __init__(self, state, truncation):
        self.state, self.truncation = state, truncation

    def weight(self, name):
        weight = self.state[f"{name}.weight_orig"]
        u, v = self.state[f"{name}.weight_u"], self.state[f"{name}.weight_v"]
        return weight / (u @ weight.flatten(1) @ v)

    def convolve(self, name, x):
        weight = self.weight(name)
        bias = self.state.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def statistics(self, values):
        share, step = math.modf(self.truncation / (1 / (len(values) - 1)))
        if share == 0:
            return values[int(step)]
        return share * values[int(step)] + (1 - share) * values[int(step) + 1]

    def norm(self, name, x, condition=None):
        mean = self.statistics(self.state[f"{name}.running_means"])
        variance = self.statistics(self.state[f"{name}.running_vars"])
        if condition is None:
            gain, offset = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        else:
            gain = 1 + self.weight(f"{name}.scale") @ condition
            offset = self.weight(f"{name}.offset") @ condition
        shape = (1, -1, 1, 1)
        x = (x - mean.view(shape)) / (variance + CONFIG["eps"]).sqrt().view(shape)
        return functional.relu(x * gain.view(shape) + offset.view(shape))

    def attend(self, name, x):
        query = self.convolve(f"{name}.snconv1x1_theta", x)[0].flatten(1)
        key = functional.max_pool2d(self.convolve(f"{name}.snconv1x1_phi", x), 2)[0].flatten(1)
        value = functional.max_pool2d(self.convolve(f"{name}.snconv1x1_g", x), 2)[0].flatten(1)
        found = value @ (query.t() @ key).softmax(dim=1).t()
        found = self.convolve(f"{name}.snconv1x1_o_conv", found.view(1, -1, *x.shape[2:]))
        return x + self.state[f"{name}.gamma"] * found

    def block(self, name, x, condition, doubles, outputs):
        y = x
        for part in range(4):
            y = self.norm(f"{name}.bn_{part}", y, condition)
            if doubles and part == 1:
                y = y.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            y = self.convolve(f"{name}.conv_{part}", y)
        x = x[:, :outputs]
        return y + (x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) if doubles else x)

    def draw(self, z, label):
        condition = torch.cat([z, self.state["embeddings.weight"][:, label]])
        x = self.weight("generator.gen_z") @ condition + self.state["generator.gen_z.bias"]
        x, number = x.view(1, 4, 4, -1).permute(0, 3, 1, 2), 0
        for position, (doubles, _, outputs) in enumerate(LAYERS):
            if position == CONFIG["attention_layer_position"]:
                x, number = self.attend(f"generator.layers.{number}", x), number + 1
            name = f"generator.layers.{number}"
            x = self.block(name, x, condition, doubles, outputs * CONFIG["channel_width"])
            number += 1
        x = self.convolve("generator.conv_to_rgb", self.norm("generator.bn", x))
        return torch.tanh(x[0, :3])


@pytest.fixture(scope="module")
def state():
    return make_state()


@pytest.fixture
def folder(tmp_path, state):
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.mark.parametrize("truncation", [1.0, 0.4, 0.35, 0.05])
def test_it_is_the_network_of_the_paper(folder, state, truncation):
    sampler = load_sampler(f"biggan:{folder}", device="cpu", truncation=truncation)
    z = truncated_latents(SEEDS, 6, truncation)
    found = sampler.synthesize(z, LABELS)
    slow = Slow(state, truncation)
    expected = torch.stack([slow.draw(*pair) for pair in zip(z, LABELS, strict=True)])
    assert (found - expected).abs().max() / expected.std() < 1e-4
    images = sampler.sample(LABELS, SEEDS)
    assert images.dtype == torch.uint8 and images.shape == (4, 3, 32, 32)
    bytes_of = ((expected + 1) / 2 * 256).clamp(0, 255).floor()
    assert (images - bytes_of).abs().max() <= 1 and (images == bytes_of).float().mean() > 0.99
    assert sampler.resolution == 32 and sampler.classes == ["0", "1", "2"]


def test_an_image_depends_on_its_label_and_seed_alone(folder):
    sampler = load_sampler(f"biggan:{folder}", device="cpu", truncation=0.5)
    images = sampler.sample(LABELS, SEEDS)
    order = torch.tensor([3, 1, 0, 2])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])
    assert torch.equal(sampler.sample(LABELS, SEEDS), images)
    others = sampler.sample(torch.tensor([2, 1, 1, 1]), torch.tensor([5, 8, 9, 10]))
    assert torch.equal(others[0], images[0]) and not torch.equal(others[1], images[1])
    alone = sampler.sample(LABELS[:1], SEEDS[:1])[0].int()
    assert (alone - images[0].int()).abs().max() <= 1
    assert sampler.card.sha256 == digest_of(folder / "pytorch_model.bin")
    assert sampler.card.settings["truncation"] == 0.5


def test_latents_are_a_truncated_normal_distribution():
    latents = truncated_latents(torch.arange(200), 64, 1.0)
    assert latents.abs().max() <= 2 and latents.abs().max() > 1.95
    assert abs(float(latents.mean())) < 0.03  # the variance of a normal one cut at 2 is 0.774
    assert abs(float(latents.var()) - 0.774) < 0.03
    assert torch.allclose(truncated_latents(torch.arange(200), 64, 0.3), latents * 0.3)
    assert torch.equal(truncated_latents([7], 64, 1.0)[0], latents[7])


def test_safetensors_and_folded_weights(folder, state):
    folded = {}
    for name, value in state.items():
        stem = name.removesuffix(".weight_orig")
        if stem != name:
            folded[f"{stem}.weight"] = Slow(state, 1.0).weight(stem).contiguous()
        elif not name.endswith(("weight_u", "weight_v")):
            folded[name] = value
    first = load_sampler(f"biggan:{folder}", device="cpu").synthesize(torch.ones(1, 6), LABELS[:1])
    (folder / "pytorch_model.bin").unlink()
    save_file(folded, folder / "model.safetensors")
    second = load_sampler(f"biggan:{folder}", device="cpu")
    assert torch.allclose(second.synthesize(torch.ones(1, 6), LABELS[:1]), first, atol=1e-5)


def test_imagenet_has_a_thousand_names():
    names = imagenet_names()
    assert len(names) == 1000 and names[281] == "tabby, tabby cat"


def test_images_that_are_not_finite_are_named(folder, state):
    broken = {**state, "embeddings.weight": state["embeddings.weight"].clone()}
    broken["embeddings.weight"][:, 0] = torch.nan
    torch.save(broken, folder / "pytorch_model.bin")
    sampler = load_sampler(f"biggan:{folder}", device="cpu")
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(LABELS, SEEDS)
    assert caught.value.reason == "nan" and caught.value.bad.tolist() == [0, 1, 0, 0]
    assert caught.value.images[0].any() and not caught.value.images[1].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"truncation": 0}, "bad option truncation; found 0; expected in (0, 1]"),
        ({"truncation": 1.5}, "bad option truncation"),
        ({"truncation": "low"}, "bad option truncation"),
        ({"truncation": math.nan}, "bad option truncation"),
        ({"classes": ["a"]}, "found 1 classes; expected 3"),
        ({"psi": 1}, "no option psi; expected some of classes, compile, truncation"),
    ],
)
def test_bad_options_are_one_line(folder, options, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load_sampler(f"biggan:{folder}", device="cpu", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "needs labels"),
        (torch.tensor([0, 1, 3, 0]), "outside"),
        (torch.zeros(4), "integers"),
    ],
)
def test_bad_labels_are_one_line(folder, labels, words):
    sampler = load_sampler(f"biggan:{folder}", device="cpu")
    with pytest.raises(GendataError, match=words):
        sampler.sample(labels, SEEDS)
    with pytest.raises(GendataError, match="latents of a wrong shape"):
        sampler.synthesize(torch.zeros(4, 5), LABELS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": []}, "layers"),
        ({"layers": [[True, 16, 16]] * 60}, "output_dim"),
        ({"layers": [[False, 16, 16], [True, 8, 4]]}, "do not follow"),
        ({"layers": [["yes", 16, 16]]}, "layers or channel_width"),
        ({"layers": [[True, 16, 3]]}, "do not follow"),
        ({"channel_width": 2**40}, "channel_width"),
        ({"channel_width": 16}, "do not fit BigGAN-deep at generator.gen_z"),
        ({"output_dim": 64}, "output_dim does not fit; found 64"),
        ({"num_classes": 7}, "found 7 where the weights have 3"),
        ({"eps": -1}, "eps"),
        ({"attention_layer_position": 1}, "do not fit BigGAN-deep"),
        ({"attention_layer_position": "end"}, "attention_layer_position"),
    ],
)
def test_damaged_configurations_are_one_line(folder, changes, words):
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    with pytest.raises(GendataError, match=words) as caught:
        load_sampler(f"biggan:{folder}", device="cpu")
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_one_line(folder, state):
    path = folder / "pytorch_model.bin"
    lacking = {key: value for key, value in state.items() if key != "generator.gen_z.weight_v"}
    torch.save(lacking, path)
    with pytest.raises(GendataError, match="generator.gen_z.weight_v; found nothing"):
        load_sampler(f"biggan:{folder}", device="cpu")
    torch.save({**state, "embeddings.weight": torch.zeros(1, 1).expand(10**6, 10**6)}, path)
    with pytest.raises(GendataError, match="not what they seem"):
        load_sampler(f"biggan:{folder}", device="cpu")
    torch.save({**state, "generator.bn.running_means": torch.zeros(0, 8)}, path)
    with pytest.raises(GendataError, match="running_vars|statistics"):
        load_sampler(f"biggan:{folder}", device="cpu")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(GendataError, match="cannot be read as weights"):
        load_sampler(f"biggan:{folder}", device="cpu")
    path.unlink()
    with pytest.raises(GendataError, match="holds no BigGAN-deep weights"):
        load_sampler(f"biggan:{folder}", device="cpu")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("zipped", [True, False])
def test_mutated_weights_load_or_are_one_line(folder, state, zipped):
    path, random = folder / "pytorch_model.bin", np.random.default_rng(5)
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    for _ in range(60):
        mutated = whole.copy()
        places = random.integers(0, 20_000, size=random.integers(1, 10))
        mutated[places] = random.integers(0, 256, size=len(places))
        path.write_bytes(mutated.tobytes())
        try:
            load_sampler(f"biggan:{folder}", device="cpu")
        except GendataError as error:
            assert "\n" not in str(error)
