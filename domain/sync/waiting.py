"""Records that wait in the list of matches until an administrator says who they are.

They are taken out of staging, so that nobody is doubled, and whoever they may be stays. What is
decided (domain.sync.matches) is carried out by the next run, as soon as they are in a feed.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from domain.roster.records import RecordType
from domain.sync.complete import keep_users
from domain.sync.entities import USERS
from domain.sync.lookalikes import fresh, has_vanished
from domain.sync.models import SyncMode
from domain.sync.rules import SAID, Rules
from domain.sync.staging import MAPPED
from domain.validation.codes import Code

_WAITING = "the person waits in the list of matches"
_UNWANTED = "an administrator has said to leave the person out"
_REASONS = (Code.USER_ID_CHANGED, Code.USER_MATCH_AMBIGUOUS, Code.USER_SOURCE_DUPLICATE)


class Match(NamedTuple):
    """A new person of the feed and the stored ones, by `ids`, who are alike.

    `code`, `expected` and `found` are told of it. `stays` are the source ids of those among the
    stored who must not be archived while it waits, since the provider does not name them.
    """

    source_id: str
    code: Code
    ids: Sequence[UUID]
    expected: str
    found: str
    stays: Sequence[str] = ()


async def carry_out_decisions(rules: Rules) -> None:
    """What an administrator has said of new ids, as soon as they are in a feed."""
    if await rules.connection.fetchval(
        "SELECT EXISTS (SELECT FROM match_candidates WHERE tenant_id = $1"
        " AND record_type = 'USER' AND resolution IN ('LINK', 'IGNORE'))",
        rules.context.tenant_id,
    ):
        await _link(rules)
        await _leave_out_unwanted(rules)


async def _link(rules: Rules) -> None:
    """A person can have one id only: the first that was decided. The rest is asked again."""
    fresh_people = fresh(rules, USERS)
    await rules.execute(
        f"INSERT INTO {rules.context.staging.links} (record_type, source_id, id, reason)"
        " SELECT DISTINCT ON (r.id) 'USER', c.source_id, r.id, 'DECISION'"
        f" FROM match_candidates c JOIN ({fresh_people}) f ON f.source_id = c.source_id"
        " JOIN users r ON r.id = c.candidate_ids[1]::uuid AND r.tenant_id = c.tenant_id"
        " WHERE c.tenant_id = $1 AND c.record_type = 'USER' AND c.resolution = 'LINK'"
        f" AND r.merged_into_id IS NULL AND (r.origin = 'LEGACY' OR ({has_vanished(rules, USERS)}))"
        " ORDER BY r.id, c.resolved_at, c.source_id",
        rules.context.tenant_id,
    )
    if rules.context.mode is not SyncMode.PREFLIGHT:
        await rules.execute(
            "UPDATE match_candidates c SET resolution = NULL, resolved_at = NULL"
            f" FROM ({fresh_people}) f WHERE f.source_id = c.source_id AND c.tenant_id = $1"
            " AND c.record_type = 'USER' AND c.resolution = 'LINK'",
            rules.context.tenant_id,
        )


async def _leave_out_unwanted(rules: Rules) -> None:
    unwanted = await rules.connection.fetchval(
        "SELECT array_agg(c.source_id) FROM match_candidates c"
        f" JOIN ({fresh(rules, USERS)}) f ON f.source_id = c.source_id"
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


async def take_out(rules: Rules, matches: Sequence[Match]) -> None:
    """Who waits, and keep whoever they may be."""
    if not matches:
        return
    staging = rules.context.staging
    await rules.execute(
        f"WITH gone AS (DELETE FROM {rules.table(USERS)} s"
        "   WHERE s.source_id = ANY ($2) AND NOT s.is_stored RETURNING s.*)"
        f" INSERT INTO {staging.problems} {SAID}"
        " SELECT m.code, $1, s.source_id, 'sourcedId', m.expected, m.found,"
        f"  $1 || ' ' || s.source_id, {MAPPED}, true"
        " FROM gone s JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[])"
        "  AS m (source_id, code, expected, found) ON m.source_id = s.source_id",
        RecordType.USER.value,
        [match.source_id for match in matches],
        [match.code.value for match in matches],
        [match.expected for match in matches],
        [match.found for match in matches],
    )
    await _ignore_enrollments(rules, [match.source_id for match in matches], _WAITING)
    stay = [source_id for match in matches for source_id in match.stays]
    if stay:
        await keep_users(rules.context, rules.connection, stay)


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


async def recall(rules: Rules) -> list[Match]:
    """Who waits already and is in a delta, which does not show who has vanished."""
    rows = await rules.connection.fetch(
        "SELECT c.source_id, c.reason, c.candidate_ids::uuid[], e.expected, e.found"
        f" FROM match_candidates c JOIN {rules.table(USERS)} s ON s.source_id = c.source_id"
        # Told in the same words, so that it is the same problem.
        " LEFT JOIN LATERAL (SELECT v.expected, v.found FROM validation_errors v"
        "   WHERE v.tenant_id = $1 AND v.record_type = 'USER' AND v.source_id = c.source_id"
        "   AND v.code = c.reason ORDER BY v.last_seen_at DESC LIMIT 1) e ON true"
        " WHERE c.tenant_id = $1 AND c.record_type = 'USER' AND c.reason = ANY ($2)"
        "  AND c.resolved_at IS NULL AND NOT s.is_stored ORDER BY 1",
        rules.context.tenant_id,
        [code.value for code in _REASONS],
    )
    return [
        Match(
            row["source_id"],
            Code(row["reason"]),
            row["candidate_ids"],
            row["expected"] or "a decision",
            row["found"] or "",
        )
        for row in rows
    ]


async def store(rules: Rules, matches: Sequence[Match], *, is_whole: bool) -> None:
    """What is found waits for a decision. `is_whole`: what is not found any more needs none."""
    if matches:
        await rules.execute(
            "INSERT INTO match_candidates AS c"
            " (tenant_id, record_type, source_id, candidate_ids, reason)"
            " SELECT $1, 'USER', m.source_id, string_to_array(m.ids, ','), m.reason"
            " FROM unnest($2::text[], $3::text[], $4::text[]) AS m (source_id, ids, reason)"
            " ON CONFLICT (tenant_id, record_type, source_id) DO UPDATE"
            " SET candidate_ids = excluded.candidate_ids, reason = excluded.reason,"
            "  resolution = NULL, resolved_at = NULL"
            " WHERE c.resolution = 'GONE' OR (c.resolution IS NULL"
            "  AND (c.candidate_ids, c.reason)"
            "   IS DISTINCT FROM (excluded.candidate_ids, excluded.reason))",
            rules.context.tenant_id,
            [match.source_id for match in matches],
            [",".join(sorted(str(one) for one in match.ids)) for match in matches],
            [match.code.value for match in matches],
        )
    if is_whole:
        await rules.execute(
            "UPDATE match_candidates SET resolution = 'GONE', resolved_at = now()"
            " WHERE tenant_id = $1 AND record_type = 'USER' AND reason = ANY ($2)"
            " AND resolved_at IS NULL AND source_id <> ALL ($3::text[])",
            rules.context.tenant_id,
            [code.value for code in _REASONS],
            [match.source_id for match in matches],
        )
