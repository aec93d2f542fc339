"""Validate: rules over the staged set. What concerns one record alone is the source's to say.

Each rule is one or two statements over all records. A rule either drops a value (the record goes
on) or rejects the record; a rejected record is replaced by what is stored of it, so that it is
neither changed nor taken for gone. What was put there from what is stored is never judged.
"""

from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from domain.roster.records import RecordType
from domain.sync.complete import complete_enrollments, complete_entity
from domain.sync.context import RunContext
from domain.sync.entities import COURSES, ENTITIES, GROUPS, SCHOOLS, TERMS, USERS, Entity
from domain.sync.fetch import delta_types
from domain.sync.models import SyncRunState
from domain.sync.staging import MAPPED
from domain.sync.usernames import reject_taken_usernames
from domain.validation.codes import Code


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one run: its context, the transaction's connection, and what is a delta."""

    context: RunContext
    connection: asyncpg.Connection
    deltas: frozenset[RecordType]

    def table(self, entity: Entity) -> str:
        return self.context.staging.of(entity.record_type)

    async def execute(self, sql: str, *arguments: object) -> None:
        await self.connection.execute(sql, *arguments)

    async def complete(self, entity: Entity) -> None:
        await complete_entity(
            self.context,
            self.connection,
            entity,
            is_delta=entity.record_type in self.deltas,
        )


class Finding(NamedTuple):
    """What a problem says of a staged row `s`. `found` and `cause` are SQL, the others text."""

    code: Code
    field: str | None
    expected: str
    found: str
    cause: str


_SAID = "(code, record_type, source_id, field, expected, found, cause, record, rejects)"
"""The columns of a problem, in the order in which every rule here fills them."""


async def validate(context: RunContext) -> None:
    async with context.step(SyncRunState.PLANNING) as connection:
        rules = Rules(context, connection, frozenset(await delta_types(context, connection)))
        for record_type in RecordType:
            await context.staging.analyze(connection, record_type)
        for entity in ENTITIES:
            await _reject_duplicates(rules, entity)
        for entity in (SCHOOLS, TERMS, COURSES):
            await rules.complete(entity)
        await _check_schools(rules)
        await _check_groups(rules)
        await _check_users(rules)
        await complete_enrollments(
            context, connection, is_delta=RecordType.MEMBERSHIP in rules.deltas
        )
        await _note_empty_groups(rules)


async def _note(rules: Rules, entity: Entity, finding: Finding, *, where: str) -> None:
    """A problem for every record that the source staged and that fits; the record goes on."""
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {_SAID}"
        f" SELECT $1, $2, s.source_id, $3, $4, {finding.found}, {finding.cause}, {MAPPED}, false"
        f" FROM {rules.table(entity)} s WHERE NOT s.is_stored AND {where}",
        finding.code.value,
        entity.record_type.value,
        finding.field,
        finding.expected,
    )


async def _reject(rules: Rules, entity: Entity, finding: Finding, *, where: str) -> None:
    """The same, and the record is taken out. What is stored already is never judged again."""
    await rules.execute(
        f"WITH gone AS (DELETE FROM {rules.table(entity)} s"
        f"   WHERE NOT s.is_stored AND {where} RETURNING s.*)"
        f" INSERT INTO {rules.context.staging.problems} {_SAID}"
        f" SELECT $1, $2, s.source_id, $3, $4, {finding.found}, {finding.cause}, {MAPPED}, true"
        " FROM gone s",
        finding.code.value,
        entity.record_type.value,
        finding.field,
        finding.expected,
    )


async def _drop_missing_reference(
    rules: Rules, entity: Entity, finding: Finding, *, column: str, where: str
) -> None:
    """A single reference that fits is left out, with a problem."""
    await _note(rules, entity, finding, where=f"s.{column} IS NOT NULL AND {where}")
    await rules.execute(
        f"UPDATE {rules.table(entity)} s SET {column} = NULL"
        f" WHERE NOT s.is_stored AND s.{column} IS NOT NULL AND {where}"
    )


async def _drop_missing_references(
    rules: Rules, entity: Entity, code: Code, *, column: str, field: str, parent: Entity
) -> None:
    """Ids that are not in the feed are left out of a list of references, with a problem each."""
    table, name = rules.table(entity), parent.record_type.value
    missing = await rules.connection.fetchval(
        f"SELECT array_agg(DISTINCT r.id) FROM (SELECT DISTINCT {column} AS ids FROM {table}"
        "   WHERE NOT is_stored) s CROSS JOIN unnest(s.ids) AS r (id)"
        f" WHERE NOT EXISTS (SELECT FROM {rules.table(parent)} p WHERE p.source_id = r.id)"
    )
    if not missing:
        return
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {_SAID}"
        f" SELECT $2, $3, s.source_id, $4, $5, r.id, $6 || ' ' || r.id, {MAPPED}, false"
        f" FROM {table} s CROSS JOIN unnest(s.{column}) AS r (id)"
        " WHERE NOT s.is_stored AND r.id = ANY ($1)",
        missing,
        code.value,
        entity.record_type.value,
        field,
        f"a {name.lower()} of the feed",
        name,
    )
    await rules.execute(
        f"UPDATE {table} s SET {column} = ARRAY(SELECT r.id FROM unnest(s.{column})"
        "   WITH ORDINALITY AS r (id, n) WHERE r.id <> ALL ($1) ORDER BY r.n)"
        f" WHERE NOT s.is_stored AND s.{column} && $1",
        missing,
    )


async def _reject_duplicates(rules: Rules, entity: Entity) -> None:
    """The first record of an id is taken; rows of a fresh COPY lie in the order of reading.

    Enrollments with one id are the plan's to find: it looks only where something differs.
    """
    table = rules.table(entity)
    await rules.execute(
        "WITH twins AS ("
        f"  SELECT source_id, min(ctid) AS first FROM {table}"
        "   GROUP BY source_id HAVING count(*) > 1),"
        f" gone AS (DELETE FROM {table} s USING twins t"
        "   WHERE s.source_id = t.source_id AND s.ctid <> t.first RETURNING s.*)"
        f" INSERT INTO {rules.context.staging.problems} {_SAID}"
        " SELECT $1, $2, s.source_id, 'sourcedId', 'an id of its own', 'an id used before',"
        f" $2 || ' ' || s.source_id, {MAPPED}, true FROM gone s",
        Code.ID_DUPLICATE.value,
        entity.record_type.value,
    )


async def _check_schools(rules: Rules) -> None:
    ignored = rules.context.staging.ignored
    await _drop_missing_reference(
        rules,
        SCHOOLS,
        Finding(
            Code.ORG_PARENT_MISSING,
            "parentSourcedId",
            "an organisation of the feed",
            "s.parent_source_id",
            "'SCHOOL ' || s.parent_source_id",
        ),
        column="parent_source_id",
        where=(
            f"NOT EXISTS (SELECT FROM {rules.table(SCHOOLS)} p"
            "   WHERE p.source_id = s.parent_source_id)"
            f" AND NOT EXISTS (SELECT FROM {ignored} i"
            "   WHERE i.record_type = 'SCHOOL' AND i.source_id = s.parent_source_id)"
        ),
    )


async def _check_groups(rules: Rules) -> None:
    own = "'GROUP ' || s.source_id"
    await _reject(
        rules,
        GROUPS,
        Finding(Code.CLASS_NAME_MISSING, "title", "a name", "''", own),
        where="btrim(s.name) = ''",
    )
    await _reject(
        rules,
        GROUPS,
        Finding(
            Code.CLASS_SCHOOL_MISSING,
            "schoolSourcedId",
            "a school of the feed",
            "s.school_source_id",
            "'SCHOOL ' || s.school_source_id",
        ),
        where=(
            f"NOT EXISTS (SELECT FROM {rules.table(SCHOOLS)} sc"
            " WHERE sc.source_id = s.school_source_id)"
        ),
    )
    await rules.complete(GROUPS)
    await _drop_missing_reference(
        rules,
        GROUPS,
        Finding(
            Code.COURSE_REF_MISSING,
            "courseSourcedId",
            "a course of the feed",
            "s.course_source_id",
            "'COURSE ' || s.course_source_id",
        ),
        column="course_source_id",
        where=(
            f"NOT EXISTS (SELECT FROM {rules.table(COURSES)} c"
            " WHERE c.source_id = s.course_source_id)"
        ),
    )
    await _drop_missing_references(
        rules,
        GROUPS,
        Code.TERM_MISSING,
        column="term_source_ids",
        field="termSourcedIds",
        parent=TERMS,
    )
    await _date_groups(rules)
    await _note_twin_names(rules)


async def _date_groups(rules: Rules) -> None:
    """A group's dates span its terms; most groups share a few lists of terms.

    A stored group may name a term that is gone: then its dates stay as they are.
    """
    groups = rules.table(GROUPS)
    await rules.execute(
        f"UPDATE {groups} s SET starts_on = d.starts_on, ends_on = d.ends_on"
        " FROM (SELECT g.ids, min(t.starts_on) AS starts_on, max(t.ends_on) AS ends_on"
        f"   FROM (SELECT DISTINCT term_source_ids AS ids FROM {groups}) g"
        f"   JOIN {rules.table(TERMS)} t ON t.source_id = ANY (g.ids) GROUP BY g.ids"
        "   HAVING count(DISTINCT t.source_id) = cardinality(g.ids)) d"
        " WHERE d.ids = s.term_source_ids"
    )


async def _note_twin_names(rules: Rules) -> None:
    """Of several classes with the same school, name and terms all but the first are told."""
    same = "school_source_id, name, term_source_ids"
    groups = rules.table(GROUPS)
    if await rules.connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {groups} GROUP BY {same} HAVING count(*) > 1)"
    ):
        await _note(
            rules,
            GROUPS,
            Finding(
                Code.CLASS_NAME_DUPLICATE,
                "title",
                "a name of its own",
                "s.name",
                "'GROUP NAME ' || s.school_source_id || ' ' || s.name",
            ),
            where=(
                "s.ctid IN (SELECT t.place FROM (SELECT ctid AS place,"
                f" row_number() OVER (PARTITION BY {same} ORDER BY ctid) AS n FROM {groups}) t"
                " WHERE t.n > 1)"
            ),
        )


async def _check_users(rules: Rules) -> None:
    own = "'USER ' || s.source_id"
    await rules.complete(USERS)
    await _drop_missing_references(
        rules,
        USERS,
        Code.USER_SCHOOL_MISSING,
        column="school_source_ids",
        field="orgSourcedIds",
        parent=SCHOOLS,
    )
    await _reject(
        rules,
        USERS,
        Finding(Code.USER_NO_SCHOOL, "orgSourcedIds", "a school of the feed", "''", own),
        where="s.school_source_ids = '{}' AND NOT s.roles @> '{DISTRICT_ADMIN}'",
    )
    await rules.complete(USERS)
    await reject_taken_usernames(rules.context, rules.connection)
    await _note(
        rules,
        USERS,
        Finding(Code.USER_MULTI_ROLE, "role", "one role", "array_to_string(s.roles, ', ')", own),
        where="cardinality(s.roles) > 1",
    )
    await _note(
        rules,
        USERS,
        Finding(Code.USER_GRADE_MISSING, "grades", "a grade", "''", own),
        where="s.grades = '{}' AND s.roles @> '{STUDENT}'",
    )
    await _note(
        rules,
        USERS,
        Finding(
            Code.USER_EMAIL_DUPLICATE,
            "email",
            "an address of their own",
            "s.email",
            "'EMAIL ' || s.email",
        ),
        where=(
            f"s.email IN (SELECT email FROM {rules.table(USERS)} WHERE email IS NOT NULL"
            " GROUP BY email HAVING count(*) > 1)"
        ),
    )


async def _note_empty_groups(rules: Rules) -> None:
    enrollments = rules.context.staging.of(RecordType.MEMBERSHIP)
    for code, role in ((Code.CLASS_NO_TEACHER, "TEACHER"), (Code.CLASS_EMPTY, "STUDENT")):
        await _note(
            rules,
            GROUPS,
            Finding(
                code, None, f"an enrollment as {role.lower()}", "''", "'GROUP ' || s.source_id"
            ),
            where=(
                f"NOT EXISTS (SELECT FROM {enrollments} e"
                f" WHERE e.group_source_id = s.source_id AND e.role = '{role}')"
            ),
        )
