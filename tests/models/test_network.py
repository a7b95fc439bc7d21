import copy
import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional

from gendata.errors import GendataError
from gendata.models import build_network
from gendata.models.network import to_float

NAMES = [
    "small-cnn",
    "cifar-resnet20",
    "embedded:efficientnet-lite0",
    "timm:resnet18",
    "mobilenetv3_small_050",
]


@pytest.fixture
def images():
    return torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_network_gives_logits_and_the_features_behind_them(name, images):
    network = build_network(name, 7).eval()
    output = network(images)
    assert output.logits.shape == (3, 7) and network.classes == 7
    assert output.features.shape == (3, network.feature_dim)
    last = network.backbone.get_classifier()
    torch.testing.assert_close(last(output.features), output.logits)


def test_penultimate_features_are_those_of_timm(images):
    network = build_network("resnet18", 5).eval()
    x = (images.float() / 255 - network.mean) / network.std
    backbone = network.backbone
    expected = backbone.forward_head(backbone.forward_features(x), pre_logits=True)
    torch.testing.assert_close(network(images).features, expected)


def test_uint8_and_unit_floats_are_the_same_input(images):
    network = build_network("small-cnn", 3).eval()
    torch.testing.assert_close(network(images).logits, network(images / 255).logits)
    assert to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0.0, 1.0]


def test_each_network_normalises_with_its_own_numbers(images):
    means = {name: build_network(name, 2).mean.flatten().tolist() for name in NAMES}
    assert means["small-cnn"] == [0.5] * 3 == means["embedded:efficientnet-lite0"]
    assert means["cifar-resnet20"] == pytest.approx([0.485, 0.456, 0.406])
    assert build_network("wrn-28-10", 2).std.flatten().tolist() == pytest.approx(
        [0.2023, 0.1994, 0.2010]
    )
    seen = []
    network = build_network("cifar-resnet20", 2).eval()
    network.backbone.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(images)
    by_hand = (images[0, 2, 5, 7].item() / 255 - 0.406) / 0.225
    assert seen[0][0, 2, 5, 7].item() == pytest.approx(by_hand, rel=1e-5)


def test_resize_is_antialiased(images):
    seen = []
    network = build_network("small-cnn", 2, input_size=16).eval()
    network.backbone.convolutions[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    network(images)
    expected = functional.interpolate(images / 255, size=(16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(seen[0] * 0.5 + 0.5, expected)


def test_a_named_tap_averages_maps_over_positions(images):
    network = build_network("cifar-resnet20", 4, tap="layer2").eval()
    maps = []
    network.backbone.layer2.register_forward_hook(lambda *parts: maps.append(parts[2]))
    features = network(images).features
    assert network.feature_dim == 32 and network.tap == "layer2"
    torch.testing.assert_close(features, maps[0].mean(dim=(2, 3)))


def test_a_tap_on_tokens_averages_tokens(images):
    network = build_network("vit_tiny_patch16_224", 4, tap="blocks.3", input_size=32).eval()
    tokens = []
    network.backbone.blocks[3].register_forward_hook(lambda *parts: tokens.append(parts[2]))
    features = network(images).features
    assert features.shape == (3, 192) and tokens[0].ndim == 3
    torch.testing.assert_close(features, tokens[0].mean(dim=1))


def test_a_network_of_one_size_resizes_to_it(images):
    network = build_network("vit_tiny_patch16_224", 4)
    assert network.input_size == 224
    assert network(images).logits.shape == (3, 4)


def test_gradients_reach_the_backbone_through_the_features(images):
    network = build_network("small-cnn", 3)
    network(images).features.sum().backward()
    assert network.backbone.convolutions[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]
)
def test_copies_tap_themselves(images, clone):
    network = build_network("small-cnn", 3).eval()
    twin = clone(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert twin(images).features.abs().sum() > 0
    assert network(images).features.abs().sum() == 0


def test_saved_weights_are_the_backbone_alone():
    assert all(name.startswith("backbone.") for name in build_network("small-cnn", 3).state_dict())


def test_building_leaves_training_statistics_untouched():
    norm = build_network("small-cnn", 3).backbone.norms[0]
    assert norm.num_batches_tracked == 0 and norm.training


@pytest.mark.parametrize("cache", ["torch", "hub"])
def test_pretrained_weights_come_from_the_local_caches(tmp_path, monkeypatch, cache):
    name = "mobilenetv3_small_050"
    network = build_network(name, 1000).backbone.to(memory_format=torch.contiguous_format)
    stored = network.state_dict()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / Path(timm.get_pretrained_cfg(name).url).name
    if cache == "hub":
        file = tmp_path / "model.safetensors"
    found = str(file) if cache == "hub" else None
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: found)
    file.parent.mkdir(parents=True, exist_ok=True)
    (save_file if cache == "hub" else torch.save)(stored, file)
    loaded = build_network(name, 3, init="imagenet").backbone.state_dict()
    differing = [key for key in stored if not torch.equal(stored[key], loaded[key])]
    assert differing == ["classifier.weight", "classifier.bias"]
    file.write_bytes(file.read_bytes()[:999])
    with pytest.raises(GendataError, match="cannot be built with the weights"):
        build_network(name, 3, init="imagenet")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "resnet51"}, "resnet50"),
        ({"name": "small-cnn", "tap": "layer9"}, "convolutions.0"),
        ({"name": "small-cnn", "init": "imagenet"}, "no ImageNet weights"),
        ({"name": "small-cnn", "init": "absent.safetensors"}, "missing"),
        ({"name": "resnet18", "init": "imagenet"}, "not on this machine"),
    ],
)
def test_mistakes_are_one_line(arguments, words, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(GendataError, match=words) as caught:
        build_network(classes=3, **arguments)
    assert "\n" not in str(caught.value)
