"""What a test of the sync needs to tell a story: a tenant, its nights, and what is stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import new_id, utc_now
from domain.database import Database
from domain.integrations.models import SharingSubject
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.roster.source import Provider, SourceOpener
from domain.secrets import KeyRing
from domain.sync.holds import approve_run
from domain.sync.models import SyncMode, SyncRun, SyncTrigger
from domain.sync.run import work
from domain.sync.service import Requested, get_run, request_run
from domain.tenants.service import create_tenant
from tests.builders import CsvDistrict
from tests.sources import open_source

ROSTER_TABLES = (
    "schools",
    "terms",
    "courses",
    "groups",
    "users",
    "school_affiliations",
    "memberships",
    "membership_spans",
)
_ROSTER = {
    "schools": (
        "SELECT source_id, name, number, parent_source_id, archived_at IS NOT NULL, origin"
        " FROM schools r WHERE tenant_id = $1"
    ),
    "terms": (
        "SELECT source_id, name, kind, starts_on, ends_on, parent_source_id,"
        " archived_at IS NOT NULL FROM terms WHERE tenant_id = $1"
    ),
    "courses": (
        "SELECT source_id, name, code, subjects, archived_at IS NOT NULL FROM courses"
        " WHERE tenant_id = $1"
    ),
    "groups": (
        "SELECT r.source_id, s.source_id, c.source_id, r.name, r.term_source_ids, r.starts_on,"
        " r.ends_on, r.code, r.kind, r.period, r.grades, r.subjects, r.archived_at IS NOT NULL"
        " FROM groups r JOIN schools s ON s.tenant_id = $1 AND s.id = r.school_id"
        " LEFT JOIN courses c ON c.tenant_id = $1 AND c.id = r.course_id WHERE r.tenant_id = $1"
    ),
    "users": (
        "SELECT source_id, username, username_key, given_name, family_name,"
        " preferred_given_name, preferred_family_name, email, number, roles, grades, is_enabled,"
        " archived_at IS NOT NULL, origin FROM users WHERE tenant_id = $1"
    ),
    "school_affiliations": (
        "SELECT u.source_id, s.source_id, a.position FROM school_affiliations a"
        " JOIN users u ON u.tenant_id = $1 AND u.id = a.user_id"
        " JOIN schools s ON s.tenant_id = $1 AND s.id = a.school_id WHERE a.tenant_id = $1"
    ),
    "memberships": (
        "SELECT u.source_id, g.source_id, m.role, m.archived_at IS NOT NULL FROM memberships m"
        " JOIN users u ON u.tenant_id = $1 AND u.id = m.user_id"
        " JOIN groups g ON g.tenant_id = $1 AND g.id = m.group_id WHERE m.tenant_id = $1"
    ),
    "membership_spans": (
        "SELECT u.source_id, g.source_id, m.role, p.source_id, p.begins_on, p.ends_on,"
        " p.is_primary FROM membership_spans p"
        " JOIN memberships m ON m.tenant_id = $1 AND m.id = p.membership_id"
        " JOIN users u ON u.tenant_id = $1 AND u.id = m.user_id"
        " JOIN groups g ON g.tenant_id = $1 AND g.id = m.group_id WHERE p.tenant_id = $1"
    ),
}
Drafts = Mapping[SharingSubject, list[str]] | None
Roster = dict[str, list[tuple[Any, ...]]]
NUMBERS = ("created", "updated", "archived", "restored", "unchanged", "rejected", "ignored")


@dataclass
class Story:
    """One tenant that takes `district` over night by night. `see` is the superuser's connection."""

    api: Database
    worker: Database
    see: asyncpg.Connection
    folder: Path
    district: CsvDistrict
    keys: KeyRing
    tenant_id: UUID

    async def begin(self, slug: str) -> None:
        async with self.api.transaction(self.tenant_id) as session:
            await create_tenant(
                session, tenant_id=self.tenant_id, slug=slug, name=slug, caller=COMMAND_LINE
            )
        await self.configure(self.folder)

    async def configure(self, path: Path) -> None:
        async with self.api.transaction(self.tenant_id) as session:
            await configure_integration(
                session,
                tenant_id=self.tenant_id,
                configuration=Configuration(Provider.ONEROSTER_CSV, {"path": str(path)}),
                keys=self.keys,
                caller=COMMAND_LINE,
                now=utc_now(),
            )

    async def request(
        self, mode: SyncMode = SyncMode.FULL, *, sharing_rules: Drafts = None
    ) -> Requested:
        async with self.api.transaction(self.tenant_id) as session:
            return await request_run(
                session,
                tenant_id=self.tenant_id,
                mode=mode,
                trigger=SyncTrigger.MANUAL,
                caller=COMMAND_LINE,
                now=utc_now(),
                sharing_rules=sharing_rules,
            )

    async def run(
        self,
        mode: SyncMode = SyncMode.FULL,
        *,
        sharing_rules: Drafts = None,
        opener: SourceOpener = open_source,
    ) -> SyncRun:
        """Sync whatever lies in the folder, or what the opener gives."""
        requested = await self.request(mode, sharing_rules=sharing_rules)
        assert await work(self.worker, opener, self.keys) == requested.run.id
        return await self.read_run(requested.run.id)

    async def preview(self, sharing_rules: Drafts = None) -> SyncRun:
        """What the district in memory would come to with these rules."""
        self.district.write(self.folder)
        return await self.run(SyncMode.PREFLIGHT, sharing_rules=sharing_rules)

    async def approve(self, run: SyncRun) -> SyncRun:
        """The run that may do what waited of this one, from what is written already."""
        async with self.api.transaction(self.tenant_id) as session:
            requested = await approve_run(
                session,
                tenant_id=self.tenant_id,
                run_id=run.id,
                caller=COMMAND_LINE,
                now=utc_now(),
            )
        assert await work(self.worker, open_source, self.keys) == requested.run.id
        return await self.read_run(requested.run.id)

    async def share(self, **rules: list[str]) -> None:
        """Save these sharing rules and no others."""
        integration_id = await self.see.fetchval(
            "SELECT id FROM integrations WHERE tenant_id = $1", self.tenant_id
        )
        await self.see.execute("DELETE FROM sharing_rules WHERE tenant_id = $1", self.tenant_id)
        for subject, values in rules.items():
            await self.see.execute(
                "INSERT INTO sharing_rules (tenant_id, integration_id, subject, values)"
                " VALUES ($1, $2, $3, $4)",
                self.tenant_id,
                integration_id,
                subject,
                values,
            )

    async def require(self, *names: str) -> None:
        """Require this of every student, and nothing else."""
        await self.see.execute("DELETE FROM requirements WHERE tenant_id = $1", self.tenant_id)
        await self.see.execute(
            "INSERT INTO requirements (tenant_id, name, is_enabled)"
            " SELECT $1, n, true FROM unnest($2::text[]) AS r (n)",
            self.tenant_id,
            list(names),
        )

    async def connect_to(self, provider: Provider) -> None:
        """Let the tenant's integration be one with a provider of the network."""
        await self.see.execute(
            "UPDATE integrations SET provider = $2 WHERE tenant_id = $1",
            self.tenant_id,
            provider.value,
        )

    async def night(self, **modes: str) -> SyncRun:
        """Write the district and sync it. With `modes` only those files, delta or bulk."""
        self.district.write(self.folder, modes=modes or None)
        return await self.run()

    async def read_run(self, run_id: UUID) -> SyncRun:
        async with self.api.read(self.tenant_id) as session:
            return await get_run(session, tenant_id=self.tenant_id, run_id=run_id)

    async def roster(self) -> Roster:
        return await read_roster(self.see, self.tenant_id)

    async def ids(self, table: str) -> dict[str, UUID]:
        """Our id by the provider's."""
        rows = await self.see.fetch(
            f"SELECT source_id, id FROM {table} WHERE tenant_id = $1",  # noqa: S608 - our own table
            self.tenant_id,
        )
        return {row["source_id"]: row["id"] for row in rows}

    async def membership_ids(self) -> dict[tuple[str, str, str], UUID]:
        rows = await self.see.fetch(
            "SELECT u.source_id, g.source_id, m.role, m.id FROM memberships m"
            " JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"
            " JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id"
            " WHERE m.tenant_id = $1",
            self.tenant_id,
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def user(self, source_id: str) -> asyncpg.Record:
        return await self.see.fetchrow(
            "SELECT * FROM users WHERE tenant_id = $1 AND source_id = $2",
            self.tenant_id,
            source_id,
        )

    async def changes(self, run: SyncRun) -> list[tuple[str, str | None, str, Any, Any]]:
        """(record type, source id, action, old values, new values) of a run, sorted."""
        rows = await self.see.fetch(
            "SELECT record_type, source_id, action, old_values, new_values FROM sync_changes"
            " WHERE tenant_id = $1 AND run_id = $2 ORDER BY record_type, source_id, action",
            self.tenant_id,
            run.id,
        )
        return [(*row[:3], json.loads(row[3]), json.loads(row[4])) for row in rows]

    async def errors(self, *columns: str, state: str = "OPEN") -> list[tuple[Any, ...]]:
        """Errors in a state, sorted: (code, source id) unless other columns are named."""
        names = ", ".join(columns or ("code", "source_id"))
        rows = await self.see.fetch(
            f"SELECT {names} FROM validation_errors"  # noqa: S608 - the test's own columns
            " WHERE tenant_id = $1 AND state = $2",
            self.tenant_id,
            state,
        )
        return sorted((tuple(row) for row in rows), key=str)


async def read_roster(see: asyncpg.Connection, tenant_id: UUID) -> Roster:
    """Everything that is stored of a tenant's roster, by the provider's ids."""
    return {
        table: sorted((tuple(row) for row in await see.fetch(sql, tenant_id)), key=str)
        for table, sql in _ROSTER.items()
    }


async def read_places(see: asyncpg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Where every row of the roster lies and who wrote it: the same only if nobody wrote."""
    return {
        table: sorted(
            tuple(row)
            for row in await see.fetch(f"SELECT ctid::text, xmin::text FROM {table}")  # noqa: S608 - our own table
        )
        for table in ROSTER_TABLES
    }


def numbers(run: SyncRun, record_type: RecordType) -> dict[str, int]:
    """What a run counted of a type, without the zeros."""
    counted: dict[str, int] = run.counts[record_type.value]
    return {name: counted[name] for name in NUMBERS if counted[name]}


def totals(run: SyncRun, *names: str) -> dict[str, int]:
    """The sum over all types."""
    wanted: Sequence[str] = names or ("created", "updated", "archived", "restored")
    return {name: sum(counts[name] for counts in run.counts.values()) for name in wanted}


def new_story(
    api: Database, worker: Database, see: asyncpg.Connection, *, folder: Path, keys: KeyRing
) -> Story:
    return Story(api, worker, see, folder, CsvDistrict(), keys, new_id())
