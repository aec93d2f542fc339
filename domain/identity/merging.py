"""Making one of two people who are one: a record that was created wrongly goes into another.

The kept person takes over what the other one is at the provider, if that one is in the roster and
the kept one is not. Memberships move where the kept one has no such; progress is joined group by
group and year by year; settings of the kept one stay, and what they leave open is taken from the
other's, as are where to land and whether somebody is eligible, where that was said here. The other
one is archived for good, without an id at the provider, so that no sync brings them back.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput
from domain.identity.models import PeopleMerge
from domain.identity.rows import (
    OF_PROVIDER,
    STATE,
    Row,
    is_live,
    lock_users,
    put_affiliations,
    put_membership,
    put_user,
    read_affiliations,
    read_memberships,
    read_user,
    spans_for,
)
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import Session
from domain.roster.models import ExternalKey, Origin
from domain.roster.records import RecordType
from domain.training.models import Progress, TrainingSettings

SETTINGS = ("speed_target", "accuracy_target", "keyboard_layout", "has_avatars")


class MembershipOutcome(StrEnum):
    """What becomes of a membership of the merged person."""

    MOVED = "MOVED"
    JOINED = "JOINED"
    STAYS = "STAYS"


class ProgressOutcome(StrEnum):
    MOVED = "MOVED"
    JOINED = "JOINED"


class Part(NamedTuple):
    """A membership of the merged person; `own` is the kept one's in the same group and role."""

    membership: Row
    own: Row | None
    outcome: MembershipOutcome


class Merge(NamedTuple):
    """What is to be done. `takes_over`: the kept one becomes who the other is at the provider."""

    kept: Row
    merged: Row
    takes_over: bool
    memberships: Sequence[Row]
    parts: Sequence[Part]

    @property
    def source_id(self) -> str | None:
        found: str | None = (self.merged if self.takes_over else self.kept)["source_id"]
        return found

    @property
    def former_id(self) -> str | None:
        """The id that nobody has at the provider's any more; the kept one is known by it too."""
        found: str | None = (self.kept if self.takes_over else self.merged)["source_id"]
        return found


class JoinedProgress(NamedTuple):
    """What the kept person will have in a group and a school year."""

    group_id: UUID
    school_year: int
    outcome: ProgressOutcome
    lessons: int
    seconds: int
    best_speed: Decimal | None
    last_active_at: datetime | None


class Preview(NamedTuple):
    """`settings` are those that would be filled in, by name."""

    merge: Merge
    progress: Sequence[JoinedProgress]
    settings: Mapping[str, Any]


async def preview_merge(
    session: AsyncSession, *, tenant_id: UUID, kept_id: UUID, merged_id: UUID
) -> Preview:
    """Changes nothing. Raises what merging would raise."""
    merge = await _examine(session, tenant_id=tenant_id, kept_id=kept_id, merged_id=merged_id)
    progress = [found async for found in _joined(session, tenant_id, kept_id, merged_id)]
    row = TrainingSettings
    found = await session.scalars(
        select(row).where(row.tenant_id == tenant_id, row.user_id.in_([kept_id, merged_id]))
    )
    of_user = {settings.user_id: settings for settings in found}
    own, others = of_user.get(kept_id), of_user.get(merged_id)
    filled = {
        name: value
        for name in SETTINGS
        if (value := getattr(others, name, None)) is not None and getattr(own, name, None) is None
    }
    return Preview(merge, progress, filled)


async def _joined(
    session: AsyncSession, tenant_id: UUID, kept_id: UUID, merged_id: UUID
) -> AsyncGenerator[JoinedProgress]:
    row = Progress
    found = await session.scalars(
        select(row)
        .where(row.tenant_id == tenant_id, row.user_id.in_([kept_id, merged_id]))
        .order_by(row.group_id, row.school_year)
    )
    rows = {(earned.user_id, earned.group_id, earned.school_year): earned for earned in found}
    for (user_id, group_id, school_year), others in rows.items():
        if user_id == kept_id:
            continue
        own = rows.get((kept_id, group_id, school_year))
        both = [others] if own is None else [own, others]
        yield JoinedProgress(
            group_id=group_id,
            school_year=school_year,
            outcome=ProgressOutcome.MOVED if own is None else ProgressOutcome.JOINED,
            lessons=sum(progress.lessons for progress in both),
            seconds=sum(progress.seconds for progress in both),
            best_speed=max((p.best_speed for p in both if p.best_speed is not None), default=None),
            last_active_at=max((p.last_active_at for p in both if p.last_active_at), default=None),
        )


async def _examine(
    session: AsyncSession, *, tenant_id: UUID, kept_id: UUID, merged_id: UUID
) -> Merge:
    """Raises InvalidInput, NotFound or Conflict."""
    if kept_id == merged_id:
        raise InvalidInput("mergedId", "These are the same person already.")
    kept = await read_user(session, tenant_id=tenant_id, user_id=kept_id)
    merged = await read_user(session, tenant_id=tenant_id, user_id=merged_id)
    _require_mergeable(kept, merged)
    takes_over = _takes_over(kept, merged)
    memberships = await read_memberships(
        session, tenant_id=tenant_id, user_ids=[kept["id"], merged["id"]]
    )
    parts = list(_parts(memberships, merged, takes_over=takes_over))
    return Merge(kept, merged, takes_over, memberships, parts)


def _require_mergeable(kept: Row, merged: Row) -> None:
    for field, person in (("keptId", kept), ("mergedId", merged)):
        if person["merged_into_id"] is not None:
            raise Conflict("This person has been merged into another one already.", field=field)
    if is_live(kept) and is_live(merged) and kept["source_id"] and merged["source_id"]:
        raise Conflict(
            "The provider shares both of them, and the next sync would bring the other one back."
            " Have them made one there; then the next sync archives one of the two, and they can"
            " be merged here.",
            field="mergedId",
        )
    if not is_live(kept) and is_live(merged) and merged["source_id"] is None:
        raise Conflict(
            "The person to be kept is archived and the other one is not. Keep the other one.",
            field="keptId",
        )


def _takes_over(kept: Row, merged: Row) -> bool:
    """Whoever is live at the provider stays so; an archived id makes nobody live leave."""
    if merged["source_id"] is None:
        return False
    if is_live(kept):
        return is_live(merged) and kept["source_id"] is None
    return is_live(merged) or kept["source_id"] is None


def _parts(memberships: Sequence[Row], merged: Row, *, takes_over: bool) -> Iterator[Part]:
    own = {
        (membership["group_id"], membership["role"]): membership
        for membership in memberships
        if membership["user_id"] != merged["id"]
    }
    for membership in memberships:
        if membership["user_id"] != merged["id"]:
            continue
        same = own.get((membership["group_id"], membership["role"]))
        outcome = MembershipOutcome.MOVED
        if same is not None:
            is_next = takes_over and _is_shared(membership) and not _is_shared(same)
            outcome = MembershipOutcome.JOINED if is_next else MembershipOutcome.STAYS
        yield Part(membership, same, outcome)


def _is_shared(membership: Row) -> bool:
    return is_live(membership) and membership["origin"] == Origin.PROVIDER.value


async def merge_people(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    """The errand PEOPLE_MERGE. Raises InvalidInput, NotFound or Conflict, with nothing done."""
    kept_id, merged_id = UUID(asked["kept_id"]), UUID(asked["merged_id"])
    await lock_users(session, tenant_id=tenant_id, user_ids=[kept_id, merged_id])
    merge = await _examine(session, tenant_id=tenant_id, kept_id=kept_id, merged_id=merged_id)
    kept, merged, now = merge.kept, merge.merged, utc_now()
    schools = {
        person["id"]: await read_affiliations(session, tenant_id=tenant_id, user_id=person["id"])
        for person in (kept, merged)
    }
    record = PeopleMerge(
        tenant_id=tenant_id, kept_id=kept_id, merged_id=merged_id, created_by=caller.actor
    )
    session.add(record)
    await session.flush()
    await put_user(session, _gone(merged, kept, now))
    if merge.takes_over:
        await put_user(session, kept | {name: merged[name] for name in OF_PROVIDER})
        await put_affiliations(session, kept, schools[merged["id"]])
    for part in merge.parts:
        await _carry_out(session, part, kept, now)
    keys = await _add_keys(session, tenant_id, merge)
    await end_sessions(session, tenant_id=tenant_id, user_id=merged_id, now=now)
    record.undo = await _undo(session, tenant_id, merge) | {"schools": schools, "keys": keys}
    await session.flush()
    await session.execute(
        text("SELECT merge_training(:tenant_id, :merge_id)"),
        {"tenant_id": tenant_id, "merge_id": record.id},
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="peopleMerge",
        target=str(record.id),
        details={"kept_id": str(kept_id), "merged_id": str(merged_id)},
    )
    return {"merge_id": str(record.id)}


async def _undo(session: AsyncSession, tenant_id: UUID, merge: Merge) -> dict[str, Any]:
    """What was there, and what the merge has left: by that, later changes are recognised."""
    kept, merged = merge.kept, merge.merged
    return {
        "takes_over": merge.takes_over,
        "kept": kept,
        "merged": merged,
        "memberships": merge.memberships,
        "left_kept": await read_user(session, tenant_id=tenant_id, user_id=UUID(kept["id"])),
        "left_memberships": await read_memberships(
            session, tenant_id=tenant_id, user_ids=[kept["id"], merged["id"]]
        ),
    }


def _gone(merged: Row, kept: Row, now: datetime) -> Row:
    return merged | {
        "source_id": None,
        "archived_at": merged["archived_at"] or now.isoformat(),
        "merged_into_id": kept["id"],
    }


async def _carry_out(session: AsyncSession, part: Part, kept: Row, now: datetime) -> None:
    membership, own, outcome = part
    if outcome is MembershipOutcome.MOVED:
        await put_membership(session, membership | {"user_id": kept["id"]})
        return
    if outcome is MembershipOutcome.JOINED and own is not None:
        state = {name: membership[name] for name in STATE}
        spans = spans_for(own["id"], membership["spans"])
        await put_membership(session, own | state | {"spans": spans})
    if is_live(membership):
        await put_membership(session, membership | {"archived_at": now.isoformat()})


async def _add_keys(session: AsyncSession, tenant_id: UUID, merge: Merge) -> list[str]:
    """By what the other one was known, the kept one is found as well."""
    row = ExternalKey
    known = await session.execute(
        select(row.kind, row.value).where(
            row.tenant_id == tenant_id,
            row.record_type == RecordType.USER,
            row.record_id == UUID(merge.merged["id"]),
        )
    )
    keys = {(kind, value) for kind, value in known}
    if merge.former_id is not None:
        keys.add(("source_id", merge.former_id))
    if not keys:
        return []
    added = await session.scalars(
        insert(row)
        .values(
            [
                {
                    "tenant_id": tenant_id,
                    "record_type": RecordType.USER,
                    "record_id": UUID(merge.kept["id"]),
                    "kind": kind,
                    "value": value,
                }
                for kind, value in sorted(keys)
            ]
        )
        .on_conflict_do_nothing()
        .returning(row.id)
    )
    return [str(key) for key in added]


async def end_sessions(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    now: datetime,
    since: datetime | None = None,
) -> None:
    """All that are open, or those that were begun since a moment."""
    statement = update(Session).where(
        Session.tenant_id == tenant_id, Session.user_id == user_id, Session.ended_at.is_(None)
    )
    if since is not None:
        statement = statement.where(Session.created_at >= since)
    await session.execute(statement.values(ended_at=now))
