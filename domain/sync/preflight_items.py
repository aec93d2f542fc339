"""The lists behind a preflight's numbers: which questions there are, and what is answered."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import asyncpg

from domain.sync.context import RunContext


class PreflightTopic(StrEnum):
    """The six questions."""

    SCHOOLS = "SCHOOLS"
    CLASSES = "CLASSES"
    EXISTING_USERS = "EXISTING_USERS"
    LICENCES = "LICENCES"
    USERNAMES = "USERNAMES"
    LOCAL_DATA = "LOCAL_DATA"


class PreflightOutcome(StrEnum):
    """The answers, each for one record."""

    SHARED = "SHARED"
    SHARED_AND_EXPECTED = "SHARED_AND_EXPECTED"
    SHARED_NOT_EXPECTED = "SHARED_NOT_EXPECTED"
    EXPECTED_NOT_SHARED = "EXPECTED_NOT_SHARED"
    LEFT_OUT = "LEFT_OUT"
    WITHOUT_TEACHER = "WITHOUT_TEACHER"
    EMPTY = "EMPTY"
    UNMATCHED = "UNMATCHED"
    MATCHED = "MATCHED"
    REVIVED = "REVIVED"
    ARCHIVED = "ARCHIVED"
    AMBIGUOUS = "AMBIGUOUS"
    KEPT = "KEPT"
    WITHOUT_LICENCE = "WITHOUT_LICENCE"
    WOULD_CHANGE = "WOULD_CHANGE"
    TAKEN = "TAKEN"
    CASE_CLASH = "CASE_CLASH"
    KEPT_WITH_ARCHIVED = "KEPT_WITH_ARCHIVED"
    COMES_BACK = "COMES_BACK"
    STAYS_BEHIND = "STAYS_BEHIND"
    CARRIED_OVER = "CARRIED_OVER"


@dataclass(frozen=True, slots=True)
class Items:
    """Where the answers of one run are put down. `$1` of every statement is the tenant."""

    context: RunContext
    connection: asyncpg.Connection

    @classmethod
    async def begin(cls, context: RunContext, connection: asyncpg.Connection) -> Self:
        """Without what an earlier plan of this run has left."""
        await connection.execute(
            "DELETE FROM preflight_items WHERE tenant_id = $1 AND run_id = $2",
            context.tenant_id,
            context.run_id,
        )
        return cls(context, connection)

    async def add(self, topic: PreflightTopic, query: str, *arguments: object) -> None:
        """A line for each row (outcome, record_type, record_id, source_id, name, details).

        Lines come in the order of the query, since their ids do. Its arguments begin with `$4`;
        `$2` is the run.
        """
        await self.connection.execute(
            "INSERT INTO preflight_items (tenant_id, run_id, topic, outcome, record_type,"
            " record_id, source_id, name, details)"
            " SELECT $1, $2, $3, q.outcome, q.record_type, q.record_id, q.source_id,"
            f"  nullif(btrim(q.name), ''), jsonb_strip_nulls(q.details) FROM ({query}) q",
            self.context.tenant_id,
            self.context.run_id,
            topic.value,
            *arguments,
        )

    async def counted(self, topic: PreflightTopic) -> dict[str, int]:
        """How many lines of a question there are, by outcome."""
        rows = await self.connection.fetch(
            "SELECT outcome, count(*) AS n FROM preflight_items"
            " WHERE tenant_id = $1 AND run_id = $2 AND topic = $3 GROUP BY outcome",
            self.context.tenant_id,
            self.context.run_id,
            topic.value,
        )
        return {row["outcome"]: row["n"] for row in rows}
