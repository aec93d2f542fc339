"""Undoing a wrong link: a stored person was taken for somebody of the provider's who is another.

The stored person is again who they were before the link, and a new person stands for the
provider's. Each keeps what is theirs: memberships that the provider has made since the link, and
what was earned in those groups, go to the new person; everything else stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id, utc_now
from domain.errors import Conflict
from domain.identity.former import Former, read_former
from domain.identity.merging import end_sessions
from domain.identity.models import IdentityLink
from domain.identity.rows import (
    Row,
    add_membership,
    add_user,
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
from domain.identity.usernames import find_shared_username
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import ExternalKey, Group, MatchCandidate, Origin, User
from domain.roster.records import RecordType
from domain.training.models import ProgressCarry
from domain.validation.codes import Code


class UnlinkNote(StrEnum):
    """What could not be given back."""

    USERNAME_TAKEN = "USERNAME_TAKEN"
    VALUES_NOT_KEPT = "VALUES_NOT_KEPT"


class _Parting(NamedTuple):
    """`was` is the stored person as before the link, `new` the provider's."""

    link: IdentityLink
    former: Former
    was: Row
    new: Row


async def unlink_person(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    """The errand IDENTITY_UNLINK. Raises NotFound or Conflict, with nothing done.

    `notes` of the result say what could not be given back: USERNAME_TAKEN, the person is archived
    since somebody else has the username; VALUES_NOT_KEPT, the values of before are too long ago.
    """
    user_id = UUID(asked["user_id"])
    await lock_users(session, tenant_id=tenant_id, user_ids=[user_id])
    now_is = await read_user(session, tenant_id=tenant_id, user_id=user_id)
    link = await _find_link(session, now_is)
    former = await read_former(session, link=link)
    new = now_is | {"id": str(new_id()), "created_by_run_id": None}
    parting = _Parting(link, former, former.person(now_is), new)
    await _part_people(session, parting)
    await _part_memberships(session, parting)
    notes = [] if former.is_kept else [UnlinkNote.VALUES_NOT_KEPT]
    if await _archive_without_username(session, parting, utc_now()):
        notes.append(UnlinkNote.USERNAME_TAKEN)
    await _remember(session, parting, caller)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="identityUnlink",
        target=str(user_id),
        details={"new_id": new["id"], "source_id": link.source_id, "notes": notes},
    )
    await session.flush()
    return {"user_id": str(user_id), "new_id": new["id"], "notes": notes}


async def _find_link(session: AsyncSession, person: Row) -> IdentityLink:
    row = IdentityLink
    link: IdentityLink | None = await session.scalar(
        select(row)
        .where(
            row.tenant_id == UUID(person["tenant_id"]),
            row.record_type == RecordType.USER,
            row.record_id == UUID(person["id"]),
            row.ended_at.is_(None),
        )
        .order_by(row.id.desc())
        .limit(1)
        .with_for_update()
    )
    if link is None:
        raise Conflict("No sync has linked this person: there is nothing to undo.", field="userId")
    if person["source_id"] != link.source_id:
        raise Conflict(
            f"The person is not {link.source_id!r} at the provider any more.", field="userId"
        )
    if link.former_source_id is not None and await session.scalar(
        select(User.id).where(
            User.tenant_id == link.tenant_id, User.source_id == link.former_source_id
        )
    ):
        raise Conflict(
            f"Somebody else has the former id {link.former_source_id!r} since.", field="userId"
        )
    return link


async def _part_people(session: AsyncSession, parting: _Parting) -> None:
    link, former, was, new = parting
    schools = await read_affiliations(session, tenant_id=link.tenant_id, user_id=was["id"])
    await put_user(session, was)
    await add_user(session, new)
    await put_affiliations(session, new, schools)
    own = await former.schools(session)
    if own is not None:
        await put_affiliations(session, was, own)


async def _part_memberships(session: AsyncSession, parting: _Parting) -> None:
    link, former, was, new = parting
    memberships = await read_memberships(session, tenant_id=link.tenant_id, user_ids=[was["id"]])
    theirs = [membership for membership in memberships if _is_newer(membership, link)]
    closed = await _closed_groups(session, link.tenant_id, memberships)
    for membership in memberships:
        if membership in theirs:
            await put_membership(session, membership | {"user_id": new["id"]})
            continue
        before = former.membership(membership, is_archived=not is_live(was))
        if is_live(membership) and membership["origin"] == Origin.PROVIDER.value:
            made = membership | {"id": str(new_id()), "user_id": new["id"]}
            made |= {"spans": spans_for(made["id"], membership["spans"])}
            await put_membership(session, before)
            await add_membership(session, made | {"created_by_run_id": None})
        elif before != membership and membership["group_id"] not in closed:
            await put_membership(session, before)
    own = {membership["group_id"] for membership in memberships if membership not in theirs}
    await _move_progress(session, parting, (row["group_id"] for row in theirs), own)


async def _closed_groups(
    session: AsyncSession, tenant_id: UUID, memberships: Sequence[Row]
) -> set[str]:
    """What was archived with its group is not the link's doing."""
    row = Group
    ids = [UUID(membership["group_id"]) for membership in memberships]
    found = await session.scalars(
        select(row.id).where(
            row.tenant_id == tenant_id, row.id.in_(ids), row.archived_at.is_not(None)
        )
    )
    return {str(group_id) for group_id in found}


def _is_newer(membership: Row, link: IdentityLink) -> bool:
    """Made by the run that linked, or by a later one: the ids of runs are in their order."""
    made_by = membership["created_by_run_id"]
    return made_by is not None and UUID(made_by) >= link.run_id


async def _move_progress(
    session: AsyncSession, parting: _Parting, groups: Iterable[str], own: set[str]
) -> None:
    """Of groups in which the stored person was before as well, all stays with them."""
    moving = [UUID(group) for group in sorted(set(groups) - own)]
    await _require_uncarried(session, parting.link, moving)
    await session.execute(
        text("SELECT move_progress(:tenant_id, :link_id, :to_id, :group_ids)"),
        {
            "tenant_id": parting.link.tenant_id,
            "link_id": parting.link.id,
            "to_id": UUID(parting.new["id"]),
            "group_ids": moving,
        },
    )


async def _require_uncarried(
    session: AsyncSession, link: IdentityLink, moving: Sequence[UUID]
) -> None:
    """What was carried from one person's groups to the other's would go to the wrong one."""
    row = ProgressCarry
    carried = select(row.id).where(
        row.tenant_id == link.tenant_id,
        row.user_id == link.record_id,
        row.undone_at.is_(None),
        row.from_group_id.in_(moving) != row.to_group_id.in_(moving),
    )
    if await session.scalar(carried.limit(1)):
        raise Conflict(
            "Progress has been carried between groups of the one and of the other. Undo that"
            " first.",
            field="userId",
        )


async def _archive_without_username(
    session: AsyncSession, parting: _Parting, now: datetime
) -> bool:
    """A live person has a username of their own; who cannot have theirs back is archived."""
    tenant_id, was = parting.link.tenant_id, parting.was
    user_ids = [UUID(was["id"])]
    if not await find_shared_username(session, tenant_id=tenant_id, user_ids=user_ids):
        return False
    at = {"archived_at": now.isoformat(), "archived_by_run_id": None}
    await put_user(session, was | at)
    for membership in await read_memberships(session, tenant_id=tenant_id, user_ids=[was["id"]]):
        if is_live(membership):
            await put_membership(session, membership | at)
    return True


async def _remember(session: AsyncSession, parting: _Parting, caller: Caller) -> None:
    """No later run takes the one for the other again, nor does anybody who is signed in."""
    link, now = parting.link, utc_now()
    decided: dict[str, Any] = {
        "candidate_ids": [parting.was["id"]],
        "resolution": "CREATE",
        "resolved_at": now,
    }
    row = MatchCandidate
    await session.execute(
        insert(row)
        .values(
            tenant_id=link.tenant_id,
            record_type=RecordType.USER,
            source_id=link.source_id,
            reason=Code.USER_ID_CHANGED.value,
            **decided,
        )
        .on_conflict_do_update(
            index_elements=[row.tenant_id, row.record_type, row.source_id], set_=decided
        )
    )
    key = ExternalKey
    await session.execute(
        delete(key).where(
            key.tenant_id == link.tenant_id,
            key.record_type == RecordType.USER,
            key.record_id == link.record_id,
            key.kind == "source_id",
            key.value == link.former_source_id,
        )
    )
    await end_sessions(session, tenant_id=link.tenant_id, user_id=link.record_id, now=now)
    link.ended_at, link.ended_by = now, caller.actor
