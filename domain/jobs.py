"""Jobs ride on a transaction: noted while it is open, handed to the queue after its commit.

A job is only a wake-up. What must happen is a row; see domain.sync.service.
"""

from typing import NamedTuple, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


class Job(NamedTuple):
    name: str


class JobQueue(Protocol):
    async def put(self, job: Job) -> None:
        """Best effort: a queue that is away must not fail the caller; the cron finds the row."""
        ...

    def announce(self, run_id: UUID) -> None:
        """Best effort, and in passing: whoever follows the run shall look at its row."""
        ...


WAKE = Job("wake")
"""There is a run to claim."""

CHECK = Job("check")
"""There is a connection to be tried."""

ERRAND = Job("errand")
"""There is an errand to be run."""

MAIL = Job("mail")
"""There is a mail to be sent."""


def enqueue(session: AsyncSession, job: Job) -> None:
    session.info.setdefault("jobs", []).append(job)


def take_jobs(session: AsyncSession) -> list[Job]:
    """Each once: a wake-up names nothing."""
    return list(dict.fromkeys(session.info.pop("jobs", ())))
