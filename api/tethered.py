"""Runs a module as a program that ends when its parent does: `python -m api.tethered MODULE …`.

The parent holds the other end of our standard input and never writes to it. However the parent
ends, even killed outright, the system closes that end, and we end in good order.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 15.0


def main() -> None:
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True, name="tether").start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    # The bare descriptor: a daemon thread that waits inside sys.stdin would block our own exit.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
