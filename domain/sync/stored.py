"""What is stored, as a run sees it: under the source ids that the feed uses.

Usually those are the stored ones. Where links say that a stored record has another id in the feed
(domain.sync.linking), it is seen under that; and records from before rostering that this run
closes are seen too, under none.
"""

from dataclasses import dataclass
from typing import Self

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext

_TABLES = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.GROUP: "groups",
    RecordType.USER: "users",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """`is_plain`: nothing is linked or closed, as on most nights."""

    context: RunContext
    is_plain: bool

    @classmethod
    async def of(cls, context: RunContext, connection: asyncpg.Connection) -> Self:
        is_plain = await connection.fetchval(
            f"SELECT NOT EXISTS (SELECT FROM {context.staging.links})"
            f" AND NOT EXISTS (SELECT FROM {context.staging.settled})"
        )
        return cls(context, is_plain)

    def records(self, record_type: RecordType) -> str:
        """SQL for source_id, id, content_hash, archived_at, origin and is_linked.

        The tenant's id is written into it, since CREATE TABLE AS takes no parameters: it is a
        UUID that we made.
        """
        table, tenant = _TABLES[record_type], self.context.tenant_id
        if self.is_plain:
            return (
                "SELECT source_id, id, content_hash, archived_at, origin, false AS is_linked"
                f" FROM {table} WHERE tenant_id = '{tenant}' AND origin = 'PROVIDER'"
            )
        return (
            "SELECT coalesce(l.source_id, t.source_id) AS source_id, t.id, t.content_hash,"
            " t.archived_at, t.origin, l.id IS NOT NULL AS is_linked"
            f" FROM {table} t LEFT JOIN {self.context.staging.links} l"
            f"  ON l.id = t.id AND l.record_type = '{record_type.value}'"
            f" WHERE t.tenant_id = '{tenant}' AND (t.origin = 'PROVIDER' OR l.id IS NOT NULL"
            f"  OR t.id IN ({self._settled(record_type)}))"
        )

    @property
    def memberships(self) -> str:
        """SQL for the memberships that are compared: the provider's, and those of who is closed."""
        tenant = self.context.tenant_id
        own = f"SELECT * FROM memberships WHERE tenant_id = '{tenant}' AND origin = 'PROVIDER'"
        if self.is_plain:
            return own
        return (
            f"{own} UNION ALL SELECT m.* FROM memberships m WHERE m.tenant_id = '{tenant}'"
            " AND m.origin = 'LEGACY'"
            f" AND (m.user_id IN ({self._touched(RecordType.USER)})"
            f"  OR m.group_id IN ({self._touched(RecordType.GROUP)}))"
        )

    def _settled(self, record_type: RecordType) -> str:
        return (
            f"SELECT id FROM {self.context.staging.settled}"
            f" WHERE record_type = '{record_type.value}'"
        )

    def _touched(self, record_type: RecordType) -> str:
        return (
            f"{self._settled(record_type)} UNION SELECT id FROM {self.context.staging.links}"
            f" WHERE record_type = '{record_type.value}'"
        )
