"""When a failed scheduled run is tried again. A pure function of times."""

from datetime import datetime, timedelta
from typing import Final

FIRST_WAIT: Final = timedelta(hours=1)
CLOSE_TRIES: Final = timedelta(days=1)
"""For so long the waits double; from then on it is tried once a day."""
GIVEN_UP_AFTER: Final = timedelta(days=28)


def next_try(
    *, failures: int, first_failed_at: datetime, now: datetime, regular: datetime
) -> datetime | None:
    """After 1, 2, 4, … hours within the first day, then daily; None: not any more.

    `failures` are those in a row, this one among them; `regular` is when the schedule would have
    it anyway, which is never put off but by the last answer.
    """
    if now - first_failed_at >= GIVEN_UP_AFTER:
        return None
    wait = FIRST_WAIT * (1 << min(failures - 1, 10))
    if now + wait - first_failed_at >= CLOSE_TRIES:
        wait = timedelta(days=1)
    return min(now + wait, regular)
