"""What tests of imports of admins and staff need: a file, an upload of it, and the errand done."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import utc_now
from domain.database import Database
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.files.downloads import csv_of
from domain.files.uploads import Place, receive_upload, request_upload
from domain.people.callers import COMMAND_LINE
from domain.staffing.exports import begin_people_download
from domain.staffing.layouts import HEADER, PEOPLE, PeopleKind

ADMINS = (
    "username,given_name,family_name,email,role,school_numbers,is_enabled\n"
    "ann.fox,Ann,Fox,ann@example.org,district_admin,,yes\n"
    "kim.day,Kim,Day,kim@example.org,School Admin,0410;0420,\n"
)
STAFF = "username,given_name,family_name,email\nida.may,Ida,May,ida@example.org\n"
TABLES = ("users", "school_affiliations", "memberships")


def sheet(*rows: Sequence[str]) -> str:
    """A file with the full header."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([HEADER, *rows])
    return buffer.getvalue()


@dataclass(frozen=True)
class Office:
    """One tenant. `see` is the superuser's connection."""

    api: Database
    worker: Database
    see: asyncpg.Connection
    tenant_id: UUID

    async def upload(self, content: bytes, kind: PeopleKind) -> UUID:
        now = utc_now()
        async with self.api.transaction(self.tenant_id) as session:
            ticket = await request_upload(
                session,
                tenant_id=self.tenant_id,
                purpose=PEOPLE[kind].purpose,
                caller=COMMAND_LINE,
                now=now,
            )
            place = Place(self.tenant_id, ticket.upload_id)
            assert await receive_upload(session, place, content=content, now=now)
        return ticket.upload_id

    async def ask(self, upload_id: UUID, kind: PeopleKind, **choices: bool) -> Any:
        """The report. Raises what it is refused with."""
        asked = {"apply": False, "skip_errors": False, "archive_missing": False, **choices}
        async with self.api.transaction(self.tenant_id) as session:
            errand_id = await request_errand(
                session,
                tenant_id=self.tenant_id,
                kind=ErrandKind.PEOPLE_IMPORT,
                asked=asked | {"upload_id": str(upload_id), "kind": kind.value},
                caller=COMMAND_LINE,
            )
        assert await perform_errand(self.worker)
        return await wait_for_errand(self.api, tenant_id=self.tenant_id, errand_id=errand_id)

    async def look(
        self, content: str | bytes, kind: PeopleKind = PeopleKind.ADMINS, **choices: bool
    ) -> Any:
        raw = content.encode() if isinstance(content, str) else content
        return await self.ask(await self.upload(raw, kind), kind, **choices)

    async def apply(
        self, content: str | bytes, kind: PeopleKind = PeopleKind.ADMINS, **choices: bool
    ) -> Any:
        return await self.look(content, kind, apply=True, **choices)

    async def export(self, kind: PeopleKind = PeopleKind.ADMINS) -> bytes:
        async with self.api.transaction(self.tenant_id) as session:
            download = await begin_people_download(
                session, tenant_id=self.tenant_id, kind=kind, caller=COMMAND_LINE
            )
        return b"".join([chunk async for chunk in csv_of(self.api, download)])

    async def places(self) -> dict[str, list[tuple[str, str]]]:
        """Where every row lies and who wrote it: the same only if nobody wrote."""
        return {
            table: sorted(
                (row[0], row[1])
                for row in await self.see.fetch(f"SELECT ctid::text, xmin::text FROM {table}")  # noqa: S608
            )
            for table in TABLES
        }

    async def people(self, *columns: str) -> list[tuple[Any, ...]]:
        """Those who are imported and here, by username."""
        rows = await self.see.fetch(
            f"SELECT {', '.join(('username', *columns))} FROM users u"  # noqa: S608 - the test's own
            " WHERE tenant_id = $1 AND origin = 'IMPORT' AND archived_at IS NULL"
            " ORDER BY username_key",
            self.tenant_id,
        )
        return [tuple(row) for row in rows]

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.see.fetch(sql)]


SCHOOLS_OF = (
    "(SELECT array_agg(s.number ORDER BY a.position) FROM school_affiliations a"
    " JOIN schools s ON s.tenant_id = a.tenant_id AND s.id = a.school_id"
    " WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id)"
)


def counts(report: Any) -> dict[str, int]:
    """What becomes of people, without the zeros."""
    return {name: n for name, n in report["counts"].items() if n}


def said(report: Any) -> list[tuple[int, str | None, str]]:
    return [(error["line"], error["column"], error["message"]) for error in report["errors"]]
