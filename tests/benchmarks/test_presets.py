"""Presets: what comes along holds the paper's settings, and mistakes are told clearly."""

import tomllib
from pathlib import Path

import pytest
from toy_studies import PRESET, keywords, run_study, write_preset

from gendata.benchmarks.protocol import sources
from gendata.benchmarks.protocol.arguments import protocol_of
from gendata.benchmarks.protocol.presets import load_presets, preset_names, rows_of
from gendata.benchmarks.protocol.references import Source, short_name
from gendata.benchmarks.protocol.sources import clone_folder
from gendata.benchmarks.protocol.study import runs_of
from gendata.errors import GendataError

ROOT = Path(__file__).parents[2]
STUDIES = ("zero-shot", "low-shot")
PAIRS = [
    (name, study)
    for name in preset_names()
    for study in STUDIES
    if all(study in content for content in load_presets(name))
]


def protocols(name: str, study: str, **given) -> list:
    return [protocol_of(study, content, given) for content in load_presets(name)]


def test_the_presets_that_are_promised_come_along():
    assert {
        "fashion-mnist",
        "paper/cifar10-zero-shot",
        "paper/cifar10-10shot",
        "paper/cub",
        "paper/flower",
        "paper/table2",
        "paper/table3-32px",
    } <= set(preset_names())
    assert {study for _, study in PAIRS} == set(STUDIES)
    rendered = {name for name in preset_names() if "rendered" in name}
    assert {name for name, _ in PAIRS} == set(preset_names()) - rendered


@pytest.mark.parametrize(("name", "study"), PAIRS)
def test_every_preset_dry_runs(name, study, tmp_path):
    listed = run_study(study, tmp_path / "out", preset=name, dry_run=True)
    expected = sum(len(runs_of(protocol)) for protocol in protocols(name, study))
    assert listed.data["runs"] == len(listed.data["list"]) == expected > 0
    assert not (tmp_path / "out").exists()
    if name.startswith("paper/"):
        assert any("left to you: sources" in note for note in listed.data["notes"])


def test_the_paper_s_settings():
    for name, study in PAIRS:
        if not name.startswith("paper/") or "table3" in name:
            continue
        for protocol in protocols(name, study):
            found = {key: protocol.settings[key] for key in protocol.settings}
            assert found["network"] == "timm:resnet50" and found["init"] == "imagenet"
            assert (found["size"], found["batch_size"], found["epochs"]) == (224, 128, 200)
            assert (found["learning_rate"], found["augment"]) == (1e-4, "crop-flip")
            assert len(protocol.seeds) == 5
    (cifar,) = protocols("paper/cifar10-10shot", "low-shot")
    assert (cifar.validation, cifar.per_class, cifar.shots) == (500, (4500,), (10,))
    assert cifar.threshold == 0.8 and cifar.options["lambda1"] == 0
    (cub,) = protocols("paper/cub", "low-shot")
    assert cub.shots == (None,) and cub.options["lambda1"] > 0, "all real images, and not A-GEM"
    (small,) = protocols("paper/table3-32px", "zero-shot")
    assert small.layout == "table3" and small.settings["size"] == 32
    assert small.settings["init"] == "random" and small.options["teacher_tap"] == "layer3"
    assert "csg" not in {row.method for row in small.rows}, "it needs networks of one structure"


@pytest.mark.parametrize("name", ["fashion-mnist", "paper/cifar10-10shot"])
def test_table_4_has_its_fourteen_rows(name):
    rows = rows_of(load_presets(name)[0], "low-shot")
    plain = ["real", "fake", "adp", "aug", "adda", "dada", "dann", "ltda", "a-gem"]
    assert [row.method for row in rows[:9]] == plain
    guided = [(row.method in ("rg", "pg+rg"), row.options.get("pg_on", "")) for row in rows[9:]]
    assert guided == [(False, "fr"), (True, ""), (True, "r"), (True, "f"), (True, "fr")]
    assert rows[9].options["train_on"] == "mixed"
    assert all(row.baseline == "Baseline (Aug.)" for row in rows[4:])


def test_presets_are_packaged():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["gendata.benchmarks"]
    packaged = {path for each in patterns for path in (ROOT / "benchmarks").glob(each)}
    assert packaged == set((ROOT / "benchmarks").rglob("*.toml"))


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_left_to_the_user_is_named(study, tmp_path):
    with pytest.raises(GendataError, match="data <training images.*sources: Proj-GAN.*extends"):
        run_study(study, tmp_path / "out", preset="paper/cub")
    assert not (tmp_path / "out").exists()


def test_filters_of_given_clones_are_not_asked_for():
    (cifar,) = protocols("paper/cifar10-10shot", "low-shot", sources=["LSGM=clones/lsgm"])
    assert cifar.left_open() == []
    (cifar,) = protocols("paper/cifar10-10shot", "low-shot", sources=["LSGM=lsgm:samples.npz"])
    assert any(each.startswith("filter <a WRN") for each in cifar.left_open())


def test_only_the_default_s_own_go_with_its_data():
    (toys,) = protocols("fashion-mnist", "low-shot", data="a/toys", test="b", sources=["c"])
    assert (toys.name, toys.validation, toys.sources[0].filter) == ("toys", None, None)
    elsewhere = {"data": "a/train.parquet", "sources": ["lsgm:c.npz"]}
    (cifar,) = protocols("paper/cifar10-10shot", "low-shot", **elsewhere)
    assert (cifar.name, cifar.validation, cifar.test) == ("CIFAR-10", 500, "cifar10:test")
    (both,) = protocols("fashion-mnist", "low-shot", sources=["embedded:fashion-gan"])
    assert both.sources[0].filter == "embedded:fashion-classifier"


def test_presets_extend_and_include(tmp_path):
    write_preset(tmp_path)
    own = tmp_path / "own.toml"
    own.write_text(
        f'extends = "{tmp_path / "toys.toml"}"\nname = "Mine"\n[settings]\nepochs = 7\n'
        '[sources]\nother = "clones/other"\n'
    )
    (content,) = load_presets(own)
    assert content["settings"] == {**tomllib.loads(PRESET)["settings"], "epochs": 7}
    assert (content["name"], content["sources"]) == ("Mine", {"other": "clones/other"})
    assert rows_of(content, "low-shot") == rows_of(
        load_presets(tmp_path / "toys.toml")[0], "low-shot"
    )
    both = tmp_path / "both.toml"
    both.write_text(f'include = ["{own}", "{tmp_path / "toys.toml"}"]\n')
    assert [each["name"] for each in load_presets(both)] == ["Mine", "Toys"]
    own.write_text(f'extends = "{own}"\n')
    with pytest.raises(GendataError, match="extend each other"):
        load_presets(own)


def test_given_values_win_over_the_preset(tmp_path):
    given = keywords(tmp_path, epochs=6, seed=3, seeds=2, options={"views": 4, "pg_weight": 9})
    (protocol,) = protocols(given.pop("preset"), "low-shot", **given)
    assert protocol.seeds == (3, 4)
    options = {row.name: protocol.options_for(row) for row in protocol.rows}
    assert {each["views"] for each in options.values()} == {4}
    assert options["pg+rg"]["pg_weight"] == 9 and "pg_weight" not in options["aug"]
    assert options["aug"]["epochs"] == 6
    assert options["real"]["epochs"] == 12, "a row's own epochs keep their proportion"


def test_rows_are_chosen_by_name_label_or_method(tmp_path):
    def chosen(names, study="low-shot", preset=None):
        given = {**keywords(tmp_path), "methods": names}
        name = given.pop("preset")
        return [row.label for row in protocols(preset or name, study, **given)[0].rows]

    assert chosen(["rg", "few real"]) == ["RG", "Few real"]
    assert chosen("pg+rg,aug,Aug.") == ["PG + RG", "Aug."]
    assert chosen(["adp"]) == ["adp"], "any method will do"
    guided = ["RG + PG-R", "RG + PG-F", "RG + PG-R + PG-F"]
    assert chosen(["pg+rg"], preset="fashion-mnist") == guided


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "fashion-mnits"}, "unknown preset.*did you mean fashion-mnist"),
        ({"methods": ["arg"]}, "no row and no method is called 'arg'.*did you mean"),
        ({"options": {"pg_wieght": 1}}, "found pg_wieght.*did you mean pg_weight"),
        ({"options": {"lambda1": -1}}, "lambda1 is out of range"),
        ({"epochs": 0}, "epochs is out of range"),
        ({"select": "best"}, "select has an unknown value"),
        ({"seeds": 0}, "seeds is out of range"),
        ({"shots": ["ten"]}, "not a number of images.*'ten'"),
        ({"subset_seed": "twice"}, "subset_seed is unknown"),
        ({"test": None}, "needs test images"),
        ({"sources": []}, "leaves something to you.*sources: made <toy images>"),
        ({"preset": "fashion-mnist", "sources": []}, "need sources of their classes"),
        ({"jobs": 10_000}, "jobs is out of range"),
        ({"select": "target-val", "validation": None}, "needs validation images.*validation=N"),
        ({"sources": ["gan=embeded:fashion-gan"]}, "embeded"),
        ({"epochs": 1, "methods": ["aug", "adp"]}, "the row 'adp' cannot be trained.*epochs"),
        ({"add": [2]}, "add belongs to the study of losses.*augment_by"),
        ({"network": "no-such-net"}, "no network is called 'no-such-net'"),
        ({"init": "no-such-file"}, "weights file is missing"),
        ({"shots": [2, 50]}, "too small for a class-balanced subset"),
        ({"per_class": [2, 50]}, "too small for a class-balanced subset"),
        ({"test": "fashion-mnist:test"}, "the class lists of 'data' and 'test' differ"),
        ({"sources": ["embedded:fashion-gan"]}, "how many images to draw"),
        ({"methods": ["fake", "csg"]}, "csg needs a teacher.*no ImageNet weights for small-cnn"),
        (
            {"methods": ["csg"], "options": {"teacher": "embedded:efficientnet-lite0"}},
            "csg compares maps one by one.*found no 'norms.2' in embedded:efficientnet-lite0",
        ),
    ],
)
def test_mistakes(given, message, tmp_path):
    with pytest.raises(GendataError, match=message):
        run_study("low-shot", tmp_path / "out", **{**keywords(tmp_path), **given})
    assert not list(tmp_path.glob("out/runs/*")), "found before anything is trained"


@pytest.mark.parametrize("study", STUDIES)
def test_a_method_that_cannot_train_the_network_is_refused_before_clones_are_drawn(
    study, tmp_path, monkeypatch
):
    monkeypatch.setattr(sources, "draw_clone", lambda *_, **__: pytest.fail("a clone was drawn"))
    given = {"methods": ["fake", "csg"], "per_class": [2], "epochs": 1, "device": "cpu"}
    with pytest.raises(GendataError, match="those of small-cnn and embedded:.* differ"):
        run_study(study, tmp_path / "out", preset="fashion-mnist", **given)
    assert not list(tmp_path.glob("out/**/*.parquet"))


def test_a_zero_shot_study_takes_no_method_that_needs_real_images(tmp_path):
    with pytest.raises(GendataError, match="trains on no real images, and 'rg' needs them"):
        run_study("zero-shot", tmp_path / "out", **keywords(tmp_path, methods=["rg"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thresold = 1", "unknown keys; found thresold.*did you mean threshold"),
        ("= 1", "cannot be read as TOML"),
        ('data = "x"', "has no rows for low-shot; found rows for no study"),
        ('[[low-shot]]\nlabel = "A"', "a row of the preset.*no method"),
        ('[[low-shot]]\nmethod = "aug"\nreal = "some"', "unknown real images"),
        ('[[low-shot]]\nmethod = "aug"\nbaseline = "B"', "the baseline of 'aug' is no row"),
        ('[[low-shot]]\nmethod = "aug"\n[[low-shot]]\nmethod = "aug"', "the same name"),
        ('include = ["paper/cub"]\ndata = "x"', "includes others and has settings.*data"),
        ('include = "paper/cub"', "'include' in the preset.*found 'paper/cub'; expected a list"),
        ("extends = 3", "'extends' in the preset.*found 3; expected a text"),
        ("settings = 3", "'settings' in the preset.*expected a table"),
        ('threshold = "high"', "'threshold' in the preset.*found 'high'; expected a number"),
        ("seeds = true", "'seeds' in the preset.*found True; expected a whole number"),
        ("validation = 1.5", "'validation' in.*expected a whole number or a text"),
        ("tune = { lambda1 = 3 }", "'lambda1' in tune of the preset.*expected a list"),
        ("low-shot = 3", "'low-shot' in the preset.*expected a list"),
        ("low-shot = [3]", "a row of the preset.*found 3; expected a table"),
        ('[[low-shot]]\nmethod = "rg"\noptions = 3', "'options' in a row.*expected a table"),
        ('extends = "fashion-mnist"\nsources = { a = 3 }', "the source 'a' is not.*found 3"),
    ],
)
def test_presets_with_mistakes(text, message, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(GendataError, match=message):
        run_study("low-shot", tmp_path / "out", preset=str(path), dry_run=True)


def test_a_threshold_may_be_a_whole_number(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('extends = "fashion-mnist"\nthreshold = 0\n')
    assert protocols(str(path), "low-shot")[0].threshold == 0


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("pets/train", "pets"),
        ("imagefolder:pets/test", "pets"),
        ("cifar10:train", "cifar10"),
        ("train", "train"),
        ("data/pets.npz", "pets"),
        ("embedded:fashion-gan", "fashion-gan"),
    ],
)
def test_data_are_not_called_by_the_name_of_their_part(reference, name):
    assert short_name(reference) == name


def test_a_sampler_of_other_classes_is_refused_before_it_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "draw_clone", lambda *_, **__: pytest.fail("it drew"))
    given = keywords(tmp_path, sources=["gan=embedded:fashion-gan"], per_class=[1])
    with pytest.raises(GendataError, match="the class lists of 'gan' and 'test' differ"):
        run_study("zero-shot", tmp_path / "out", **given)


def test_every_sampler_is_looked_at_before_one_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "draw_clone", lambda *_, **__: pytest.fail("it drew"))
    real = {"data": "fashion-mnist:train", "test": "fashion-mnist:test"}
    both = ["gan=embedded:fashion-gan", f"other=folder:{tmp_path / 'nowhere'}"]
    given = {**keywords(tmp_path), **real, "sources": both, "per_class": [1], "methods": ["fake"]}
    with pytest.raises(GendataError, match="no images at"):
        run_study("zero-shot", tmp_path / "out", **given)


def test_sources_get_names_of_their_own(tmp_path):
    given = keywords(tmp_path)
    name = given.pop("preset")
    given["sources"] = "embedded:fashion-gan,My GAN=embedded:fashion-gan,clones/fashion-gan"
    (protocol,) = protocols(name, "low-shot", **given, per_class=[1])
    names = [source.name for source in protocol.sources]
    assert names == ["fashion-gan", "My GAN", "fashion-gan-2"]
    assert [protocol.per_class_of(Source("", each.reference)) for each in protocol.sources] == [
        (1,)
    ] * 3


def test_sources_of_a_preset_may_have_options_and_a_filter_of_their_own(tmp_path):
    path = tmp_path / "own.toml"
    lines = (
        'filter = "timm:judge"\n[sources]\nplain = "embedded:fashion-gan"\n'
        'sure = { reference = "stylegan:G.pkl", options = { psi = 0.7 }, filter = "none" }\n'
    )
    path.write_text(f'extends = "{write_preset(tmp_path)}"\nper_class = 4\n{lines}')
    given = {"data": "a", "test": "b"}
    (protocol,) = protocols(str(path), "low-shot", **given)
    plain, sure = protocol.sources
    assert (plain.filter, dict(plain.options)) == ("timm:judge", {})
    assert (sure.filter, dict(sure.options)) == (None, {"psi": 0.7})
    assert clone_folder(tmp_path, protocol, plain) != clone_folder(tmp_path, protocol, sure)
    (other,) = protocols(str(path), "low-shot", **given, threshold=0.9)
    assert clone_folder(tmp_path, other, plain) != clone_folder(tmp_path, protocol, plain)
    assert clone_folder(tmp_path, other, sure) == clone_folder(tmp_path, protocol, sure)
    path.write_text(f'extends = "{write_preset(tmp_path)}"\n[sources]\nx = {{ options = {{}} }}\n')
    with pytest.raises(GendataError, match="the source 'x' is not written.*no reference"):
        protocols(str(path), "low-shot", **given)
