"""A Ray cluster draws the clone that one process draws, and loses nothing with a node."""

import inspect
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from tiny import read_clone_table, read_rejects
from torch import Tensor, nn

from gendata.cli import main
from gendata.clone import cluster as module
from gendata.clone import draw_clone
from gendata.clone.run_file import read_run
from gendata.clone.source import Source
from gendata.clone.work import DrawingSettings
from gendata.errors import GendataError

SETTINGS = {"seed": 3, "batch_size": 8, "shard_size": 10, "progress": False}
NAMES = ["red", "green", "blue"]


class Generator(nn.Module):
    """Tints the upper rows by class, over noise, and takes its time."""

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        tint = nn.functional.one_hot(label, 3).to(z.dtype)[:, :, None, None] - 0.5
        wait = torch.ones(64, 64)
        for _ in range(2000):
            wait = wait @ torch.full((64, 64), 1.0 / 64)
        return (0.6 * wait.mean() * tint + 0.3 * z.view(-1, 3, 4, 4)).clamp(-1.0, 1.0)


class Unconditional(nn.Module):
    """Noise, of which the judge says what it is."""

    def forward(self, z: Tensor) -> Tensor:
        return (0.6 * z[:, :3, None, None] + 0.3 * z.view(-1, 3, 4, 4)).clamp(-1.0, 1.0)


class Judge(nn.Module):
    """Says which channel is brightest."""

    def forward(self, x: Tensor) -> Tensor:
        return 8.0 * x.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    for name, network in (
        ("conditional", Generator()),
        ("unconditional", Unconditional()),
        ("judge", Judge()),
    ):
        torch.jit.script(network).save(str(folder / f"{name}.pt"))
    judge = {"judge": f"torchscript:{folder / 'judge.pt'}", "judge_options": {"classes": NAMES}}
    return {
        kind: Source(
            f"torchscript:{folder / kind}.pt", {"z_dim": 48, **options}, device="cpu", **judge
        )
        for kind, options in (("conditional", {"classes": NAMES}), ("unconditional", {}))
    }


def draw_alone(source, out, per_class):
    return draw_clone(
        source.sampler(),
        per_class,
        out,
        filter=source.filter(),
        sampler_options=source.options,
        **SETTINGS,
    )


@pytest.fixture(scope="module")
def cluster(only_cluster):
    """A head that does no work, and two nodes of one processor."""
    import ray
    from ray.cluster_utils import Cluster

    with only_cluster:
        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick}
        )
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        yield cluster, nodes
        ray.shutdown()
        cluster.shutdown()


def assert_same(one, two):
    assert read_clone_table(one).equals(read_clone_table(two))
    assert read_rejects(one) == read_rejects(two)
    assert read_run(two).finished and not list(two.rglob(".*"))


@pytest.mark.cluster
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["unconditional", "conditional"])  # the node is lost in the last
def test_cluster_draws_what_one_process_draws(tmp_path, sources, cluster, kind):
    source, per_class = sources[kind], 60
    draw_alone(source, tmp_path / "one", per_class)
    loser = threading.Thread(target=lose_a_node, args=(cluster, tmp_path / "two"))
    if kind == "conditional":
        loser.start()
    clone = draw_clone(source, per_class, tmp_path / "two", **SETTINGS, cluster="ray")
    if kind == "conditional":
        loser.join()
        assert len(cluster[1]) == 1, "no node was lost"
    assert len(clone) == 3 * per_class
    assert_same(tmp_path / "one", tmp_path / "two")


def lose_a_node(cluster, folder):
    """Kills a node once some shards are there, in the midst of its own."""
    while len(list(folder.glob("shard-*.parquet"))) < 4:
        time.sleep(0.01)
    if len(list(folder.glob("shard-*.parquet"))) < 15:
        cluster[0].remove_node(cluster[1].pop(), allow_graceful=False)


@pytest.mark.cluster
def test_a_class_that_cannot_be_filled_stops_the_cluster(tmp_path, sources, cluster):
    source = sources["conditional"]
    strict = Source(
        source.reference, source.options, source.judge, 0.9999, None, source.judge_options, "cpu"
    )
    with pytest.raises(GendataError, match="cannot be filled"):
        draw_clone(strict, 2, tmp_path / "clone", attempts=5, **SETTINGS, cluster="ray")


@pytest.mark.cluster
def test_a_node_with_another_file_is_refused(tmp_path, sources, cluster, monkeypatch):
    begin = module.begin_work

    def with_another(*arguments, **settings):
        work = begin(*arguments, **settings)
        work.run.settings["sampler"]["sha256"] = "0" * 64
        return work

    monkeypatch.setattr(module, "begin_work", with_another)
    with pytest.raises(GendataError, match="sampler.sha256 .* there"):
        draw_clone(sources["conditional"], 4, tmp_path / "clone", **SETTINGS, cluster="ray")


@pytest.mark.cluster
def test_command_draws_on_the_cluster_and_extends(tmp_path, sources, cluster):
    source = sources["unconditional"]
    words = [
        *("sample", source.reference, "-o", "z_dim=48", "--filter", source.judge),
        *("--filter-option", 'classes=["red", "green", "blue"]', "--device", "cpu"),
        *("--seed", "3", "--batch-size", "8", "--shard-size", "10", "--out", str(tmp_path / "c")),
    ]
    for more in (["--per-class", "7"], ["--per-class", "12", "--extend"]):
        result = CliRunner().invoke(main, [*words, *more, "--cluster", "ray"])
        assert result.exit_code == 0, result.stderr
    assert "36 images of 3 classes" in result.stdout
    draw_alone(source, tmp_path / "one", 12)
    assert read_clone_table(tmp_path / "one").equals(read_clone_table(tmp_path / "c"))


@pytest.mark.parametrize(
    ("device", "nodes", "needs"),
    [
        ("cpu", [{"CPU": 8.0}, {"CPU": 2.0}], {"num_cpus": 2}),
        ("cpu", [{"CPU": 8.0, "GPU": 4.0}, {"memory": 1.0}], {"num_cpus": 4}),
        ("auto", [{"CPU": 8.0, "GPU": 4.0}, {"CPU": 1.0}], {"num_cpus": 2, "num_gpus": 1}),
        ("cuda:1", [{"CPU": 2.0, "GPU": 4.0}], {"num_cpus": 0, "num_gpus": 1}),
    ],
)
def test_parts_ask_for_what_nodes_have(device, nodes, needs):
    alive = [{"Resources": node, "Alive": True} for node in nodes]
    ray = SimpleNamespace(nodes=lambda: [*alive, {"Resources": {"CPU": 1.0}, "Alive": False}])
    order = SimpleNamespace(source=Source("x", device=device), run=SimpleNamespace(threads=4))
    assert module._needs(ray, order) == needs


def test_ray_is_named_where_it_is_missing(tmp_path, sources, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GendataError, match=r"pip install 'gendata\[cluster\]'"):
        draw_clone(sources["conditional"], 4, tmp_path / "clone", **SETTINGS, cluster="ray")
    assert not (tmp_path / "clone").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cluster": "slurm"}, "no cluster of that kind; found slurm; expected ray"),
        ({"cluster": None, "filter": "loaded"}, "two filters are given"),
        ({"sampler": "loaded"}, "loads sampler and filter on its nodes"),
        ({"filter": "loaded"}, "loads sampler and filter on its nodes"),
        ({"shard": (0, 2)}, "draws all of a clone; found the share"),
        ({"out": "memory://clone"}, "share a folder"),
    ],
)
def test_what_a_cluster_cannot_draw_is_refused(tmp_path, changes, words):
    arguments = {"sampler": Source("embedded:fashion-gan"), "per_class": 1, "cluster": "ray"}
    with pytest.raises(GendataError, match=words):
        draw_clone(**{**arguments, "out": tmp_path / "clone", **changes})
    assert not (tmp_path / "clone").exists()


def test_a_source_needs_no_cluster(sources, tmp_path):
    source = sources["conditional"]
    draw_clone(source, 4, tmp_path / "one", **SETTINGS)
    draw_alone(source, tmp_path / "two", 4)
    tables = [read_clone_table(tmp_path / name) for name in ("one", "two")]
    assert tables[0].equals(tables[1])


def test_both_ways_to_draw_take_the_same_settings():
    own = {"sampler", "per_class", "out", "shard", "progress", "cluster"}
    taken = inspect.signature(draw_clone).parameters.keys() - own
    assert taken == DrawingSettings.__annotations__.keys()


def test_a_share_of_a_cluster_is_refused(tmp_path):
    words = ["sample", "embedded:fashion-gan", "--per-class", "1", "--out", str(tmp_path / "c")]
    result = CliRunner().invoke(main, [*words, "--cluster", "ray", "--shard", "0/2"])
    assert result.exit_code == 2 and "exclude each other" in result.stderr
