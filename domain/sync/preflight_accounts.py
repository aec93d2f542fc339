"""A preflight's other four questions: existing people, licences, usernames, and their data here."""

from dataclasses import dataclass
from typing import Any

from domain.roster.models import Origin
from domain.roster.records import RecordType
from domain.sync.licences import order_of_seats
from domain.sync.preflight_items import Items, PreflightOutcome, PreflightTopic
from domain.sync.usernames import folded
from domain.training.eligibility import needs_seat
from domain.validation.codes import Code

_NAME = "concat_ws(' ', {0}.given_name, {0}.family_name)"
_KINDS = (
    PreflightOutcome.MATCHED,
    PreflightOutcome.REVIVED,
    PreflightOutcome.ARCHIVED,
    PreflightOutcome.UNMATCHED,
    PreflightOutcome.KEPT,
)

_TO_DECIDE = (Code.USER_MATCH_AMBIGUOUS, Code.USER_SOURCE_DUPLICATE, Code.USER_ID_CHANGED)


@dataclass(frozen=True, slots=True)
class Accounts:
    items: Items

    async def users(self) -> dict[str, Any]:
        """What becomes of everybody who is here; who just stays is counted only."""
        context, connection = self.items.context, self.items.connection
        existing = self._existing()
        rows = await connection.fetch(
            f"SELECT e.origin, e.outcome, count(*) AS n FROM ({existing}) e GROUP BY 1, 2",
            context.tenant_id,
        )
        counts = {(row["origin"], row["outcome"]): row["n"] for row in rows}
        await self.items.add(
            PreflightTopic.EXISTING_USERS,
            "SELECT e.outcome, 'USER' AS record_type, e.id AS record_id, e.source_id,"
            f"  {_NAME.format('e')} AS name, jsonb_build_object('username', e.username,"
            "   'origin', e.origin, 'by', e.reason, 'held_by', e.held_by) AS details"
            f" FROM ({existing}) e WHERE e.outcome <> 'KEPT'"
            " ORDER BY e.outcome, e.family_name, e.given_name, e.id",
        )
        await self._add_ambiguous()
        listed = await self.items.counted(PreflightTopic.EXISTING_USERS)
        created = await connection.fetchval(
            f"SELECT count(*) FROM {context.staging.work(RecordType.USER)} WHERE action = 'CREATE'"
        )
        return {
            "policy": await connection.fetchval(
                "SELECT existing_accounts FROM integrations WHERE tenant_id = $1 AND id = $2",
                context.tenant_id,
                context.integration_id,
            ),
            "created": created,
            "ambiguous": listed.get(PreflightOutcome.AMBIGUOUS, 0),
            "by_origin": {
                origin.value: {kind.value.lower(): counts.get((origin, kind), 0) for kind in _KINDS}
                for origin in Origin
            },
        }

    def _existing(self) -> str:
        """SQL for everybody who is live, or would be again, and what becomes of them."""
        staging = self.items.context.staging
        return (
            "SELECT u.id, u.source_id, u.username, u.given_name, u.family_name, u.origin::text,"
            "  l.reason, w.held_by,"
            "  CASE WHEN w.action = 'ARCHIVE' AND n.id IS NOT NULL THEN 'UNMATCHED'"
            "   WHEN w.action = 'ARCHIVE' THEN 'ARCHIVED'"
            "   WHEN u.archived_at IS NOT NULL THEN 'REVIVED'"
            "   WHEN l.id IS NOT NULL THEN 'MATCHED' ELSE 'KEPT' END AS outcome"
            f" FROM users u LEFT JOIN {staging.work(RecordType.USER)} w ON w.id = u.id"
            f" LEFT JOIN {staging.links} l ON l.id = u.id AND l.record_type = 'USER'"
            f" LEFT JOIN {staging.unmatched} n ON n.id = u.id AND n.record_type = 'USER'"
            " WHERE u.tenant_id = $1 AND (u.archived_at IS NULL OR w.action = 'RESTORE')"
        )

    async def _add_ambiguous(self) -> None:
        """People of the feed who may be several of those that are here: nobody guesses."""
        await self.items.add(
            PreflightTopic.EXISTING_USERS,
            "SELECT 'AMBIGUOUS' AS outcome, 'USER' AS record_type, NULL::uuid AS record_id,"
            "  p.source_id, concat_ws(' ', p.record ->> 'given_name', p.record ->> 'family_name')"
            "   AS name, jsonb_build_object('username', p.record ->> 'username',"
            "   'code', p.code, 'expected', p.expected, 'found', p.found) AS details"
            " FROM (SELECT DISTINCT ON (source_id) *"
            f"  FROM {self.items.context.staging.problems} WHERE record_type = 'USER'"
            "   AND rejects AND code = ANY ($4) ORDER BY source_id, code) p"
            " ORDER BY p.record ->> 'family_name', p.source_id",
            [code.value for code in _TO_DECIDE],
        )

    async def licences(self) -> dict[str, Any]:
        """As if all of it were applied, what waits for other reasons too."""
        context, staging = self.items.context, self.items.context.staging
        work, staged = staging.work(RecordType.USER), staging.of(RecordType.USER)
        row = await self.items.connection.fetchrow(
            "SELECT (SELECT licence_limit FROM subscriptions WHERE tenant_id = $1) AS limit,"
            " (SELECT licence_order FROM subscriptions WHERE tenant_id = $1) AS order,"
            " count(*) AS used, count(*) FILTER (WHERE NOT EXISTS ("
            f"  SELECT FROM {work} w WHERE w.id = u.id AND w.action <> 'REHASH')) AS untouched,"
            f" (SELECT count(*) FROM {work} w JOIN {staged} s USING (source_id)"
            "  WHERE w.action IN ('CREATE', 'UPDATE', 'RESTORE')"
            f"  AND {needs_seat('s', user_id='w.id')}) AS touched"
            " FROM users u WHERE u.tenant_id = $1 AND u.archived_at IS NULL"
            f" AND {needs_seat('u', user_id='u.id')}",
            context.tenant_id,
        )
        await self._add_without_licence(row["order"])
        needed, limit = row["untouched"] + row["touched"], row["limit"]
        return {
            "limit": limit,
            "order": row["order"],
            "used": row["used"],
            "needed": needed,
            "short_by": max(needed - limit, 0) if limit is not None else 0,
        }

    async def _add_without_licence(self, order: str | None) -> None:
        """In the order in which they would have got one."""
        staging = self.items.context.staging
        await self.items.add(
            PreflightTopic.LICENCES,
            "SELECT 'WITHOUT_LICENCE' AS outcome, 'USER' AS record_type,"
            "  CASE WHEN a.action <> 'CREATE' THEN a.id END AS record_id, a.source_id,"
            f"  {_NAME.format('a')} AS name, jsonb_build_object('username', a.username,"
            "   'school', sc.name) AS details"
            " FROM (SELECT w.id, w.action, s.*"
            f"  FROM {staging.work(RecordType.USER)} w"
            f"  JOIN {staging.of(RecordType.USER)} s USING (source_id) WHERE w.held_by = $4) a"
            " LEFT JOIN schools sc ON sc.tenant_id = $1 AND sc.source_id = a.school_source_ids[1]"
            f" ORDER BY {order_of_seats(order)}",
            Code.LICENCE_LIMIT.value,
        )

    async def usernames(self) -> dict[str, int]:
        """Of those who are here and in the feed: whose username stays, and whose would be another.

        Of those who were here before rostering: whose username the feed has too.
        """
        await self._add_changes()
        await self._add_clashes()
        listed = await self.items.counted(PreflightTopic.USERNAMES)
        context, connection = self.items.context, self.items.connection
        staged = context.staging.of(RecordType.USER)
        work = context.staging.work(RecordType.USER)
        known = await connection.fetchval(
            f"SELECT count(*) FROM {staged} s WHERE NOT s.is_stored AND NOT EXISTS ("
            f" SELECT FROM {work} w WHERE w.source_id = s.source_id AND w.action = 'CREATE')"
        )
        legacy = await connection.fetchrow(
            "SELECT count(*) FILTER (WHERE is_in_feed) AS same,"
            " count(*) FILTER (WHERE NOT is_in_feed) AS different FROM ("
            "  SELECT coalesce(u.username_key IN ("
            f"    SELECT {folded('s')} FROM {staged} s"
            "    UNION SELECT casefold((p.record ->> 'username') COLLATE \"pg_unicode_fast\")"
            f"    FROM {context.staging.problems} p WHERE p.record_type = 'USER'"
            "     AND p.record ->> 'username' IS NOT NULL), false) AS is_in_feed"
            "  FROM users u WHERE u.tenant_id = $1 AND u.origin = 'LEGACY'"
            "   AND u.archived_at IS NULL) l",
            context.tenant_id,
        )
        would_change = listed.get(PreflightOutcome.WOULD_CHANGE, 0)
        return {
            "same": max(known - would_change, 0),
            "would_change": would_change,
            "taken": listed.get(PreflightOutcome.TAKEN, 0),
            "case_clashes": listed.get(PreflightOutcome.CASE_CLASH, 0),
            "legacy_same": legacy["same"],
            "legacy_different": legacy["different"],
        }

    async def _add_changes(self) -> None:
        await self.items.add(
            PreflightTopic.USERNAMES,
            "SELECT 'WOULD_CHANGE' AS outcome, 'USER' AS record_type, u.id AS record_id,"
            f"  c.source_id, {_NAME.format('u')} AS name, jsonb_build_object("
            "   'old', c.old_values ->> 'username', 'new', c.new_values ->> 'username',"
            "   'only_case', CASE WHEN casefold((c.old_values ->> 'username') COLLATE"
            "     \"pg_unicode_fast\") = casefold((c.new_values ->> 'username') COLLATE"
            '     "pg_unicode_fast") THEN true END) AS details'
            " FROM sync_changes c JOIN users u ON u.tenant_id = $1 AND u.id = c.record_id"
            " WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.record_type = 'USER'"
            "  AND c.action IN ('UPDATE', 'RESTORE') AND c.new_values ? 'username'"
            " ORDER BY u.family_name, u.given_name, u.id",
        )

    async def _add_clashes(self) -> None:
        """Usernames of the feed that belong to somebody else."""
        await self.items.add(
            PreflightTopic.USERNAMES,
            "SELECT CASE p.code WHEN $4 THEN 'TAKEN' ELSE 'CASE_CLASH' END AS outcome,"
            "  'USER' AS record_type, NULL::uuid AS record_id, p.source_id,"
            "  concat_ws(' ', p.record ->> 'given_name', p.record ->> 'family_name') AS name,"
            "  jsonb_build_object('username', p.record ->> 'username', 'found', p.found)"
            "   AS details"
            f" FROM (SELECT DISTINCT ON (source_id) * FROM {self.items.context.staging.problems}"
            "   WHERE record_type = 'USER' AND code IN ($4, $5) ORDER BY source_id, code) p"
            " ORDER BY outcome, p.record ->> 'username', p.source_id",
            Code.USER_LOGIN_TAKEN.value,
            Code.USER_LOGIN_CASE_CLASH.value,
        )

    async def local_data(self) -> list[dict[str, Any]]:
        """Progress and settings of whoever goes, comes back or moves. Nothing is ever lost."""
        for query in (*self._of_records(), self._of_memberships()):
            await self.items.add(PreflightTopic.LOCAL_DATA, query)
        rows = await self.items.connection.fetch(
            "SELECT outcome, record_type, count(*) AS count FROM preflight_items"
            " WHERE tenant_id = $1 AND run_id = $2 AND topic = $3 GROUP BY 1, 2 ORDER BY 1, 2",
            self.items.context.tenant_id,
            self.items.context.run_id,
            PreflightTopic.LOCAL_DATA.value,
        )
        carried = await self._count_carried()
        return [
            *map(dict, rows),
            *(
                [{"outcome": "CARRIED_OVER", "record_type": "USER", "count": carried}]
                * (carried > 0)
            ),
        ]

    def _of_records(self) -> list[str]:
        """People, groups and schools that are archived or restored and have anything here."""
        queries = []
        for record_type, table, column in (
            (RecordType.USER, "users", "user_id"),
            (RecordType.GROUP, "groups", "group_id"),
            (RecordType.SCHOOL, "schools", "school_id"),
        ):
            name = _NAME.format("r") if record_type is RecordType.USER else "r.name"
            progress = (
                "SELECT NULL::uuid AS id, 0 AS lessons WHERE false"
                if record_type is RecordType.SCHOOL
                else f"SELECT {column} AS id, sum(lessons) AS lessons FROM progress"
                f" WHERE tenant_id = $1 GROUP BY {column}"
            )
            queries.append(
                "SELECT CASE w.action WHEN 'ARCHIVE' THEN 'KEPT_WITH_ARCHIVED' ELSE 'COMES_BACK'"
                f"  END AS outcome, '{record_type.value}' AS record_type, r.id AS record_id,"
                f"  r.source_id, {name} AS name, jsonb_build_object('lessons', p.lessons,"
                "   'has_settings', CASE WHEN t.id IS NOT NULL THEN true END) AS details"
                f" FROM {self.items.context.staging.work(record_type)} w"
                f" JOIN {table} r ON r.tenant_id = $1 AND r.id = w.id"
                f" LEFT JOIN ({progress}) p ON p.id = w.id"
                f" LEFT JOIN training_settings t ON t.tenant_id = $1 AND t.{column} = w.id"
                " WHERE w.action IN ('ARCHIVE', 'RESTORE')"
                "  AND (p.id IS NOT NULL OR t.id IS NOT NULL)"
                " ORDER BY outcome, name, r.id"
            )
        return queries

    def _of_memberships(self) -> str:
        """Who leaves a group that goes on, with what they earned in it."""
        staging = self.items.context.staging
        return (
            "SELECT 'STAYS_BEHIND' AS outcome, 'MEMBERSHIP' AS record_type, w.id AS record_id,"
            f"  NULL::text AS source_id, {_NAME.format('u')} AS name, jsonb_build_object("
            "   'lessons', p.lessons, 'group', g.name) AS details"
            f" FROM {staging.work(RecordType.MEMBERSHIP)} w"
            " JOIN progress p ON p.tenant_id = $1 AND p.user_id = w.user_id"
            "  AND p.group_id = w.group_id"
            " JOIN users u ON u.tenant_id = $1 AND u.id = w.user_id"
            " JOIN groups g ON g.tenant_id = $1 AND g.id = w.group_id"
            " WHERE w.action = 'ARCHIVE' AND NOT EXISTS ("
            f"  SELECT FROM {staging.work(RecordType.USER)} x"
            "   WHERE x.id = w.user_id AND x.action = 'ARCHIVE') AND NOT EXISTS ("
            f"  SELECT FROM {staging.work(RecordType.GROUP)} x"
            "   WHERE x.id = w.group_id AND x.action = 'ARCHIVE')"
            " ORDER BY name, g.name, w.id"
        )

    async def _count_carried(self) -> int:
        """Live people who are linked: what they have stays theirs, so they are counted only."""
        return int(
            await self.items.connection.fetchval(
                f"SELECT count(*) FROM {self.items.context.staging.links} l"
                " JOIN users u ON u.tenant_id = $1 AND u.id = l.id"
                " WHERE l.record_type = 'USER' AND u.archived_at IS NULL AND ("
                "  EXISTS (SELECT FROM progress p WHERE p.tenant_id = $1 AND p.user_id = u.id)"
                "  OR EXISTS (SELECT FROM training_settings t"
                "   WHERE t.tenant_id = $1 AND t.user_id = u.id))",
                self.items.context.tenant_id,
            )
        )
