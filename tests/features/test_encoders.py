import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.features import encoders
from gendata.features.encoders import load_encoder
from gendata.models import build_network, load_teacher
from gendata.models.weights import digest_of, save_weights


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (4, 3, 20, 20), generator=generator, dtype=torch.uint8)


class ChannelMeans(nn.Module):
    """What reaches it: the mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


class OnlySide(nn.Module):
    """Takes images of 24 pixels alone."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 24 * 24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


class Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, ::2, ::2]


class OneVector(nn.Module):
    """Forgets the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(0, 2, 3))[None]


def script(module, path):
    torch.jit.script(module).save(str(path))
    return path


def test_the_default_is_the_embedded_teacher(images):
    encoder = load_encoder(device="cpu")
    teacher = load_teacher("embedded:efficientnet-lite0", device="cpu")
    features = encoder.features(images)
    assert features.dtype == torch.float32 and features.shape == (4, 1280)
    torch.testing.assert_close(features, teacher.features(images), rtol=0, atol=0)
    assert (encoder.name, encoder.resize, encoder.input_size, encoder.feature_dim) == (
        "embedded:efficientnet-lite0",
        "none",
        None,
        1280,
    )
    assert "mean 0.5 0.5 0.5" in encoder.card.pixels and "timm" in encoder.card.version


def test_a_timm_file_is_resized_and_normalised_as_its_card_says(images, tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("test_resnet.r160_in1k", num_classes=7).eval()
    file = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), file)
    encoder = load_encoder(f"timm:test_resnet.r160_in1k@{file}", input_size=48, device="cpu")
    resized = functional.interpolate(
        images / 255, (48, 48), mode="bilinear", antialias=True, align_corners=False
    )
    with torch.no_grad():
        config = timm.get_pretrained_cfg("test_resnet.r160_in1k")
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (config.mean, config.std))
        maps = model.forward_features((resized - mean) / std)
        expected = model.forward_head(maps, pre_logits=True)
    torch.testing.assert_close(encoder.features(images), expected, rtol=1e-4, atol=1e-5)
    assert encoder.resize.startswith("to 48x48, bilinear, antialiased")
    assert encoder.card.digest == digest_of(file)


@pytest.mark.parametrize("side", [160, 64])
def test_a_timm_network_without_a_last_layer_is_read_from_a_file(side, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = timm.create_model("test_vit.r160_in1k", num_classes=0).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    monkeypatch.setattr(encoders, "pretrained_classes", lambda _: 0)  # as those of DINOv2
    reference = f"timm:test_vit.r160_in1k@{tmp_path / 'weights.safetensors'}"
    encoder = load_encoder(reference, input_size=side, device="cpu")
    model.set_input_size((side, side))
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (2, 3, side, side), generator=generator, dtype=torch.uint8)
    config = timm.get_pretrained_cfg("test_vit.r160_in1k")
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (config.mean, config.std))
    with torch.no_grad():
        expected = model((images / 255 - mean) / std)
    torch.testing.assert_close(encoder.features(images), expected, rtol=1e-3, atol=1e-4)


def test_such_a_file_may_hold_nothing_but_tensors(tmp_path, monkeypatch):
    torch.save({"weights": Maps()}, tmp_path / "module.pth")
    monkeypatch.setattr(encoders, "pretrained_classes", lambda _: 0)
    with pytest.raises(GendataError, match="cannot be read as weights"):
        load_encoder(f"timm:test_vit.r160_in1k@{tmp_path / 'module.pth'}", device="cpu")


def test_one_of_our_own_networks_is_read_from_a_file(images, tmp_path):
    torch.manual_seed(1)
    network = build_network("cifar-resnet20", 10).eval()
    save_weights(network.backbone, tmp_path / "net.safetensors")
    encoder = load_encoder(f"cifar-resnet20:{tmp_path / 'net.safetensors'}", device="cpu")
    with torch.no_grad():
        expected = network(images).features
    torch.testing.assert_close(encoder.features(images), expected, rtol=1e-5, atol=1e-6)
    assert encoder.feature_dim == 64 and "timm" not in encoder.card.version


def test_own_means_and_deviations_replace_those_of_a_network(images, tmp_path):
    torch.manual_seed(1)
    network = build_network("cifar-resnet20", 10).eval()
    save_weights(network.backbone, tmp_path / "net.safetensors")
    reference = f"cifar-resnet20:{tmp_path / 'net.safetensors'}"
    usual = load_encoder(reference, device="cpu")
    same = load_encoder(
        reference, mean=[0.485, 0.456, 0.406], std=(0.229, 0.224, 0.225), device="cpu"
    )
    other = load_encoder(reference, mean=0.5, std=0.5, device="cpu")
    torch.testing.assert_close(same.features(images), usual.features(images), rtol=0, atol=0)
    assert not torch.allclose(other.features(images), usual.features(images), rtol=0.01)
    assert same.card == usual.card != other.card


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, 0.0, 1.0),
        ({"mean": 0.5, "std": 0.5}, -1.0, 1.0),
        ({"std": 1 / 255}, 0.0, 255.0),
    ],
)
def test_a_torchscript_file_is_fed_the_range_that_was_asked_for(options, low, high, tmp_path):
    file = script(ChannelMeans(), tmp_path / "means.pt")
    encoder = load_encoder(f"torchscript:{file}", device="cpu", **options)
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    images[1] = 255
    images[1, 2] = 51  # a fifth
    fifth = low + (high - low) / 5
    expected = torch.tensor([[low, low, low], [high, high, fifth]])
    torch.testing.assert_close(encoder.features(images), expected, rtol=1e-5, atol=1e-6)


def test_a_torchscript_file_that_takes_one_size_is_given_it(images, tmp_path):
    torch.manual_seed(2)
    module = OnlySide()
    reference = f"torchscript:{script(module, tmp_path / 'side.pt')}"
    with pytest.raises(GendataError, match=r"cannot encode images \(2, 3, 32, 32\).*input_size"):
        load_encoder(reference, device="cpu")
    encoder = load_encoder(reference, input_size=24, device="cpu")
    resized = functional.interpolate(images / 255, (24, 24), mode="bilinear", antialias=True)
    with torch.no_grad():
        torch.testing.assert_close(encoder.features(images), module(resized))


def test_a_network_that_refuses_the_size_of_the_images_is_an_error(images, tmp_path):
    encoder = load_encoder(
        f"torchscript:{script(OnlySide(), tmp_path / 'side.pt')}", input_size=24, device="cpu"
    )
    encoder.encode.__self__.network.input_size = None
    with pytest.raises(GendataError, match=r"cannot encode images of 20x20 pixels.*input_size"):
        encoder.features(images)


@pytest.mark.parametrize(
    ("module", "found"), [(Maps(), r"\(2, 3, 16, 16\)"), (OneVector(), r"\(1, 3\)")]
)
def test_a_torchscript_file_must_give_vectors(module, found, tmp_path):
    file = script(module, tmp_path / "module.pt")
    with pytest.raises(GendataError, match=rf"gives no feature vectors; found {found}"):
        load_encoder(f"torchscript:{file}", device="cpu")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("resnet", "'resnet' names no encoder.*torchscript:FILE, inception"),
        ("torchscript:", "'torchscript:' names no encoder"),
        ("cifar-resnet56", "'cifar-resnet56' names no encoder"),
        ("embedded:nothing", "'embedded:nothing' names no encoder"),
        ("timm:resnot18", "no network is called 'timm:resnot18'.*did you mean"),
        ("torchscript:nowhere.pt", "a TorchScript file is missing.*nowhere.pt"),
        ("cifar-resnet20:nowhere.pt", "a weights file is missing.*nowhere.pt"),
    ],
)
def test_a_wrong_reference_is_an_error_that_says_what_would_be_right(reference, words):
    with pytest.raises(GendataError, match=words):
        load_encoder(reference, device="cpu")


def test_missing_pretrained_weights_are_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(GendataError, match="resnetv2_18.* are not on this machine.*download"):
        load_encoder("timm:resnetv2_18", device="cpu")


def test_a_damaged_torchscript_file_is_an_error(tmp_path):
    (tmp_path / "damaged.pt").write_bytes(b"no archive")
    with pytest.raises(GendataError, match="cannot be read as TorchScript"):
        load_encoder(f"torchscript:{tmp_path / 'damaged.pt'}", device="cpu")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_size": 0}, "bad input_size"),
        ({"mean": [0.1, 0.2]}, "bad option mean"),
        ({"std": "half"}, "bad option std"),
        ({"std": 0}, "bad option std"),
    ],
)
def test_bad_options_are_errors(options, words):
    with pytest.raises(GendataError, match=words):
        load_encoder(device="cpu", **options)
