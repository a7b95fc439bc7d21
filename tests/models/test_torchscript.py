"""Reading TorchScript, and which of torch's warnings are kept from users."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from gendata.models.torchscript import quiet_torchscript, read_torchscript


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def test_a_file_is_written_and_read_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_torchscript():
            torch.jit.save(torch.jit.script(Half()), tmp_path / "half.pt")
        module = read_torchscript(tmp_path / "half.pt")
    assert module(torch.tensor(3.0)) == 1.5 and not module.training


@pytest.mark.parametrize("category", [FutureWarning, DeprecationWarning])
def test_only_the_lines_on_deprecated_torchscript_are_kept_away(category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet_torchscript():
            warnings.warn("`torch.jit.load` is deprecated. Use another.", category, stacklevel=1)
            warnings.warn("`torch.load` is deprecated.", category, stacklevel=1)
            warnings.warn("`torch.jit.load` is not supported here.", category, stacklevel=1)
        warnings.warn("`torch.jit.load` is deprecated.", category, stacklevel=1)
    assert [str(each.message).partition(". Use")[0] for each in caught] == [
        "`torch.load` is deprecated.",
        "`torch.jit.load` is not supported here.",
        "`torch.jit.load` is deprecated.",
    ]
