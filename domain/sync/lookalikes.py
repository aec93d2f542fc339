"""Look-alikes: which records of the feed may be stored ones, and by what they are recognised.

Records have traits of several ranks: rank 1 are keys, the others what a record looks like. Two
records that share a trait are a pair; a pair's rank is that of the best trait that they share.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.roster.records import RecordType
from domain.sync.entities import COURSES, GROUPS, SCHOOLS, TERMS, USERS, Entity
from domain.sync.rules import Rules

KEY = 1
"""The rank of a key."""
_NEWCOMERS = "pg_temp.newcomers"
"""The fresh records that are compared: few on most nights, and asked for again and again."""
_MOST = 20
"""A value that so many records share tells nobody apart: a number 0, an address of the office."""

_IS_TELLING = (
    "({0}.rank, {0}.value) NOT IN (SELECT q.rank, q.value FROM {0} q"
    f" GROUP BY 1, 2 HAVING count(*) > {_MOST})"
)

_SAME_KINDS = {
    # Clever's `sis_id` is what the student information system calls somebody; over OneRoster it
    # is among a user's `userIds`, under whatever name the system gives it.
    "sisid": "sis",
    "sis": "sis",
    # Clever's `student_number` and OneRoster's `identifier` are both `number` here.
    "studentnumber": "number",
    "studentid": "number",
    "localid": "number",
    "identifier": "number",
}
"""Kinds of keys that mean the same, without case and signs. All others mean only themselves."""


class Trait(NamedTuple):
    """`fresh` and `stored` are SQL of a staged row `f` and of a stored row `v`."""

    rank: int
    shown: str
    fresh: str
    stored: str


def folded(expression: str) -> str:
    return f"nullif(casefold(btrim({expression}) COLLATE \"pg_unicode_fast\"), '')"


def same(rank: int, shown: str, expression: str) -> Trait:
    """A trait that is read in the same way on both sides; `{}` is the row."""
    return Trait(rank, shown, expression.format("f"), expression.format("v"))


def fresh(rules: Rules, entity: Entity) -> str:
    """SQL for the records of the feed whose id is not stored and who are not linked yet."""
    name = entity.record_type.value
    return (
        f"SELECT s.* FROM {rules.table(entity)} s WHERE NOT s.is_stored"
        f" AND NOT EXISTS (SELECT FROM {entity.table} r"
        f"  WHERE r.tenant_id = '{rules.context.tenant_id}' AND r.source_id = s.source_id)"
        f" AND NOT EXISTS (SELECT FROM {rules.context.staging.links} l"
        f"  WHERE l.record_type = '{name}' AND l.source_id = s.source_id)"
    )


def fresh_undecided(rules: Rules, entity: Entity) -> str:
    """The same without those of whom an administrator has said that they are somebody else."""
    return (
        f"{fresh(rules, entity)} AND NOT EXISTS (SELECT FROM match_candidates c"
        f" WHERE c.tenant_id = '{rules.context.tenant_id}' AND c.source_id = s.source_id"
        f"  AND c.record_type = '{entity.record_type.value}' AND c.resolution = 'CREATE')"
    )


def has_vanished(rules: Rules, entity: Entity) -> str:
    """SQL for whether a stored record `r` is the provider's, not in the feed, and not linked yet.

    What is in the feed and rejected or left out has not vanished. Nor has a group that is over:
    its place is taken by the next year's, which is another one.
    """
    staging, name = rules.context.staging, entity.record_type.value
    named = f"n.record_type = '{name}' AND n.source_id = r.source_id"
    goes_on = (
        " AND (r.ends_on <= (SELECT (now() AT TIME ZONE t.time_zone)::date FROM tenants t"
        f" WHERE t.id = '{rules.context.tenant_id}')) IS NOT TRUE"
        if entity is GROUPS
        else ""
    )
    return (
        f"r.tenant_id = '{rules.context.tenant_id}' AND r.origin = 'PROVIDER'"
        f" AND NOT EXISTS (SELECT FROM {rules.table(entity)} s"
        "   WHERE s.source_id = r.source_id AND NOT s.is_stored)"
        f" AND NOT EXISTS (SELECT FROM {staging.problems} n WHERE {named} AND n.rejects)"
        f" AND NOT EXISTS (SELECT FROM {staging.left_out} n WHERE {named})"
        f" AND NOT EXISTS (SELECT FROM {staging.ignored} n WHERE {named})"
        f" AND NOT EXISTS (SELECT FROM {staging.links} n"
        f"   WHERE n.record_type = '{name}' AND n.id = r.id){goes_on}"
    )


def is_gone(rules: Rules, entity: Entity) -> str:
    """The same where nobody has decided: of a delta only what it says is deleted, or was before."""
    vanished = has_vanished(rules, entity)
    if entity.record_type not in rules.deltas:
        return vanished
    return (
        f"{vanished} AND (r.archived_at IS NOT NULL OR EXISTS ("
        f"SELECT FROM {rules.context.staging.deleted} d"
        f" WHERE d.record_type = '{entity.record_type.value}' AND d.source_id = r.source_id))"
    )


def may_be_meant(rules: Rules, entity: Entity) -> str:
    """SQL that spares looking at a stored record `r` which shares no key with any fresh one."""
    return (
        "(r.keys && (SELECT array_agg(k.key)"
        f"  FROM {_NEWCOMERS} q CROSS JOIN unnest(q.keys) k (key))"
        f" OR r.number IN (SELECT q.number FROM {_NEWCOMERS} q WHERE q.number IS NOT NULL)"
        " OR r.id IN (SELECT x.record_id FROM external_keys x"
        f"  WHERE x.tenant_id = '{rules.context.tenant_id}' AND x.kind = 'source_id'"
        f"  AND x.record_type = '{entity.record_type.value}'"
        f"  AND x.value IN (SELECT q.source_id FROM {_NEWCOMERS} q)))"
    )


def fresh_rows(rules: Rules, entity: Entity) -> str:
    """Fresh records with what tells them apart beside their own fields."""
    if entity is USERS:
        return f"SELECT q.*, q.school_source_ids[1] AS school FROM {_NEWCOMERS} q"
    if entity is not GROUPS:
        return f"SELECT q.* FROM {_NEWCOMERS} q"
    return (
        "SELECT q.source_id, q.name, q.code, q.keys, q.school_source_id AS school,"
        f" {folded('co.name')} AS course, d.starts_on, d.ends_on FROM {_NEWCOMERS} q"
        f" LEFT JOIN {rules.table(COURSES)} co ON co.source_id = q.course_source_id"
        " LEFT JOIN (SELECT g.ids, min(t.starts_on) AS starts_on, max(t.ends_on) AS ends_on"
        f"   FROM (SELECT DISTINCT term_source_ids AS ids FROM {rules.table(GROUPS)}) g"
        f"   JOIN {rules.table(TERMS)} t ON t.source_id = ANY (g.ids) GROUP BY 1) d"
        "  ON d.ids = q.term_source_ids"
    )


def stored_rows(rules: Rules, entity: Entity, condition: str) -> str:
    """Stored records `r` that fit, in the same shape: their schools as the feed calls them."""
    tenant = rules.context.tenant_id
    if entity is SCHOOLS:
        return f"SELECT r.* FROM schools r WHERE {condition}"
    schools = (
        f"SELECT sc.id, coalesce(l.source_id, sc.source_id) AS source_id FROM schools sc"
        f" LEFT JOIN {rules.context.staging.links} l ON l.record_type = 'SCHOOL' AND l.id = sc.id"
        f" WHERE sc.tenant_id = '{tenant}'"
    )
    if entity is USERS:
        return (
            "SELECT r.*, sc.source_id AS school FROM users r"
            f" LEFT JOIN school_affiliations a ON a.tenant_id = '{tenant}' AND a.user_id = r.id"
            f"  AND a.position = 1 LEFT JOIN ({schools}) sc ON sc.id = a.school_id"
            f" WHERE {condition}"
        )
    return (
        f"SELECT r.*, sc.source_id AS school, {folded('co.name')} AS course FROM groups r"
        f" JOIN ({schools}) sc ON sc.id = r.school_id"
        f" LEFT JOIN courses co ON co.tenant_id = '{tenant}' AND co.id = r.course_id"
        f" WHERE {condition}"
    )


LOOKS = {
    RecordType.SCHOOL: (
        same(KEY, "'number:' || {0}.number", "'number:' || nullif({0}.number, '')"),
        same(2, "'name'", folded("{0}.name")),
    ),
    RecordType.GROUP: (
        same(2, "'code and school'", folded("{0}.code") + " || ' ' || {0}.school"),
        same(
            3,
            "'name, course and school'",
            folded("{0}.name") + " || ' ' || coalesce({0}.course, '') || ' ' || {0}.school",
        ),
    ),
    RecordType.USER: (
        same(KEY, "'number:' || {0}.number", "'number:' || nullif({0}.number, '')"),
        same(2, "'username'", folded("{0}.username")),
        same(3, "'email address'", folded("{0}.email")),
        same(
            4,
            "'name, grade and school'",
            folded("{0}.given_name || ' ' || {0}.family_name")
            + " || ' ' || array_to_string({0}.grades, ',') || ' ' || {0}.school",
        ),
    ),
}
"""By what records are recognised beside their keys."""

FITS = {
    RecordType.SCHOOL: "true",
    # A class of another time is another class, whatever it is called; a key says more.
    RecordType.GROUP: (
        "(f.rank = 1 OR ((f.starts_on IS NULL OR v.ends_on IS NULL OR f.starts_on < v.ends_on)"
        " AND (f.ends_on IS NULL OR v.starts_on IS NULL OR v.starts_on < f.ends_on)))"
    ),
    RecordType.USER: "f.roles && v.roles",
}
"""What two records with a trait in common must agree in besides."""
_CARRIED = {
    RecordType.SCHOOL: "",
    RecordType.GROUP: ", q.starts_on, q.ends_on",
    RecordType.USER: ", q.roles",
}


class Comparison(NamedTuple):
    """What is compared: fresh records with the stored ones for which `condition` holds.

    `keys` are SQL for keys beside the record's own, of a fresh row and of a stored one; None:
    keys do not count. Two records must agree in `fits` besides.
    """

    traits: Sequence[Trait]
    condition: str
    keys: Sequence[str] | None = None
    fits: str = "true"


async def find_pairs(rules: Rules, entity: Entity, compared: Comparison) -> None:
    """Fill the temporary table `pairs` (source_id, id, former, is_live, rank, shown)."""
    traits, keys, fits = compared.traits, compared.keys, compared.fits
    of_feed = fresh_rows(rules, entity)
    of_stored = stored_rows(rules, entity, compared.condition)
    of_f = [f"SELECT {t.rank}, {t.fresh}, {t.shown.format('f')}" for t in traits]
    of_v = [f"SELECT {t.rank}, {t.stored}, NULL" for t in traits]
    if keys is not None:
        of_f += [f"SELECT 1, {_normal('k.key')}, k.key FROM unnest(f.keys) k (key)", keys[0]]
        of_v += [f"SELECT 1, {_normal('k.key')}, NULL FROM unnest(v.keys) k (key)", keys[1]]
    carried = _CARRIED[entity.record_type]
    await rules.execute(f"DROP TABLE IF EXISTS {_NEWCOMERS}, pg_temp.pairs")
    await rules.execute(
        f"CREATE TEMPORARY TABLE {_NEWCOMERS} ON COMMIT DROP AS {fresh_undecided(rules, entity)}"
    )
    await rules.execute(f"ANALYZE {_NEWCOMERS}")
    await rules.execute(
        "CREATE TEMPORARY TABLE pairs ON COMMIT DROP AS"
        f" WITH f AS ({_traits('f', of_feed, of_f, carried)}),"
        f" v AS ({_traits('v', of_stored, of_v, f', q.id, q.archived_at{carried}')}"
        "   AND q.value IN (SELECT f.value FROM f))"
        " SELECT f.source_id, v.id, v.source_id AS former, v.archived_at IS NULL AS is_live,"
        "  min(f.rank) AS rank, array_agg(DISTINCT f.shown) AS shown"
        f" FROM f JOIN v ON v.rank = f.rank AND v.value = f.value AND {fits}"
        f" WHERE {_IS_TELLING.format('f')} AND {_IS_TELLING.format('v')}"
        f" AND NOT EXISTS ({_was_undone(rules, entity)})"
        " GROUP BY 1, 2, 3, 4"
    )
    await rules.execute("ANALYZE pg_temp.pairs")


def _traits(row: str, selected: str, values: Sequence[str], carried: str) -> str:
    """SQL for the traits of the rows that are selected: as many of each row as it has."""
    return (
        f"SELECT q.source_id{carried}, q.rank, q.value, q.shown FROM (SELECT {row}.*, t.*"
        f"  FROM ({selected}) {row} CROSS JOIN LATERAL ({' UNION ALL '.join(values)})"
        "   AS t (rank, value, shown)) q WHERE q.value IS NOT NULL"
    )


def keys_beside(rules: Rules, entity: Entity, *, are_ours: bool, were_ours: bool) -> list[str]:
    """SQL for the keys that are no field: earlier ids, and ids of the student information system.

    Over OneRoster a record's id is what the student information system calls it: `are_ours`, the
    feed's ids are such; `were_ours`, the stored ones.
    """
    ours = "SELECT 1, 'sis:' || {0}.source_id, 'id:' || {0}.source_id"
    earlier = (
        "SELECT 1, 'source_id:' || x.value, NULL FROM external_keys x"
        f" WHERE x.tenant_id = '{rules.context.tenant_id}' AND x.kind = 'source_id'"
        f" AND x.record_type = '{entity.record_type.value}' AND x.record_id = v.id"
    )
    own = "SELECT 1, 'source_id:' || f.source_id, 'id:' || f.source_id"
    return [
        f"{own} UNION ALL {ours.format('f')}" if are_ours else own,
        f"{earlier} UNION ALL {ours.format('v')}" if were_ours else earlier,
    ]


def _normal(key: str) -> str:
    """SQL for a key whose kind is the same at every provider."""
    kind = f"regexp_replace(lower(split_part({key}, ':', 1)), '[^a-z0-9]+', '', 'g')"
    cases = " ".join(f"WHEN '{name}' THEN '{same_as}'" for name, same_as in _SAME_KINDS.items())
    return f"CASE {kind} {cases} ELSE {kind} END || substr({key}, strpos({key}, ':'))"


def _was_undone(rules: Rules, entity: Entity) -> str:
    """What an administrator has unlinked is not linked again by itself."""
    return (
        f"SELECT FROM identity_links i WHERE i.tenant_id = '{rules.context.tenant_id}'"
        f" AND i.record_type = '{entity.record_type.value}' AND i.record_id = v.id"
        # A run that was reverted is another matter: then everything begins as it was.
        " AND i.source_id = f.source_id AND i.ended_at IS NOT NULL"
        " AND i.ended_by NOT LIKE 'run %'"
    )
