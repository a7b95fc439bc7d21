"""Reads checkpoints in a process that watches itself; run as a script, it prints JSON.

    watched.py FILE...                    reads each file
    watched.py --mutate COUNT FILE...     reads COUNT mutations of the files, seeded

Any import, execution, compilation, process, socket or file written while a checkpoint is read is
reported, whoever caused it, and the address space may grow by half a gigabyte.
"""

import gc
import json
import pickletools
import random
import resource
import sys
import time
from pathlib import Path

import torch

from gendata.errors import GendataError
from gendata.samplers.inspection import inspect_checkpoint
from gendata.samplers.restricted_pickle import Record, named_tensors, read_checkpoint

GROWTH = 512 << 20
FORBIDDEN = ("import", "exec", "compile", "os.", "subprocess.", "socket.", "ctypes.", "shutil.")
FORBIDDEN += ("marshal.", "pickle.find_class", "code.", "function.", "webbrowser.", "urllib.")
HARMLESS = {"os.listdir", "os.scandir"}
CODES = [operation.code.encode("latin1") for operation in pickletools.opcodes]
events, watching = [], False


def watch(event, arguments):
    if not watching or event in HARMLESS:
        return
    writes = event == "open" and set(str(arguments[1] or "r")) & set("wax+")
    if writes or event.startswith(FORBIDDEN):
        events.append(f"{event} {str(arguments)[:100]}")


def attempt(path):
    """Reads a file and what is in it, watched; returns what came of it."""
    global watching
    events.clear()
    started, watching, error = time.perf_counter(), True, None
    try:
        outcome = inspect_checkpoint(path).family
        value = read_checkpoint(path)
        for part in list(value.values()) if isinstance(value, dict) else [value]:
            if isinstance(part, Record):
                named_tensors(part)
    except GendataError as caught:
        outcome, error = "GendataError", str(caught)
    except BaseException as caught:
        outcome, error = type(caught).__name__, repr(caught)
    finally:
        watching = False
    return {
        "outcome": outcome,
        "error": error,
        "events": list(events),
        "seconds": time.perf_counter() - started,
    }


def structure(content):
    """Positions of operations and short arguments: not the tensors' bytes."""
    places, starts = [], []
    previous = 0
    for _, _, position in pickletools.genops(content):
        places += range(previous, min(position, previous + 24))
        starts.append(position)
        previous = position
    return places, starts


def mutated(content, places, starts, rng):
    """One mutation of a file."""
    at = rng.choice(places)
    way = rng.randrange(8)
    if way == 0:
        return content[:at]
    if way == 1:
        return content[:at] + rng.randbytes(rng.randrange(1, 9)) + content[at:]
    if way == 2:
        return content[:at] + content[at + rng.randrange(1, 9) :]
    if way == 3:
        other = rng.choice(places)
        return content[:at] + content[other : other + rng.randrange(1, 200)] + content[at:]
    if way in (4, 5):
        at = rng.choice(starts)
        return content[:at] + rng.choice(CODES) + content[at + 1 :]
    if way == 6 and rng.random() < 0.1:
        return rng.randbytes(rng.randrange(1, 400))
    flipped = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        flipped[rng.choice(places)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def mutate(count, paths):
    """Reads mutations of the files in turn."""
    sources = []
    for path in paths:
        content = Path(path).read_bytes()
        try:
            sources.append((content, *structure(content)))
        except ValueError:  # an archive
            everywhere = list(range(len(content)))
            sources.append((content, everywhere, everywhere))
    rng, target = random.Random(3), Path(paths[0]).with_name("mutated.pkl")
    outcomes, faults, slowest = {}, [], 0.0
    for number in range(count):
        target.write_bytes(mutated(*sources[number % len(sources)], rng))
        result = attempt(target)
        outcomes[result["outcome"]] = outcomes.get(result["outcome"], 0) + 1
        slowest = max(slowest, result["seconds"])
        if result["events"] or not fine(result):
            faults.append({"number": number, **result})
    return {"outcomes": outcomes, "faults": faults[:20], "slowest": slowest}


def fine(result):
    """A value, or one clear line."""
    error = result["error"]
    if error is None:
        return True
    return result["outcome"] == "GendataError" and error.isprintable() and len(error) < 1000


def main(words):
    torch.set_num_threads(1)
    mutations = int(words[1]) if words[0] == "--mutate" else 0
    paths = words[2:] if mutations else words
    attempt(paths[0])  # what is imported at the first use is there now
    sys.addaudithook(watch)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + GROWTH, used + GROWTH))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if mutations:
        report = mutate(mutations, paths)
    else:
        report = {"files": {Path(path).name: attempt(path) for path in paths}}
    gc.collect()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({**report, "grown": grown << 10}))


if __name__ == "__main__":
    main(sys.argv[1:])
