"""What `inspect_checkpoint` tells of files of every family, made of look-alikes."""

import argparse
import contextlib
import json
import pickle
import sys
import types

import pytest
import torch
from safetensors.torch import save_file

from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.samplers.inspection import inspect_checkpoint

SOURCE = "raise SystemExit('this text must never run')\n"


class Look:
    """Pickles as an object of another project's class."""

    def __init__(self, kind, modules=None, parameters=None, **attributes):
        self.kind = kind
        self.state = {
            "_parameters": {name: torch.ones(shape) for name, shape in (parameters or {}).items()},
            "_buffers": {"constant": torch.zeros(5)},
            "_modules": modules or {},
            **attributes,
        }

    def __reduce__(self):
        module, _, name = self.kind.rpartition(".")
        if module:
            return class_of(module, name), (), self.state
        meta = {"class_name": name, "module_src": SOURCE, "state": self.state, "type": "class"}
        return class_of("torch_utils.persistence", "_reconstruct_persistent_obj"), (meta,)


def class_of(module, name):
    package = module.partition(".")[0]
    for each in {package, module}:
        sys.modules.setdefault(each, types.ModuleType(each))
    if not hasattr(sys.modules[module], name):
        setattr(sys.modules[module], name, type(name, (), {"__module__": module}))
    return getattr(sys.modules[module], name)


@contextlib.contextmanager
def own_modules():
    before = set(sys.modules)
    yield
    for each in set(sys.modules) - before:
        if each.partition(".")[0] in ("torch_utils", "pg_modules", "dnnlib", "other"):
            del sys.modules[each]


@pytest.fixture
def write(tmp_path):
    def write_file(value, name="x.pkl"):
        with own_modules():
            (tmp_path / name).write_bytes(pickle.dumps(value))
        return tmp_path / name

    return write_file


def generator(synthesis, mapping=None, kind="Generator", **attributes):
    sizes = {"z_dim": 64, "c_dim": 10, "img_resolution": 32, "img_channels": 3, **attributes}
    parts = {
        "mapping": Look("MappingNetwork", mapping, {"weight": (2, 3)}),
        "synthesis": Look("SynthesisNetwork", synthesis, {"bias": (4,)}),
    }
    return Look(kind, parts, **sizes)


def layer(side):
    return Look("SynthesisLayer", None, {"weight": (2, 2, side, side)})


def block(count):
    parts = {str(place): Look("torch.nn.modules.conv.Conv2d") for place in range(count)}
    return Look("torch.nn.modules.container.Sequential", parts)


CLASSES = {"embed": Look("torch.nn.modules.sparse.Embedding")}
FASTGAN = "pg_modules.networks_fastgan.Generator"
GANS = {
    "stylegan2": generator({"b4": Look("SynthesisBlock", architecture="skip")}),
    "stylegan3-t": generator({"input": Look("SynthesisInput"), "L0_36_32": layer(3)}),
    "stylegan3-r": generator({"input": Look("SynthesisInput"), "L0_36_32": layer(1)}),
    "stylegan-xl stem": generator({"input": Look("SynthesisInput")}, CLASSES),
    "stylegan-xl superres": generator(
        {"input": Look("SynthesisInput")}, CLASSES, "SuperresGenerator", up_factor=2
    ),
    "projected-gan fastgan": generator({"init": Look("a.I"), "feat_8": block(9)}, None, FASTGAN),
    "projected-gan fastgan-lite": generator(
        {"init": Look("a.I"), "feat_8": block(4)}, None, FASTGAN
    ),
    "projected-gan stylegan2": generator(
        {"b4": Look("SynthesisBlock")}, None, "pg_modules.networks_stylegan2.Generator"
    ),
}


@pytest.mark.parametrize("family", GANS)
def test_generators(write, family):
    path = write({"G": None, "D": None, "G_ema": GANS[family], "augment_pipe": None})
    found = inspect_checkpoint(path)
    assert found.family == family and found.reference == f"stylegan:{path}"
    assert (found.classes, found.resolution, found.channels, found.latent) == (10, 32, 3, 64)
    assert found.network == "G_ema" and found.networks == {
        "G_ema": GANS[family].kind.split(".")[-1]
    }
    assert found.sha256 == digest_of(path) and found.sources > 0
    assert json.loads(json.dumps(found.to_json())) == found.to_json()


def test_parameters_are_counted_once_and_without_buffers(write):
    shared = layer(3)
    network = generator({"b4": shared, "b8": shared, "b16": layer(1)})
    assert inspect_checkpoint(write({"G_ema": network})).parameters == 36 + 4 + 6 + 4


@pytest.mark.parametrize(
    ("kind", "name"), [("EDM", "EDM"), ("VP", "VP"), ("VE", "VE"), ("iDDPM", "iDDPM")]
)
@pytest.mark.parametrize(
    ("model", "noise", "network"),
    [
        ("SongUNet", "PositionalEmbedding", "DDPM++"),
        ("SongUNet", "FourierEmbedding", "NCSN++"),
        ("DhariwalUNet", "PositionalEmbedding", "ADM"),
    ],
)
def test_denoisers(write, kind, name, model, noise, network):
    inner = Look(model, {"map_noise": Look(noise)}, {"weight": (3, 3)})
    sizes = {"label_dim": 0, "img_resolution": 64, "img_channels": 3}
    path = write({"ema": Look(f"{kind}Precond", {"model": inner}, **sizes)})
    found = inspect_checkpoint(path)
    assert found.family == "edm" and found.reference == f"edm:{path}"
    assert (found.classes, found.resolution, found.latent) == (0, 64, None)
    assert found.details["preconditioning"] == name and found.details["network"] == network
    assert found.parameters == 9 and found.details["precision"] == "float32"


def test_lsgm(tmp_path):
    arguments = argparse.Namespace(dataset="cifar10", num_channels_dae=32)
    parts = {"vae_state_dict": {"a": torch.ones(3)}, "dae_state_dict": {"b": torch.ones(4)}}
    torch.save({"args": arguments, **parts}, tmp_path / "checkpoint.pt")
    found = inspect_checkpoint(tmp_path / "checkpoint.pt")
    assert found.family == "lsgm" and found.reference == f"lsgm:{tmp_path / 'checkpoint.pt'}"
    assert found.parameters == 7 and found.classes == 0 and found.channels == 3
    assert found.details == {"dataset": "cifar10", "num_channels_dae": 32}


@pytest.mark.parametrize("wrapped", [True, False])
def test_state_dicts(tmp_path, wrapped):
    state = torch.nn.Linear(3, 2).state_dict()
    torch.save({"epoch": 3, "state_dict": state} if wrapped else state, tmp_path / "x.pt")
    found = inspect_checkpoint(tmp_path / "x.pt")
    assert (found.family, found.reference, found.parameters) == ("state dict", None, 8)
    assert found.details["tensors"] == 2


def test_safetensors(tmp_path):
    save_file({"w": torch.ones(2, 3), "b": torch.ones(2)}, tmp_path / "x.safetensors")
    found = inspect_checkpoint(tmp_path / "x.safetensors")
    assert (found.container, found.family, found.parameters) == ("safetensors", "state dict", 8)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript(tmp_path):
    module = torch.nn.Linear(3, 2)
    torch.jit.trace(module, torch.ones(1, 3)).save(str(tmp_path / "x.pt"))
    found = inspect_checkpoint(tmp_path / "x.pt")
    assert found.family == "torchscript" and found.reference == f"torchscript:{tmp_path / 'x.pt'}"
    assert found.parameters == 8 and found.network == "Linear"


def test_a_folder_of_diffusers(tmp_path):
    index = {"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"]}
    config = {"sample_size": 16, "in_channels": 3, "num_class_embeds": 4}
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "unet" / "config.json").write_text(json.dumps(config))
    save_file({"w": torch.ones(2, 3)}, tmp_path / "unet" / "model.safetensors")
    found = inspect_checkpoint(tmp_path)
    assert found.family == "diffusers DDPMPipeline" and found.reference == f"diffusers:{tmp_path}"
    assert (found.classes, found.resolution, found.channels, found.parameters) == (4, 16, 3, 6)
    assert found.networks == {"unet": "UNet2DModel"}


def test_a_folder_of_biggan(tmp_path):
    config = {"output_dim": 128, "z_dim": 120, "class_embed_dim": 128, "num_classes": 1000}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(GendataError, match="has no weights"):
        inspect_checkpoint(tmp_path)
    torch.save({"generator.conv.weight": torch.ones(2, 3)}, tmp_path / "pytorch_model.bin")
    found = inspect_checkpoint(tmp_path)
    assert (found.family, found.reference) == ("biggan-deep", f"biggan:{tmp_path}")
    assert (found.classes, found.resolution, found.latent, found.parameters) == (1000, 128, 120, 6)


def test_what_is_of_no_family(write):
    network = Look("other.project.Net", None, {"w": (3,)}, hook=Look("other.project.Hook"))
    found = inspect_checkpoint(write({"model": network}))
    assert found.family == "unknown (Net)" and found.reference is None
    assert found.parameters == 3 and found.sources == 0
    assert found.inert == ["other.project.Hook"]


def test_hostile_attributes_are_left_out(write):
    sizes = {
        "z_dim": 1 << 200,
        "c_dim": "ten",
        "img_resolution": torch.ones(3),
        "img_channels": -1,
    }
    network = generator({"b4": Look("B", architecture="\x1b[31m" + "x" * 10_000)}, **sizes)
    found = inspect_checkpoint(write({"G_ema": network}))
    assert (found.classes, found.resolution, found.channels, found.latent) == (None,) * 4
    assert found.details["architecture"].isprintable() and len(found.details["architecture"]) < 100


def test_files_of_the_tensorflow_releases(write):
    network = Look("dnnlib.tflib.network.Network")
    found = inspect_checkpoint(write((network, network, network)))
    assert found.family == "stylegan (TensorFlow)" and found.reference is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"cos\nsystem\n(X\x04\x00\x00\x00truetR.", "not safe to read"),
        (b"cother\nthing\n)R.", "holds no weights; found other.thing"),
        (pickle.dumps([1, 2]), "holds no weights; found a list"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "safetensors"),
        (b'\x05\0\0\0\0\0\0\0{"a":1', "safetensors"),
    ],
)
def test_what_is_no_checkpoint(tmp_path, content, words):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(GendataError, match=words) as caught:
        inspect_checkpoint(tmp_path / "x.pkl")
    assert str(caught.value).isprintable()


def test_what_is_missing(tmp_path):
    with pytest.raises(GendataError, match="missing"):
        inspect_checkpoint(tmp_path / "x.pkl")
    with pytest.raises(GendataError, match="without model_index.json"):
        inspect_checkpoint(tmp_path)


def test_the_vectors(shared):
    found = {
        path.stem: inspect_checkpoint(path) for path in (shared / "checkpoints").glob("*.pkl")
    }
    families = {name: each.family for name, each in found.items()}
    assert families == {
        "sg2ada_cond32": "stylegan2",
        "sgxl_superres32": "stylegan-xl superres",
        "projgan_fastgan256": "projected-gan fastgan",
        "edm_ddpmpp_cond16": "edm",
    }
    assert found["edm_ddpmpp_cond16"].details["network"] == "DDPM++"
    assert found["projgan_fastgan256"].sources == 0 < found["sg2ada_cond32"].sources
