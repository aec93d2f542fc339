"""What the tenant asks of people beyond the taxonomy: its requirements and its email domains.

A student who falls short of a requirement is rejected: what is stored of them stays, and the
first run after the correction takes them over.
"""

from typing import NamedTuple

from domain.integrations.requirements import RequirementName
from domain.roster.records import RecordType
from domain.sync.entities import USERS
from domain.sync.rules import SAID, Finding, Rules, note, reject
from domain.sync.staging import MAPPED
from domain.validation.codes import Code, Severity

OWN = "'USER ' || s.source_id"
_IS_STUDENT = "s.roles @> '{STUDENT}'"


class Demands(NamedTuple):
    """`email_domains` empty: any will do."""

    required: frozenset[RequirementName]
    email_domains: list[str]


class _Shared(NamedTuple):
    """A value that no two students may share; `others`: nor anybody else's."""

    requirement: RequirementName
    code: Code
    column: str
    field: str
    others: bool


_SHARED = (
    _Shared(
        RequirementName.UNIQUE_EMAIL_REQUIRED,
        Code.USER_EMAIL_DUPLICATE,
        column="email",
        field="email",
        others=True,
    ),
    # The number of somebody of the staff is of another row of numbers.
    _Shared(
        RequirementName.UNIQUE_NUMBER_REQUIRED,
        Code.USER_SECOND_ID_TAKEN,
        column="number",
        field="identifier",
        others=False,
    ),
)


async def read_demands(rules: Rules) -> Demands:
    """A requirement of email addresses that are not taken over would leave nobody: it rests."""
    row = await rules.connection.fetchrow(
        "SELECT i.email_domains, array(SELECT r.name FROM requirements r"
        "   WHERE r.tenant_id = i.tenant_id AND r.is_enabled"
        "   AND (r.name <> $3 OR i.with_student_email)) AS required"
        " FROM integrations i WHERE i.tenant_id = $1 AND i.id = $2",
        rules.context.tenant_id,
        rules.context.integration_id,
        RequirementName.UNIQUE_EMAIL_REQUIRED.value,
    )
    return Demands(frozenset(map(RequirementName, row["required"])), row["email_domains"])


async def reject_incomplete(rules: Rules, demands: Demands) -> None:
    """Students without a grade, an address or a number where one is required."""
    findings = {
        RequirementName.GRADE_REQUIRED: (
            Finding(
                Code.USER_GRADE_MISSING, "grades", "a grade", "''", OWN, severity=Severity.ERROR
            ),
            "s.grades = '{}'",
        ),
        **{
            each.requirement: (
                Finding(Code.FIELD_REQUIRED, each.field, "a value of their own", "''", OWN),
                f"s.{each.column} IS NULL",
            )
            for each in _SHARED
        },
    }
    are_rejected = False
    for requirement, (finding, falls_short) in findings.items():
        if requirement in demands.required:
            where = f"{_IS_STUDENT} AND {falls_short}"
            are_rejected |= await reject(rules, USERS, finding, where=where)
    if are_rejected:
        await rules.complete(USERS)


async def reject_shared(rules: Rules, demands: Demands) -> bool:
    """Of students who share a value that must be their own, one keeps it.

    Whether anybody was rejected: what is stored of them may be what others were about to take.
    """
    are_rejected = False
    for shared in _SHARED:
        if shared.requirement in demands.required:
            are_rejected |= await _reject_shared(rules, shared)
    if are_rejected:
        await rules.complete(USERS)
    return are_rejected


async def _reject_shared(rules: Rules, shared: _Shared) -> bool:
    """It stays with whoever is not judged, else who is stored with it, else the first."""
    table, column = rules.table(USERS), shared.column
    whose = "true" if shared.others else _IS_STUDENT
    done = await rules.execute(
        "WITH shared AS ("
        f"  SELECT s.{column} FROM {table} s WHERE {whose} AND s.{column} IS NOT NULL"
        f"  GROUP BY 1 HAVING count(*) > 1 AND bool_or(NOT s.is_stored AND {_IS_STUDENT})),"
        " claims AS (SELECT s.ctid AS place, s.source_id, s.read_at,"
        f"   NOT s.is_stored AND {_IS_STUDENT} AS is_judged, s.{column} AS value,"
        f"   (u.{column} = s.{column}) IS TRUE AS has_it"
        f"  FROM {table} s JOIN shared ON shared.{column} = s.{column}"
        "   LEFT JOIN users u ON u.tenant_id = $1 AND u.source_id = s.source_id"
        "    AND u.archived_at IS NULL"
        f"  WHERE {whose}),"
        " ranked AS (SELECT c.*, row_number() OVER held AS rank,"
        "   first_value(c.source_id) OVER held AS key FROM claims c"
        "   WINDOW held AS (PARTITION BY value ORDER BY is_judged, has_it DESC, read_at)),"
        f" gone AS (DELETE FROM {table} s USING ranked r"
        "   WHERE s.ctid = r.place AND r.is_judged AND r.rank > 1 RETURNING s.*, r.key)"
        f" INSERT INTO {rules.context.staging.problems} {SAID[:-1]}, severity)"
        " SELECT $2, $3, s.source_id, $4, 'a value of their own',"
        f"  s.{column} || ', which is also that of ' || s.key,"
        f"  '{column.upper()} ' || s.{column}, {MAPPED}, true, $5"
        " FROM gone s",
        rules.context.tenant_id,
        shared.code.value,
        RecordType.USER.value,
        shared.field,
        Severity.ERROR.value,
    )
    return done != "INSERT 0 0"


async def note_foreign_emails(rules: Rules, demands: Demands) -> None:
    """Of no domain of the tenant's, nor of one below them."""
    if not demands.email_domains:
        return
    domain = "split_part(s.email, '@', 2)"
    # The ids are UUIDs of our own.
    domains = (
        "SELECT unnest(i.email_domains) FROM integrations i"
        f" WHERE i.tenant_id = '{rules.context.tenant_id}'"
        f" AND i.id = '{rules.context.integration_id}'"
    )
    await note(
        rules,
        USERS,
        Finding(
            Code.USER_EMAIL_DOMAIN,
            "email",
            "an address of the tenant's domains",
            "s.email",
            f"'DOMAIN ' || {domain}",
        ),
        where=(
            f"s.email IS NOT NULL AND NOT EXISTS (SELECT FROM ({domains}) AS d (name)"
            f" WHERE '.' || {domain} LIKE '%.' || d.name)"
        ),
    )
