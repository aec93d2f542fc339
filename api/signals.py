"""Ctrl-C, SIGTERM and a closed terminal end a process in good order, and only once."""

import signal
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals() -> None:
    """They raise KeyboardInterrupt. What the parent ignores, as nohup does, stays ignored."""
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not cut off the stopping of the servers, which takes seconds at most.
    for number in _NUMBERS:
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt
