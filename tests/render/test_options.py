"""Options that are out of range are refused by name, with what they may be."""

import pytest
import torch

from gendata.errors import GendataError
from gendata.render.options import cycles_device, number, one_of, whole_number


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cpu", "cpu"),
        ("cuda:1", "cuda:1"),
        ("mps", "metal"),
        ("xpu", "oneapi"),
        ("optix", "optix"),
    ],
)
def test_devices_are_named_as_cycles_names_them(given, expected):
    assert cycles_device(given) == expected


def test_torch_devices_are_taken_too():
    assert cycles_device(torch.device("cuda", 1)) == "cuda:1"


@pytest.mark.parametrize(
    ("has_cuda", "hip", "has_mps", "expected"),
    [
        (True, None, False, "optix"),
        (True, "6.2", False, "hip"),
        (False, None, True, "metal"),
        (False, None, False, "cpu"),
    ],
)
def test_auto_takes_what_there_is(monkeypatch, has_cuda, hip, has_mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert cycles_device("auto") == expected


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: cycles_device("cpu:1"), "device; found cpu:1; expected such as cpu or cuda:1"),
        (lambda: cycles_device("cuda:x"), "device; found cuda:x"),
        (lambda: cycles_device("tpu"), "device; found tpu; expected one of cpu, cuda"),
        (lambda: one_of("view", "raw", ("standard", "filmic")), "one of standard, filmic"),
        (lambda: whole_number("samples", 0, 1, 9), "samples; found 0; .* from 1 to 9"),
        (lambda: whole_number("samples", 2.0, 1, 9), "whole number"),
        (lambda: whole_number("samples", True, 1, 9), "whole number"),
        (lambda: number("exposure", "4", -32, 32), "number from -32 to 32"),
        (lambda: number("exposure", True, -32, 32), "found True"),
        (lambda: number("exposure", float("nan"), -32, 32), "found nan"),
    ],
)
def test_others_are_refused(check, message):
    with pytest.raises(GendataError, match=message):
        check()
