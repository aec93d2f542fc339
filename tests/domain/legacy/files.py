"""What tests of legacy imports need: files, an upload of them, and the errand done at once."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import utc_now
from domain.database import Database
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.files.uploads import Place, UploadPurpose, receive_upload, request_upload
from domain.people.callers import COMMAND_LINE

SMALL = {
    "schools.csv": "id,name,number\ns1,North School,0410\ns2,South School,\n",
    "groups.csv": "id,school_id,name,code,grades\ng1,s1,Typing 1,TYP1,03;04\ng2,s2,Typing 2,,\n",
    "people.csv": (
        "id,username,given_name,family_name,roles,school_ids,email,number\n"
        "p1,mia.lee,Mia,Lee,student,s1,mia@example.org,104233\n"
        "p2,tom.ray,Tom,Ray,Student,s2;s1,,104234\n"
        "p3,ann.fox,Ann,Fox,teacher; staff,s1,ann@example.org,\n"
    ),
    "memberships.csv": "person_id,group_id,role\np1,g1,student\np2,g2,student\np3,g1,teacher\n",
    "settings.csv": (
        "level,id,speed_target,accuracy_target,keyboard_layout,has_avatars,age_group\n"
        "tenant,,20,90,us,yes,\ngroup,g1,25,,,no,Elementary\nperson,p1,,99,US(Dvorak),,\n"
    ),
    "progress.csv": (
        "person_id,group_id,lessons,seconds,best_speed,last_active_at\n"
        "p1,g1,42,12600,31,2025-06-30T14:05:00+02:00\np2,g2,,,,\n"
    ),
}
TABLES = (
    "schools",
    "groups",
    "users",
    "school_affiliations",
    "memberships",
    "training_settings",
    "progress",
    "external_keys",
)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass(frozen=True)
class Desk:
    """One tenant. `see` is the superuser's connection."""

    api: Database
    worker: Database
    see: asyncpg.Connection
    tenant_id: UUID

    async def upload(self, content: bytes) -> UUID:
        now = utc_now()
        async with self.api.transaction(self.tenant_id) as session:
            ticket = await request_upload(
                session,
                tenant_id=self.tenant_id,
                purpose=UploadPurpose.LEGACY_IMPORT,
                caller=COMMAND_LINE,
                now=now,
            )
            place = Place(self.tenant_id, ticket.upload_id)
            assert await receive_upload(session, place, content=content, now=now)
        return ticket.upload_id

    async def ask(self, upload_id: UUID, *, apply: bool = False, skip: bool = False) -> Any:
        """The report. Raises what it is refused with."""
        asked = {"upload_id": str(upload_id), "apply": apply, "skip_errors": skip}
        async with self.api.transaction(self.tenant_id) as session:
            errand_id = await request_errand(
                session,
                tenant_id=self.tenant_id,
                kind=ErrandKind.LEGACY_IMPORT,
                asked=asked,
                caller=COMMAND_LINE,
            )
        assert await perform_errand(self.worker)
        return await wait_for_errand(self.api, tenant_id=self.tenant_id, errand_id=errand_id)

    async def look(self, files: Mapping[str, str | bytes]) -> Any:
        return await self.ask(await self.upload(zipped(files)))

    async def apply(self, files: Mapping[str, str | bytes], *, skip: bool = False) -> Any:
        return await self.ask(await self.upload(zipped(files)), apply=True, skip=skip)

    async def stored(self) -> dict[str, list[str]]:
        """Every row of every table that an import writes, to the last byte."""
        return {
            table: sorted(
                row[0]
                for row in await self.see.fetch(f"SELECT to_jsonb(t)::text FROM {table} t")  # noqa: S608
            )
            for table in TABLES
        }

    async def places(self) -> dict[str, list[tuple[str, str]]]:
        """Where every row lies and who wrote it: the same only if nobody wrote."""
        return {
            table: sorted(
                (row[0], row[1])
                for row in await self.see.fetch(f"SELECT ctid::text, xmin::text FROM {table}")  # noqa: S608
            )
            for table in TABLES
        }

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.see.fetch(sql)]


def numbers(report: Any) -> dict[str, tuple[int, int, int, int, int]]:
    """(rows, new, existing, changed, errors) of each file."""
    return {
        file["name"].removesuffix(".csv"): (
            file["rows"],
            file["new"],
            file["existing"],
            file["changed"],
            file["errors"],
        )
        for file in report["files"]
    }


def said(report: Any) -> list[tuple[str, int, str | None]]:
    """Which errors there are, without their words."""
    return [(error["file"], error["line"], error["column"]) for error in report["errors"]]
