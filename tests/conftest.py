"""Fixtures every test may use."""

import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
sys.path.append(str(Path(__file__).parent))  # for helpers beside this file, such as toys.py


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and published weights beside the checkout, where there is one."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder
