"""A morning of training for the demo: targets, and results of some of the district's students."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from domain.clock import utc_now
from domain.database import Database
from domain.people.callers import COMMAND_LINE
from domain.roster.models import Membership
from domain.roster.records import MembershipRole
from domain.training.effective import SettingsLevel
from domain.training.recording import Event, record_results
from domain.training.settings import Owner, set_settings

STUDENTS: Final = 400
RESULTS: Final = 5
_TARGETS: Final = {"speed_target": 25, "accuracy_target": 95, "keyboard_layout": "us"}


class Morning(NamedTuple):
    """How many students have trained, and how many results were told."""

    students: int
    results: int


async def train(database: Database, tenant_id: UUID) -> Morning:
    """Each of the students has some lessons in one of their groups; the same ones in every demo."""
    async with database.transaction(tenant_id) as session:
        await set_settings(
            session,
            tenant_id=tenant_id,
            owner=Owner(SettingsLevel.TENANT, tenant_id),
            values=_TARGETS,
            version=None,
            caller=COMMAND_LINE,
        )
        row = Membership
        places = await session.execute(
            select(row.user_id, row.group_id)
            .distinct(row.user_id)
            .where(
                row.tenant_id == tenant_id,
                row.archived_at.is_(None),
                row.role == MembershipRole.STUDENT,
            )
            .order_by(row.user_id, row.id)
            .limit(STUDENTS)
        )
        random, now = Random(1), utc_now()  # noqa: S311 - made up, not secret
        events = [
            event
            for number, (user_id, group_id) in enumerate(places)
            for event in _lessons(random, number, user_id=user_id, group_id=group_id, now=now)
        ]
        recorded = await record_results(session, tenant_id, events, now=now)
    return Morning(len(events) // RESULTS, recorded.counted)


def _lessons(
    random: Random, number: int, *, user_id: UUID, group_id: UUID, now: datetime
) -> list[Event]:
    """One student's: each a little faster than the one before."""
    speed, accuracy = random.gauss(24, 8), random.gauss(94, 3)
    return [
        Event(
            event_id=f"demo-{number}-{lesson}",
            user_id=user_id,
            group_id=group_id,
            occurred_at=now - timedelta(minutes=10 * (RESULTS - lesson)),
            lessons=1,
            seconds=random.randint(240, 600),
            speed=Decimal(round(max(speed + lesson, 5), 1)).quantize(Decimal("0.1")),
            accuracy=Decimal(min(round(accuracy), 100)),
        )
        for lesson in range(RESULTS)
    ]
