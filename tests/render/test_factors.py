"""Factors from presets, files and single options."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gendata.errors import GendataError
from gendata.render.distributions import Choice, Fixed, Range
from gendata.render.factor_table import FACTORS
from gendata.render.factors import is_factor, load_factors

PRESETS = ["fixed", "s2rda", "s2rda/camera-location2", "cg-transfer/lv3", "task2sim/10110010"]


def written(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_fixed_but_for_distractors_that_are_off():
    laws = load_factors("fixed").laws
    assert laws.keys() == FACTORS.keys()
    varied = {name for name, law in laws.items() if len(set(law.extremes())) > 1}
    assert {name for name in varied if not name.startswith("distractor.")} == {"environment.files"}
    assert laws["environment.kind"] == Fixed("colour")  # so that no file is drawn
    assert laws["distractor.count"] == Fixed(0)


def test_single_options_win_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = written(tmp_path, "camera: {elevation: 10, roll: 5}\nobject.scale: [1, 2]\n")
    factors = load_factors("s2rda", file, {"camera.elevation": "5..6"})
    assert factors.laws["camera.elevation"] == Range("uniform", 5, 6)
    assert factors.laws["camera.roll"] == Fixed(5)
    assert factors.laws["object.scale"] == Choice((1, 2), (1.0, 1.0))
    assert factors.laws["camera.radius"] == load_factors("s2rda").laws["camera.radius"]


def test_a_file_may_name_its_preset(tmp_path):
    file = written(tmp_path, "preset: fixed\ncamera: {roll: 5}\n")
    assert load_factors(file=file).name == "fixed"
    assert load_factors("fixed", file).laws["camera.roll"] == Fixed(5)
    with pytest.raises(GendataError, match="two presets"):
        load_factors("s2rda", file)
    assert load_factors().name == "s2rda"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dumped_preset_loads_to_equal_factors(preset, tmp_path):
    factors = load_factors(preset)
    file = written(tmp_path, yaml.safe_dump({"preset": "fixed", **factors.to_dict()}))
    again = load_factors(file=file)
    assert again.laws == factors.laws
    assert again.settings() == factors.settings()


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_are_json_and_name_every_factor(preset):
    settings = load_factors(preset).settings()
    assert json.loads(json.dumps(settings, allow_nan=False)) == settings
    assert settings.keys() == FACTORS.keys()


def test_files_are_found_beside_the_file_that_names_them(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "oak.png").write_bytes(b"oak")
    file = written(tmp_path, "material: {kind: texture, texture: {files: pictures}}\n")
    factors = load_factors(file=file)
    ((name, digest),) = factors.settings()["material.texture.files"]
    assert name == "oak.png"
    assert len(digest) == 64
    assert factors.to_dict()["material"]["texture"]["files"] == [str(tmp_path / "pictures")]


def test_photos_that_are_given_are_used_unless_the_background_is_chosen(tmp_path):
    assert not load_factors("s2rda").needs_photos
    assert load_factors("s2rda", photos=True).needs_photos
    assert load_factors("s2rda", photos=True).laws["background.kind"] == Fixed("photo")
    chosen = load_factors(photos=True, overrides={"background.kind": "photo,none"})
    assert chosen.needs_photos
    assert chosen.laws["background.kind"] == Choice(("photo", "none"), (1.0, 1.0))
    file = written(tmp_path, "background: {kind: colour}\n")
    assert not load_factors(file=file, photos=True).needs_photos


def test_needs_others():
    assert not load_factors("s2rda").needs_others
    assert load_factors("cg-transfer/lv7").needs_others
    assert load_factors(overrides={"distractor.count": "0..2"}).needs_others


def test_replace_changes_only_what_it_names():
    factors = load_factors("s2rda")
    changed = factors.replace({"camera": {"elevation": 30}, "light.radius": "4..5"})
    differing = {name for name in FACTORS if factors.laws[name] != changed.laws[name]}
    assert differing == {"camera.elevation", "light.radius"}


def test_switches_imply_their_preset(tmp_path):
    assert (
        load_factors(overrides={"task2sim": 10110010}).laws
        == load_factors("task2sim/10110010").laws
    )
    without_blur = load_factors(overrides={"task2sim.blur": "off"})
    assert without_blur.laws == load_factors("task2sim/11111011").laws
    file = written(tmp_path, "task2sim: {blur: off}\n")
    assert load_factors(file=file).laws == without_blur.laws
    with pytest.raises(GendataError, match="another preset"):
        load_factors("s2rda", overrides={"task2sim.blur": 0})
    with pytest.raises(GendataError, match="as a whole and by its switches"):
        load_factors(overrides={"task2sim": "00000000", "task2sim.blur": 1})


def test_which_options_are_factors():
    assert is_factor("camera.elevation") and is_factor("camera") and is_factor("task2sim.blur")
    assert is_factor("camera.elevaton")  # so that its mistake is explained
    assert not is_factor("samples") and not is_factor("resolution")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"camera.elevaton": 5}, "did you mean camera.elevation"),
        ({"camera.elevation": "5..99"}, "at most 90"),
        ({"light.radius": "-1..2"}, "above 0"),
        ({"object.scale": "2..1"}, "swap them"),
        ({"material.kind": "texture"}, "give material.texture.files=FOLDER"),
        ({"environment.files": "none"}, "give environment.files=FOLDER"),
        ({"environment.kind": "map,none"}, "'background.kind' can be environment"),
        (
            {"environment.kind": "none", "background.kind": "none", "light.count": "0..2"},
            "no light",
        ),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(GendataError, match=message):
        load_factors(overrides=overrides)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("camera: {elevation: 5..99}", r"camera.elevation in .*my.yaml"),
        ("- 1\n- 2\n", "holds no factors"),
        ("camera: [", "no valid YAML"),
        ("preset: s3rda", "did you mean s2rda"),
        ("sky: 3", "unknown factor 'sky' in .*my.yaml"),
    ],
)
def test_errors_of_a_file(content, message, tmp_path):
    with pytest.raises(GendataError, match=message):
        load_factors(file=written(tmp_path, content))


def test_the_file_in_the_documentation_is_right(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "rendering.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "textures" / "wood").mkdir(parents=True)
    (tmp_path / "textures" / "wood" / "oak.png").write_bytes(b"")
    laws = load_factors(file=written(tmp_path, block)).laws
    assert laws["camera.elevation"] == Range("uniform_area", 5, 60)
    assert laws["material.kind"] == Choice(("own", "metal", "texture"), (3.0, 1.0, 1.0))
    assert laws["material.plastic.roughness"] == Range("uniform", 0.2, 0.4)


def test_the_forms_in_the_documentation_are_right():
    """A form in a file and the form in one line beside it mean the same to some factor."""
    page = (Path(__file__).parents[2] / "docs" / "rendering.md").read_text(encoding="utf-8")
    section = page.partition("## Factors in a file")[2].partition("\n### ")[0]
    row = r"^\| (`[^|]*`) \| (`[^|]*`|the same) \| [^|]* \|$"
    rows = re.findall(row, section, re.MULTILINE)
    assert len(rows) > 10
    for first, second in rows:
        forms = re.findall(r"`([^`]+)`", first)
        lines = forms if second == "the same" else re.findall(r"`([^`]+)`", second)
        for form, line in zip(forms[-len(lines) :], lines, strict=False):
            value = yaml.safe_load(form)
            assert any(laws_agree(name, value, line) for name in KINDS_OF_FACTORS), (form, line)


KINDS_OF_FACTORS = ("camera.aperture", "material.kind", "light.colour", "camera.elevation")


def laws_agree(name, value, line):
    try:
        first, second = (load_factors(overrides={name: each}).laws[name] for each in (value, line))
    except GendataError:
        return False
    return first == second


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(GendataError, match="cannot read the factors"):
        load_factors(file=tmp_path / "absent.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(GendataError, match="cannot read the factors"):
        load_factors(file=tmp_path / "bytes.yaml")
