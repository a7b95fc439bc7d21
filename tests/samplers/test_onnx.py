import re
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gendata import load_sampler
from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.seeds import image_noise

SEEDS, LABELS = torch.tensor([3, 4, 5]), torch.tensor([2, 0, 1])
Z = ("z", ["batch", 12], "tensor(float)")
INDEX = ("label", ["batch"], "tensor(int64)")
ONE_HOT = ("label", ["batch", 3], "tensor(float)")


class Session:
    """What the sampler uses of ONNX Runtime's session: named inputs and `run`."""

    inputs = []
    seen = []

    def __init__(self, path, providers):
        if b"onnx" not in open(path, "rb").read():
            raise Exception("Protobuf parsing failed.\nat somewhere")
        self.providers = providers

    def get_inputs(self):
        return [SimpleNamespace(name=n, shape=s, type=t) for n, s, t in self.inputs]

    def run(self, outputs, feeds):
        assert outputs is None and set(feeds) == {name for name, _, _ in self.inputs}
        for name, shape, _ in self.inputs:
            if isinstance(shape[0], int) and len(feeds[name]) != shape[0]:
                raise Exception("Got invalid dimensions")
        self.seen.append(feeds)
        z = next(value for name, value in feeds.items() if name == "z")
        label = next((value for name, value in feeds.items() if name != "z"), None)
        images = np.tanh(z.reshape(-1, 3, 2, 2).astype(np.float32))
        if label is not None:
            one_hot = (
                label if label.ndim == 2 and label.shape[1] == 3 else np.eye(3)[label.ravel()]
            )
            images = images + (one_hot @ np.array([0, 0.1, 0.2]))[:, None, None, None]
        return [images.astype(np.float32)]


@pytest.fixture
def load(tmp_path, monkeypatch):
    runtime = types.ModuleType("onnxruntime")
    runtime.InferenceSession = Session
    runtime.get_available_providers = lambda: ["CPUExecutionProvider"]
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    path = tmp_path / "g.onnx"
    path.write_bytes(b"onnx")

    def write(*inputs, **options):
        monkeypatch.setattr(Session, "inputs", list(inputs))
        monkeypatch.setattr(Session, "seen", [])
        return load_sampler(f"onnx:{path}", device="cpu", **options)

    return write


def expected():
    images = torch.tanh(image_noise(SEEDS, (12,)).view(-1, 3, 2, 2))
    return (images + LABELS[:, None, None, None] * 0.1 + 1) * 127.5


@pytest.mark.parametrize(
    "inputs",
    [
        (Z, INDEX),
        (Z, ONE_HOT),
        (INDEX, Z),
        (Z, ("class_ids", ["batch", 1], "tensor(int32)")),
        (("z", ["batch", 12, 1, 1], "tensor(float)"), INDEX),
        (("z", [2, 12], "tensor(float)"), ("label", [2], "tensor(int64)")),
    ],
)
def test_labels_come_as_the_input_wants_them(load, inputs, tmp_path):
    sampler = load(*inputs, classes=["a", "b", "c"])
    images = sampler.sample(LABELS, SEEDS)
    assert (images - expected().clamp(0, 255)).abs().max() <= 0.501
    assert sampler.classes == ["a", "b", "c"] and sampler.resolution == 2
    assert sampler.card.sha256 == digest_of(tmp_path / "g.onnx")


def test_a_one_hot_input_tells_the_number_of_classes(load):
    sampler = load(Z, ONE_HOT)
    assert sampler.classes == ["0", "1", "2"]
    sampler.sample(LABELS, SEEDS)
    label = Session.seen[-1]["label"]
    assert label.dtype == np.float32 and label.tolist() == np.eye(3)[[2, 0, 1]].tolist()


def test_half_precision_inputs(load):
    sampler = load(("z", ["batch", 12], "tensor(float16)"))
    assert sampler.sample(None, SEEDS).shape == (3, 3, 2, 2)
    assert Session.seen[-1]["z"].dtype == np.float16


def test_an_image_depends_on_its_label_and_seed_alone(load):
    sampler = load(Z, INDEX, classes=3)
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(sampler.sample(LABELS.flip(0), SEEDS.flip(0)), images.flip(0))
    assert torch.equal(sampler.sample(LABELS[1:], SEEDS[1:]), images[1:])
    assert torch.equal(sampler.sample(LABELS, SEEDS), images)


@pytest.mark.parametrize(
    ("inputs", "options", "words"),
    [
        ((Z, INDEX), {}, "number of classes of .* give the option classes"),
        ((Z,), {"classes": 3}, "takes no labels"),
        ((Z, ONE_HOT), {"classes": 4}, "does not fit .*; found 4; expected 3"),
        ((), {}, "takes other inputs than a generator; found none"),
        ((Z, INDEX, INDEX), {}, "takes other inputs"),
        ((INDEX,), {}, "no input for latents; found label"),
        ((("z", ["b", "n"], "tensor(float)"),), {}, "give the option z_dim"),
        ((("z", ["b", "n"], "tensor(float)"),), {"z_dim": 13}, "does not run on z"),
        ((Z,), {"z_dim": 0}, "bad option z_dim"),
        ((("z", ["b", 12], "tensor(string)"),), {}, "takes other inputs"),
        ((Z,), {"psi": 1}, "no option psi; expected some of classes, z_dim"),
    ],
)
def test_mistakes_are_one_line(load, inputs, options, words):
    with pytest.raises(GendataError, match=words) as caught:
        load(*inputs, **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_onnx(load, tmp_path):
    (tmp_path / "g.onnx").write_bytes(b"something else")
    with pytest.raises(GendataError, match=r"cannot be read as ONNX; found Protobuf.*failed\.$"):
        load(Z)
    (tmp_path / "g.onnx").unlink()
    with pytest.raises(GendataError, match="missing"):
        load(Z)


def test_without_the_runtime_the_install_line_is_named(tmp_path, monkeypatch):
    (tmp_path / "g.onnx").write_bytes(b"onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(GendataError, match=re.escape("pip install onnxruntime")):
        load_sampler(f"onnx:{tmp_path / 'g.onnx'}", device="cpu")
