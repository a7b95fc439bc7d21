"""Rendered objects as a sampler; the Blender of these tests paints discs."""

import io
import json

import numpy as np
import pytest
import torch
from fake_blender import use_fake_blender, write_objects
from PIL import Image

import gendata
from gendata.errors import GendataError, UnusableImages
from gendata.render.parameters import Parameters
from gendata.render.shell import shell_coordinates
from gendata.types import DescribingSampler

SEEDS = torch.arange(12) * 1_000_003 + 5


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    use_fake_blender(monkeypatch)


@pytest.fixture
def objects(tmp_path):
    return write_objects(tmp_path / "objects", bus="red blue", car="one two three", van="x")


def load(folder, **options):
    options = {"resolution": 24, "workers": 2, "device": "cpu", **options}
    return gendata.load_sampler(f"blender:{folder}", **options)


def labels_for(seeds, classes=3):
    return torch.arange(len(seeds)) % classes


def test_images_and_columns_depend_on_label_and_seed_alone(objects):
    one = load(objects, workers=1, labels="mask,depth,normal,box,centre")
    many = load(objects, workers=3, recycle=2, labels="mask,depth,normal,box,centre")
    assert isinstance(one, DescribingSampler)
    labels = labels_for(SEEDS)
    first = one.sample_described(labels, SEEDS)
    turned = torch.arange(len(SEEDS)).flip(0)
    second = many.sample_described(labels[turned], SEEDS[turned])
    assert torch.equal(first.images, second.images[turned])
    assert first.columns.equals(second.columns.take(turned.numpy()))
    assert first.columns.schema.equals(one.columns) and not first.unusable
    assert first.images.shape == (12, 3, 24, 24) and first.images.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in first.images}) == 12
    one.close()
    assert torch.equal(one.sample(labels, SEEDS), first.images)  # new processes
    one.close(), many.close()


def test_rows_say_what_the_parameters_say(objects):
    sampler = load(objects, labels="box")
    labels = labels_for(SEEDS)
    table = sampler.sample_described(labels, SEEDS).columns
    for label, row in zip(labels.tolist(), table.to_pylist(), strict=True):
        drawn = Parameters.from_json(row["parameters"])
        assert row["object"] == drawn.object.object
        assert row["object"].startswith(f"{sampler.classes[label]}/")
        assert row["scale"] == pytest.approx(drawn.object.scale, rel=1e-6)
        assert row["material"] == drawn.object.material.kind
        assert row["background"] == drawn.background.kind
        shell = shell_coordinates(drawn.camera.position)
        where = [row[f"camera_{name}"] for name in ("elevation", "azimuth", "distance")]
        assert where == pytest.approx(shell, rel=1e-5)
        left, top, right, bottom = row["box"]
        size = np.pi / 4 * (right - left) * (bottom - top) / 24**2
        assert row["visible"] == pytest.approx(size, rel=0.35)  # a disc in its box
    assert len(set(table["object"].to_pylist())) > 3
    sampler.close()


def test_an_object_on_which_blender_crashes_is_named(tmp_path):
    sampler = load(write_objects(tmp_path, car="deadly good"))
    with pytest.warns(
        UserWarning, match="failed on an image of car/deadly .crash.: Fatal"
    ) as told:
        found = sampler.sample_described(torch.zeros(12, dtype=torch.int64), SEEDS)
    assert not any("Extension modules" in str(each.message) for each in told)
    crashes = list(found.unusable.values())
    assert set(crashes) == {"crash"} and 1 < len(crashes) < 12
    assert sampler.bad_meshes == {"car/deadly": f"crash on {len(crashes)} images of it"}
    sampler.close()


def test_bad_mesh_is_told_once_and_never_tried_again(tmp_path):
    sampler = load(write_objects(tmp_path, car="bad good", van="x"))
    with pytest.warns(UserWarning, match="car/bad cannot be rendered: it is empty") as told:
        first = sampler.sample_described(torch.zeros(12, dtype=torch.int64), SEEDS)
        again = sampler.sample_described(torch.zeros(12, dtype=torch.int64), SEEDS)
    assert len([each for each in told if "car/bad" in str(each.message)]) == 1
    assert sampler.bad_meshes == {"car/bad": "it is empty"}
    shown = first.columns["object"].to_pylist()
    assert first.unusable == {row: "mesh" for row in range(12) if shown[row] == "car/bad"}
    assert again.unusable == first.unusable and torch.equal(again.images, first.images)
    assert first.unusable and not first.images[list(first.unusable)].any()
    sampler.close()


def test_hidden_objects_are_unusable_one_by_one(tmp_path):
    sampler = load(write_objects(tmp_path, car="shy"))
    labels = torch.zeros(12, dtype=torch.int64)
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(labels, SEEDS)
    hidden = set(caught.value.reasons)
    assert 0 < len(hidden) < 12 and set(caught.value.reasons.values()) == {"hidden"}
    assert caught.value.bad.nonzero().flatten().tolist() == sorted(hidden)
    seen = [row for row in range(12) if row not in hidden]
    assert torch.equal(sampler.sample(labels[seen], SEEDS[seen]), caught.value.images[seen])
    sampler.close()


def test_notes_on_a_mesh_are_told_once(tmp_path):
    sampler = load(write_objects(tmp_path, car="note"))
    with pytest.warns(UserWarning, match="car/note: the texture 'wood.png' is missing") as told:
        sampler.sample(torch.zeros(4, dtype=torch.int64), SEEDS[:4])
    assert len(told) == 1
    sampler.close()


def test_labels_are_pictures(objects):
    sampler = load(objects, labels=["depth", "mask", "normal"])
    row = sampler.sample_described(torch.tensor([1]), SEEDS[:1]).columns.to_pylist()[0]
    mask = np.asarray(Image.open(io.BytesIO(row["mask"]["bytes"])))
    depth = np.asarray(Image.open(io.BytesIO(row["depth"]["bytes"])))
    normal = np.asarray(Image.open(io.BytesIO(row["normal"]["bytes"])))
    assert set(np.unique(mask)) == {0, 255} and np.all(depth[mask > 0] == 5000)
    assert np.all(normal[mask > 0] == [128, 128, 255]) and np.all(normal[mask == 0] == 128)
    assert sampler.columns.names[-3:] == ["mask", "depth", "normal"]
    sampler.close()


def test_photos_lie_behind_the_object(objects, tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    Image.new("RGB", (30, 20), (200, 10, 60)).save(tmp_path / "photos/a/1.png")
    sampler = load(objects, **{"background.photos": str(tmp_path / "photos")}, labels="mask")
    described = sampler.sample_described(torch.tensor([0]), SEEDS[:1])
    assert described.columns["background"][0].as_py() == "photo"
    corner = described.images[0, :, 0, 0].tolist()
    assert corner == [200, 10, 60]
    assert sampler.card.settings["photos"]["photos"] == 1
    sampler.close()


def test_factors_come_from_options_files_and_presets(objects, tmp_path):
    (tmp_path / "mine.yaml").write_text("object: {scale: 1.25}\nbackground: {kind: none}\n")
    options = {"factors": str(tmp_path / "mine.yaml"), "camera.elevation": "30..31"}
    sampler = load(objects, preset="fixed", **options)
    drawn = [sampler.parameters(0, seed) for seed in range(20)]
    assert {each.object.scale for each in drawn} == {1.25}
    elevations = [shell_coordinates(each.camera.position)[0] for each in drawn]
    assert 30 <= min(elevations) < max(elevations) <= 31
    assert {each.background.kind for each in drawn} == {"none"}
    assert len({each.object.object for each in drawn}) == 2


def test_distractors_are_of_other_classes(objects):
    sampler = load(objects, **{"distractor.count": 2})
    for seed in range(10):
        drawn = sampler.parameters(1, seed)
        assert drawn.object.object.startswith("car/") and len(drawn.distractors) == 2
        assert not any(each.object.startswith("car/") for each in drawn.distractors)


def test_card_holds_what_decides_pixels_and_nothing_else(objects):
    card = load(objects).card
    assert load(objects, workers=1, recycle=7, time_limit=9).card == card
    json.dumps(card.settings)
    assert "device" not in card.settings["render"] and card.settings["blender"] == "5.0.9"
    for option, value in {
        "samples": 8,
        "resolution": 32,
        "object.scale": 2,
        "preset": "fixed",
        "labels": "mask",
        "up": "z",
    }.items():
        assert load(objects, **{option: value}).card.settings != card.settings, option
    (objects / "van" / "x.obj").write_text("v 0 0 0\nv 2 0 0\nv 0 2 0\nf 1 2 3\n")
    assert load(objects).card.sha256 != card.sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 8}, "no option sample; .*did you mean samples"),
        ({"object.scal": 8}, "object.scal"),
        ({"samples": 0}, "bad option samples; found 0; expected a whole number"),
        ({"samples": "many"}, "bad option samples"),
        ({"resolution": 4}, "bad option resolution"),
        ({"denoiser": "best"}, "bad option denoiser; found best; expected one of none, fast"),
        ({"view": "agx"}, "bad option view"),
        ({"labels": "masks"}, "no label 'masks'"),
        ({"labels": 5}, "bad option labels; found 5"),
        ({"factors": 5}, "cannot read the factors in 5"),
        ({"light.count": 9}, "'light.count' is not as it should be; found 9"),
        ({"most_faces": "many"}, "bad option most_faces"),
        ({"device": "tpu"}, "bad option device"),
        ({"device": "cuda:x"}, "bad option device; found cuda:x"),
        ({"device": "cpu:1"}, "bad option device; found cpu:1"),
        ({"workers": 0}, "bad option workers"),
        ({"time_limit": -1}, "bad option time_limit"),
        ({"preset": "s3rda"}, "s3rda"),
        ({"background.kind": "photo"}, "there are none; give -o background.photos=IMAGES"),
        ({"background.photos": "nowhere"}, "there are no images at 'nowhere'"),
    ],
)
def test_mistakes_are_one_line(objects, options, message):
    with pytest.raises(GendataError, match=message) as caught:
        load(objects, **options)
    assert "\n" not in str(caught.value)


def test_labels_out_of_range_are_refused(objects):
    with pytest.raises(GendataError, match="outside the sampler's classes"):
        load(objects).sample(torch.tensor([3]), torch.tensor([1]))
