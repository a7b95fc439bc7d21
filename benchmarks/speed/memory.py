"""Does drawing many images stay flat in memory after the first shard?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap

from gendata.benchmarks.speed.measurement import Measurement

__all__ = ["measure"]

IMAGES = 20_000

# A process of its own: peak memory is a property of a process, and it never falls.
PROGRAM = """
import resource, sys, threading, time
from pathlib import Path
import gendata

folder, per_class = Path(sys.argv[1]), int(sys.argv[2])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB on Linux
after_first = []

def watch():
    while not list(folder.glob("shard-*.parquet")):
        time.sleep(0.01)
    after_first.append(peak())

threading.Thread(target=watch, daemon=True).start()
classifier = gendata.load_classifier("embedded:fashion-classifier", device="cpu")
sampler = gendata.load_sampler("embedded:fashion-gan", device="cpu")
accept = gendata.ConfidenceFilter(classifier, 0.8)
gendata.draw_clone(sampler, per_class=per_class, out=folder, filter=accept, progress=False)
print(after_first[0], peak())
"""


def measure() -> list[Measurement]:
    """Draws 20,000 images from the embedded GAN and compares peaks of resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), f"{folder}/clone", str(IMAGES // 10)],
            capture_output=True,
            text=True,
            check=True,
        )
    first, last = (float(value) for value in result.stdout.split())
    how = f"{first:.0f} MiB after the first shard, {last:.0f} MiB at the end, {IMAGES} images"
    name = "peak memory of drawing, end / first shard"
    return [Measurement(name, "flat (<= 1.05)", f"{last / first:.3f}", last / first, how)]
