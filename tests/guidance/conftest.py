import pytest
from method_options import save_teacher


@pytest.fixture
def teacher(tmp_path):
    """Reference of a frozen small-cnn of seven classes."""
    return save_teacher(tmp_path, classes=7)
