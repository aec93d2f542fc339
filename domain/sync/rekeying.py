"""People who seem to have come back with another id: an administrator decides, nobody is doubled.

A provider may give a person a new id (Clever: after 300 days away, or with a changed address).
Then a stored person vanishes and a new one appears who shares a secondary id with them. The new
one waits in the list of matches, and the stored one stays with all memberships; after so long
they may be archived already. What is decided (domain.sync.matches) is done by the next run.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from domain.roster.records import RecordType
from domain.sync.complete import keep_users
from domain.sync.entities import USERS
from domain.sync.models import SyncMode
from domain.sync.rules import SAID, Rules
from domain.sync.staging import MAPPED
from domain.validation.codes import Code

_WAITING = "the person waits in the list of matches"
_UNWANTED = "an administrator has said to leave the person out"
_REASON = Code.USER_ID_CHANGED.value


class Match(NamedTuple):
    """`source_id` is the new id; `ids` and `source_ids` are of the stored people who are alike.

    `are_live`: they are not archived, and must not be while the match waits.
    """

    source_id: str
    ids: Sequence[str]
    source_ids: Sequence[str]
    keys: Sequence[str]
    are_live: bool = False


class Link(NamedTuple):
    """The stored person with this id has another source id from now on."""

    id: UUID
    former: str
    source_id: str


async def propose_matches(rules: Rules) -> None:
    """Only a full pull shows who has vanished; a delta keeps those out who wait already."""
    await _carry_out_decisions(rules)
    if rules.deltas:
        waiting = await _recall(rules)
        if waiting:
            await _take_out(rules, waiting)
        return
    matches = await _find(rules)
    if matches:
        await _take_out(rules, matches)
        live = [match for match in matches if match.are_live]
        stored = [source_id for match in live for source_id in match.source_ids]
        await keep_users(rules.context, rules.connection, stored)
    if rules.context.mode is not SyncMode.PREFLIGHT:
        await _store(rules, matches)


def _fresh(rules: Rules) -> str:
    """SQL for the people of the feed whose id is not stored; `$1` is the tenant."""
    return (
        f"SELECT s.source_id, s.roles, s.keys FROM {rules.table(USERS)} s"
        " WHERE NOT s.is_stored AND NOT EXISTS ("
        "  SELECT FROM users u WHERE u.tenant_id = $1 AND u.source_id = s.source_id)"
    )


def _has_vanished(rules: Rules) -> str:
    """SQL for whether a stored person `u` is not in the feed; `$1` is the tenant.

    Who is in the feed and rejected or left out has not vanished.
    """
    staging = rules.context.staging
    named = "record_type = 'USER' AND source_id = u.source_id"
    return (
        "u.tenant_id = $1 AND u.origin = 'PROVIDER'"
        f" AND NOT EXISTS (SELECT FROM {rules.table(USERS)}"
        "   WHERE source_id = u.source_id AND NOT is_stored)"
        f" AND NOT EXISTS (SELECT FROM {staging.problems} WHERE {named} AND rejects)"
        f" AND NOT EXISTS (SELECT FROM {staging.left_out} WHERE {named})"
        f" AND NOT EXISTS (SELECT FROM {staging.ignored} WHERE {named})"
    )


async def _carry_out_decisions(rules: Rules) -> None:
    """What an administrator has said of new ids, as soon as they are in a feed."""
    if await rules.connection.fetchval(
        "SELECT EXISTS (SELECT FROM match_candidates WHERE tenant_id = $1"
        " AND record_type = 'USER' AND resolution IN ('LINK', 'IGNORE'))",
        rules.context.tenant_id,
    ):
        await _link(rules)
        await _leave_out_unwanted(rules)


async def _link(rules: Rules) -> None:
    """The stored person is who has the new id: so it is their id, before anything is compared.

    Once it is theirs it is not new any more, so that a run which is repeated finds nothing to do.
    A preflight may not touch what is stored: there the new record gets the former id.
    """
    is_preflight = rules.context.mode is SyncMode.PREFLIGHT
    links = await _find_links(rules)
    if links and is_preflight:
        await _rename(rules, {link.source_id: link.former for link in links})
    elif links:
        await _give_ids(rules, links)
        await _rename(rules, {link.former: link.source_id for link in links})
    if not is_preflight:
        # What cannot be done any more is asked again.
        await rules.execute(
            "UPDATE match_candidates c SET resolution = NULL, resolved_at = NULL"
            f" FROM ({_fresh(rules)}) f WHERE f.source_id = c.source_id AND c.tenant_id = $1"
            " AND c.record_type = 'USER' AND c.resolution = 'LINK'",
            rules.context.tenant_id,
        )


async def _find_links(rules: Rules) -> list[Link]:
    """A person can have one id only: the first that was decided."""
    rows = await rules.connection.fetch(
        "SELECT DISTINCT ON (u.id) u.id, u.source_id, c.source_id"
        f" FROM match_candidates c JOIN ({_fresh(rules)}) f ON f.source_id = c.source_id"
        " JOIN users u ON u.id = c.candidate_ids[1]::uuid"
        " WHERE c.tenant_id = $1 AND c.record_type = 'USER' AND c.resolution = 'LINK'"
        f" AND {_has_vanished(rules)} ORDER BY u.id, c.resolved_at, c.source_id",
        rules.context.tenant_id,
    )
    return [Link(*row) for row in rows]


async def _give_ids(rules: Rules, links: Sequence[Link]) -> None:
    await rules.execute(
        "WITH given AS (UPDATE users u SET source_id = n.source_id"
        "   FROM unnest($2::uuid[], $4::text[]) AS n (id, source_id)"
        "   WHERE u.tenant_id = $1 AND u.id = n.id)"
        " INSERT INTO external_keys (tenant_id, record_type, record_id, kind, value)"
        " SELECT $1, 'USER', n.id, 'source_id', n.former"
        " FROM unnest($2::uuid[], $3::text[]) AS n (id, former) ON CONFLICT DO NOTHING",
        rules.context.tenant_id,
        [link.id for link in links],
        [link.former for link in links],
        [link.source_id for link in links],
    )


async def _rename(rules: Rules, names: Mapping[str, str]) -> None:
    """In staging; of the two records of a person the one that came with the feed is taken.

    The other one was put there by a delta, as it is stored.
    """
    users, enrollments = rules.table(USERS), rules.context.staging.of(RecordType.MEMBERSHIP)
    await rules.execute(
        f"DELETE FROM {users} WHERE is_stored AND source_id = ANY ($1 || $2::text[])",
        list(names.keys()),
        list(names.values()),
    )
    for table, column in ((users, "source_id"), (enrollments, "user_source_id")):
        await rules.execute(
            f"UPDATE {table} s SET {column} = n.following"
            " FROM unnest($1::text[], $2::text[]) AS n (former, following)"
            f" WHERE s.{column} = n.former",
            list(names.keys()),
            list(names.values()),
        )


async def _leave_out_unwanted(rules: Rules) -> None:
    unwanted = await rules.connection.fetchval(
        "SELECT array_agg(c.source_id) FROM match_candidates c"
        f" JOIN ({_fresh(rules)}) f ON f.source_id = c.source_id"
        " WHERE c.tenant_id = $1 AND c.record_type = 'USER' AND c.resolution = 'IGNORE'",
        rules.context.tenant_id,
    )
    if unwanted:
        await rules.execute(
            f"WITH gone AS (DELETE FROM {rules.table(USERS)} s"
            "   WHERE s.source_id = ANY ($1) RETURNING s.source_id)"
            f" INSERT INTO {rules.context.staging.ignored} SELECT $2, source_id, $3 FROM gone",
            unwanted,
            RecordType.USER.value,
            _UNWANTED,
        )
        await _ignore_enrollments(rules, unwanted, _UNWANTED)


async def _find(rules: Rules) -> list[Match]:
    """New ids that share a key and a role with people who have vanished.

    Who is live is asked about first: archived people are candidates only where nobody is live.
    """
    fresh = f"SELECT * FROM ({_fresh(rules)}) s WHERE s.keys <> '{{}}'"
    if not await rules.connection.fetchval(f"SELECT EXISTS ({fresh})", rules.context.tenant_id):
        return []
    rows = await rules.connection.fetch(
        f"WITH fresh AS (SELECT f.source_id, f.roles, k.key FROM ({fresh}) f"
        "   CROSS JOIN unnest(f.keys) AS k (key)),"
        " vanished AS (SELECT u.id, u.source_id, u.roles, u.archived_at IS NULL AS is_live, k.key"
        "   FROM users u CROSS JOIN unnest(u.keys) AS k (key)"
        f"  WHERE {_has_vanished(rules)}),"
        " alike AS (SELECT f.source_id, f.key, v.id, v.source_id AS former, v.is_live,"
        "   bool_or(v.is_live) OVER (PARTITION BY f.source_id) AS are_live"
        "   FROM fresh f JOIN vanished v ON v.key = f.key AND v.roles && f.roles"
        # An administrator has said that this one is somebody else.
        "   WHERE NOT EXISTS (SELECT FROM match_candidates c WHERE c.tenant_id = $1"
        "    AND c.record_type = 'USER' AND c.source_id = f.source_id"
        "    AND c.resolution = 'CREATE'))"
        " SELECT source_id, array_agg(DISTINCT id::text), array_agg(DISTINCT former),"
        "  array_agg(DISTINCT key), are_live"
        " FROM alike WHERE is_live = are_live GROUP BY source_id, are_live ORDER BY source_id",
        rules.context.tenant_id,
    )
    return [Match(*row) for row in rows]


async def _recall(rules: Rules) -> list[Match]:
    rows = await rules.connection.fetch(
        "SELECT c.source_id, c.candidate_ids AS ids, array_agg(DISTINCT u.source_id),"
        "  array_agg(DISTINCT k.key)"
        f" FROM match_candidates c JOIN {rules.table(USERS)} s ON s.source_id = c.source_id"
        " JOIN users u ON u.tenant_id = $1 AND u.id = ANY (c.candidate_ids::uuid[])"
        " JOIN unnest(s.keys) AS k (key) ON k.key = ANY (u.keys)"
        " WHERE c.tenant_id = $1 AND c.record_type = 'USER' AND c.reason = $2"
        "  AND c.resolved_at IS NULL AND NOT s.is_stored GROUP BY 1, 2 ORDER BY 1",
        rules.context.tenant_id,
        _REASON,
    )
    return [Match(*row) for row in rows]


async def _take_out(rules: Rules, matches: Sequence[Match]) -> None:
    staging = rules.context.staging
    await rules.execute(
        f"WITH gone AS (DELETE FROM {rules.table(USERS)} s"
        "   WHERE s.source_id = ANY ($3) RETURNING s.*)"
        f" INSERT INTO {staging.problems} {SAID}"
        " SELECT $1, $2, s.source_id, 'sourcedId', m.expected, m.found, $2 || ' ' || s.source_id,"
        f"  {MAPPED}, true"
        " FROM gone s JOIN unnest($3::text[], $4::text[], $5::text[])"
        "  AS m (source_id, expected, found) ON m.source_id = s.source_id",
        Code.USER_ID_CHANGED.value,
        RecordType.USER.value,
        [match.source_id for match in matches],
        [f"the id {' or '.join(match.source_ids)}" for match in matches],
        [f"another id, with the same {' and '.join(match.keys)}" for match in matches],
    )
    await _ignore_enrollments(rules, [match.source_id for match in matches], _WAITING)


async def _ignore_enrollments(rules: Rules, user_ids: Sequence[str], reason: str) -> None:
    staging = rules.context.staging
    await rules.execute(
        f"WITH gone AS (DELETE FROM {staging.of(RecordType.MEMBERSHIP)} e"
        "   WHERE e.user_source_id = ANY ($1) RETURNING e.source_id)"
        f" INSERT INTO {staging.ignored} SELECT $2, source_id, $3 FROM gone",
        user_ids,
        RecordType.MEMBERSHIP.value,
        reason,
    )


async def _store(rules: Rules, matches: Sequence[Match]) -> None:
    """What is found waits for a decision; what is not found any more needs none."""
    await rules.execute(
        "INSERT INTO match_candidates AS c"
        " (tenant_id, record_type, source_id, candidate_ids, reason)"
        " SELECT $1, 'USER', m.source_id, string_to_array(m.ids, ','), $4"
        " FROM unnest($2::text[], $3::text[]) AS m (source_id, ids)"
        " ON CONFLICT (tenant_id, record_type, source_id) DO UPDATE"
        " SET candidate_ids = excluded.candidate_ids, reason = excluded.reason,"
        "  resolution = NULL, resolved_at = NULL"
        " WHERE c.resolution = 'GONE' OR (c.resolution IS NULL"
        "  AND c.candidate_ids IS DISTINCT FROM excluded.candidate_ids)",
        rules.context.tenant_id,
        [match.source_id for match in matches],
        [",".join(match.ids) for match in matches],
        _REASON,
    )
    await rules.execute(
        "UPDATE match_candidates SET resolution = 'GONE', resolved_at = now()"
        " WHERE tenant_id = $1 AND record_type = 'USER' AND reason = $2"
        " AND resolved_at IS NULL AND source_id <> ALL ($3::text[])",
        rules.context.tenant_id,
        _REASON,
        [match.source_id for match in matches],
    )
