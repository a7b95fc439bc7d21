import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def start(tmp_path):
    """Returns a function that runs a job of worker.py in one or more processes."""

    def run(job, processes=1):
        name = f"job-{len(list(tmp_path.glob('job-*')))}"
        path = tmp_path / f"{name}.json"
        job = {**job, "to": str(tmp_path / f"{name}.pt")}
        path.write_text(json.dumps(job), encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = []
        for rank in range(processes):
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            if processes > 1:
                environment |= {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": str(processes),
                    "LOCAL_WORLD_SIZE": str(processes),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                }
            command = [sys.executable, str(WORKER), str(WORKER.parents[1]), str(path)]
            started.append(
                subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
            )
        errors = [process.communicate(timeout=240)[1] for process in started]
        codes = [process.returncode for process in started]
        result = torch.load(job["to"]) if Path(job["to"]).exists() else None
        return codes, result, "\n".join(errors)

    return run
