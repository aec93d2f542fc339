"""Small districts made at random, with a row at least in every table that a tenant has."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import JSONB

from domain.clock import new_id, utc_now
from domain.models import metadata
from domain.people.models import SignInMethodName
from domain.people.tokens import hash_token
from domain.roster.records import RecordType

Row = Mapping[str, Any]
TENANT_TABLES: Final = [table for table in metadata.sorted_tables if "tenant_id" in table.columns]
PEOPLE: Final = (
    ("SCHOOL_ADMIN",), ("TEACHER",), ("STAFF",), ("TEACHER", "STAFF"), ("SCHOOL_ADMIN", "TEACHER"),
    *((("STUDENT",),) * 9),
)  # fmt: skip
"""The roles of everybody there is."""


@dataclass
class District:
    """What was put in, by table: the truth that queries are compared with."""

    see: asyncpg.Connection
    random: Random
    tenant_id: UUID = field(default_factory=new_id)
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    async def put(self, name: str, **values: Any) -> UUID:
        """A row; what is not said and cannot be left out is made up. Its id, where it has one."""
        table = metadata.tables[name]
        key = {"tenant_id": self.tenant_id, "id": new_id()}
        row = {column: value for column, value in key.items() if column in table.columns}
        row |= {column.name: self._any(table, column) for column in _needed(table, row | values)}
        row |= values
        row = {column: row[column] for column in table.columns.keys() if column in row}  # noqa: SIM118
        given = [
            json.dumps(value) if isinstance(table.columns[column].type, JSONB) else value
            for column, value in row.items()
        ]
        names = ", ".join(f'"{column}"' for column in row)
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await self.see.execute(f"INSERT INTO {name} ({names}) VALUES ({places})", *given)  # noqa: S608
        self.rows[name].append(row)
        return UUID(str(row.get("id", self.tenant_id)))

    def _any(self, table: Table, column: Column[Any]) -> Any:
        """One of those that are referred to, or something of the type."""
        for constraint in table.foreign_key_constraints:
            if column.name in constraint.column_keys:
                return self.one_of(constraint.referred_table.name)["id"]
        if column.name == "origin":
            return "PROVIDER"
        if enumerated := getattr(column.type, "enums", None):
            return self.random.choice(enumerated)
        now, new = utc_now(), new_id()
        made: Mapping[type, Any] = {
            str: f"{table.name} {new}",
            int: self.random.randrange(1, 8),
            bytes: new.bytes,
            bool: self.random.random() < 0.5,
            list: [],
            UUID: new,
            date: now.date(),
            datetime: now,
            time: now.time(),
            object: {},  # JSON
        }
        return made[column.type.python_type]

    def one_of(self, name: str) -> Row:
        return self.random.choice(self.rows[name])

    def ids(self, name: str) -> list[UUID]:
        return [row["id"] for row in self.rows[name]]


def _needed(table: Table, given: Row) -> Iterator[Column[Any]]:
    for column in table.columns:
        if not column.nullable and column.server_default is None and column.name not in given:
            yield column


async def make_district(see: asyncpg.Connection, seed: int) -> District:
    """Another for each seed: who is where, and what is archived."""
    district = District(see, Random(seed))  # noqa: S311 - nothing secret
    await district.put(
        "tenants", id=district.tenant_id, slug=f"d-{district.tenant_id}", status="ACTIVE",
        time_zone="UTC",
    )  # fmt: skip
    await _add_roster(district)
    await _add_training(district)
    await _add_runs(district)
    await _add_acts(district)
    for table in TENANT_TABLES:
        if table.name not in district.rows:
            is_account = table.name == "accounts"  # of somebody, or else with a name of its own
            given = {"user_id": district.one_of("users")["id"]} if is_account else {}
            await district.put(table.name, **given)
    return district


async def _add_roster(district: District) -> None:
    pick, put = district.random, district.put
    for _ in range(4):
        await put("schools", source_id=f"school {new_id()}")
    for _ in range(9):
        await put("groups", source_id=f"group {new_id()}", archived_at=_sometimes(pick))
    for roles in PEOPLE:
        await _add_person(district, roles)
    pairs = [(user, group) for user in district.ids("users") for group in district.ids("groups")]
    for user, group in pick.sample(pairs, 50):
        role = pick.choice(("STUDENT", "TEACHER", "STAFF"))
        await put(
            "memberships", user_id=user, group_id=group, role=role, archived_at=_sometimes(pick)
        )
    for row in district.rows["memberships"]:
        await put("membership_spans", membership_id=row["id"])


async def _add_person(district: District, roles: Sequence[str]) -> None:
    """With a session; an admin of two schools, and others of some."""
    pick, put = district.random, district.put
    is_archived = roles == ("STUDENT",) and pick.random() < 0.2
    user = await put(
        "users", roles=list(roles), source_id=f"user {new_id()}", is_enabled=True,
        is_eligible=True, archived_at=utc_now() if is_archived else None,
    )  # fmt: skip
    count = 2 if "SCHOOL_ADMIN" in roles else pick.randrange(3)
    for school in pick.sample(district.ids("schools"), count):
        await put("school_affiliations", user_id=user, school_id=school)
    await put(
        "sessions", user_id=user, method=SignInMethodName.PASSWORD.value,
        token_hash=hash_token(token_of(user)), last_seen_at=utc_now(),
        expires_at=utc_now() + timedelta(hours=1),
    )  # fmt: skip


def token_of(user: UUID) -> str:
    return f"hrs_{user}"


async def _add_training(district: District) -> None:
    pick, put = district.random, district.put
    owners = {"school_id": "schools", "group_id": "groups", "user_id": "users"}
    await put("training_settings")
    for column, table in owners.items():
        for key in pick.sample(district.ids(table), 4):
            await put("training_settings", **{column: key})
    pairs = [(user, group) for user in district.ids("users") for group in district.ids("groups")]
    for user, group in pick.sample(pairs, 40):
        await put("progress", user_id=user, group_id=group, school_year=2026)
    for _ in range(20):
        source, target = pick.sample(district.ids("groups"), 2)
        await put("progress_carries", from_group_id=source, to_group_id=target)
    for user in district.ids("users"):
        if pick.random() < 0.5:
            await put("default_places", user_id=user)
        if pick.random() < 0.5:
            await put("eligibility_overrides", user_id=user, is_eligible=True)


async def _add_runs(district: District) -> None:
    """Changes and errors of everything there is, and of what nobody knows."""
    await district.put("integrations")
    await district.put("sync_runs", state="SUCCEEDED")
    for record_type in RecordType:
        table = f"{record_type.value.lower()}s"
        await _fill(district, table)
        for row in district.rows[table]:
            await district.put("sync_changes", record_type=record_type.value, record_id=row["id"])
            await district.put(
                "validation_errors", record_type=record_type.value,
                source_id=row.get("source_id"), record=_record(district, record_type),
            )  # fmt: skip


async def _fill(district: District, table: str) -> None:
    if table not in district.rows:
        await district.put(table)


def _record(district: District, record_type: RecordType) -> dict[str, Any] | None:
    """As a provider sent it: it may name whom nobody knows."""
    pick = district.random

    def key(table: str) -> str | None:
        return pick.choice((district.one_of(table)["source_id"], f"unknown {table}", None))

    records: Mapping[RecordType, Row] = {
        RecordType.GROUP: {"school_source_id": key("schools")},
        RecordType.USER: {"school_source_ids": [key("schools") or "", "unknown"]},
        RecordType.MEMBERSHIP: {
            "group_source_id": key("groups"),
            "user_source_id": key("users"),
        },
    }
    return dict(records.get(record_type, {})) if pick.random() < 0.8 else None


async def _add_acts(district: District) -> None:
    for user in district.ids("users"):
        actor = f"user {user}"
        await district.put("errands", requested_by=actor)
        await district.put("exports", created_by=actor)
        await district.put("audit_log", actor=actor)
        await district.put("sign_in_attempts", user_id=user)


def _sometimes(pick: Random) -> datetime | None:
    return utc_now() if pick.random() < 0.25 else None
