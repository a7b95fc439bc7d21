"""Does drawing many images stay flat in memory after the first shard?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap

from gendata.benchmarks.speed.measurement import Measurement

__all__ = ["measure"]

IMAGES = 20_000

# A process of its own, watched from inside. The system's own peak (ru_maxrss) would not do: it
# starts from the memory of the process that started this one.
PROGRAM = """
import sys, threading, time
from pathlib import Path
import gendata, psutil

folder, per_class = Path(sys.argv[1]), int(sys.argv[2])
peaks = {"first": 0.0, "rest": 0.0}

def watch():
    process = psutil.Process()
    while True:
        part = "rest" if any(folder.glob("shard-*.parquet")) else "first"
        peaks[part] = max(peaks[part], process.memory_info().rss / 2**20)
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
classifier = gendata.load_classifier("embedded:fashion-classifier", device="cpu")
sampler = gendata.load_sampler("embedded:fashion-gan", device="cpu")
accept = gendata.ConfidenceFilter(classifier, 0.8)
gendata.draw_clone(sampler, per_class=per_class, out=folder, filter=accept, progress=False)
print(peaks["first"], peaks["rest"])
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
    how = f"{first:.0f} MiB in the first shard, {last:.0f} MiB after it, {IMAGES} images"
    name = "peak memory of drawing, after / in the first shard"
    return [Measurement(name, "flat (<= 1.05)", f"{last / first:.3f}", last / first, how)]
