"""Who and what was there before rostering (product.md T5), when the feed is compared with it.

By the tenant's policy they are replaced, or matched with people of the feed: then the account
goes on with everything that it had. Who is not matched is closed by the same run, and can be
restored. What fits more than one is never guessed: it waits in the list of matches.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from domain.integrations.models import ExistingAccounts
from domain.roster.records import RecordType
from domain.sync.entities import GROUPS, SCHOOLS, USERS, Entity
from domain.sync.lookalikes import (
    Comparison,
    Trait,
    find_pairs,
    folded,
    fresh,
    same,
)
from domain.sync.rules import SAID, Rules
from domain.sync.staging import MAPPED
from domain.sync.waiting import Match, take_out
from domain.validation.codes import Code


class Policy(NamedTuple):
    """`match_keys` are what MATCH_KEYS compares, in their order."""

    existing_accounts: ExistingAccounts
    match_keys: Sequence[str]

    @property
    def links(self) -> bool:
        return self.existing_accounts is not ExistingAccounts.REPLACE


class _Key(NamedTuple):
    """What people are matched by: its name, its word, and SQL for it."""

    reason: str
    word: str
    expression: str


_USERNAME = _Key("USERNAME", "username", folded("{0}.username"))
_KEYS = {
    "number": _Key("NUMBER", "number", folded("{0}.number")),
    "email": _Key("EMAIL", "email address", folded("{0}.email")),
}
_IS_SAME_KIND = "(f.roles @> '{STUDENT}') = (v.roles @> '{STUDENT}')"
"""A student's account is not handed to a teacher, nor the other way."""

_LOOKS = {
    RecordType.SCHOOL: {
        "NUMBER": same(1, "'number'", folded("{0}.number")),
        "CONTENT": same(2, "'name'", folded("{0}.name")),
    },
    RecordType.GROUP: {
        "KEYS": same(1, "'code'", folded("{0}.code") + " || ' ' || {0}.school"),
        "CONTENT": same(2, "'name'", folded("{0}.name") + " || ' ' || {0}.school"),
    },
}


async def find_policy(rules: Rules) -> Policy | None:
    """None: nothing is to be done with what was there before."""
    row = await rules.connection.fetchrow(
        "SELECT existing_accounts, match_keys FROM integrations"
        " WHERE tenant_id = $1 AND id = $2 AND existing_accounts IS NOT NULL",
        rules.context.tenant_id,
        rules.context.integration_id,
    )
    if row is None:
        return None
    return Policy(ExistingAccounts(row["existing_accounts"]), row["match_keys"])


async def match_legacy(rules: Rules, entity: Entity, policy: Policy) -> list[Match]:
    """Link what fits exactly one, and take out who fits several: those."""
    if not policy.links or not await _is_there(rules, entity):
        return []
    if entity is USERS:
        return await _match_people(rules, policy)
    looks = _LOOKS[entity.record_type]
    await _find_pairs(rules, entity, list(looks.values()))
    await _link(rules, entity, list(looks))
    return []


async def _is_there(rules: Rules, entity: Entity) -> bool:
    return bool(
        await rules.connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {entity.table}"
            "  WHERE tenant_id = $1 AND origin = 'LEGACY')",
            rules.context.tenant_id,
        )
        and await rules.connection.fetchval(f"SELECT EXISTS ({fresh(rules, entity)})")
    )


async def _match_people(rules: Rules, policy: Policy) -> list[Match]:
    keys = [_USERNAME]
    if policy.existing_accounts is ExistingAccounts.MATCH_KEYS:
        keys = [_KEYS[name] for name in policy.match_keys]
    traits = [same(n, f"'{key.word}'", key.expression) for n, key in enumerate(keys, 1)]
    await _find_pairs(rules, USERS, traits, fits=_IS_SAME_KIND)
    await _link(rules, USERS, [key.reason for key in keys])
    matches = await _find_ambiguous(rules)
    await take_out(rules, matches)
    await _tell_cases(rules)
    return matches


async def _find_pairs(
    rules: Rules, entity: Entity, traits: Sequence[Trait], *, fits: str = "true"
) -> None:
    """Into `claims`: of each record of the feed the pairs by the first trait that finds any."""
    condition = (
        f"r.tenant_id = '{rules.context.tenant_id}' AND r.origin = 'LEGACY'"
        f" AND NOT EXISTS (SELECT FROM {rules.context.staging.links} n"
        f"  WHERE n.record_type = '{entity.record_type.value}' AND n.id = r.id)"
    )
    if entity is USERS:
        condition += " AND r.merged_into_id IS NULL"
    if entity is USERS and RecordType.USER in rules.deltas:
        condition += f" AND r.id NOT IN ({_asked_about(rules)})"
    await find_pairs(rules, entity, Comparison(traits, condition, fits=fits))
    await rules.execute("DROP TABLE IF EXISTS pg_temp.claims")
    await rules.execute(
        "CREATE TEMPORARY TABLE claims ON COMMIT DROP AS"
        " SELECT b.*, count(*) OVER (PARTITION BY source_id) AS of_fresh,"
        "  count(*) OVER (PARTITION BY id) AS of_stored"
        " FROM (SELECT p.*, min(rank) OVER (PARTITION BY source_id) AS first"
        "   FROM pg_temp.pairs p) b WHERE rank = first"
    )


def _asked_about(rules: Rules) -> str:
    """SQL for the candidates of what waits, which a delta cannot show again."""
    return (
        "SELECT c.id::uuid FROM match_candidates m CROSS JOIN unnest(m.candidate_ids) c (id)"
        f" WHERE m.tenant_id = '{rules.context.tenant_id}' AND m.record_type = 'USER'"
        " AND m.resolved_at IS NULL"
    )


async def _link(rules: Rules, entity: Entity, reasons: Sequence[str]) -> None:
    await rules.execute(
        f"INSERT INTO {rules.context.staging.links} (record_type, source_id, id, reason)"
        " SELECT $1, source_id, id, ($2::text[])[rank] FROM pg_temp.claims"
        " WHERE of_fresh = 1 AND of_stored = 1",
        entity.record_type.value,
        list(reasons),
    )


async def _find_ambiguous(rules: Rules) -> list[Match]:
    rows = await rules.connection.fetch(
        "SELECT c.source_id, array_agg(DISTINCT c.id) AS ids, max(c.of_fresh) AS fitting,"
        "  max(c.of_stored) AS claiming, min(c.shown[1]) AS word"
        " FROM pg_temp.claims c WHERE c.of_fresh > 1 OR c.of_stored > 1"
        " GROUP BY 1 ORDER BY 1"
    )
    return [_match(row["source_id"], row["ids"], row) for row in rows]


def _match(source_id: str, ids: Sequence[UUID], row: dict[str, int]) -> Match:
    if row["fitting"] > 1:
        return Match(
            source_id,
            Code.USER_MATCH_AMBIGUOUS,
            ids,
            expected=f"a {row['word']} of one stored account",
            found=f"{row['fitting']} stored accounts with the same {row['word']}",
        )
    return Match(
        source_id,
        Code.USER_SOURCE_DUPLICATE,
        ids,
        expected=f"a {row['word']} of one person",
        found=f"{row['claiming']} people of the feed with the {row['word']} of a stored account",
    )


async def _tell_cases(rules: Rules) -> None:
    """The provider's spelling of a username is taken, and that is told."""
    own = folded("s.username")
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {SAID}"
        " SELECT $1, 'USER', s.source_id, 'username', u.username, s.username,"
        f"  'USER ' || s.source_id, {MAPPED}, false FROM {rules.context.staging.links} l"
        f" JOIN {rules.table(USERS)} s ON s.source_id = l.source_id"
        " JOIN users u ON u.tenant_id = $2 AND u.id = l.id AND u.origin = 'LEGACY'"
        f" WHERE l.record_type = 'USER' AND s.username <> u.username"
        f" AND {own} = {folded('u.username')}",
        Code.USER_LOGIN_CASE_CHANGED.value,
        rules.context.tenant_id,
    )


async def settle(rules: Rules, matches: Sequence[Match]) -> None:
    """What is not linked is closed, but nobody about whom somebody has still to decide.

    Nor whom an administrator has unlinked: they are somebody else, and were to stay.
    """
    staging = rules.context.staging
    for entity in (SCHOOLS, GROUPS, USERS):
        if entity.record_type in rules.deltas:
            continue
        await rules.execute(
            f"INSERT INTO {staging.settled} (record_type, id)"
            f" SELECT $2, r.id FROM {entity.table} r WHERE r.tenant_id = $1"
            " AND r.origin = 'LEGACY' AND r.archived_at IS NULL AND r.id <> ALL ($3::uuid[])"
            f" AND NOT EXISTS (SELECT FROM {staging.links} l"
            "   WHERE l.record_type = $2 AND l.id = r.id)"
            " AND NOT EXISTS (SELECT FROM identity_links i WHERE i.tenant_id = $1"
            "   AND i.record_type = $2 AND i.record_id = r.id AND i.ended_at IS NOT NULL"
            "   AND i.ended_by NOT LIKE 'run %')",
            rules.context.tenant_id,
            entity.record_type.value,
            [one for match in matches for one in match.ids],
        )


async def keep_eligibility(rules: Rules) -> None:
    """Students who were there before keep what was said of them then, whatever the feed says."""
    links = rules.context.staging.links
    were_there = (
        "SELECT i.record_id FROM identity_links i WHERE i.tenant_id = $1"
        " AND i.record_type = 'USER' AND i.former_origin = 'LEGACY' AND i.ended_at IS NULL"
        f" UNION SELECT l.id FROM {links} l JOIN users u ON u.tenant_id = $1 AND u.id = l.id"
        "  WHERE l.record_type = 'USER' AND u.origin = 'LEGACY'"
    )
    if await rules.connection.fetchval(f"SELECT EXISTS ({were_there})", rules.context.tenant_id):
        await rules.execute(
            f"UPDATE {rules.table(USERS)} s SET is_eligible = u.is_eligible FROM users u"
            f" LEFT JOIN {links} l ON l.record_type = 'USER' AND l.id = u.id"
            f" WHERE u.tenant_id = $1 AND u.id IN ({were_there})"
            "  AND s.source_id = coalesce(l.source_id, u.source_id)"
            "  AND s.roles @> '{STUDENT}' AND s.is_eligible <> u.is_eligible",
            rules.context.tenant_id,
        )
