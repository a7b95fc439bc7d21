import os

import pytest
import torch

from gendata.errors import GendataError
from gendata.render.placement import Place, find_places


@pytest.fixture
def cards(monkeypatch):
    """Four accelerators and eight cores, as far as this process can tell."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def as_rank(monkeypatch, rank, ranks):
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))


def test_cores_are_divided_among_workers(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 3, 5, 7}, raising=False)
    assert find_places("cpu", 1) == [Place(4, (2, 3, 5, 7))]
    assert find_places("cpu", 2) == [Place(2, (2, 5)), Place(2, (3, 7))]
    assert find_places("cpu") == [Place(1, (core,)) for core in (2, 3, 5, 7)]
    assert [each.cores for each in find_places("cpu", 5)] == [(2,), (3,), (5,), (7,), (2,)]


def test_where_the_system_cannot_pin(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert find_places("cpu") == [Place()] * 6
    assert find_places("cpu", 2) == [Place(3)] * 2


def test_ranks_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    taken = []
    for rank in range(4):
        as_rank(monkeypatch, rank, 4)
        taken.append([each.cores for each in find_places("cpu")])
    assert taken == [[(0,)], [(1,)], [(2,)], [(0,)]]


def test_a_worker_on_each_accelerator(cards):
    assert find_places("optix") == [Place(2, accelerator=number) for number in range(4)]
    assert [each.accelerator for each in find_places("cuda", 6)] == [0, 1, 2, 3, 0, 1]
    assert find_places("cuda:3", 2) == [Place(4, accelerator=3)] * 2


def test_ranks_of_one_machine_share_its_accelerators(cards, monkeypatch):
    taken = []
    for rank in range(8):
        as_rank(monkeypatch, rank, 8)
        taken.append([each.accelerator for each in find_places("optix")])
    assert taken == [[0], [1], [2], [3], [0], [1], [2], [3]]
    as_rank(monkeypatch, 1, 2)
    assert find_places("optix") == [Place(2, accelerator=1), Place(2, accelerator=3)]


def test_accelerators_that_cannot_be_counted_are_all_taken_by_one_worker(cards):
    assert find_places("metal") == find_places("oneapi") == [Place(8, accelerator=None)]


@pytest.mark.parametrize("device", ["cpu", "optix"])
def test_no_workers_are_a_mistake(device):
    with pytest.raises(GendataError, match="workers; found 0; expected at least 1"):
        find_places(device, 0)
