"""Validate: rules over the staged set. What concerns one record alone is the source's to say.

Each rule is one or two statements over all records. A rule either drops a value (the record goes
on) or rejects the record; a rejected record is replaced by what is stored of it, so that it is
neither changed nor taken for gone. What was put there from what is stored is never judged.
"""

from domain.roster.records import RecordType
from domain.sync.complete import complete_enrollments
from domain.sync.context import RunContext
from domain.sync.entities import COURSES, ENTITIES, GROUPS, SCHOOLS, TERMS, Entity
from domain.sync.fetch import delta_types
from domain.sync.linking import link_records
from domain.sync.models import SyncRunState
from domain.sync.people import (
    check_users,
    give_schools,
    note_students_of_several_groups,
    require_eligible_students,
)
from domain.sync.rules import (
    MOST_EXAMPLES,
    SAID,
    Finding,
    Rules,
    drop_missing_reference,
    drop_missing_references,
    note,
    reject,
    tell_number,
)
from domain.sync.sharing import leave_out
from domain.sync.staging import MAPPED
from domain.validation.codes import Code


async def validate(context: RunContext) -> None:
    async with context.step(SyncRunState.PLANNING) as connection:
        rules = Rules(context, connection, frozenset(await delta_types(context, connection)))
        for record_type in RecordType:
            await context.staging.analyze(connection, record_type)
        await _forget_unused_files(rules)
        for entity in ENTITIES:
            await _reject_duplicates(rules, entity)
        for entity in ENTITIES:
            await rules.complete(entity)
        await complete_enrollments(
            context, connection, is_delta=RecordType.MEMBERSHIP in rules.deltas
        )
        await require_eligible_students(rules)
        await give_schools(rules)
        await leave_out(rules)
        await _note_left_out_schools(rules)
        await link_records(rules)
        await _check_schools(rules)
        await _check_groups(rules)
        await check_users(rules)
        await _note_empty_groups(rules)
        await note_students_of_several_groups(rules)


async def _forget_unused_files(rules: Rules) -> None:
    """An optional file is missed only where something is stored that once stood in it."""
    problems = rules.context.staging.problems
    tables = {entity.record_type: entity.table for entity in ENTITIES}
    tables[RecordType.MEMBERSHIP] = "memberships"
    code = Code.FILE_SET_CHANGED.value
    rows = await rules.connection.fetch(
        f"SELECT DISTINCT record_type FROM {problems} WHERE code = $1", code
    )
    for name in (row["record_type"] for row in rows):
        await rules.execute(
            f"DELETE FROM {problems} WHERE code = $2 AND record_type = $3 AND NOT EXISTS ("
            f"  SELECT FROM {tables[RecordType(name)]}"
            "   WHERE tenant_id = $1 AND origin = 'PROVIDER' AND archived_at IS NULL)",
            rules.context.tenant_id,
            code,
            name,
        )


async def _reject_duplicates(rules: Rules, entity: Entity) -> None:
    """The first record of an id is taken; rows of a fresh COPY lie in the order of reading.

    Pages of a server may overlap: that a record is there twice as it is says nothing about it.
    Enrollments with one id are the plan's to find: it looks only where something differs.
    """
    table = rules.table(entity)
    first, is_copy = "", "false"
    if rules.context.is_network:
        first = f" JOIN {table} f ON f.ctid = t.first"
        same, other = (", ".join(f"{row}.{name}" for name in entity.record._fields) for row in "sf")
        is_copy = f"ROW({same}) IS NOT DISTINCT FROM ROW({other})"
    await rules.execute(
        "WITH twins AS ("
        f"  SELECT source_id, min(ctid) AS first FROM {table}"
        "   GROUP BY source_id HAVING count(*) > 1),"
        f" gone AS (DELETE FROM {table} s USING twins t{first}"
        "   WHERE s.source_id = t.source_id AND s.ctid <> t.first"
        f"  RETURNING s.*, {is_copy} AS is_copy)"
        f" INSERT INTO {rules.context.staging.problems} {SAID}"
        " SELECT $1, $2, s.source_id, 'sourcedId', 'an id of its own', 'an id used before',"
        f" $2 || ' ' || s.source_id, {MAPPED}, true FROM gone s WHERE NOT s.is_copy",
        Code.ID_DUPLICATE.value,
        entity.record_type.value,
    )


async def _check_schools(rules: Rules) -> None:
    staging = rules.context.staging
    await drop_missing_reference(
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
            f" AND NOT EXISTS (SELECT FROM {staging.ignored} i"
            "   WHERE i.record_type = 'SCHOOL' AND i.source_id = s.parent_source_id)"
            f" AND NOT EXISTS (SELECT FROM {staging.left_out} l"
            "   WHERE l.record_type = 'SCHOOL' AND l.source_id = s.parent_source_id)"
        ),
    )
    await _break_cycles(rules)


async def _break_cycles(rules: Rules) -> None:
    """A school cannot be above itself, whatever lies between."""
    schools = rules.table(SCHOOLS)
    await drop_missing_reference(
        rules,
        SCHOOLS,
        Finding(
            Code.ORG_CYCLE,
            "parentSourcedId",
            "an organisation above it",
            "s.parent_source_id",
            "'SCHOOL ' || s.source_id",
        ),
        column="parent_source_id",
        where=(
            "s.source_id IN (WITH RECURSIVE above AS ("
            f"   SELECT source_id AS id, parent_source_id AS at FROM {schools}"
            "   WHERE parent_source_id IS NOT NULL"
            "   UNION"
            f"  SELECT a.id, p.parent_source_id FROM above a JOIN {schools} p"
            "    ON p.source_id = a.at AND p.parent_source_id IS NOT NULL)"
            " SELECT id FROM above WHERE id = at)"
        ),
    )


async def _note_left_out_schools(rules: Rules) -> None:
    """One note for all of them: a rule that names one school leaves out hundreds."""
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {SAID}"
        " SELECT $1, $2, NULL, NULL, 'schools of the sharing rules',"
        "  n.number || CASE n.number WHEN 1 THEN ' school' ELSE ' schools' END, 'SHARING RULES',"
        f" {tell_number('n.number', 'n.examples')}, false"
        " FROM (SELECT count(*) AS number,"
        f"   (array_agg(source_id ORDER BY source_id))[:{MOST_EXAMPLES}] AS examples"
        f"  FROM {rules.context.staging.left_out} WHERE record_type = $2) n WHERE n.number > 0",
        Code.SCHOOL_NOT_IN_SCOPE.value,
        RecordType.SCHOOL.value,
    )


async def _check_groups(rules: Rules) -> None:
    own = "'GROUP ' || s.source_id"
    are_nameless = await reject(
        rules,
        GROUPS,
        Finding(Code.CLASS_NAME_MISSING, "title", "a name", "''", own),
        where="btrim(s.name) = ''",
    )
    are_of_no_school = await reject(
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
    if are_nameless or are_of_no_school:
        await rules.complete(GROUPS)
    await drop_missing_reference(
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
    await drop_missing_references(
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
        await note(
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


async def _note_empty_groups(rules: Rules) -> None:
    """Both notes with one look at the enrollments."""
    staging = rules.context.staging
    await rules.execute(
        f"INSERT INTO {staging.problems} {SAID}"
        " SELECT c.code, $1, s.source_id, NULL, 'an enrollment as ' || c.role, '',"
        f" $1 || ' ' || s.source_id, {MAPPED}, false"
        f" FROM {rules.table(GROUPS)} s"
        " LEFT JOIN (SELECT group_source_id, bool_or(role = 'TEACHER') AS has_teacher,"
        "   bool_or(role = 'STUDENT') AS has_student"
        f"  FROM {staging.of(RecordType.MEMBERSHIP)} GROUP BY 1) e"
        "  ON e.group_source_id = s.source_id"
        " CROSS JOIN LATERAL (VALUES ($2, 'teacher', e.has_teacher),"
        "   ($3, 'student', e.has_student)) AS c (code, role, is_there)"
        " WHERE NOT s.is_stored AND c.is_there IS NOT TRUE",
        RecordType.GROUP.value,
        Code.CLASS_NO_TEACHER.value,
        Code.CLASS_EMPTY.value,
    )
