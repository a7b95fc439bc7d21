import pickle

import pytest
import torch
from safetensors import safe_open
from torch import nn

from gendata.errors import GendataError
from gendata.models import build_network
from gendata.models.weights import digest_of, fit_weights, read_weights, save_weights
from gendata.models.wide_resnet import WideResNet


class Shell:
    """A pickle that would run a command."""

    def __reduce__(self):
        import os

        return os.system, ("touch owned",)


def test_prefixes_and_containers_are_taken_off(tmp_path):
    weights = nn.Linear(2, 3).state_dict()
    wrapped = {f"module.backbone.{name}": value for name, value in weights.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "c.pth.tar")
    read = read_weights(tmp_path / "c.pth.tar")
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in weights)


def test_saved_weights_fit_again_and_say_what_they_are(tmp_path):
    network = build_network("cifar-resnet20", 4)
    save_weights(network.backbone, tmp_path / "w.safetensors", network="cifar-resnet20", classes=4)
    twin = build_network("cifar-resnet20", 4, init=tmp_path / "w.safetensors")
    for name, value in network.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name])
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert file.metadata()["network"] == '"cifar-resnet20"'


def test_weights_that_do_not_fit_show_the_differences():
    weights = nn.Linear(2, 3).state_dict()
    weights["extra"] = weights.pop("bias")
    weights["weight"] = torch.zeros(4, 2)
    with pytest.raises(GendataError) as caught:
        fit_weights(nn.Linear(2, 3), weights, "w.pt")
    text = str(caught.value)
    assert "1 missing (bias)" in text and "1 unknown (extra)" in text
    assert "weight (4, 2) instead of (3, 2)" in text


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_damaged_files_are_one_line(tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    save = torch.save if suffix == "pt" else save_weights
    save(nn.Linear(9, 9).state_dict() if suffix == "pt" else nn.Linear(9, 9), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(GendataError, match="cannot be read") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_hostile_pickle_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Shell()}, "w.pt")
    (tmp_path / "p.pt").write_bytes(pickle.dumps(Shell()))
    for name in ("w.pt", "p.pt"):
        with pytest.raises(GendataError, match="cannot be read"):
            read_weights(name)
    assert not (tmp_path / "owned").exists()


def test_digests_depend_on_contents_and_order(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    a, b = tmp_path / "a", tmp_path / "b"
    assert digest_of(a) == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert len({digest_of(a), digest_of(b), digest_of(a, b), digest_of(b, a)}) == 4


def test_wide_resnet_28_10_has_its_published_size_and_keys():
    with torch.device("meta"):
        network = WideResNet(10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 36_479_194
    names = network.state_dict().keys()
    assert {
        "conv1.weight",
        "block1.layer.0.convShortcut.weight",
        "block3.layer.3.bn2.bias",
    } < names
    assert "block1.layer.1.convShortcut.weight" not in names
