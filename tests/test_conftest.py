"""Whether CI notices tests that are skipped for want of something that it should have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_one():
    pytest.skip("needs ../shared")

@pytest.mark.skipif(True, reason="needs chromium")
def test_two():
    pass

@pytest.fixture
def ray():
    return pytest.importorskip("no_such_package")

def test_three(ray):
    pass

@pytest.mark.xfail(reason="known")
def test_four():
    assert False
"""


ALL = "needs ../shared, chromium,no_such_package, no_such_file"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expected", "outcome", "processes"),
    [
        (None, "4 skipped, 1 xfailed", 0),
        (ALL, "4 skipped, 1 xfailed", 0),
        (ALL, "4 skipped, 1 xfailed", 2),
        (ALL.replace("chromium", ""), "3 skipped, 1 xfailed, 1 error", 0),
        (ALL.replace("chromium", ""), "3 skipped, 1 xfailed, 1 error", 2),
        # A file that is skipped as a whole ends the run of one process, and fails that of several.
        (ALL.replace("no_such_file", ""), "1 error", 0),
        (ALL.replace("no_such_file", ""), "3 skipped, 1 xfailed, 1 error", 2),
    ],
)
def test_skips_for_other_reasons_fail(tmp_path, expected, outcome, processes):
    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_file.py").write_text("import pytest\npytest.importorskip('no_such_file')")
    environment = {key: value for key, value in os.environ.items() if key[:7] != "GENDATA"}
    if expected is not None:
        environment["GENDATA_EXPECTED_SKIPS"] = expected
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib"]
    result = subprocess.run(
        [*words, "-n", str(processes), str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert outcome in result.stdout.splitlines()[-1], result.stdout
    assert (result.returncode != 0) == ("error" in outcome)
