"""What every rule over the staged set is made of: a note, a rejection, a dropped reference.

Each is one or two statements over all records. What was put into staging from what is stored is
never judged.
"""

from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from domain.roster.records import RecordType
from domain.sync.complete import complete_entity
from domain.sync.context import RunContext
from domain.sync.entities import Entity
from domain.sync.staging import MAPPED
from domain.validation.codes import Code, Severity


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one run: its context, the transaction's connection, and what is a delta."""

    context: RunContext
    connection: asyncpg.Connection
    deltas: frozenset[RecordType]

    def table(self, entity: Entity) -> str:
        return self.context.staging.of(entity.record_type)

    async def execute(self, sql: str, *arguments: object) -> str:
        """What the database says was done: "UPDATE 3"."""
        return str(await self.connection.execute(sql, *arguments))

    async def complete(self, entity: Entity) -> None:
        await complete_entity(
            self.context,
            self.connection,
            entity,
            is_delta=entity.record_type in self.deltas,
        )


class Finding(NamedTuple):
    """What a problem says of a staged row `s`. `found` and `cause` are SQL, the others text.

    `severity` is for a requirement of the tenant's, which makes an error of what is none otherwise.
    """

    code: Code
    field: str | None
    expected: str
    found: str
    cause: str
    severity: Severity | None = None


SAID = "(code, record_type, source_id, field, expected, found, cause, record, rejects)"
"""The columns of a problem, in the order in which every rule here fills them."""


MOST_EXAMPLES = 10


def tell_number(number: str, examples: str = "NULL::text[]") -> str:
    """SQL for what an administrator is shown of a problem that stands for several records."""
    return (
        f"jsonb_strip_nulls(jsonb_build_object('concerned', {number}, 'examples',"
        f" to_jsonb({examples})))"
    )


async def note(rules: Rules, entity: Entity, finding: Finding, *, where: str) -> None:
    """A problem for every record that the source staged and that fits; the record goes on."""
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {SAID}"
        f" SELECT $1, $2, s.source_id, $3, $4, {finding.found}, {finding.cause}, {MAPPED}, false"
        f" FROM {rules.table(entity)} s WHERE NOT s.is_stored AND {where}",
        finding.code.value,
        entity.record_type.value,
        finding.field,
        finding.expected,
    )


async def reject(rules: Rules, entity: Entity, finding: Finding, *, where: str) -> bool:
    """The same, and the record is taken out. Whether there was any: then it must be completed."""
    done = await rules.execute(
        f"WITH gone AS (DELETE FROM {rules.table(entity)} s"
        f"   WHERE NOT s.is_stored AND {where} RETURNING s.*)"
        f" INSERT INTO {rules.context.staging.problems} {SAID[:-1]}, severity)"
        f" SELECT $1, $2, s.source_id, $3, $4, {finding.found}, {finding.cause}, {MAPPED}, true, $5"
        " FROM gone s",
        finding.code.value,
        entity.record_type.value,
        finding.field,
        finding.expected,
        finding.severity,
    )
    return done != "INSERT 0 0"


async def drop_missing_reference(
    rules: Rules, entity: Entity, finding: Finding, *, column: str, where: str
) -> None:
    """A single reference that fits is left out, with a problem."""
    await note(rules, entity, finding, where=f"s.{column} IS NOT NULL AND {where}")
    await rules.execute(
        f"UPDATE {rules.table(entity)} s SET {column} = NULL"
        f" WHERE NOT s.is_stored AND s.{column} IS NOT NULL AND {where}"
    )


async def drop_missing_references(
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
        f"INSERT INTO {rules.context.staging.problems} {SAID}"
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
