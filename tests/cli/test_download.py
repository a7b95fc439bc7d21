"""Nothing is fetched without --download, and a clone that names a repository gives no consent."""

import json

import pytest
from click.testing import CliRunner
from family_files import FAMILIES

from gendata.cli import main
from gendata.errors import GendataError
from gendata.samplers.hub import PipelineFolder

pytest.importorskip("diffusers")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of one repository, which nothing caches; returns who asked with consent."""
    FAMILIES["ddpm"].make(tmp_path / "repository")
    consents = []

    def locate(reference, parts_of, *, download):
        consents.append(download)
        if not download:
            raise GendataError(f"'{reference}' is not here", do="allow it with --download")
        return PipelineFolder(tmp_path / "repository", f"owner/tiny@{COMMIT}", "tiny")

    monkeypatch.setattr("gendata.samplers.diffusers.locate_pipeline", locate)
    return consents


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def words(command, tmp_path, *more):
    options = ("-o", "steps=1", "--per-class", 2, "--batch-size", 4, "--device", "cpu")
    return (command, "diffusers:owner/tiny", *options, "--out", tmp_path / "clone", *more)


def test_sample_and_verify_ask_each_time(hub, tmp_path):
    refused = run(*words("sample", tmp_path))
    assert refused.exit_code == 2 and "--download" in refused.stderr
    assert not (tmp_path / "clone").exists()
    drawn = run(*words("sample", tmp_path, "--download"))
    assert drawn.exit_code == 0, drawn.output
    path = tmp_path / "clone" / "run.json"
    recorded = json.loads(path.read_text())
    sampler = recorded["settings"]["sampler"]
    assert sampler["name"] == f"diffusers:owner/tiny@{COMMIT}"
    assert sampler["options"] == {"steps": 1}, "a consent is no setting of a clone"

    sampler["options"]["download"] = True
    path.write_text(json.dumps(recorded))
    refused = run("verify", tmp_path / "clone", "--device", "cpu")
    assert refused.exit_code == 2 and "--download" in refused.stderr
    checked = run("verify", tmp_path / "clone", "--device", "cpu", "--download")
    assert checked.exit_code == 0, checked.output
    assert run("verify", tmp_path / "clone", "--count", 0).exit_code == 0
    assert hub == [False, True, False, True]


def test_doctor_asks(hub, tmp_path):
    refused = run(*words("doctor", tmp_path, "--trial", 4))
    assert refused.exit_code == 1 and "--download" in refused.stdout
    assert run(*words("doctor", tmp_path, "--trial", 4, "--download")).exit_code == 0


def test_a_dry_run_asks(hub, tmp_path):
    assert run(*words("sample", tmp_path, "--dry-run")).exit_code == 2
    assert run(*words("sample", tmp_path, "--dry-run", "--download")).exit_code == 0


@pytest.mark.parametrize("consent", [False, True])
def test_quickstart_passes_it_on(hub, tmp_path, consent):
    flags = ["--download"] if consent else []
    data = ("--data", tmp_path / "photos", "--out", tmp_path / "out", "--device", "cpu")
    photos = tmp_path / "photos"
    make_photos(photos)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gendata.benchmarks.quickstart.draw_clones", stop)
        result = run("quickstart", *data, "--sampler", "diffusers:owner/tiny", *flags)
    assert result.exit_code == 2 and hub == [consent]
    assert ("stopped here" in result.stderr) == consent


def stop(*_):
    raise GendataError("stopped here")


def make_photos(folder):
    import numpy as np
    from PIL import Image

    for name in ("ant", "bee", "cat"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((8, 8, 3), number * 9, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.parametrize("consent", [False, True])
def test_filter_passes_it_on_to_images_and_classifier(monkeypatch, tmp_path, consent):
    asked = {}

    def classifier(reference, *, download, **_):
        asked[reference] = download

    def images(reference, *_, download, **__):
        asked[reference] = download
        stop()

    monkeypatch.setattr("gendata.models.load_classifier", classifier)
    monkeypatch.setattr("gendata.clone.ConfidenceFilter", lambda *_: "filter")
    monkeypatch.setattr("gendata.samplers.folder.open_images", images)
    judged = ("--filter", "some:judge", "--threshold", 0.5, "--out", tmp_path / "sure")
    result = run("filter", "cifar10:test", *judged, *["--download"] * consent)
    assert "stopped here" in result.stderr
    assert asked == {"some:judge": consent, "cifar10:test": consent}


def test_a_clone_that_is_filtered_by_its_own_record_fetches_nothing(tmp_path):
    judged = ("--threshold", 0.9, "--out", tmp_path / "sure", "--download")
    result = run("filter", tmp_path / "clone", *judged)
    assert result.exit_code == 2 and "--download would be ignored" in result.stderr
