"""The staging tables of one run: unlogged, its own, and gone when it ends.

They have no row-level security, since COPY refuses that, and live in a schema that the API's
role may not enter. A marker row tells whether a crash of the database has emptied them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from domain.roster.records import RECORD_CLASSES, Record, RecordType

SCHEMA = "staging"
_PREFIX = "run_"

_TYPES = {
    "starts_on": "date",
    "ends_on": "date",
    "begins_on": "date",
    "is_enabled": "boolean",
    "is_primary": "boolean",
    "subjects": "text[]",
    "grades": "text[]",
    "roles": "text[]",
    "term_source_ids": "text[]",
    "school_source_ids": "text[]",
    "keys": "text[]",
    "is_eligible": "boolean",
}
# Beside the record: whether it was not staged by the source but put there from what is stored.
_STORED = "is_stored boolean NOT NULL DEFAULT false"
_HASH_SEED = 1
_EXTRA = {
    RecordType.GROUP: ", starts_on date, ends_on date",
    # Where a person was read, which an update of the row does not change.
    RecordType.USER: ", read_at bigint GENERATED ALWAYS AS IDENTITY",
    # Hashed while they come in: the database has time then.
    RecordType.MEMBERSHIP: (
        ", content bigint GENERATED ALWAYS AS (hash_record_extended(ROW(source_id, user_source_id,"
        f" group_source_id, role, begins_on, ends_on, is_primary), {_HASH_SEED})) STORED"
    ),
}
MAPPED = "to_jsonb(s) - '{is_stored,content,read_at,user_id,group_id,key,is_copy}'::text[]"
"""SQL for a staged row `s` as the source record that an administrator is shown."""

_NAMES = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.GROUP: "groups",
    RecordType.USER: "users",
    RecordType.MEMBERSHIP: "enrollments",
}
_NOTES = {
    "problems": (
        "code text NOT NULL, record_type text NOT NULL, source_id text, field text,"
        " expected text, found text, place text, cause text, record jsonb,"
        " rejects boolean NOT NULL DEFAULT false, is_planned boolean NOT NULL DEFAULT false,"
        # Where it is another than the code's.
        " severity text"
    ),
    "ignored": "record_type text NOT NULL, source_id text NOT NULL, reason text NOT NULL",
    "deleted": "record_type text NOT NULL, source_id text NOT NULL",
    "left_out": (
        "rank smallint NOT NULL, record_type text NOT NULL, source_id text NOT NULL,"
        " name text, number text"
    ),
    "links": "record_type text NOT NULL, source_id text NOT NULL, id uuid NOT NULL, reason text",
    "settled": "record_type text NOT NULL, id uuid NOT NULL",
    "churn": "record_type text NOT NULL, gone bigint NOT NULL, alike bigint NOT NULL",
    "unmatched": "record_type text NOT NULL, id uuid NOT NULL",
    "marker": "is_whole boolean NOT NULL",
}


@dataclass(frozen=True, slots=True)
class Staging:
    """Names of the run's tables. `work` tables hold what a plan decided for each record."""

    run_id: UUID

    def table(self, name: str) -> str:
        return f"{SCHEMA}.{_PREFIX}{self.run_id.hex}_{name}"

    def of(self, record_type: RecordType) -> str:
        return self.table(_NAMES[record_type])

    def work(self, record_type: RecordType) -> str:
        return self.table(f"{_NAMES[record_type]}_work")

    @property
    def problems(self) -> str:
        return self.table("problems")

    @property
    def ignored(self) -> str:
        return self.table("ignored")

    @property
    def deleted(self) -> str:
        return self.table("deleted")

    @property
    def left_out(self) -> str:
        """What the sharing rules left out, with the rank of the rule's subject."""
        return self.table("left_out")

    @property
    def links(self) -> str:
        """Stored records that the feed calls by another source id than they have."""
        return self.table("links")

    @property
    def settled(self) -> str:
        """Records from before rostering that this run closes, unless one is linked."""
        return self.table("settled")

    @property
    def churn(self) -> str:
        """By type, how many records are gone and how many of them have come back renamed."""
        return self.table("churn")

    @property
    def unmatched(self) -> str:
        """Who was not found at a new provider."""
        return self.table("unmatched")

    async def create(self, connection: asyncpg.Connection) -> None:
        """Anew and empty, whatever an earlier attempt left."""
        await self.drop(connection)
        for record_type, record in RECORD_CLASSES.items():
            columns = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in record._fields)
            await connection.execute(
                f"CREATE UNLOGGED TABLE {self.of(record_type)}"
                f" ({columns}{_EXTRA.get(record_type, '')}, {_STORED})"
                " WITH (autovacuum_enabled = false)"
            )
        for name, columns in _NOTES.items():
            await connection.execute(f"CREATE UNLOGGED TABLE {self.table(name)} ({columns})")
        await connection.execute(f"INSERT INTO {self.table('marker')} VALUES (true)")

    async def is_whole(self, connection: asyncpg.Connection) -> bool:
        """False if the tables are not there, or a crash of the database has emptied them."""
        if await connection.fetchval("SELECT to_regclass($1)", self.table("marker")) is None:
            return False
        return bool(
            await connection.fetchval(f"SELECT EXISTS (SELECT FROM {self.table('marker')})")
        )

    async def analyze(self, connection: asyncpg.Connection, record_type: RecordType) -> None:
        """Statistics of the columns that are joined by; those of the others only cost time."""
        names = [n for n in RECORD_CLASSES[record_type]._fields if n.endswith("source_id")]
        await connection.execute("SET LOCAL default_statistics_target = 10")
        await connection.execute(f"ANALYZE {self.of(record_type)} ({', '.join(names)})")

    async def copy(
        self, connection: asyncpg.Connection, record_type: RecordType, records: Sequence[Record]
    ) -> None:
        await self._copy(
            connection, _NAMES[record_type], RECORD_CLASSES[record_type]._fields, records
        )

    async def copy_notes(
        self,
        connection: asyncpg.Connection,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
    ) -> None:
        await self._copy(connection, name, columns, list(rows))

    async def _copy(
        self,
        connection: asyncpg.Connection,
        name: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
    ) -> None:
        if rows:
            await connection.copy_records_to_table(
                f"{_PREFIX}{self.run_id.hex}_{name}",
                schema_name=SCHEMA,
                columns=columns,
                records=rows,
            )

    async def drop(self, connection: asyncpg.Connection) -> None:
        names = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND starts_with(tablename, $2)",
            SCHEMA,
            f"{_PREFIX}{self.run_id.hex}_",
        )
        if names:
            tables = ", ".join(f"{SCHEMA}.{row['tablename']}" for row in names)
            await connection.execute(f"DROP TABLE {tables}")


async def list_staged_runs(connection: asyncpg.Connection) -> set[UUID]:
    """The runs that have tables in staging, finished or not: what a reaper looks through."""
    rows = await connection.fetch(
        "SELECT DISTINCT substr(tablename, $2, 32) AS run_id FROM pg_tables"
        " WHERE schemaname = $1 AND tablename ~ '^run_[0-9a-f]{32}_'",
        SCHEMA,
        len(_PREFIX) + 1,
    )
    return {UUID(hex=row["run_id"]) for row in rows}
