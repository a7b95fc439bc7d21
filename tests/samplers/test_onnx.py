"""ONNX generators, run by ONNX Runtime itself on graphs that are made here."""

import re
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from gendata import load_sampler
from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.seeds import image_noise

SEEDS, LABELS = torch.tensor([3, 4, 5]), torch.tensor([2, 0, 1])
TINTS = np.array([0, 0.1, 0.2], dtype=np.float32)
FLOAT, HALF, INT64, INT32 = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.INT64,
    TensorProto.INT32,
)
Z = ("z", FLOAT, ["batch", 12])
INDEX = ("label", INT64, ["batch"])
LATENT_NAMES, LABEL_NAMES = ("z", "x", "seeds"), ("label", "class_label", "y")
ONE_HOT = ("label", FLOAT, ["batch", 3])
IMAGE = ("image", FLOAT, ["batch", 3, 2, 2])


def constant(name, values, kind=None):
    values = np.asarray(values)
    return numpy_helper.from_array(values if kind is None else values.astype(kind), name)


def graph(inputs=(Z,), outputs=(IMAGE,), nodes=(), domain="", opset=17, ir=9, **constants):
    """tanh(z) as 2x2 pixels, brighter by the label's tint."""
    shape = constant("shape", [-1, 3, 2, 2], np.int64)
    one = constant("one", [-1, 1, 1, 1], np.int64)
    kept = [shape, one, constant("tints", TINTS), constant("column", TINTS[:, None])]
    labels = [each for each in inputs if each[0] in LABEL_NAMES]
    z = next(name for name, _, _ in inputs if name in LATENT_NAMES)
    node = helper.make_node
    steps = [
        node("Cast", [z], ["z32"], to=FLOAT),
        node("Reshape", ["z32", "shape"], ["pixels"]),
        node("Tanh", ["pixels"], ["plain"]),
    ]
    last = "plain"
    for name, _, sides in labels:
        if len(sides) == 2 and sides[1] != 1:
            steps += [
                node("Cast", [name], ["rows"], to=FLOAT),
                node("MatMul", ["rows", "column"], ["tint"]),
            ]
        else:
            steps += [node("Gather", ["tints", name], ["tint"])]
        steps += [node("Reshape", ["tint", "one"], ["by"]), node("Add", ["plain", "by"], ["sum"])]
        last = "sum"
    steps += list(nodes) or [node("Cast", [last], ["image"], to=outputs[0][1])]
    values = [helper.make_tensor_value_info(*each) for each in (*inputs, *outputs)]
    made = helper.make_graph(steps, "g", values[: len(inputs)], values[len(inputs) :], kept)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] * bool(domain))
    model = helper.make_model(made, opset_imports=opsets)
    model.ir_version = ir
    return model


@pytest.fixture
def load(tmp_path):
    def write(model, **options):
        onnx.save(model, tmp_path / "g.onnx")
        return load_sampler(f"onnx:{tmp_path / 'g.onnx'}", device="cpu", **options)

    return write


def expected(tinted=True):
    images = torch.tanh(image_noise(SEEDS, (12,)).view(-1, 3, 2, 2))
    return ((images + LABELS[:, None, None, None] * 0.1 * tinted + 1) * 127.5).clamp(0, 255)


@pytest.mark.parametrize(
    "inputs",
    [
        (Z, INDEX),
        (Z, ONE_HOT),
        (INDEX, Z),
        (("y", INT64, ["batch"]), ("x", FLOAT, ["batch", 12])),
        (Z, ("label", INT64, ["batch", 3])),
        (Z, ("class_label", INT32, ["batch", 1])),
        (("z", FLOAT, ["batch", 12, 1, 1]), INDEX),
        (("z", FLOAT, [2, 12]), ("label", INT64, [2])),
        (("z", FLOAT, ["batch", 12]), ("label", INT64, [1])),
        (("z", HALF, ["batch", 12]), ("label", HALF, ["batch", 3])),
    ],
    ids=lambda inputs: " ".join(f"{name}:{sides}" for name, _, sides in inputs),
)
def test_labels_come_as_the_input_wants_them(load, inputs, tmp_path):
    sampler = load(graph(inputs), classes=["a", "b", "c"])
    images = sampler.sample(LABELS, SEEDS)
    half = inputs[0][1] == HALF
    assert (images - expected()).abs().max() <= (0.501 if not half else 1)
    assert sampler.classes == ["a", "b", "c"] and sampler.resolution == 2
    assert sampler.card.sha256 == digest_of(tmp_path / "g.onnx")


def test_an_unconditional_graph(load):
    sampler = load(graph())
    assert sampler.classes is None
    assert (sampler.sample(None, SEEDS) - expected(tinted=False)).abs().max() <= 0.501


def test_a_one_hot_input_tells_the_number_of_classes(load):
    sampler = load(graph((Z, ONE_HOT)))
    assert sampler.classes == ["0", "1", "2"]
    assert (sampler.sample(LABELS, SEEDS) - expected()).abs().max() <= 0.501


def test_half_precision_images(load):
    sampler = load(graph(outputs=(("image", HALF, ["batch", 3, 2, 2]),)))
    assert (sampler.sample(None, SEEDS) - expected(tinted=False)).abs().max() <= 1


def test_an_image_depends_on_its_label_and_seed_alone(load):
    sampler = load(graph((("z", FLOAT, [2, 12]), ("label", INT64, [2]))), classes=3)
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(sampler.sample(LABELS.flip(0), SEEDS.flip(0)), images.flip(0))
    assert torch.equal(sampler.sample(LABELS[1:], SEEDS[1:]), images[1:])
    assert torch.equal(sampler.sample(LABELS, SEEDS), images)


def test_of_several_outputs_the_image_is_taken(load):
    features = ("features", FLOAT, ["batch", 12])
    other = ("negative", FLOAT, ["batch", 3, 2, 2])
    nodes = [
        helper.make_node("Tanh", ["z32"], ["features"]),
        helper.make_node("Identity", ["plain"], ["image"]),
        helper.make_node("Neg", ["plain"], ["negative"]),
    ]
    model = graph(outputs=(features, IMAGE, other), nodes=nodes)
    images = load(model).sample(None, SEEDS)
    assert (images - expected(tinted=False)).abs().max() <= 0.501
    negative = load(model, output="negative").sample(None, SEEDS)
    assert (images.int() + negative.int() - 255).abs().max() <= 1
    with pytest.raises(GendataError, match="no output pixels; expected features, image, negative"):
        load(model, output="pixels")
    with pytest.raises(GendataError, match="returns no square images"):
        load(model, output="features")


def test_a_latent_size_that_the_graph_leaves_open(load):
    sampler = load(graph((("z", FLOAT, ["batch", "size"]),)), z_dim=12)
    assert (sampler.sample(None, SEEDS) - expected(tinted=False)).abs().max() <= 0.501


RANDOM = helper.make_node("RandomNormalLike", ["plain"], ["image"], seed=3.0)


@pytest.mark.parametrize(
    ("inputs", "change", "options", "words"),
    [
        ((Z, INDEX), {}, {}, "number of classes of .* give the option classes"),
        ((Z, INDEX), {}, {"classes": 20}, "does not run on z and labels .*option.* classes"),
        ((Z,), {}, {"classes": 3}, "takes no labels"),
        ((Z, ONE_HOT), {}, {"classes": 4}, "does not fit .*; found 4; expected 3"),
        ((Z, INDEX, ("psi", FLOAT, [1])), {}, {}, "takes other inputs than a generator; found z "),
        ((("seeds", INT64, ["batch"]),), {}, {}, "no input for latents; found seeds tensor.int64"),
        ((("z", FLOAT, ["b", "n"]),), {}, {}, "give the option z_dim"),
        ((("z", FLOAT, ["b", "n"]),), {}, {"z_dim": 13}, "does not run on z with z_dim 13"),
        ((Z,), {}, {"z_dim": 0}, "bad option z_dim"),
        ((("z", TensorProto.STRING, ["b", 12]),), {}, {}, "takes other inputs|cannot be used"),
        ((Z,), {}, {"psi": 1}, "no option psi; expected some of classes, output, z_dim"),
        ((Z,), {"opset": 999}, {}, "cannot be used as ONNX; .*opset"),
        ((Z,), {"ir": 999}, {}, "cannot be used as ONNX; .*IR version"),
        (
            (Z,),
            {
                "nodes": [helper.make_node("Secret", ["plain"], ["image"], domain="my.own")],
                "domain": "my.own",
            },
            {},
            "cannot be used as ONNX; .*Secret",
        ),
        ((Z,), {"nodes": [RANDOM]}, {}, "depends on more than its latent"),
        (
            (Z,),
            {"outputs": (("image", INT64, ["batch", 3, 2, 2]),)},
            {},
            r"holds no images in \[-1, 1\]; found tensor.int64",
        ),
        (
            (Z,),
            {
                "outputs": (("image", FLOAT, ["batch", 12]),),
                "nodes": [helper.make_node("Flatten", ["plain"], ["image"])],
            },
            {},
            r"returns no square images; found \(2, 12\)",
        ),
    ],
)
def test_mistakes_are_one_line(load, inputs, change, options, words):
    with pytest.raises(GendataError, match=words) as caught:
        load(graph(inputs, **change), **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def apart(tmp_path):
    """A graph whose weights lie in a file of their own, at a place of one's choice."""

    def write(location, where=None, folder="model"):
        model = graph((Z, INDEX))
        weights = model.graph.initializer[2]
        content = weights.raw_data
        (tmp_path / folder).mkdir(exist_ok=True)
        file = tmp_path / (where or f"{folder}/{location}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=str(location))
        (tmp_path / folder / "g.onnx").write_bytes(model.SerializeToString())
        return tmp_path / folder / "g.onnx", file

    return write


@pytest.mark.parametrize("location", ["g.data", "parts/g.data"])
def test_weights_beside_the_graph(apart, location):
    path, file = apart(location)
    sampler = load_sampler(f"onnx:{path}", device="cpu", classes=3)
    assert sampler.sample(LABELS, SEEDS).shape == (3, 3, 2, 2)
    digest = sampler.card.sha256
    file.write_bytes(file.read_bytes()[::-1])
    assert load_sampler(f"onnx:{path}", device="cpu", classes=3).card.sha256 != digest
    file.unlink()
    with pytest.raises(GendataError, match="file of weights of .* is missing"):
        load_sampler(f"onnx:{path}", device="cpu", classes=3)


@pytest.mark.parametrize("location", ["../secret", "x/../../secret", "..\\secret", "C:\\secret"])
def test_weights_elsewhere_are_refused(apart, location):
    path, _ = apart(location, where="secret")
    with pytest.raises(
        GendataError, match="not safe to read; found weights in '.*secret', outside"
    ):
        load_sampler(f"onnx:{path}", device="cpu", classes=3)


def test_absolute_and_linked_weights_are_refused(apart, tmp_path):
    path, _ = apart(tmp_path / "secret", where="secret")
    with pytest.raises(GendataError, match="not safe to read"):
        load_sampler(f"onnx:{path}", device="cpu", classes=3)
    path, _ = apart("link", where="secret")
    (path.parent / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(GendataError, match="not safe to read"):
        load_sampler(f"onnx:{path}", device="cpu", classes=3)


def test_hidden_weights_are_found(apart, tmp_path):
    """Also those of a branch, which lie in a graph within a node."""
    path, _ = apart("../secret", where="secret")
    inner = onnx.load(path, load_external_data=False).graph
    hidden = onnx.AttributeProto(name="then_branch", type=onnx.AttributeProto.GRAPH, g=inner)
    model = graph()
    model.graph.node[0].attribute.append(hidden)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(GendataError, match="not safe to read"):
        load_sampler(f"onnx:{path}", device="cpu", classes=3)


def test_truncated_weights(apart):
    path, file = apart("g.data")
    file.write_bytes(file.read_bytes()[:3])
    with pytest.raises(GendataError, match="cannot be used as ONNX") as caught:
        load_sampler(f"onnx:{path}", device="cpu", classes=3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"something else", "half"])
def test_files_that_are_no_onnx(tmp_path, content):
    whole = graph().SerializeToString()
    path = tmp_path / "g.onnx"
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(GendataError, match="cannot be (read|used) as ONNX; found") as caught:
        load_sampler(f"onnx:{path}", device="cpu")
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(GendataError, match="missing"):
        load_sampler(f"onnx:{path}", device="cpu")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_runtime_the_install_line_is_named(load, tmp_path, monkeypatch, package):
    onnx.save(graph(), tmp_path / "g.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(GendataError, match=re.escape("pip install 'gendata[onnx]'")):
        load_sampler(f"onnx:{tmp_path / 'g.onnx'}", device="cpu")
