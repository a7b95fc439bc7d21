import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gendata.assets import __file__ as assets
from gendata.errors import GendataError
from gendata.models import build_network, load_classifier
from gendata.models.weights import digest_of, save_weights

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # TorchScript is deprecated


@pytest.fixture
def images():
    return torch.randint(256, (4, 3, 28, 28)).to(torch.uint8)


@pytest.fixture
def weights(tmp_path):
    network = build_network("small-cnn", 3).eval()
    save_weights(network.backbone, tmp_path / "w.safetensors")
    return network, tmp_path / "w.safetensors"


def test_probabilities_are_the_softmax_of_the_network(weights, images):
    network, path = weights
    classifier = load_classifier(f"small-cnn:{path}", device="cpu", classes=["a", "b", "c"])
    found = classifier.probabilities(images)
    expected = network(images).logits.double().exp()
    torch.testing.assert_close(found, (expected / expected.sum(1, keepdim=True)).float())
    assert found.dtype == torch.float32 and not found.requires_grad
    assert classifier.classes == ["a", "b", "c"] and classifier.card.sha256 == digest_of(path)


def test_options_replace_the_normalisation_and_the_size(weights, images):
    network, path = weights
    classifier = load_classifier(
        f"small-cnn:{path}", device="cpu", mean=0.1, std=[0.2, 0.3, 0.4], input_size=20
    )
    resized = nn.functional.interpolate(
        images / 255, size=(20, 20), mode="bilinear", antialias=True
    )
    x = (resized - 0.1) / torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    torch.testing.assert_close(
        classifier.probabilities(images), network.backbone(x).softmax(dim=1)
    )
    assert classifier.card.settings == {
        "input_size": 20,
        "mean": [0.1] * 3,
        "std": [0.2, 0.3, 0.4],
    }


def test_a_timm_classifier_takes_its_classes_from_the_weights(tmp_path, images):
    network = build_network("mobilenetv3_small_050", 6).eval()
    save_weights(network.backbone, tmp_path / "w.safetensors")
    classifier = load_classifier(
        f"timm:mobilenetv3_small_050@{tmp_path / 'w.safetensors'}", device="cpu"
    )
    torch.testing.assert_close(classifier.probabilities(images), network(images).logits.softmax(1))


def test_a_torchscript_classifier(tmp_path, images):
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 5)).eval()
    torch.jit.trace(module, torch.zeros(1, 3, 28, 28)).save(tmp_path / "c.pt")
    classifier = load_classifier(f"torchscript:{tmp_path / 'c.pt'}", input_size=28, device="cpu")
    torch.testing.assert_close(
        classifier.probabilities(images), module(images / 255).softmax(dim=1)
    )
    with pytest.raises(GendataError, match="input_size"):
        load_classifier(f"torchscript:{tmp_path / 'c.pt'}", device="cpu")


def test_a_packaged_classifier_says_which_weights_it_has():
    card = load_classifier("embedded:efficientnet-lite0", device="cpu").card
    assert card.sha256.startswith("57934424")  # the file's name carries its digest


def test_the_embedded_classifier(tmp_path, monkeypatch, images, weights):
    network, path = weights
    folder = tmp_path / "fashion-classifier"
    folder.mkdir()
    path.rename(folder / "weights.safetensors")
    config = {"network": "small-cnn", "classes": ["a", "b", "c"], "mean": [0.3] * 3}
    config |= {"std": [0.2] * 3, "input_size": None}
    (folder / "config.json").write_text(json.dumps(config))
    card = {"title": "A judge", "origin": "here", "licence": "MIT", "training_data": "x"}
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr("gendata.assets._ROOT", tmp_path)
    classifier = load_classifier("embedded:fashion-classifier", device="cpu")
    expected = network.backbone((images / 255 - 0.3) / 0.2).softmax(dim=1)
    torch.testing.assert_close(classifier.probabilities(images), expected)
    assert classifier.classes == ["a", "b", "c"] and classifier.card.title == "A judge"


def test_the_shipped_classifier_knows_real_test_images():
    data = np.load(Path(assets).parent / "fashion-mnist" / "test.npz")
    images = torch.from_numpy(data["images"])[:500, None].repeat(1, 3, 1, 1)
    found = load_classifier("embedded:fashion-classifier", device="cpu").probabilities(images)
    assert (found.argmax(1).numpy() == data["labels"][:500]).mean() > 0.88


@pytest.mark.parametrize("download", [False, True])
def test_weights_are_fetched_where_that_is_allowed(monkeypatch, download):
    def asked(reference, **options):
        raise GendataError(f"{reference} with download={options.get('download', False)}")

    monkeypatch.setattr("gendata.models.classifier.load_backbone", asked)
    with pytest.raises(GendataError, match=f"download={download}"):
        load_classifier("timm:resnet18", device="cpu", download=download)


@pytest.mark.parametrize(
    ("reference", "options", "words"),
    [
        ("small-cnn:{}", {"colour": 1}, "no option colour"),
        ("small-cnn:{}", {"classes": ["a"]}, "1 names; expected 3"),
        ("small-cnn:{}", {"mean": [0.1, 0.2]}, "one number or three"),
        ("small-cnn:{}", {"mean": "abc"}, "one number or three"),
        ("small-cnn:{}", {"input_size": "big"}, "bad option input_size"),
        ("small-cnn:{}", {"classes": 3}, "a list of names"),
        ("small-cnn:{}", {"device": "cuda:99"}, "cannot be used"),
        ("small-cnn:{}", {"device": "toaster"}, "cannot be used"),
        ("cifar-resnet20:{}", {}, "do not fit"),
        ("wrn-28-10:{}", {}, "do not fit"),
        ("torchscript:{}", {}, "cannot be read as TorchScript"),
        ("embedded:judge", {}, "fashion-classifier"),
        ("resnet:{}", {}, "names no network"),
    ],
)
def test_mistakes_are_one_line(weights, reference, options, words):
    with pytest.raises(GendataError, match=words) as caught:
        load_classifier(reference.format(weights[1]), **{"device": "cpu", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("fashion-gan", "is no classifier"),
        ("fashion-mnist", "is no classifier"),
        ("x", "nothing named 'x'"),
    ],
)
def test_an_embedded_thing_that_is_no_classifier_is_one_clear_error(name, shown):
    with pytest.raises(GendataError, match=shown):
        load_classifier(f"embedded:{name}", device="cpu")
