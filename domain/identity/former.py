"""What a person was before a link: from the link, and from the changes that runs have noted since.

Of every field the first old value that was noted since the link is the one of before.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.identity.models import IdentityLink
from domain.identity.rows import Row
from domain.roster.models import Origin
from domain.roster.ownership import written_by_sync
from domain.roster.records import RecordType

_CHANGES = text("""
    SELECT c.record_id, c.run_id, c.action::text AS action, c.planned_hash, c.old_values
    FROM sync_changes c JOIN sync_runs r ON r.tenant_id = c.tenant_id AND r.id = c.run_id
    WHERE c.tenant_id = :tenant_id AND (c.run_id = :run_id OR c.created_at > :linked_at)
      AND c.held_by IS NULL AND c.action <> 'CREATE' AND r.mode <> 'PREFLIGHT'
      AND (r.state LIKE 'SUCCEEDED%'
        OR r.state = 'FAILED' AND r.phases -> 'APPLYING' IS NOT NULL)
      AND c.record_id IN (
        SELECT CAST(:user_id AS uuid) UNION ALL
        SELECT id FROM memberships WHERE tenant_id = :tenant_id AND user_id = :user_id)
    ORDER BY c.created_at, c.id
""")
_SCHOOLS = text("""
    SELECT to_jsonb(a) FROM (
        SELECT CAST(:tenant_id AS uuid) AS tenant_id, CAST(:user_id AS uuid) AS user_id,
            s.id AS school_id, n.position
        FROM unnest(CAST(:source_ids AS text[])) WITH ORDINALITY AS n (source_id, position)
        JOIN schools s ON s.tenant_id = :tenant_id AND s.source_id = n.source_id
        ORDER BY n.position) a
""")


@dataclass(frozen=True, slots=True)
class _Noted:
    """The first change of a record since the link, and the first old value of each field."""

    action: str
    planned_hash: int | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Former:
    """`is_kept`: what the link changed is still noted; else the person stays as they are now."""

    link: IdentityLink
    noted: dict[UUID, _Noted]

    @property
    def is_kept(self) -> bool:
        return self.link.record_id in self.noted

    def person(self, now: Row) -> Row:
        link, noted = self.link, self.noted.get(self.link.record_id)
        values = noted.values if noted else {}
        columns = written_by_sync(RecordType.USER)
        return (
            now
            | {name: values[name] for name in columns if name in values}
            | {
                "source_id": link.former_source_id,
                "origin": link.former_origin.value,
                "content_hash": noted.planned_hash if noted else None,
                "archived_at": _said(link.former_archived_at),
                "archived_by_run_id": None,
            }
        )

    async def schools(self, session: AsyncSession) -> list[Row] | None:
        """None: they are the same, or not all of them can be told any more."""
        noted = self.noted.get(self.link.record_id)
        source_ids = noted.values.get("school_source_ids") if noted else None
        if source_ids is None or None in source_ids:
            return None
        found = await session.scalars(
            _SCHOOLS,
            {
                "tenant_id": self.link.tenant_id,
                "user_id": self.link.record_id,
                "source_ids": source_ids,
            },
        )
        return list(found)

    def membership(self, now: Row, *, is_archived: bool) -> Row:
        """`is_archived`: the person is."""
        noted = self.noted.get(UUID(now["id"]))
        at = _said(self.link.former_archived_at or self.link.created_at)
        gone = {"archived_at": at, "archived_by_run_id": None}
        if noted is None:
            # Known by another hash: only that was changed.
            is_changed = now["origin"] == Origin.PROVIDER.value and now["archived_at"] is None
            before = now | {"content_hash": None} if is_changed else now
            return before | gone if is_archived and now["archived_at"] is None else before
        before = now | {
            "origin": noted.values.get("origin", now["origin"]),
            "content_hash": noted.planned_hash,
            "archived_at": None,
            "archived_by_run_id": None,
        }
        if "spans" in noted.values:
            of = {"tenant_id": now["tenant_id"], "membership_id": now["id"]}
            before["spans"] = [span | of for span in noted.values["spans"] or ()]
        return before | gone if is_archived or noted.action == "RESTORE" else before


async def read_former(session: AsyncSession, *, link: IdentityLink) -> Former:
    rows = await session.execute(
        _CHANGES,
        {
            "tenant_id": link.tenant_id,
            "run_id": link.run_id,
            "linked_at": link.created_at,
            "user_id": link.record_id,
        },
    )
    noted: dict[UUID, _Noted] = {}
    for record_id, run_id, action, planned_hash, old_values in rows:
        if record_id == link.record_id and record_id not in noted and run_id != link.run_id:
            # What the link itself changed is not kept any more: later changes say too little.
            continue
        first = noted.setdefault(record_id, _Noted(action, planned_hash, {}))
        for name, value in old_values.items():
            first.values.setdefault(name, value)
    return Former(link, noted)


def _said(instant: Any) -> str | None:
    return instant.isoformat() if instant else None
