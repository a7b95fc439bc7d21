"""Killing a training and going on with it, and what must then be the same."""

from contextlib import contextmanager

import pytest
import torch

import gendata


@contextmanager
def killed(monkeypatch, entry, at):
    """Trainings of a method within the block die at a share of their length."""
    step = entry.step

    def stop(self, batch, progress):
        if progress >= at:
            raise KeyboardInterrupt
        return step(self, batch, progress)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(entry, "step", stop)
        yield


def killed_and_resumed(monkeypatch, entry, options, at):
    """Trains once in one go and once with a kill at a share of the training; both results."""
    whole = gendata.train(**{**options, "out": None})
    with killed(monkeypatch, entry, at):
        gendata.train(**options)
    return whole, gendata.train(**options)


def without_time(result):
    return [{**record, "seconds": 0} for record in result.history]


def assert_same_weights(one, other):
    mine, theirs = one.network.state_dict(), other.network.state_dict()
    assert mine.keys() == theirs.keys()
    for name, expected in mine.items():
        assert torch.equal(theirs[name], expected), name


def assert_same_training(one, other):
    """Weights, running statistics and records, to the last bit."""
    assert_same_weights(one, other)
    assert without_time(one) == without_time(other)
