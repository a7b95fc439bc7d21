"""Workers that crash, hang, grow or talk nonsense lose no image and mix none up."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.render.placement import Place
from gendata.render.pool import AHEAD, Limits, Pool
from gendata.render.worker_process import Start, Worker

TESTS = Path(__file__).parents[1]
COMMAND = [sys.executable, str(TESTS / "fake_worker.py")]
FAST = Limits(seconds=1.5, start_seconds=30)


def pool(workers=2, limits=FAST, **settings) -> Pool:
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    return Pool(COMMAND, environment, settings, [Place()] * workers, limits)


def requests(count, **actions):
    """Some images to render; `actions` says what happens at which row: at_3="crash"."""
    what = {int(name.removeprefix("at_")): action for name, action in actions.items()}
    return [
        partial(dict, parameters=what.get(row, ""), sources={"seed": 10 * row})
        for row in range(count)
    ]


def collect(made: Pool, wanted) -> dict:
    results = dict(made.render(wanted))
    assert sorted(results) == list(range(len(wanted))), "each row once"
    for row, result in results.items():
        if result.status == "ok":
            assert result.header["seed"] == 10 * row, "its own answer"
            assert np.array_equal(result.arrays["colour"], np.full((4, 4, 4), 10 * row % 97))
    return results


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, seconds=20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_request_gets_its_own_answer():
    slow = {f"at_{row}": "slow" for row in range(0, 40, 7)}
    with pool(3) as made:
        first = collect(made, requests(40, **slow))
        again = collect(made, requests(40))
    assert all(result.status == "ok" for result in (*first.values(), *again.values()))
    workers = {result.header["process"] for result in first.values()}
    assert len(workers) > 1 and made.started == 3 and made.version == "5.0.9"
    assert made.seconds["work"] == 40.0  # 0.5 each
    wait_until(lambda: not any(map(alive, workers)))


def test_requests_are_made_while_others_are_rendered():
    asked = []
    slow = {f"at_{row}": "slow" for row in range(20)}

    def request(row, wanted):
        asked.append(row)
        return wanted()

    with pool(2) as made:
        wanted = [partial(request, *each) for each in enumerate(requests(20, **slow))]
        for count, _ in enumerate(made.render(wanted), start=1):
            assert len(asked) <= count + 2 * AHEAD
    assert asked == list(range(20))


def test_few_images_start_few_workers():
    with pool(5) as made:
        collect(made, requests(2))
        assert made.started <= 2


@pytest.mark.parametrize("fault", ["crash", "leave", "garbage", "boast", "half", "stranger"])
def test_worker_that_breaks_once_costs_nothing(tmp_path, fault):
    counter = tmp_path / "times"
    counter.write_bytes(b".")
    with pool() as made:
        results = collect(made, requests(12, at_4=f"{fault}:{counter}"))
        assert made.started == 3
    assert all(result.status == "ok" for result in results.values())


@pytest.mark.parametrize("fault", ["crash", "garbage"])
def test_image_that_breaks_two_workers_is_given_up(fault):
    with pool() as made:
        results = collect(made, requests(12, at_4=fault))
        assert made.started == 4
    assert [row for row, result in results.items() if result.status != "ok"] == [4]
    assert results[4].status == "crash" and f"about to {fault}" in results[4].header["why"]


def test_image_that_hangs_twice_is_given_up():
    with pool() as made:
        results = collect(made, requests(6, at_1="hang"))
    assert {row: result.status for row, result in results.items() if result.status != "ok"} == {
        1: "hang"
    }


def test_what_a_worker_says_is_handed_on():
    with pool(1) as made:
        results = collect(made, requests(3, at_1="say-hidden"))
        assert made.started == 1
    assert results[1].status == "hidden" and not results[1].arrays


def test_workers_are_replaced_after_so_many_images():
    with pool(1, Limits(images=5, seconds=5)) as made:
        results = collect(made, requests(17))
        assert made.started == 4
    rendered = [result.header["process"] for result in results.values()]
    assert max(rendered.count(process) for process in rendered) == 5


def test_worker_that_grows_is_replaced():
    grow = {f"at_{row}": "grow" for row in range(12)}
    with pool(1, Limits(growth=1000 * 2**20, seconds=5)) as made:
        collect(made, requests(12, **grow))
        assert 2 <= made.started <= 3  # each holds two images more when its fourth is answered


def test_killed_workers_are_replaced():
    made, killed = pool(), set()
    slow = {f"at_{row}": "slow" for row in range(30)}
    with made:
        for count, (_, result) in enumerate(made.render(requests(30, **slow))):
            assert result.status == "ok"
            if count in (5, 11, 17):
                os.kill(result.header["process"], signal.SIGKILL)
                killed.add(result.header["process"])
        assert count == 29 and made.started == 2 + len(killed)


def test_abandoned_batch_leaves_nothing_behind():
    with pool() as made:
        first, _ = next(iter(made.render(requests(20, at_19="slow"))))
        results = collect(made, requests(8))
    assert first < 20 and all(result.status == "ok" for result in results.values())


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("dies", "does not start; found .*Segmentation what"),
        ("sleeps", "does not start"),
        ("failed:OSError: libXi.so.6: cannot open shared object file", "apt-get install .*libxi6"),
        ("failed:ModuleNotFoundError: No module named 'bpy'", r"no bpy; pip install"),
        ("failed:GendataError: no such device", "no such device"),
    ],
)
def test_workers_that_cannot_start_end_the_run_in_one_line(start, message):
    limits = Limits(start_seconds=1.0 if start == "sleeps" else 30.0)
    with (
        pool(2, limits, start=start) as made,
        pytest.raises(GendataError, match=message) as caught,
    ):
        collect(made, requests(4))
    assert "\n" not in str(caught.value)


def test_endless_crashes_end_the_run():
    crash = {f"at_{row}": "crash" for row in range(40)}
    with pool() as made, pytest.raises(GendataError, match="again and again; found .*about to"):
        collect(made, requests(40, **crash))


BEGIN = """
import os
import gendata.render.worker.serve as module
from gendata.render.connection import send
from gendata.render.worker.__main__ import main
module.serve = lambda connection: send(connection, {"cores": sorted(os.sched_getaffinity(0))})
main()
"""


def test_a_worker_keeps_to_its_cores():
    core = max(os.sched_getaffinity(0))
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    worker = Worker(Start([sys.executable, "-c", BEGIN], environment, {}, [core]))
    assert worker.receive().header["cores"] == [core]
    worker.dismiss()


PARENT = """
import sys
sys.path.insert(0, {tests!r})
from render.test_pool import pool, requests
slow = {{f"at_{{row}}": "slow" for row in range(400)}}
for _, result in pool(2).render(requests(400, **slow)):
    print(result.header["process"], flush=True)
"""


def test_workers_end_when_their_parent_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(tests=str(TESTS))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
    )
    workers = {int(parent.stdout.readline()) for _ in range(8)}
    assert len(workers) == 2 and all(map(alive, workers))
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(map(alive, workers)))
    parent.stdout.close()
