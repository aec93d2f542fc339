"""Taking apart again who was made one.

Where nothing was changed since, everything is as it was, to the last byte. What a sync has changed
since at the provider's person goes along with that person; what was earned since stays with the
one who was kept (see unmerge_training in migration 0006). Where the two cannot be told apart any
more, nothing is done and that is said.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id, utc_now
from domain.errors import Conflict, NotFound
from domain.identity.merging import end_sessions
from domain.identity.models import PeopleMerge
from domain.identity.rows import (
    OF_PROVIDER,
    STATE,
    Row,
    add_membership,
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
from domain.roster.models import ExternalKey, Origin, User
from domain.training.models import Progress, ProgressCarry


async def undo_merge(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    """The errand PEOPLE_MERGE_UNDO. Raises NotFound or Conflict, with nothing done."""
    merge = await _find(session, tenant_id, UUID(asked["merge_id"]))
    await lock_users(session, tenant_id=tenant_id, user_ids=[merge.kept_id, merge.merged_id])
    kept = await read_user(session, tenant_id=tenant_id, user_id=merge.kept_id)
    merged = await read_user(session, tenant_id=tenant_id, user_id=merge.merged_id)
    await _require_separable(session, merge, kept)
    memberships = await read_memberships(
        session, tenant_id=tenant_id, user_ids=[kept["id"], merged["id"]]
    )
    if merge.undo["takes_over"]:
        await _give_back_person(session, merge, kept)
        await _give_back_memberships(session, merge, memberships)
    else:
        await _bring_back(session, merge, memberships)
    await _finish(session, merge, caller)
    return {"kept_id": kept["id"], "merged_id": merged["id"]}


async def _find(session: AsyncSession, tenant_id: UUID, merge_id: UUID) -> PeopleMerge:
    row = PeopleMerge
    merge: PeopleMerge | None = await session.scalar(
        select(row).where(row.tenant_id == tenant_id, row.id == merge_id).with_for_update()
    )
    if merge is None:
        raise NotFound("merge", merge_id)
    if merge.undone_at is not None:
        raise Conflict("This merge has been undone already.", field="mergeId")
    both = [merge.kept_id, merge.merged_id]
    later = await session.scalar(
        select(row.id)
        .where(
            row.tenant_id == tenant_id,
            row.undone_at.is_(None),
            row.id > merge.id,
            or_(row.kept_id.in_(both), row.merged_id.in_(both)),
        )
        .limit(1)
    )
    if later is not None:
        raise Conflict("One of them was merged again since. Undo that first.", field="mergeId")
    return merge


async def _require_separable(session: AsyncSession, merge: PeopleMerge, kept: Row) -> None:
    undo, left = merge.undo, merge.undo["left_kept"]
    if (kept["source_id"], kept["origin"]) != (left["source_id"], left["origin"]):
        raise Conflict(
            "The person has another id at the provider since: the two cannot be told apart.",
            field="mergeId",
        )
    back: Row = undo["kept"] if undo["takes_over"] else undo["merged"]
    taken = select(User.id).where(
        User.tenant_id == merge.tenant_id,
        User.source_id == back["source_id"],
        User.id.not_in([merge.kept_id, merge.merged_id]),
    )
    if back["source_id"] is not None and await session.scalar(taken):
        raise Conflict(
            f"Somebody else has the id {back['source_id']!r} at the provider since.",
            field="mergeId",
        )
    await _require_whole_progress(session, merge)


async def _require_whole_progress(session: AsyncSession, merge: PeopleMerge) -> None:
    """What was carried to another group since, or is somebody else's now, cannot be given back."""
    row = ProgressCarry
    carried = select(row.id).where(
        row.tenant_id == merge.tenant_id,
        row.user_id == merge.kept_id,
        row.undone_at.is_(None),
        row.id > merge.id,
    )
    if await session.scalar(carried.limit(1)):
        raise Conflict(
            "Progress of the person has been carried to another group since. Undo that first.",
            field="mergeId",
        )
    now = await _read_amounts(session, merge)
    for part in merge.undo["progress"]:
        own, others = part["kept"] or {}, part["merged"]
        lessons, seconds = now.get((others["group_id"], others["school_year"]), (0, 0))
        if (
            lessons < own.get("lessons", 0) + others["lessons"]
            or seconds < own.get("seconds", 0) + others["seconds"]
        ):
            raise Conflict("Progress that was joined is somebody else's now.", field="mergeId")


async def _read_amounts(
    session: AsyncSession, merge: PeopleMerge
) -> dict[tuple[str, int], tuple[int, int]]:
    """The kept one's lessons and seconds, by group and school year."""
    row = Progress
    found = await session.execute(
        select(row.group_id, row.school_year, row.lessons, row.seconds).where(
            row.tenant_id == merge.tenant_id, row.user_id == merge.kept_id
        )
    )
    return {
        (str(group_id), school_year): (lessons, seconds)
        for group_id, school_year, lessons, seconds in found
    }


async def _give_back_person(session: AsyncSession, merge: PeopleMerge, kept: Row) -> None:
    """The merged one is the provider's person again, as that is now; the kept one who they were."""
    undo = merge.undo
    before, schools = undo["kept"], undo["schools"]
    current = await read_affiliations(session, tenant_id=merge.tenant_id, user_id=kept["id"])
    await put_user(session, before)
    await put_user(session, undo["merged"] | {name: kept[name] for name in OF_PROVIDER})
    await put_affiliations(session, undo["merged"], current)
    await put_affiliations(session, before, schools[before["id"]])


async def _give_back_memberships(
    session: AsyncSession, merge: PeopleMerge, memberships: Sequence[Row]
) -> None:
    """Whatever the provider shares goes along with the provider's person, changed or not."""
    kept_id, merged_id = str(merge.kept_id), str(merge.merged_id)
    former = {row["id"]: row for row in merge.undo["memberships"]}
    others = {
        (row["group_id"], row["role"]): row
        for row in former.values()
        if row["user_id"] == merged_id
    }
    for now in memberships:
        if now["user_id"] != kept_id:
            continue
        was = former.get(now["id"])
        other = others.get((now["group_id"], now["role"]))
        if was is None or was["user_id"] == merged_id:
            if was is not None or now["origin"] == Origin.PROVIDER.value:
                await put_membership(session, now | {"user_id": merged_id})
        elif now != was and now["origin"] == Origin.PROVIDER.value:
            await _part(session, now, was, other, merged_id)
        elif other is not None:
            await put_membership(session, other)


async def _part(
    session: AsyncSession, now: Row, was: Row, other: Row | None, merged_id: str
) -> None:
    """The kept one's is as it was before; what the provider has made of it is the other one's."""
    await put_membership(session, was)
    if other is None:
        made = now | {"id": str(new_id()), "user_id": merged_id, "created_by_run_id": None}
        await add_membership(session, made | {"spans": spans_for(made["id"], now["spans"])})
    else:
        state = {name: now[name] for name in STATE}
        spans = spans_for(other["id"], now["spans"])
        await put_membership(session, other | state | {"spans": spans})


async def _bring_back(
    session: AsyncSession, merge: PeopleMerge, memberships: Sequence[Row]
) -> None:
    """The kept one is as they were all the time; the other one gets back what has moved."""
    left = {row["id"]: row for row in merge.undo["left_memberships"]}
    now = {row["id"]: row for row in memberships}
    await put_user(session, merge.undo["merged"])
    for was in merge.undo["memberships"]:
        if left[was["id"]] == was:
            continue
        if now[was["id"]] != left[was["id"]]:
            raise Conflict(
                "A membership that was moved has been changed by a sync since: it cannot be given"
                " back.",
                field="mergeId",
            )
        await put_membership(session, was)


async def _finish(session: AsyncSession, merge: PeopleMerge, caller: Caller) -> None:
    tenant_id, now = merge.tenant_id, utc_now()
    both = [merge.kept_id, merge.merged_id]
    shared = await find_shared_username(session, tenant_id=tenant_id, user_ids=both)
    if shared is not None:
        raise Conflict(f"The username {shared!r} has been taken since.", field="mergeId")
    keys = [UUID(key) for key in merge.undo["keys"]]
    await session.execute(
        delete(ExternalKey).where(ExternalKey.tenant_id == tenant_id, ExternalKey.id.in_(keys))
    )
    await session.execute(
        text("SELECT unmerge_training(:tenant_id, :merge_id)"),
        {"tenant_id": tenant_id, "merge_id": merge.id},
    )
    if merge.undo["takes_over"]:
        # Whoever signed in as the provider's person since did so as the kept one.
        await end_sessions(
            session,
            tenant_id=tenant_id,
            user_id=merge.kept_id,
            now=now,
            since=merge.created_at,
        )
    merge.undone_at, merge.undone_by = now, caller.actor
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="peopleMergeUndo",
        target=str(merge.id),
        details={"kept_id": str(merge.kept_id), "merged_id": str(merge.merged_id)},
    )
    await session.flush()
