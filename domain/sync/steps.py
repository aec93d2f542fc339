"""What became of the records that a run was asked for by name, step by step and in plain words.

The first step is known when the records were read, the others when the run has come to its end.
They name fields and codes, never what stands in a field.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import asyncpg

from domain.integrations.models import SharingSubject
from domain.roster.records import RecordType, Role
from domain.sync.context import RunContext
from domain.sync.models import PICKED_MODES, SyncMode
from domain.validation.codes import RULES, Code


class StepName(StrEnum):
    FETCHED = "FETCHED"
    IN_SCOPE = "IN_SCOPE"
    VALID = "VALID"
    MATCHED = "MATCHED"
    LICENSED = "LICENSED"
    CHANGED = "CHANGED"


class StepOutcome(StrEnum):
    PASSED = "PASSED"
    WARNING = "WARNING"
    STOPPED = "STOPPED"
    SKIPPED = "SKIPPED"


class Step(NamedTuple):
    """`source_id` is who was found, for the steps that follow."""

    name: StepName
    outcome: StepOutcome
    message: str
    source_id: str | None = None

    def as_dict(self) -> dict[str, str]:
        told = {"name": self.name.value, "outcome": self.outcome.value, "message": self.message}
        return told if self.source_id is None else told | {"source_id": self.source_id}


_OF_MATCHING = (
    Code.USER_ID_CHANGED,
    Code.USER_MATCH_AMBIGUOUS,
    Code.USER_SOURCE_DUPLICATE,
)
_WORDS_OF_LINKS = {
    "USERNAME": "by the username",
    "NUMBER": "by the number",
    "EMAIL": "by the email address",
    "KEYS": "by ids that did not change",
    "CONTENT": "by name, school and grade",
    "DECISION": "by an administrator's decision",
    "REKEYING": "as one of many who got new ids",
}
_WORDS_OF_ACTIONS = {
    "CREATE": "created",
    "UPDATE": "changed",
    "ARCHIVE": "archived",
    "RESTORE": "restored",
}


class Person(NamedTuple):
    """Who was asked for, as far as they came."""

    context: RunContext
    connection: asyncpg.Connection
    source_id: str

    @property
    def arguments(self) -> tuple[object, ...]:
        return self.context.tenant_id, self.context.run_id, self.source_id


async def store_steps(
    context: RunContext, connection: asyncpg.Connection, steps: Sequence[Step]
) -> None:
    await connection.execute(
        "UPDATE sync_runs SET steps = $3 WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
        json.dumps([step.as_dict() for step in steps]),
    )


async def _read_steps(context: RunContext, connection: asyncpg.Connection) -> list[Step]:
    told = await connection.fetchval(
        "SELECT steps FROM sync_runs WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    return [
        Step(
            StepName(item["name"]),
            StepOutcome(item["outcome"]),
            item["message"],
            item.get("source_id"),
        )
        for item in json.loads(told)
    ]


async def explain_failure(
    context: RunContext, connection: asyncpg.Connection, message: str
) -> None:
    """For a run that ends before its end."""
    if context.mode not in PICKED_MODES:
        return
    steps = await _read_steps(context, connection)
    name = StepName.CHANGED if steps else StepName.FETCHED
    await store_steps(context, connection, [*steps[:1], Step(name, StepOutcome.STOPPED, message)])


async def explain(context: RunContext, connection: asyncpg.Connection) -> None:
    """With the run's changes made, and its staging still there."""
    if context.mode not in PICKED_MODES:
        return
    fetched = (await _read_steps(context, connection))[0]
    if context.mode is SyncMode.REVALIDATION:
        steps = [fetched, await _tell_resolved(context, connection)]
    elif fetched.source_id is None:
        steps = _until_end([fetched])
    else:
        person = Person(context, connection, fetched.source_id)
        steps = _until_end(
            [
                fetched,
                await _tell_scope(person),
                await _tell_problems(person),
                await _tell_match(person),
                await _tell_licence(person),
                await _tell_changes(person),
            ]
        )
    await store_steps(context, connection, steps)


def _until_end(steps: Sequence[Step]) -> list[Step]:
    """Nothing comes behind a step that stopped; why nothing changed is told there."""
    told: list[Step] = []
    is_stopped = False
    by_name = {step.name: step for step in steps}
    for name in StepName:
        step = by_name.get(name)
        if is_stopped or step is None:
            told.append(Step(name, StepOutcome.SKIPPED, "It did not come to this."))
            continue
        told.append(step)
        is_stopped = step.outcome is StepOutcome.STOPPED
    return told


async def _tell_resolved(context: RunContext, connection: asyncpg.Connection) -> Step:
    resolved = await connection.fetchval(
        "SELECT count(*) FROM validation_errors WHERE tenant_id = $1 AND resolved_at = now()",
        context.tenant_id,
    )
    return Step(StepName.VALID, StepOutcome.PASSED, f"{count_of(resolved, 'error')} resolved.")


async def _tell_scope(person: Person) -> Step:
    staging = person.context.staging
    reason = await person.connection.fetchval(
        f"SELECT reason FROM {staging.ignored} WHERE record_type = 'USER' AND source_id = $1",
        person.source_id,
    )
    if reason is not None:
        message = f"Left out on purpose: {reason}."
        return Step(StepName.IN_SCOPE, StepOutcome.STOPPED, message)
    rank = await person.connection.fetchval(
        f"SELECT rank FROM {staging.left_out} WHERE record_type = 'USER' AND source_id = $1",
        person.source_id,
    )
    if rank is not None:
        subject = list(SharingSubject)[rank].value.lower()
        message = f"The sharing rule about the {subject} leaves this person out."
        return Step(StepName.IN_SCOPE, StepOutcome.STOPPED, message)
    return Step(StepName.IN_SCOPE, StepOutcome.PASSED, "No sharing rule leaves this person out.")


async def _tell_problems(person: Person) -> Step:
    rows = await person.connection.fetch(
        "SELECT code, field, bool_or(rejects AND record_type = 'USER') AS stops,"
        " record_type = 'USER' AS is_own"
        f" FROM {person.context.staging.problems} WHERE code <> ALL ($2)"
        " AND ((record_type = 'USER' AND source_id = $1) OR (record_type = 'MEMBERSHIP'"
        "  AND $1 IN (record ->> 'user_source_id', record ->> 'userSourcedId')))"
        " GROUP BY code, field, record_type = 'USER' ORDER BY 3 DESC, code, field",
        person.source_id,
        [code.value for code in _OF_MATCHING],
    )
    if not rows:
        return Step(StepName.VALID, StepOutcome.PASSED, "Nothing is wrong with the record.")
    told = "; ".join(map(_problem, rows))
    if any(row["stops"] for row in rows):
        message = f"The record is not taken over, what is stored stays: {told}."
        return Step(StepName.VALID, StepOutcome.STOPPED, message)
    return Step(StepName.VALID, StepOutcome.WARNING, f"Taken over, but: {told}.")


def _problem(row: asyncpg.Record) -> str:
    of = "" if row["is_own"] else " (of an enrollment)"
    field = f", {row['field']}" if row["field"] else ""
    return f"{RULES[Code(row['code'])].title} ({row['code']}{field}){of}"


async def _tell_match(person: Person) -> Step:
    code = await person.connection.fetchval(
        f"SELECT code FROM {person.context.staging.problems}"
        " WHERE record_type = 'USER' AND source_id = $1 AND code = ANY ($2) LIMIT 1",
        person.source_id,
        [code.value for code in _OF_MATCHING],
    )
    if code is not None:
        return await _tell_candidates(person, Code(code))
    link = await person.connection.fetchval(
        f"SELECT reason FROM {person.context.staging.links}"
        " WHERE record_type = 'USER' AND source_id = $1",
        person.source_id,
    )
    if link is not None:
        words = _WORDS_OF_LINKS.get(link, "by what is known")
        message = f"This is a stored person under a new id, recognised {words}."
        return Step(StepName.MATCHED, StepOutcome.PASSED, message)
    is_old = await person.connection.fetchval(
        "SELECT EXISTS (SELECT FROM users WHERE tenant_id = $1 AND source_id = $3"
        " AND created_by_run_id IS DISTINCT FROM $2)",
        *person.arguments,
    )
    message = "Stored already under this id." if is_old else "Like nobody who is stored."
    return Step(StepName.MATCHED, StepOutcome.PASSED, message)


async def _tell_candidates(person: Person, code: Code) -> Step:
    number = await person.connection.fetchval(
        "SELECT cardinality(candidate_ids) FROM match_candidates"
        " WHERE tenant_id = $1 AND record_type = 'USER' AND source_id = $2",
        person.context.tenant_id,
        person.source_id,
    )
    people = "one of several stored people" if number != 1 else "one stored person"
    message = (
        f"Waits in the list of matches, for this may be {people}: {RULES[code].title} ({code})."
    )
    return Step(StepName.MATCHED, StepOutcome.STOPPED, message)


async def _tell_licence(person: Person) -> Step:
    row = await person.connection.fetchrow(
        "SELECT s.roles, s.is_enabled, s.is_eligible, o.is_eligible AS said_here"
        f" FROM {person.context.staging.of(RecordType.USER)} s"
        " LEFT JOIN users u ON u.tenant_id = $1 AND u.source_id = s.source_id"
        " LEFT JOIN eligibility_overrides o ON o.tenant_id = $1 AND o.user_id = u.id"
        " WHERE s.source_id = $2",
        person.context.tenant_id,
        person.source_id,
    )
    if row is None or Role.STUDENT.value not in row["roles"]:
        return Step(StepName.LICENSED, StepOutcome.PASSED, "Takes no licence.")
    if not row["is_enabled"]:
        message = "Takes no licence: the provider says that the account is switched off."
        return Step(StepName.LICENSED, StepOutcome.PASSED, message)
    if row["said_here"] is False:
        message = "Takes no licence: an administrator has said here that they are not eligible."
        return Step(StepName.LICENSED, StepOutcome.WARNING, message)
    if not (row["is_eligible"] or row["said_here"]):
        message = "Takes no licence: the field that says who is eligible does not say so."
        return Step(StepName.LICENSED, StepOutcome.WARNING, message)
    is_held = await person.connection.fetchval(
        "SELECT EXISTS (SELECT FROM sync_changes WHERE tenant_id = $1 AND run_id = $2"
        " AND record_type = 'USER' AND source_id = $3 AND held_by = $4)",
        *person.arguments,
        Code.LICENCE_LIMIT.value,
    )
    if is_held:
        message = "There is no licence left for this student."
        return Step(StepName.LICENSED, StepOutcome.STOPPED, message)
    return Step(StepName.LICENSED, StepOutcome.PASSED, "Takes a licence.")


async def _tell_changes(person: Person) -> Step:
    changes = await person.connection.fetch(
        "SELECT c.action, c.held_by,"
        " ARRAY(SELECT jsonb_object_keys(c.new_values) ORDER BY 1) AS fields"
        " FROM sync_changes c WHERE c.tenant_id = $1 AND c.run_id = $2"
        "  AND c.record_type = 'USER' AND c.source_id = $3",
        *person.arguments,
    )
    is_created = await person.connection.fetchval(
        "SELECT EXISTS (SELECT FROM users"
        " WHERE tenant_id = $1 AND created_by_run_id = $2 AND source_id = $3)",
        *person.arguments,
    )
    told = ["The person was created."] if is_created else []
    told += [_change(row) for row in changes]
    told += await _tell_memberships(person)
    is_held = any(row["held_by"] for row in changes)
    if not told:
        message = "Everything is stored as the provider has it."
        return Step(StepName.CHANGED, StepOutcome.PASSED, message)
    outcome = StepOutcome.STOPPED if is_held else StepOutcome.PASSED
    return Step(StepName.CHANGED, outcome, " ".join(told))


def _change(row: asyncpg.Record) -> str:
    word = _WORDS_OF_ACTIONS[row["action"]]
    if row["held_by"]:
        title = RULES[Code(row["held_by"])].title
        return f"The person would be {word}, and waits: {title} ({row['held_by']})."
    fields = ", ".join(row["fields"]) if row["action"] in ("UPDATE", "RESTORE") else ""
    return f"The person was {word}{f': {fields}' if fields else ''}."


async def _tell_memberships(person: Person) -> list[str]:
    rows = await person.connection.fetch(
        "SELECT action, is_held, count(*) AS n FROM ("
        "  SELECT 'CREATE' AS action, false AS is_held FROM memberships m"
        "  JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"
        "  WHERE m.tenant_id = $1 AND m.created_by_run_id = $2 AND u.source_id = $3"
        "  UNION ALL SELECT c.action, c.held_by IS NOT NULL FROM sync_changes c"
        "  JOIN memberships m ON m.tenant_id = c.tenant_id AND m.id = c.record_id"
        "  JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"
        "  WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.record_type = 'MEMBERSHIP'"
        "   AND u.source_id = $3) x GROUP BY 1, 2 ORDER BY 1, 2",
        *person.arguments,
    )
    return [_memberships(row) for row in rows]


def _memberships(row: asyncpg.Record) -> str:
    word = _WORDS_OF_ACTIONS[row["action"]]
    if row["is_held"]:
        return f"{count_of(row['n'], 'membership')} would be {word}, and wait."
    return f"{count_of(row['n'], 'membership')} {word}."


def count_of(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
