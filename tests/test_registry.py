"""Registries: our entries, third parties' entries, broken plugins, close names."""

import importlib
import subprocess
import sys
import textwrap

import pytest

from gendata.errors import GendataError
from gendata.registry import Registry, samplers

PLUGIN = """
from types import SimpleNamespace
import torch

def stripes(path, *, device="cpu", width=4):
    def sample(labels, seeds):
        images = torch.zeros(len(seeds), 3, 16, 16, dtype=torch.uint8)
        images[:, :, ::width] = ((seeds % 200) + labels * 5)[:, None, None, None].to(torch.uint8)
        return images
    from gendata.types import Card
    return SimpleNamespace(
        name=f"stripes:{path}", classes=["a", "b"], resolution=16, card=Card("stripes"),
        sample=sample,
    )

raise_on_load = None
"""


@pytest.fixture
def plugin_site(tmp_path):
    """A site folder with one installed package: a good sampler, a broken one, a broken study."""
    (tmp_path / "stripes_plugin.py").write_text(PLUGIN)
    info = tmp_path / "stripes_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stripes-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        textwrap.dedent(
            """
            [gendata.samplers]
            stripes = stripes_plugin:stripes
            broken = stripes_plugin:no_such_name

            [gendata.guidance]
            gone = no_such_module:method

            [gendata.benchmarks]
            missing = no_such_module:study
            """
        )
    )
    return tmp_path


def run_with(site, code):
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"],
        capture_output=True,
        text=True,
    )


def test_plugin_draws_a_clone_and_broken_ones_warn(plugin_site, tmp_path):
    code = textwrap.dedent(
        f"""
        import gendata
        from gendata.registry import methods, samplers, studies
        sampler = gendata.load_sampler("stripes:here", device="cpu", width=2)
        clone = gendata.draw_clone(sampler, per_class=3, out={str(tmp_path / "clone")!r})
        print(len(clone), list(clone.classes), "stripes" in samplers.names())
        assert "gone" not in methods.names() and "missing" not in studies.names()
        """
    )
    result = run_with(plugin_site, code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[-2] == "6 ['a', 'b'] True"
    for name in ("broken", "gone", "missing"):
        assert f"plugin '{name}'" in result.stderr


def test_unknown_name_lists_close_ones():
    with pytest.raises(GendataError, match="unknown sampler 'difusers'.*did you mean diffusers"):
        samplers.get("difusers")


def test_a_failed_import_is_met_again_and_leaves_no_partial_list(tmp_path, monkeypatch):
    package = tmp_path / "things"
    package.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    (package / "__init__.py").write_text(
        "from gendata.registry import Registry\nregistry = Registry('things', 'thing')\n"
    )
    entry = "from things import registry\n@registry.register('{0}')\ndef {0}(): pass\n"
    (package / "first.py").write_text(f"{entry.format('first')}registry.names()\n")
    (package / "second.py").write_text("raise ImportError('no such library')")
    registry = importlib.import_module("things").registry
    for _ in range(2):
        with pytest.raises(ImportError, match="no such library"):
            registry.names()
    (package / "second.py").write_text(entry.format("second") + "# now another length")
    importlib.invalidate_caches()
    assert registry.names() == ["first", "second"]


def test_two_entries_of_one_name_are_an_error():
    registry = Registry("gendata.none", "thing")

    @registry.register("x")
    def first():
        pass

    registry.register("x")(first)  # the same file imported twice is no conflict

    with pytest.raises(GendataError, match="two things are named 'x'"):

        @registry.register("x")
        def second():
            pass
