"""Where a worker begins: it takes its processor cores before any library counts them."""

from __future__ import annotations

import faulthandler
import os
from multiprocessing.connection import Connection

__all__ = ["CORES", "SOCKET", "main"]

CORES, SOCKET = "GENDATA_RENDER_CORES", "GENDATA_RENDER_SOCKET"


def main() -> None:
    """Serves the process that started this one until it closes the connection."""
    faulthandler.enable()  # a crash leaves its traceback in the log
    cores = [int(core) for core in os.environ.pop(CORES, "").split(",") if core]
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    connection = Connection(int(os.environ.pop(SOCKET)))
    from gendata.render.worker.serve import serve

    try:
        serve(connection)
    except (EOFError, OSError):
        pass  # the other end is gone, whether it said so or was killed
    os._exit(0)  # Blender's own farewell takes long, and may crash


if __name__ == "__main__":
    main()
