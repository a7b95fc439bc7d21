import json

from click.testing import CliRunner

from gendata.cli import main
from gendata.images import open_images


def test_export_writes_and_tells(tmp_path):
    arguments = ["export", "fashion-mnist:test", "--format", "webdataset", "--limit", "30"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["images"] == 30 and told["classes"] == 10 and told["format"] == "webdataset"
    original = open_images("fashion-mnist:test")
    assert open_images(tmp_path / "out").labels.tolist() == original.labels[:30].tolist()
    again = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out")])
    assert again.exit_code == 2 and "is not empty" in again.stderr
    assert again.stderr.count("\n") == 1


def test_reference_options_and_mistakes(tmp_path):
    arguments = ["export", "cifar10:test", "-o", f"root={tmp_path}", "--out", str(tmp_path / "x")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "CIFAR-10 is not in" in result.stderr
    result = CliRunner().invoke(main, ["export", "nowhere", "--out", str(tmp_path / "x")])
    assert result.exit_code == 2 and "no images at 'nowhere'" in result.stderr
    assert not (tmp_path / "x").exists()


def test_help_ends_with_two_examples():
    text = CliRunner().invoke(main, ["export", "--help"]).output
    assert text.count("gendata export ") == 2
