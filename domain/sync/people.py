"""Rules over the staged people: their schools, their usernames, and who is in several classes."""

from domain.roster.records import RecordType
from domain.roster.source import RosterUnreadable
from domain.sync.entities import GROUPS, SCHOOLS, USERS
from domain.sync.requirements import (
    OWN,
    note_foreign_emails,
    read_demands,
    reject_incomplete,
    reject_shared,
)
from domain.sync.rules import (
    SAID,
    Finding,
    Rules,
    drop_missing_references,
    note,
    reject,
    tell_number,
)
from domain.sync.usernames import reject_taken_usernames
from domain.validation.codes import Code

_HOMELESS = "school_source_ids = '{}' AND NOT roles @> '{DISTRICT_ADMIN}'"
_IN_SEVERAL_SCHOOLS = "s.roles = '{STUDENT}' AND cardinality(s.school_source_ids) > 1"


async def give_schools(rules: Rules) -> None:
    """Who names no school is of those whose groups they are in: first where they are in most."""
    users = rules.table(USERS)
    if not await rules.connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {users} WHERE NOT is_stored AND {_HOMELESS})"
    ):
        return
    await rules.execute(
        f"UPDATE {users} s SET school_source_ids = f.ids FROM ("
        "  SELECT n.user_source_id, array_agg(n.id ORDER BY n.groups DESC, n.id) AS ids"
        "  FROM (SELECT e.user_source_id, g.school_source_id AS id,"
        "    count(DISTINCT g.source_id) AS groups"
        f"   FROM {rules.context.staging.of(RecordType.MEMBERSHIP)} e"
        f"   JOIN {users} u ON u.source_id = e.user_source_id"
        f"   JOIN {rules.table(GROUPS)} g ON g.source_id = e.group_source_id"
        f"   JOIN {rules.table(SCHOOLS)} sc ON sc.source_id = g.school_source_id"
        f"   WHERE NOT u.is_stored AND {_HOMELESS} GROUP BY 1, 2) n"
        "  GROUP BY 1) f"
        f" WHERE s.source_id = f.user_source_id AND NOT s.is_stored AND s.{_HOMELESS}"
    )


async def require_eligible_students(rules: Rules) -> None:
    """Where no student at all is eligible, the field is misspelt or not shared any more.

    Raises RosterUnreadable: nobody could sign in after such a night. A delta may be of one student.
    """
    if RecordType.USER in rules.deltas:
        return
    students = f"SELECT FROM {rules.table(USERS)} WHERE NOT is_stored AND roles @> '{{STUDENT}}'"
    if await rules.connection.fetchval(
        f"SELECT NOT EXISTS ({students} AND is_eligible) AND EXISTS ({students})"
    ):
        raise RosterUnreadable(
            Code.CONN_FORBIDDEN_SCOPE,
            "No student has a value that means eligible in the field that the tenant chose. Have"
            " the provider send it, or correct the field and its values in the integration.",
        )


async def check_users(rules: Rules) -> None:
    await drop_missing_references(
        rules,
        USERS,
        Code.USER_SCHOOL_MISSING,
        column="school_source_ids",
        field="orgSourcedIds",
        parent=SCHOOLS,
    )
    if await reject(
        rules,
        USERS,
        Finding(Code.USER_NO_SCHOOL, "orgSourcedIds", "a school of the feed", "''", OWN),
        where=_HOMELESS,
    ):
        await rules.complete(USERS)
    demands = await read_demands(rules)
    await reject_incomplete(rules, demands)
    await reject_taken_usernames(rules.context, rules.connection)
    while await reject_shared(rules, demands):
        await reject_taken_usernames(rules.context, rules.connection)
    await _keep_first_schools(rules)
    await _note_roles_and_grades(rules)
    await _note_shared_emails(rules)
    await note_foreign_emails(rules, demands)


async def _note_shared_emails(rules: Rules) -> None:
    shared = (
        f"SELECT email FROM {rules.table(USERS)} WHERE email IS NOT NULL"
        " GROUP BY email HAVING count(*) > 1"
    )
    await note(
        rules,
        USERS,
        Finding(
            Code.USER_EMAIL_DUPLICATE,
            "email",
            "an address of their own",
            "s.email",
            "'EMAIL ' || s.email",
        ),
        where=f"s.email IN ({shared})",
    )


async def _keep_first_schools(rules: Rules) -> None:
    """A student is of one school (product.md P8); whoever teaches or helps may be of several."""
    await note(
        rules,
        USERS,
        Finding(
            Code.STUDENT_MULTI_SCHOOL,
            "orgSourcedIds",
            "one school",
            "cardinality(s.school_source_ids) || ' schools: '"
            " || array_to_string(s.school_source_ids, ', ')",
            OWN,
        ),
        where=_IN_SEVERAL_SCHOOLS,
    )
    await rules.execute(
        f"UPDATE {rules.table(USERS)} s SET school_source_ids = s.school_source_ids[:1]"
        f" WHERE NOT s.is_stored AND {_IN_SEVERAL_SCHOOLS}"
    )


async def _note_roles_and_grades(rules: Rules) -> None:
    await note(
        rules,
        USERS,
        Finding(Code.USER_MULTI_ROLE, "role", "one role", "array_to_string(s.roles, ', ')", OWN),
        where="cardinality(s.roles) > 1",
    )
    await note(
        rules,
        USERS,
        Finding(Code.USER_GRADE_MISSING, "grades", "a grade", "''", OWN),
        where="s.grades = '{}' AND s.roles @> '{STUDENT}'",
    )


async def note_students_of_several_groups(rules: Rules) -> None:
    """One note for each school, since it concerns most students of some; they are of their first.

    Groups are told apart by a hash, whether the feed has them or not: anything more would be
    felt with a million enrollments. It is a query of its own because PostgreSQL shares only those
    among its processes, not what an INSERT selects.
    """
    group = "hashtext(e.group_source_id)"
    rows = await rules.connection.fetch(
        "SELECT s.school_source_ids[1] AS id, count(*) AS students"
        f" FROM {rules.table(USERS)} s"
        f" JOIN (SELECT e.user_source_id FROM {rules.context.staging.of(RecordType.MEMBERSHIP)} e"
        f"   WHERE e.role = 'STUDENT' GROUP BY 1 HAVING bit_or({group}) <> bit_and({group})) m"
        "  ON m.user_source_id = s.source_id"
        " WHERE s.school_source_ids <> '{}' GROUP BY 1 ORDER BY 1"
    )
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {SAID}"
        " SELECT $1, $2, n.id, NULL, 'students in one class each',"
        "  n.students || CASE n.students WHEN 1 THEN ' student' ELSE ' students' END,"
        f"  $2 || ' ' || n.id, {tell_number('n.students')}, false"
        " FROM unnest($3::text[], $4::text[]::bigint[]) n (id, students)",
        Code.STUDENT_MULTI_GROUP.value,
        RecordType.SCHOOL.value,
        [row["id"] for row in rows],
        # As text, since a new connection looks up other arrays first, which costs 7 ms.
        [str(row["students"]) for row in rows],
    )
