"""Fixtures every test may use, and what CI makes of tests that are skipped."""

import os
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

torch.set_num_threads(1)
sys.path.append(str(Path(__file__).parent))  # for helpers beside this file, such as toys.py

# Where it is set, a skipped test has failed, unless its reason holds one of these texts, which
# commas separate: CI must not turn green because something that the tests need is gone.
EXPECTED_SKIPS = os.environ.get("GENDATA_EXPECTED_SKIPS")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and published weights beside the checkout, where there is one."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder


@pytest.fixture(scope="session")
def only_cluster(tmp_path_factory) -> FileLock:
    """Hold it while a Ray cluster runs: others would join any that is on this machine."""
    pytest.importorskip("ray")
    return FileLock(tmp_path_factory.getbasetemp().parent / "ray.lock")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Looks at each test's report."""
    return _without_surprise((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Looks at files of tests that are skipped as a whole."""
    return _without_surprise((yield))


def _without_surprise(report):
    if EXPECTED_SKIPS is None or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    expected = [text.strip() for text in EXPECTED_SKIPS.split(",") if text.strip()]
    if not any(text in reason for text in expected):
        report.outcome = "failed"
        report.longrepr = f"{reason}: GENDATA_EXPECTED_SKIPS does not name this reason"
    return report
