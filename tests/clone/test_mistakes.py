"""Each mistake is one clear line, and nothing is lost."""

import json
import subprocess
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from tiny import (
    NAMES,
    TinyClassifier,
    TinySampler,
    TinySet,
    draw_tiny,
    read_clone_table,
    read_rejects,
)

from gendata.cli import main
from gendata.clone import ConfidenceFilter, draw_clone, filter_clone, filter_images
from gendata.clone.filter import match_columns
from gendata.errors import GendataError
from gendata.images import open_images


class BlindTo(TinyClassifier):
    """Never says one of the classes."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def probabilities(self, images):
        values = super().probabilities(images)
        values[:, self.label] = 0
        return values / values.sum(1, keepdim=True)


class Named(TinyClassifier):
    """Knows its classes' names; its outputs are in their order."""

    def __init__(self, names, order=None) -> None:
        super().__init__(max(3, len(names)))
        self.classes, self.order = list(names), order

    def probabilities(self, images):
        values = super().probabilities(images)
        return values if self.order is None else values[:, self.order]


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_threshold_lies_inside_0_and_1(threshold):
    with pytest.raises(GendataError, match="strictly between 0 and 1"):
        ConfidenceFilter(TinyClassifier(), threshold)


def test_threshold_is_strict(tmp_path):
    class Even(TinyClassifier):
        def probabilities(self, images):
            return torch.tensor([[0.8, 0.1, 0.1]]).repeat(len(images), 1)

    keep = ConfidenceFilter(Even(), 0.8, "condition")
    sampler = TinySampler()
    with pytest.raises(GendataError, match="cannot be filled"):
        draw_clone(sampler, 1, tmp_path, filter=keep, attempts=2, batch_size=4)
    assert sampler.calls <= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed 3 there, 4 now"),
        ({"batch_size": 16}, "batch_size 8 there, 16 now"),
        ({"classes": ["bee"]}, "classes.chosen"),
        ({"filter": None}, "filter"),
        (
            {"filter": ConfidenceFilter(TinyClassifier(), 0.7)},
            "filter.threshold 0.6 there, 0.7 now",
        ),
        ({"per_class": 60}, "--extend"),
        ({"per_class": 40}, "already holds more"),
        ({"kind": "unconditional"}, "filter.label"),
    ],
)
def test_folder_of_other_settings_is_refused_and_kept(tmp_path, change, message):
    draw_tiny(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(GendataError) as error:
        draw_tiny(tmp_path, **change)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_foreign_and_damaged_folders_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(GendataError, match="not a clone"):
        draw_tiny(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "run.json").write_text('{"format": "gendata clone", "settings"')
    with pytest.raises(GendataError, match=r"run\.json is damaged"):
        draw_tiny(tmp_path)


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_class_that_never_passes_stops_the_run_or_is_left_short(tmp_path, kind):
    keep = ConfidenceFilter(BlindTo(1), 0.6)
    with pytest.raises(GendataError) as error:
        draw_tiny(tmp_path, kind, filter=keep, attempts=10)
    name = {"conditional": "bee", "unconditional": "1"}[kind]
    assert f"class '{name}' cannot be filled" in str(error.value)
    assert f"fewest first: {name} 0 of" in str(error.value)
    assert "--short" in str(error.value)
    clone = draw_tiny(tmp_path, kind, filter=keep, attempts=10, short=True)
    assert sorted(set(clone.labels.tolist())) == [0, 2] and len(clone) == 100
    missing = [entry["missing"] for entry in read_rejects(tmp_path)["classes"]]
    assert missing == [0, 50, 0]
    with pytest.raises(GendataError, match="(is short|cannot be filled)"):
        draw_tiny(tmp_path, kind, filter=keep, attempts=10)


def test_a_folder_in_which_nothing_was_kept_takes_a_lower_threshold(tmp_path):
    with pytest.raises(GendataError, match="cannot be filled"):
        draw_tiny(tmp_path, filter=ConfidenceFilter(TinyClassifier(), 0.9999999), attempts=2)
    assert len(draw_tiny(tmp_path, filter=ConfidenceFilter(TinyClassifier(), 0.6))) == 150
    with pytest.raises(GendataError, match="other settings"):
        draw_tiny(tmp_path, filter=ConfidenceFilter(TinyClassifier(), 0.7))


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_more_attempts_fill_what_fewer_left_short(tmp_path, kind):
    keep = ConfidenceFilter(TinyClassifier(), 0.7)
    draw_tiny(tmp_path / "whole", kind, filter=keep)
    few = draw_tiny(tmp_path / "short", kind, filter=keep, attempts=1, short=True)
    assert len(few) < 150
    draw_tiny(tmp_path / "short", kind, filter=keep, attempts=100)
    assert read_clone_table(tmp_path / "short").equals(read_clone_table(tmp_path / "whole"))
    assert read_rejects(tmp_path / "short") == read_rejects(tmp_path / "whole")


def test_unusable_images_are_counted_and_replaced(tmp_path):
    draw_tiny(tmp_path, filter=None)
    assert read_rejects(tmp_path)["rejects"]["nan"] > 0
    assert all(seed % 11 for seed in read_clone_table(tmp_path)["seed"].to_pylist())


def test_sampler_of_nothing_usable_stops_the_run(tmp_path):
    with pytest.raises(GendataError, match=r"ant 0 of \d+ \(nan \d+\)"):
        draw_clone(TinySampler(spoil=1), 3, tmp_path, attempts=5, batch_size=4)


@pytest.mark.parametrize("classes", [["zebra"], [3], [-1], ["7"], [], ["ant", 0]])
def test_classes_that_the_sampler_lacks_are_refused(tmp_path, classes):
    with pytest.raises(GendataError):
        draw_tiny(tmp_path / "clone", classes=classes)
    assert not (tmp_path / "clone").exists()


def test_unconditional_sampler_needs_a_filter_that_labels(tmp_path):
    with pytest.raises(GendataError, match="--filter"):
        draw_tiny(tmp_path / "clone", "unconditional", filter=None)
    with pytest.raises(GendataError, match="knows no classes"):
        draw_tiny(
            tmp_path / "clone",
            "unconditional",
            filter=ConfidenceFilter(TinyClassifier(), 0.6, "agree"),
        )


def test_classifier_of_other_classes_is_refused_and_of_another_order_is_sorted(tmp_path):
    for names in (["ant", "bee"], ["bee", "ant", "dog"]):
        with pytest.raises(GendataError, match="classes"):
            draw_tiny(tmp_path / "clone", filter=ConfidenceFilter(Named(names), 0.6))
    draw_tiny(tmp_path / "plain")
    turned = Named([NAMES[2], NAMES[0], NAMES[1]], [2, 0, 1])
    draw_tiny(tmp_path / "turned", filter=ConfidenceFilter(turned, 0.6))
    plain, other = read_clone_table(tmp_path / "plain"), read_clone_table(tmp_path / "turned")
    assert plain.equals(other)


def test_finite_set_that_is_too_small_is_refused_before_drawing(tmp_path):
    source = TinySet(20)
    with pytest.raises(GendataError, match=r"found 20 images; expected at least 30"):
        draw_clone(source, 30, tmp_path / "clone")
    assert source.calls == 0 and not (tmp_path / "clone").exists()
    assert len(draw_clone(source, 30, tmp_path / "clone", short=True)) == 60


def test_exhausted_finite_set_is_reported(tmp_path):
    keep = ConfidenceFilter(BlindTo(2), 0.6)
    with pytest.raises(GendataError, match="class 'cat' cannot be filled"):
        draw_clone(TinySet(20), 5, tmp_path / "clone", filter=keep, batch_size=8)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kilobytes, and what makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a small disk")
    enlarge = ["mount", "-o", "remount,size=16m", str(disk)]
    yield disk, lambda: subprocess.run(enlarge, check=True)
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk, write):
    """Writes until the disk is full; returns the message."""
    with pytest.raises(GendataError, match="the disk is full") as error:
        write()
    assert "\n" not in str(error.value)
    assert not list(disk.rglob(".*.tmp"))


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_full_disk_is_one_line_and_loses_nothing(tmp_path, small_disk, kind):
    disk, enlarge = small_disk
    fill(disk, lambda: draw_tiny(disk / "clone", kind))
    kept = {path: path.read_bytes() for path in disk.rglob("*.parquet")}
    assert kept
    enlarge()
    draw_tiny(disk / "clone", kind)
    assert all(
        path.read_bytes() == content for path, content in kept.items() if "shard" in path.name
    )
    draw_tiny(tmp_path / "reference", kind)
    table = read_clone_table(disk / "clone")
    assert table.equals(read_clone_table(tmp_path / "reference"))


@pytest.mark.parametrize("judged", [False, True])
def test_a_disk_that_fills_up_while_filtering(tmp_path, small_disk, judged):
    draw_tiny(tmp_path / "clone")

    def write(out):
        if not judged:
            return filter_clone(tmp_path / "clone", 0.61, out)
        keep = ConfidenceFilter(TinyClassifier(), 0.01, "classifier")
        return filter_images(f"clone:{tmp_path / 'clone'}", keep, out, batch_size=8)

    disk, enlarge = small_disk
    fill(disk, lambda: write(disk / "sure"))
    enlarge()
    write(disk / "sure")
    write(tmp_path / "reference")
    assert read_clone_table(disk / "sure").equals(read_clone_table(tmp_path / "reference"))
    assert read_rejects(disk / "sure") == read_rejects(tmp_path / "reference")


@pytest.mark.parametrize("layout", ["imagefolder", "webdataset", "parquet"])
def test_a_disk_that_fills_up_while_exporting(tmp_path, small_disk, layout):
    draw_tiny(tmp_path / "clone")
    disk, enlarge = small_disk
    words = ["export", str(tmp_path / "clone"), "--format", layout]
    result = CliRunner().invoke(main, [*words, "--out", str(disk / "files")])
    assert result.exit_code and "No space left" in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1 and not list(disk.rglob(".*.tmp"))
    enlarge()
    result = CliRunner().invoke(main, [*words, "--out", str(disk / "files")])
    assert result.exit_code == 0, result.stderr
    assert len(open_images(disk / "files")) == 150


def test_a_disk_that_fills_up_while_training(tmp_path, small_disk):
    draw_tiny(tmp_path / "clone")
    disk, enlarge = small_disk
    words = ["train", "--synthetic", str(tmp_path / "clone"), "--test", str(tmp_path / "clone")]
    words += ["--epochs", "1", "--device", "cpu", "--out", str(disk / "run")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code and "the disk is full" in result.stderr, result.stderr
    assert not list(disk.rglob(".*.tmp"))
    enlarge()
    assert CliRunner().invoke(main, words).exit_code == 0


def test_run_file_is_the_same_for_every_rank(tmp_path):
    draw_tiny(tmp_path / "a")
    draw_tiny(tmp_path / "b", shard=(0, 1))
    one, two = (json.loads((tmp_path / name / "run.json").read_text()) for name in "ab")
    assert one == two and one["finished"]


@pytest.mark.parametrize(
    ("theirs", "columns"),
    [(["a", "b", "c"], [0, 1, 2]), (["c", "a", "b"], [1, 2, 0]), (["0", "1", "2"], [0, 1, 2])],
)
def test_classifier_columns_are_matched_by_name(theirs, columns):
    classifier = SimpleNamespace(name="judge", classes=theirs)
    assert match_columns(classifier, 3, ["a", "b", "c"]) == columns


@pytest.mark.parametrize("theirs", [["x", "y", "z"], ["a", "b", "z"]])
def test_classifier_of_other_classes_is_refused(theirs):
    classifier = SimpleNamespace(name="judge", classes=theirs)
    with pytest.raises(GendataError, match="knows other classes than the sampler; found '[xz]'"):
        match_columns(classifier, 3, ["a", "b", "c"])
