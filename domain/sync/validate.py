"""Validate: rules over the staged set. What concerns one record alone is the source's to say.

Each rule is one or two statements over all records. A rule either drops a value (the record goes
on) or rejects the record; a rejected record is replaced by what is stored of it, so that it is
neither changed nor taken for gone.
"""

from dataclasses import dataclass

import asyncpg

from domain.roster.records import RecordType
from domain.sync.complete import complete_enrollments, complete_entity
from domain.sync.context import RunContext
from domain.sync.entities import COURSES, GROUPS, SCHOOLS, TERMS, USERS, Entity
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


async def validate(context: RunContext) -> None:
    async with context.step(SyncRunState.PLANNING) as connection:
        rules = Rules(context, connection, frozenset(await delta_types(context, connection)))
        for record_type in RecordType:
            await context.staging.analyze(connection, record_type)
            await _reject_duplicates(rules, record_type)
        for entity in (SCHOOLS, TERMS, COURSES):
            await rules.complete(entity)
        await _check_schools(rules)
        await _check_groups(rules)
        await _check_users(rules)
        await complete_enrollments(
            context, connection, is_delta=RecordType.MEMBERSHIP in rules.deltas
        )
        await _note_empty_groups(rules)


async def _reject_duplicates(rules: Rules, record_type: RecordType) -> None:
    """The first record of an id is taken; rows of a fresh COPY lie in the order of reading."""
    table = rules.context.staging.of(record_type)
    await rules.execute(
        "WITH twins AS ("
        f"  SELECT source_id, min(ctid) AS first FROM {table}"
        "   GROUP BY source_id HAVING count(*) > 1),"
        f" gone AS (DELETE FROM {table} s USING twins t"
        "   WHERE s.source_id = t.source_id AND s.ctid <> t.first RETURNING s.*)"
        f" INSERT INTO {rules.context.staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record, rejects)"
        " SELECT $1, $2, s.source_id, 'sourcedId', 'an id of its own', 'an id used before',"
        f" $2 || ' ' || s.source_id, {MAPPED}, true FROM gone s",
        Code.ID_DUPLICATE.value,
        record_type.value,
    )


async def _check_schools(rules: Rules) -> None:
    schools, staging = rules.table(SCHOOLS), rules.context.staging
    await rules.execute(
        f"WITH changed AS (UPDATE {schools} s SET parent_source_id = NULL"
        f"  FROM {schools} before WHERE before.ctid = s.ctid AND s.parent_source_id IS NOT NULL"
        f"  AND NOT EXISTS (SELECT FROM {schools} p WHERE p.source_id = s.parent_source_id)"
        f"  AND NOT EXISTS (SELECT FROM {staging.ignored} i WHERE i.record_type = 'SCHOOL'"
        "    AND i.source_id = s.parent_source_id)"
        "  RETURNING s.*, before.parent_source_id AS missing)"
        f" INSERT INTO {staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record)"
        " SELECT $1, 'SCHOOL', s.source_id, 'parentSourcedId', 'an organisation of the feed',"
        f" s.missing, 'SCHOOL ' || s.missing, {MAPPED} - 'missing' FROM changed s",
        Code.ORG_PARENT_MISSING.value,
    )


async def _check_groups(rules: Rules) -> None:
    groups, staging = rules.table(GROUPS), rules.context.staging
    await _reject(
        rules,
        GROUPS,
        Code.CLASS_NAME_MISSING,
        condition="btrim(s.name) = ''",
        field="title",
        expected="a name",
        found="''",
        cause="'GROUP ' || s.source_id",
    )
    await _reject(
        rules,
        GROUPS,
        Code.CLASS_SCHOOL_MISSING,
        condition=(
            f"NOT EXISTS (SELECT FROM {rules.table(SCHOOLS)} sc"
            " WHERE sc.source_id = s.school_source_id)"
        ),
        field="schoolSourcedId",
        expected="a school of the feed",
        found="s.school_source_id",
        cause="'SCHOOL ' || s.school_source_id",
    )
    await rules.complete(GROUPS)
    await rules.execute(
        f"WITH changed AS (UPDATE {groups} s SET course_source_id = NULL FROM {groups} before"
        "  WHERE before.ctid = s.ctid AND s.course_source_id IS NOT NULL"
        f"  AND NOT EXISTS (SELECT FROM {rules.table(COURSES)} c"
        "    WHERE c.source_id = s.course_source_id)"
        "  RETURNING s.*, before.course_source_id AS missing)"
        f" INSERT INTO {staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record)"
        " SELECT $1, 'GROUP', s.source_id, 'courseSourcedId', 'a course of the feed', s.missing,"
        f" 'COURSE ' || s.missing, {MAPPED} - 'missing' FROM changed s",
        Code.COURSE_REF_MISSING.value,
    )
    await _drop_missing_references(
        rules,
        GROUPS,
        Code.TERM_MISSING,
        column="term_source_ids",
        field="termSourcedIds",
        expected="a term of the feed",
        parent=TERMS,
    )
    await rules.execute(
        f"UPDATE {groups} s SET starts_on = d.starts_on, ends_on = d.ends_on"
        " FROM (SELECT g.ids, min(t.starts_on) AS starts_on, max(t.ends_on) AS ends_on"
        f"   FROM (SELECT DISTINCT term_source_ids AS ids FROM {groups}) g"
        f"   JOIN {rules.table(TERMS)} t ON t.source_id = ANY (g.ids) GROUP BY g.ids) d"
        " WHERE d.ids = s.term_source_ids"
    )
    await _note_twin_names(rules)


async def _note_twin_names(rules: Rules) -> None:
    groups = rules.table(GROUPS)
    if not await rules.connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {groups}"
        " GROUP BY school_source_id, name, term_source_ids HAVING count(*) > 1)"
    ):
        return
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record)"
        " SELECT $1, 'GROUP', s.source_id, 'title', 'a name of its own', s.name,"
        f" 'GROUP NAME ' || s.school_source_id || ' ' || s.name, {MAPPED} FROM ("
        "   SELECT g.*, count(*) OVER same AS twins, row_number() OVER (same ORDER BY g.ctid) AS n"
        f"   FROM {groups} g"
        "   WINDOW same AS (PARTITION BY g.school_source_id, g.name, g.term_source_ids)"
        " ) s WHERE s.twins > 1 AND s.n > 1",
        Code.CLASS_NAME_DUPLICATE.value,
    )


async def _check_users(rules: Rules) -> None:
    await rules.complete(USERS)
    await _drop_missing_references(
        rules,
        USERS,
        Code.USER_SCHOOL_MISSING,
        column="school_source_ids",
        field="orgSourcedIds",
        expected="a school of the feed",
        parent=SCHOOLS,
    )
    await _reject(
        rules,
        USERS,
        Code.USER_NO_SCHOOL,
        condition="s.school_source_ids = '{}' AND NOT s.roles @> '{DISTRICT_ADMIN}'",
        field="orgSourcedIds",
        expected="a school of the feed",
        found="''",
        cause="'USER ' || s.source_id",
    )
    await rules.complete(USERS)
    await reject_taken_usernames(rules.context, rules.connection)
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record)"
        " SELECT $1, 'USER', s.source_id, 'email', 'an address of their own', s.email,"
        f" 'EMAIL ' || s.email, {MAPPED} FROM {rules.table(USERS)} s"
        f" JOIN (SELECT email FROM {rules.table(USERS)} WHERE email IS NOT NULL"
        "   GROUP BY email HAVING count(*) > 1) twins USING (email)",
        Code.USER_EMAIL_DUPLICATE.value,
    )


async def _reject(  # noqa: PLR0913 - what a problem says
    rules: Rules,
    entity: Entity,
    code: Code,
    *,
    condition: str,
    field: str,
    expected: str,
    found: str,
    cause: str,
) -> None:
    """Take the staged records that fit `condition` out, with a problem in place of each.

    What is stored already is never judged again.
    """
    await rules.execute(
        f"WITH gone AS (DELETE FROM {rules.table(entity)} s"
        f"   WHERE NOT s.is_stored AND {condition} RETURNING s.*)"
        f" INSERT INTO {rules.context.staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record, rejects)"
        f" SELECT $1, $2, s.source_id, $3, $4, {found}, {cause}, {MAPPED}, true FROM gone s",
        code.value,
        entity.record_type.value,
        field,
        expected,
    )


async def _drop_missing_references(  # noqa: PLR0913 - what a problem says
    rules: Rules,
    entity: Entity,
    code: Code,
    *,
    column: str,
    field: str,
    expected: str,
    parent: Entity,
) -> None:
    """Take ids that are not in the feed out of a list of references, with a problem for each."""
    table, problems = rules.table(entity), rules.context.staging.problems
    missing = await rules.connection.fetchval(
        f"SELECT array_agg(DISTINCT r.id) FROM {table} s CROSS JOIN unnest(s.{column}) AS r (id)"
        f" WHERE NOT EXISTS (SELECT FROM {rules.table(parent)} p WHERE p.source_id = r.id)"
    )
    if not missing:
        return
    await rules.execute(
        f"INSERT INTO {problems}"
        " (code, record_type, source_id, field, expected, found, cause, record)"
        f" SELECT $2, $3, s.source_id, $4, $5, r.id, $6 || ' ' || r.id, {MAPPED}"
        f" FROM {table} s CROSS JOIN unnest(s.{column}) AS r (id)"
        " WHERE s.is_stored IS FALSE AND r.id = ANY ($1)",
        missing,
        code.value,
        entity.record_type.value,
        field,
        expected,
        parent.record_type.value,
    )
    await rules.execute(
        f"UPDATE {table} s SET {column} = ARRAY(SELECT r.id FROM unnest(s.{column})"
        "   WITH ORDINALITY AS r (id, n) WHERE r.id <> ALL ($1) ORDER BY r.n)"
        f" WHERE s.{column} && $1",
        missing,
    )


async def _note_empty_groups(rules: Rules) -> None:
    enrollments = rules.context.staging.of(RecordType.MEMBERSHIP)
    for code, role in ((Code.CLASS_NO_TEACHER, "TEACHER"), (Code.CLASS_EMPTY, "STUDENT")):
        await rules.execute(
            f"INSERT INTO {rules.context.staging.problems}"
            " (code, record_type, source_id, expected, cause, record)"
            " SELECT $1, 'GROUP', s.source_id, 'at least one enrollment as ' || lower($2),"
            f" 'GROUP ' || s.source_id, {MAPPED} FROM {rules.table(GROUPS)} s"
            f" WHERE NOT EXISTS (SELECT FROM {enrollments} e"
            "   WHERE e.group_source_id = s.source_id AND e.role = $2)",
            code.value,
            role,
        )
