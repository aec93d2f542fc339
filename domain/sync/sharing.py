"""Sharing rules: what a tenant does not want is taken out of staging before anything is judged.

Each rule is a filter over the whole roster, what a delta did not name included. The ids of what
was left out stay in a note: the plan counts apart the archives that a rule causes. Nobody is told
of problems in what is left out, or of references to it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from domain.integrations.models import SharingSubject
from domain.roster.records import RecordType
from domain.sync.context import RunContext
from domain.sync.entities import GROUPS, SCHOOLS, USERS, Entity
from domain.sync.rules import Rules

SharingRules = Mapping[SharingSubject, Sequence[str]]

_RANKS = {subject: rank for rank, subject in enumerate(SharingSubject)}
_OF_GROUPS = (SharingSubject.COURSE, SharingSubject.SUBJECT, SharingSubject.TERM)
"""Who only learns or teaches is left out with the last of their groups by these."""


def folded(column: str) -> str:
    """SQL for a text as the values of rules, and what is expected, are compared with it."""
    return f'casefold(btrim({column}) COLLATE "pg_unicode_fast")'


def _is_named(column: str) -> str:
    """Whether the rule `$1` names what the column says."""
    return f"{folded(column)} = ANY ($1)"


def _has_named(column: str) -> str:
    """The same of a list."""
    return f"EXISTS (SELECT FROM unnest({column}) AS w (word) WHERE {_is_named('w.word')})"


class _Filter(NamedTuple):
    """How a rule tells what it leaves out. `$1` are its values, `$2` the ids that they name.

    `words` are the SQL expressions of staged rows `s` that a value can name, by type. `parents`
    are of the type whose ids go into `$2`, and `is_parent` says which. `leaves_out` are conditions
    on staged rows `s`, to be asked in their order; `left_out` is what was left out before.
    """

    words: Mapping[RecordType, Sequence[str]]
    leaves_out: Mapping[RecordType, str]
    parents: RecordType | None = None
    is_parent: str = ""


_NAMES = {
    RecordType.SCHOOL: "s.name, s.number",
    RecordType.GROUP: "s.name, s.code AS number",
    RecordType.USER: "NULL AS name, NULL AS number",
}
"""What is noted of a record that is left out, for a preflight to tell."""
_NOT_OF_COURSE = "(s.course_source_id = ANY ($2)) IS NOT TRUE"
_LEFT_OUT_SCHOOLS = "SELECT l.source_id FROM left_out l WHERE l.record_type = 'SCHOOL'"
_FILTERS = {
    SharingSubject.SCHOOL: _Filter(
        words={RecordType.SCHOOL: ("s.source_id", "s.number", "s.name")},
        parents=RecordType.SCHOOL,
        is_parent=" OR ".join(map(_is_named, ("s.source_id", "s.number", "s.name"))),
        leaves_out={
            RecordType.SCHOOL: "s.source_id <> ALL ($2)",
            RecordType.GROUP: f"s.school_source_id IN ({_LEFT_OUT_SCHOOLS})",
            # Who names no school that is known is not left out, but wrong.
            RecordType.USER: (
                "NOT s.school_source_ids && $2 AND NOT s.roles @> '{DISTRICT_ADMIN}'"
                " AND EXISTS (SELECT FROM unnest(s.school_source_ids) AS i (id)"
                f"  WHERE i.id IN ({_LEFT_OUT_SCHOOLS}))"
            ),
        },
    ),
    SharingSubject.GRADE: _Filter(
        words={RecordType.USER: ("unnest(s.grades)",), RecordType.GROUP: ("unnest(s.grades)",)},
        leaves_out={
            RecordType.GROUP: f"s.grades <> '{{}}' AND NOT {_has_named('s.grades')}",
            RecordType.USER: f"s.roles = '{{STUDENT}}' AND NOT {_has_named('s.grades')}",
        },
    ),
    SharingSubject.COURSE: _Filter(
        words={RecordType.COURSE: ("s.source_id", "s.code", "s.name")},
        parents=RecordType.COURSE,
        is_parent=" OR ".join(map(_is_named, ("s.source_id", "s.code", "s.name"))),
        leaves_out={RecordType.GROUP: _NOT_OF_COURSE},
    ),
    SharingSubject.SUBJECT: _Filter(
        words={
            RecordType.COURSE: ("unnest(s.subjects)",),
            RecordType.GROUP: ("unnest(s.subjects)",),
        },
        parents=RecordType.COURSE,
        is_parent=_has_named("s.subjects"),
        leaves_out={RecordType.GROUP: f"{_NOT_OF_COURSE} AND NOT {_has_named('s.subjects')}"},
    ),
    SharingSubject.TERM: _Filter(
        words={RecordType.TERM: ("s.source_id", "s.name")},
        parents=RecordType.TERM,
        is_parent=" OR ".join(map(_is_named, ("s.source_id", "s.name"))),
        leaves_out={RecordType.GROUP: "NOT s.term_source_ids && $2"},
    ),
}


async def leave_out(rules: Rules) -> None:
    """Take out what the rules leave out, and count it with the run."""
    sharing = await _read_rules(rules.context, rules.connection)
    if not sharing:
        return
    unmatched = {}
    for subject, values in sharing.items():
        unmatched[subject] = await _unmatched(rules, subject, values)
        if subject is SharingSubject.SCHOOL and RecordType.SCHOOL in rules.deltas:
            await _note_unnamed_schools(rules)
        await _filter(rules, subject, values)
    if SharingSubject.SCHOOL in sharing:
        await _shorten_schools(rules)
    of_groups = [subject for subject in sharing if subject in _OF_GROUPS]
    if of_groups:
        await _leave_out_groupless(rules, of_groups[0])
    enrollments = await _leave_out_enrollments(rules)
    if rules.deltas & {RecordType.GROUP, RecordType.USER}:
        await _ignore_unknown_enrollments(rules)
    await _forget_problems(rules)
    await _count(rules, unmatched, enrollments)
    for record_type in (RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP):
        await rules.context.staging.analyze(rules.connection, record_type)


async def _read_rules(context: RunContext, connection: asyncpg.Connection) -> SharingRules:
    """Those of a preview, else those that are saved; in the order of their subjects."""
    drafts = await connection.fetchval(
        "SELECT sharing_rules FROM sync_runs WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    found = json.loads(drafts) if drafts else None
    if found is None:
        rows = await connection.fetch(
            "SELECT subject, values FROM sharing_rules"
            " WHERE tenant_id = $1 AND integration_id = $2",
            context.tenant_id,
            context.integration_id,
        )
        found = {row["subject"]: row["values"] for row in rows}
    return {subject: found[subject] for subject in SharingSubject if found.get(subject)}


async def _unmatched(rules: Rules, subject: SharingSubject, values: Sequence[str]) -> list[str]:
    """The values that name nothing. A delta cannot tell that a school is not there."""
    if subject is SharingSubject.SCHOOL and RecordType.SCHOOL in rules.deltas:
        return []
    words = " UNION ALL ".join(
        f"SELECT {word} AS word FROM {rules.context.staging.of(record_type)} s"
        for record_type, expressions in _FILTERS[subject].words.items()
        for word in expressions
    )
    rows = await rules.connection.fetch(
        f"SELECT v.value FROM unnest($1::text[]) WITH ORDINALITY AS v (value, n)"
        f" WHERE {folded('v.value')} NOT IN (SELECT {folded('w.word')}"
        f"  FROM (SELECT DISTINCT word FROM ({words}) a WHERE word IS NOT NULL) w) ORDER BY v.n",
        values,
    )
    return [row["value"] for row in rows]


async def _note_unnamed_schools(rules: Rules) -> None:
    """What a delta names of an unknown school is of one that was left out before."""
    await rules.execute(
        f"INSERT INTO {rules.context.staging.left_out}"
        " SELECT $1, 'SCHOOL', n.id"
        f" FROM (SELECT school_source_id AS id FROM {rules.table(GROUPS)}"
        f"  UNION SELECT unnest(school_source_ids) FROM {rules.table(USERS)}) n"
        f" WHERE NOT EXISTS (SELECT FROM {rules.table(SCHOOLS)} s WHERE s.source_id = n.id)",
        _RANKS[SharingSubject.SCHOOL],
    )


async def _filter(rules: Rules, subject: SharingSubject, values: Sequence[str]) -> None:
    chosen, staging = _FILTERS[subject], rules.context.staging
    wanted = await rules.connection.fetchval(
        f"SELECT array_agg({folded('v')}) FROM unnest($1::text[]) v", values
    )
    parents: list[str] = []
    if chosen.parents:
        parents = await rules.connection.fetchval(
            "SELECT coalesce(array_agg(s.source_id), '{}')"
            f" FROM {staging.of(chosen.parents)} s WHERE {chosen.is_parent}",
            wanted,
        )
    for record_type, condition in chosen.leaves_out.items():
        await rules.execute(
            f"WITH left_out AS (SELECT * FROM {staging.left_out}),"
            f" gone AS (DELETE FROM {staging.of(record_type)} s WHERE {condition}"
            "   AND $1::text[] IS NOT NULL AND $2::text[] IS NOT NULL"
            f"  RETURNING s.source_id, {_NAMES[record_type]})"
            f" INSERT INTO {staging.left_out} SELECT $3, $4, source_id, name, number FROM gone",
            wanted,
            parents,
            _RANKS[subject],
            record_type.value,
        )


async def _shorten_schools(rules: Rules) -> None:
    """Who stays keeps the schools that are shared."""
    left_out = await rules.connection.fetchval(
        f"SELECT array_agg(source_id) FROM {rules.context.staging.left_out}"
        " WHERE record_type = 'SCHOOL'"
    )
    await rules.execute(
        f"UPDATE {rules.table(USERS)} s SET school_source_ids = ARRAY("
        "  SELECT i.id FROM unnest(s.school_source_ids) WITH ORDINALITY AS i (id, n)"
        "  WHERE i.id <> ALL ($1) ORDER BY i.n)"
        " WHERE s.school_source_ids && $1",
        left_out or [],
    )


async def _leave_out_groupless(rules: Rules, first: SharingSubject) -> None:
    """Students and teachers who are in no group that stays.

    They count for the first rule that took a group from them, or else for the first of all.
    """
    staging = rules.context.staging
    enrollments = staging.of(RecordType.MEMBERSHIP)
    await rules.execute(
        f"WITH gone AS (DELETE FROM {rules.table(USERS)} s"
        "  WHERE s.roles <@ '{STUDENT,TEACHER}' AND NOT EXISTS ("
        f"   SELECT FROM {enrollments} e JOIN {rules.table(GROUPS)} g"
        "     ON g.source_id = e.group_source_id WHERE e.user_source_id = s.source_id)"
        "  RETURNING s.source_id)"
        f" INSERT INTO {staging.left_out}"
        " SELECT coalesce(lost.rank, $1), 'USER', gone.source_id FROM gone"
        " LEFT JOIN (SELECT e.user_source_id, min(l.rank) AS rank"
        f"   FROM {enrollments} e JOIN {staging.left_out} l ON l.source_id = e.group_source_id"
        "    AND l.record_type = 'GROUP' AND l.rank = ANY ($2) GROUP BY 1) lost"
        "  ON lost.user_source_id = gone.source_id",
        _RANKS[first],
        [_RANKS[subject] for subject in _OF_GROUPS],
    )


async def _leave_out_enrollments(rules: Rules) -> Mapping[int, int]:
    """Those in a group or of a person that is left out, with their problems. How many by rank."""
    staging = rules.context.staging

    def of(record_type: RecordType) -> str:
        return f"FROM {staging.left_out} WHERE record_type = '{record_type.value}'"

    rows = await rules.connection.fetch(
        f"WITH gone AS (DELETE FROM {staging.of(RecordType.MEMBERSHIP)} e"
        f"  WHERE e.group_source_id IN (SELECT source_id {of(RecordType.GROUP)})"
        f"  OR e.user_source_id IN (SELECT source_id {of(RecordType.USER)})"
        "   RETURNING e.source_id, e.user_source_id, e.group_source_id),"
        f" forgotten AS (DELETE FROM {staging.problems} p USING gone"
        "   WHERE p.record_type = 'MEMBERSHIP' AND p.source_id = gone.source_id)"
        " SELECT least(g.rank, u.rank) AS rank, count(*) AS n FROM gone"
        f" LEFT JOIN (SELECT rank, source_id {of(RecordType.GROUP)}) g"
        "  ON g.source_id = gone.group_source_id"
        f" LEFT JOIN (SELECT rank, source_id {of(RecordType.USER)}) u"
        "  ON u.source_id = gone.user_source_id"
        " GROUP BY 1"
    )
    return {row["rank"]: row["n"] for row in rows}


async def _ignore_unknown_enrollments(rules: Rules) -> None:
    """Whom or what a delta does not name and nobody has stored was left out before."""
    staging = rules.context.staging

    def is_unknown(entity: Entity, column: str) -> str:
        return (
            f"NOT EXISTS (SELECT FROM {rules.table(entity)} s WHERE s.source_id = e.{column})"
            f" AND NOT EXISTS (SELECT FROM {staging.problems} p WHERE p.source_id = e.{column}"
            f"  AND p.record_type = '{entity.record_type.value}')"
        )

    await rules.execute(
        f"WITH gone AS (DELETE FROM {staging.of(RecordType.MEMBERSHIP)} e WHERE NOT e.is_stored"
        f"   AND (({is_unknown(USERS, 'user_source_id')})"
        f"    OR ({is_unknown(GROUPS, 'group_source_id')})) RETURNING e.source_id)"
        f" INSERT INTO {staging.ignored} SELECT $1, source_id, $2 FROM gone",
        RecordType.MEMBERSHIP.value,
        "the person or the group is not shared",
    )


async def _forget_problems(rules: Rules) -> None:
    staging = rules.context.staging
    await rules.execute(
        f"DELETE FROM {staging.problems} p USING {staging.left_out} l"
        " WHERE p.record_type = l.record_type AND p.source_id = l.source_id"
    )


async def _count(
    rules: Rules, unmatched: Mapping[SharingSubject, list[str]], enrollments: Mapping[int, int]
) -> None:
    """Every rule with every type that it concerns, whether it left out any or not."""
    rows = await rules.connection.fetch(
        f"SELECT rank, record_type, count(*) AS n FROM {rules.context.staging.left_out}"
        " GROUP BY rank, record_type"
    )
    counts = {(row["rank"], row["record_type"]): row["n"] for row in rows}
    counts |= {(rank, RecordType.MEMBERSHIP.value): n for rank, n in enrollments.items()}
    told = []
    for subject, values in unmatched.items():
        types = [RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP]
        if subject is SharingSubject.SCHOOL:
            types.insert(0, RecordType.SCHOOL)
        for record_type in types:
            count = counts.get((_RANKS[subject], record_type.value), 0)
            entry = {"subject": subject.value, "record_type": record_type.value, "count": count}
            is_first = record_type is types[0]
            told.append(entry | ({"unmatched": values} if values and is_first else {}))
    await rules.execute(
        "UPDATE sync_runs SET left_out = $3 WHERE tenant_id = $1 AND id = $2",
        rules.context.tenant_id,
        rules.context.run_id,
        json.dumps(told),
    )


async def unknown_schools(context: RunContext, connection: asyncpg.Connection) -> list[str]:
    """The values of the rule about schools that name none of the feed."""
    found = await connection.fetchval(
        "SELECT jsonb_path_query_array(left_out, '$[*] ? (@.subject == \"SCHOOL\").unmatched[*]')"
        " FROM sync_runs WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    return [str(value) for value in json.loads(found)]


async def count_archives(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType
) -> int:
    """How many archives of a plan the rules cause, without those that the accepted preview showed.

    A membership goes with its person or its group.
    """
    staging = context.staging
    if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {staging.left_out})"):
        return 0
    is_caused = f"w.source_id IN (SELECT source_id FROM {staging.left_out} WHERE record_type = $2)"
    if record_type is RecordType.MEMBERSHIP:
        is_caused = " OR ".join(
            f"w.{column} IN (SELECT r.id FROM {table} r"
            f"  JOIN {staging.left_out} l ON l.source_id = r.source_id"
            f"  WHERE r.tenant_id = $1 AND l.record_type = '{name}')"
            for column, table, name in (
                ("user_id", "users", "USER"),
                ("group_id", "groups", "GROUP"),
            )
        )
    return int(
        await connection.fetchval(
            f"SELECT count(*) FROM {staging.work(record_type)} w"
            f" WHERE w.action = 'ARCHIVE' AND ({is_caused}) AND w.id NOT IN ("
            "  SELECT c.record_id FROM sync_changes c JOIN integrations i"
            "   ON i.tenant_id = c.tenant_id AND i.sharing_preview_run_id = c.run_id"
            "  WHERE i.tenant_id = $1 AND i.id = $3 AND c.record_type = $2"
            "   AND c.action = 'ARCHIVE')",
            context.tenant_id,
            record_type.value,
            context.integration_id,
        )
    )
