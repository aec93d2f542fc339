"""A tenant with somebody in each role, who see different parts of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.people.callers import SCOPES, Caller, CallerRole
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_token,
    add_user,
    insert,
)
from tests.api.graphql.signed_in import add_session, add_super_admin

OF_ROSTER: Final = (
    CallerRole.DISTRICT_ADMIN,
    CallerRole.SCHOOL_ADMIN,
    CallerRole.TEACHER,
    CallerRole.STAFF,
    CallerRole.STUDENT,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One object of each type, by type code: a school with what belongs to it."""

    tenant_id: UUID
    keys: Mapping[str, UUID]

    def id(self, code: str) -> str:
        key = self.keys.get(code) or new_id()
        return encode_id(code, self.tenant_id, key)

    def id_of(self, name: str) -> str:
        """For an argument, or a field of an input."""
        code = next((code for part, code in _NAMES.items() if part in name.lower()), "U")
        return self.id(code)


_NAMES: Final[Mapping[str, str]] = {
    "apitoken": "B",
    "session": "Z",
    "upload": "Z",
    "carry": "K",
    "mergeid": "Y",
    "tenant": "T",
    "group": "G",
    "school": "S",
    "run": "R",
    "membership": "M",
    "candidate": "X",
    "user": "U",
}


async def add_part(superuser: asyncpg.Connection, tenant_id: UUID) -> Part:
    school = await add_school(superuser, tenant_id, source_id=f"school-{new_id()}")
    group = await add_group(superuser, tenant_id, school, source_id=f"group-{new_id()}")
    user = await add_user(
        superuser, tenant_id, schools=[school], is_eligible=True, source_id=f"user-{new_id()}"
    )
    membership = await add_membership(superuser, tenant_id, user, group)
    return Part(tenant_id, {"T": tenant_id, "S": school, "G": group, "U": user, "M": membership})


async def add_whole(superuser: asyncpg.Connection, tenant_id: UUID, part: Part) -> Part:
    """With what a tenant has once: what was found out, and found wrong, is of the part."""
    integration = await add_integration(superuser, tenant_id)
    run = await add_run(superuser, tenant_id, integration)
    source_id = await superuser.fetchval(
        "SELECT source_id FROM users WHERE id = $1", part.keys["U"]
    )
    names = {"tenant_id": tenant_id, "origin": "PROVIDER"}
    keys = {
        "I": integration,
        "R": run,
        "E": await add_error(superuser, tenant_id, run, source_id=source_id),
        "C": await insert(superuser, "courses", name="Typing", subjects=[], **names),
        "P": await insert(superuser, "terms", name="Fall", kind="term", **names),
    }
    return Part(tenant_id, {**part.keys, **keys})


async def add_callers(superuser: asyncpg.Connection, part: Part) -> dict[CallerRole, str]:
    """The secret of somebody in each role. The people of the roster belong to the part."""
    tenant_id = part.tenant_id
    secrets = {role: f"hrs_{role.value}" for role in OF_ROSTER}
    for role in OF_ROSTER:
        user = await _person(superuser, role, part)
        await add_session(superuser, tenant_id, secrets[role], user_id=user)
    root = await add_super_admin(superuser, tenant_id)
    await add_session(superuser, tenant_id, "hrs_root", account_id=root)
    support = await insert(
        superuser, "operators", name="Sue Port", email="sue@example.org", role="SUPPORT"
    )
    await add_token(superuser, "of-support", operator_id=support)
    return {
        **secrets,
        CallerRole.SUPER_ADMIN: "hrs_root",
        CallerRole.OPERATOR: "of-operator",
        CallerRole.SUPPORT: "of-support",
        CallerRole.MACHINE: "of-alpha",
    }


async def _person(superuser: asyncpg.Connection, role: CallerRole, part: Part) -> UUID:
    if role is CallerRole.STUDENT:
        return part.keys["U"]
    school = part.keys["S"]
    user = await add_user(superuser, part.tenant_id, roles=[role.value], schools=[school])
    if role is CallerRole.TEACHER:
        group = part.keys["G"]
        await add_membership(superuser, part.tenant_id, user, group, role="TEACHER")
    return user


def caller_of(role: CallerRole, tenant_id: UUID) -> Caller:
    """As far as the matrix asks."""
    is_ours = role in {CallerRole.OPERATOR, CallerRole.SUPPORT}
    return Caller(
        actor=role.value,
        name=role.value,
        tenant_id=None if is_ours else tenant_id,
        roles=frozenset({role}),
        scopes=SCOPES[role],
    )
