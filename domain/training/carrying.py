"""Carrying progress to another group, and back: what a student earned is never lost by a move.

A MOVE leaves nothing in the group before. A COPY stays there and remembers how much of it is a
copy, so that sums over groups count it once. Each carry can be undone, the newest first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import Group
from domain.training.models import CarryMode, ProgressCarry
from domain.training.progress import lock_progress

MOST_PEOPLE: Final = 1000


class Carrying(NamedTuple):
    """What is to be carried. No people: all who have left the one group and are in the other."""

    from_group_id: UUID
    to_group_id: UUID
    user_ids: Sequence[UUID] | None
    mode: CarryMode


class _Person(NamedTuple):
    """Of the group `from`: whether something was earned there, and what speaks against a carry."""

    user_id: UUID
    is_in_other: bool
    has_left: bool
    has_progress: bool
    is_copied: bool


_PEOPLE: Final = """
SELECT u.id,
  EXISTS (SELECT FROM memberships m WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id
    AND m.group_id = :to_id AND m.archived_at IS NULL) AS is_in_other,
  NOT EXISTS (SELECT FROM memberships m WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id
    AND m.group_id = :from_id AND m.archived_at IS NULL) AS has_left,
  EXISTS (SELECT FROM progress p WHERE p.tenant_id = u.tenant_id AND p.user_id = u.id
    AND p.group_id = :from_id) AS has_progress
FROM users u WHERE u.tenant_id = :tenant_id AND u.id IN ({people}) ORDER BY u.id
"""
_NAMED: Final = _PEOPLE.format(people="SELECT unnest(CAST(:user_ids AS uuid[]))")
_ALL: Final = _PEOPLE.format(
    people="SELECT p.user_id FROM progress p"
    " WHERE p.tenant_id = :tenant_id AND p.group_id = :from_id"
)
_STANDING: Final = """
SELECT c.id, c.user_id, c.from_group_id, c.to_group_id, c.mode FROM progress_carries c
WHERE c.tenant_id = :tenant_id AND c.user_id = ANY (:user_ids) AND c.undone_at IS NULL
ORDER BY c.id
"""
# What was carried has to be there still: an unlink takes it to another person, say. What a later
# one of these has moved on is there again when that is undone.
_SPENT: Final = """
SELECT c.id FROM progress_carries c CROSS JOIN jsonb_array_elements(c.carried) e
LEFT JOIN progress p ON p.tenant_id = c.tenant_id AND p.user_id = c.user_id
  AND p.group_id = c.to_group_id AND p.school_year = (e -> 'gone' ->> 'school_year')::int
WHERE c.tenant_id = :tenant_id AND c.id = ANY (:ids) AND (
  coalesce(p.lessons, 0) < (e -> 'gone' ->> 'lessons')::int
  OR coalesce(p.seconds, 0) < (e -> 'gone' ->> 'seconds')::int)
  AND NOT EXISTS (SELECT FROM progress_carries l WHERE l.tenant_id = c.tenant_id
    AND l.user_id = c.user_id AND l.id > c.id AND l.id = ANY (:ids)
    AND l.mode = 'MOVE' AND l.from_group_id = c.to_group_id)
LIMIT 1
"""
_LATER: Final = """
SELECT c.id FROM progress_carries c JOIN progress_carries l ON l.tenant_id = c.tenant_id
  AND l.user_id = c.user_id AND l.id > c.id AND l.undone_at IS NULL AND l.id <> ALL (:ids)
  AND ARRAY[l.from_group_id, l.to_group_id] && ARRAY[c.from_group_id, c.to_group_id]
WHERE c.tenant_id = :tenant_id AND c.id = ANY (:ids) LIMIT 1
"""
_MERGED: Final = """
SELECT c.id FROM progress_carries c JOIN people_merges m ON m.tenant_id = c.tenant_id
  AND c.user_id IN (m.kept_id, m.merged_id) AND m.undone_at IS NULL AND m.id > c.id
WHERE c.tenant_id = :tenant_id AND c.id = ANY (:ids) LIMIT 1
"""


async def carry_over(
    session: AsyncSession, tenant_id: UUID, asked: Carrying, caller: Caller
) -> list[UUID]:
    """The carries' ids, one for each person. Raises InvalidInput, NotFound or Conflict."""
    _check(asked)
    await lock_progress(session, tenant_id=tenant_id, is_shared=False)
    await _require_groups(session, tenant_id, asked)
    user_ids = await _choose(session, tenant_id, asked)
    carries = [
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "from_group_id": asked.from_group_id,
            "to_group_id": asked.to_group_id,
            "mode": asked.mode,
            "created_by": caller.actor,
        }
        for user_id in user_ids
    ]
    ids = list(
        await session.scalars(insert(ProgressCarry).values(carries).returning(ProgressCarry.id))
    )
    await session.execute(
        text("SELECT carry_progress(:tenant_id, :ids)"), {"tenant_id": tenant_id, "ids": ids}
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="progressCarryOver",
        target=str(asked.to_group_id),
        details={
            "from_group_id": str(asked.from_group_id),
            "mode": asked.mode.value,
            "carry_ids": [str(carry_id) for carry_id in ids],
        },
    )
    return ids


def _check(asked: Carrying) -> None:
    if asked.from_group_id == asked.to_group_id:
        raise InvalidInput("toGroupId", "This is the same group.")
    if asked.user_ids is not None and not 1 <= len(asked.user_ids) <= MOST_PEOPLE:
        raise InvalidInput("userIds", f"Name 1 to {MOST_PEOPLE} people.")


async def _require_groups(session: AsyncSession, tenant_id: UUID, asked: Carrying) -> None:
    row = Group
    ids = [asked.from_group_id, asked.to_group_id]
    found = await session.execute(
        select(row.id, row.archived_at).where(row.tenant_id == tenant_id, row.id.in_(ids))
    )
    archived_at = {row.id: row.archived_at for row in found}
    for group_id in ids:
        if group_id not in archived_at:
            raise NotFound("group", group_id)
    if archived_at[asked.to_group_id] is not None:
        raise Conflict(
            f"The group {str(asked.to_group_id)!r} is archived: choose one that is live.",
            field="toGroupId",
        )


async def _choose(session: AsyncSession, tenant_id: UUID, asked: Carrying) -> list[UUID]:
    values = {
        "tenant_id": tenant_id,
        "from_id": asked.from_group_id,
        "to_id": asked.to_group_id,
    }
    if asked.user_ids is None:
        people = await _read_people(session, _ALL, values)
        chosen = [
            person.user_id
            for person in people
            if person.has_left and person.is_in_other and not person.is_copied
        ]
        if not chosen:
            raise Conflict(
                "Nobody has left the one group with progress in it and is in the other.",
                field="fromGroupId",
            )
        if len(chosen) > MOST_PEOPLE:
            raise Conflict(f"More than {MOST_PEOPLE} people: name some.", field="userIds")
        return chosen
    user_ids = set(asked.user_ids)
    people = await _read_people(session, _NAMED, values | {"user_ids": list(user_ids)})
    missing = user_ids - {person.user_id for person in people}
    if missing:
        raise NotFound("person", min(missing))
    for person in people:
        _require_carriable(person)
    return [person.user_id for person in people]


async def _read_people(
    session: AsyncSession, statement: str, values: Mapping[str, Any]
) -> list[_Person]:
    rows = (await session.execute(text(statement), values)).all()
    of_people = {"tenant_id": values["tenant_id"], "user_ids": [row.id for row in rows]}
    copies = _copies_in(await session.execute(text(_STANDING), of_people))
    from_id, to_id = values["from_id"], values["to_id"]
    return [
        _Person(
            user_id=row.id,
            is_in_other=row.is_in_other,
            has_left=row.has_left,
            has_progress=row.has_progress,
            is_copied=bool(copies[row.id, from_id] & copies[row.id, to_id]),
        )
        for row in rows
    ]


def _copies_in(carries: Iterable[Any]) -> defaultdict[tuple[UUID, UUID], set[UUID]]:
    """By person and group: the copies of which a part lies there, wherever it was carried on to."""
    copies: defaultdict[tuple[UUID, UUID], set[UUID]] = defaultdict(set)
    for carry in carries:
        source = (carry.user_id, carry.from_group_id)
        if carry.mode == CarryMode.COPY:
            copies[source].add(carry.id)
        copies[carry.user_id, carry.to_group_id] |= copies[source]
        if carry.mode == CarryMode.MOVE:
            del copies[source]
    return copies


def _require_carriable(person: _Person) -> None:
    who = f"The person {str(person.user_id)!r}"
    if not person.is_in_other:
        raise Conflict(f"{who} is not in the group that is to have it.", field="userIds")
    if not person.has_progress:
        raise Conflict(
            f"{who} has no progress in the group that it is to come from.", field="userIds"
        )
    if person.is_copied:
        raise Conflict(
            f"{who} has a copy of the one group's progress in the other already: it would count"
            " twice. Undo that first.",
            field="userIds",
        )


async def undo_carries(
    session: AsyncSession, tenant_id: UUID, carry_ids: Sequence[UUID], caller: Caller
) -> None:
    """What was earned since stays where it was earned. Raises NotFound or Conflict."""
    if not 1 <= len(carry_ids) <= MOST_PEOPLE:
        raise InvalidInput("carryIds", f"Name 1 to {MOST_PEOPLE} carries.")
    ids = sorted(set(carry_ids), reverse=True)
    await lock_progress(session, tenant_id=tenant_id, is_shared=False)
    await _require_undoable(session, tenant_id, ids)
    await session.execute(
        text(
            "SELECT undo_carry(:tenant_id, c.id, :actor)"
            " FROM (SELECT id FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY u (id, n)"
            "  ORDER BY n) c"
        ),
        {"tenant_id": tenant_id, "ids": ids, "actor": caller.actor},
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="progressCarryUndo",
        details={"carry_ids": [str(carry_id) for carry_id in ids]},
    )


async def _require_undoable(session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    row = ProgressCarry
    found = await session.scalars(select(row).where(row.tenant_id == tenant_id, row.id.in_(ids)))
    carries = {carry.id: carry for carry in found}
    for carry_id in ids:
        if carry_id not in carries:
            raise NotFound("carry", carry_id)
        if carries[carry_id].undone_at is not None:
            raise Conflict(
                f"The carry {str(carry_id)!r} has been undone already.", field="carryIds"
            )
    for statement, message in (
        (_LATER, "its progress was carried on since: undo that first."),
        (_MERGED, "the person was made one with another one since: undo that first."),
        (_SPENT, "what was carried is not there any more."),
    ):
        values = {"tenant_id": tenant_id, "ids": list(ids)}
        if carry_id := await session.scalar(text(statement), values):
            raise Conflict(
                f"The carry {str(carry_id)!r} cannot be undone: {message}", field="carryIds"
            )
