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
peaks = {}  # by number of finished shards

def watch():
    process = psutil.Process()
    while True:
        shards = len(list(folder.glob("shard-*.parquet")))
        peaks[shards] = max(peaks.get(shards, 0.0), process.memory_info().rss / 2**20)
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
classifier = gendata.load_classifier("embedded:fashion-classifier", device="cpu")
sampler = gendata.load_sampler("embedded:fashion-gan", device="cpu")
accept = gendata.ConfidenceFilter(classifier, 0.8)
gendata.draw_clone(sampler, per_class=per_class, out=folder, filter=accept, progress=False)
print(peaks[1], max(peak for shards, peak in peaks.items() if shards > 1))
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
    how = f"{first:.0f} MiB during the second shard, {last:.0f} MiB later, {IMAGES} images"
    name = "peak memory of drawing after the first shard, later shards / the next one"
    return [Measurement(name, "flat (<= 1.05)", f"{last / first:.3f}", last / first, how)]
