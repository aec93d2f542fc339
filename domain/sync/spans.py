"""Between which ids lies all that a run created.

Records have ids that tell when they were made, so that a run's are looked for between its
beginning and its end instead of in whole tables.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

_MARGIN = timedelta(minutes=1)
_LAST = UUID(int=(1 << 128) - 1)


class RunSpan(NamedTuple):
    """A run and the ids between which all that it made lies."""

    run_id: UUID
    first: UUID
    last: UUID

    @classmethod
    def of(
        cls, run_id: UUID, started_at: datetime | None, finished_at: datetime | None
    ) -> "RunSpan":
        if started_at is None:
            return cls(run_id, _LAST, _LAST)
        last = _id_at(finished_at + _MARGIN) if finished_at else _LAST
        return cls(run_id, _id_at(started_at - _MARGIN), last)


def _id_at(instant: datetime) -> UUID:
    """The least UUIDv7 of a millisecond."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)
