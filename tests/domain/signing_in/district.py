"""What tests of signing in need: a tenant with people, its ways of signing in, and what is kept."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import utc_now
from domain.database import Database
from domain.people.models import SignInMethodName
from domain.signing_in.assertions import Assertion
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal, SignedIn, sign_in_by
from tests.api.graphql.seed import add_tenant, add_user, insert

KEYS = {
    SignInMethodName.CLEVER: "5f1d",
    SignInMethodName.CLASSLINK: "4711",
    SignInMethodName.GOOGLE: "alpha.example",
    SignInMethodName.MICROSOFT: "6f1c2f6a-4b7e-4c39-9d43-0d4f3f0f9a11",
}
"""What a tenant is called at each provider."""


@dataclass(frozen=True)
class District:
    """A tenant where the password alone is on. `see` is the superuser's connection."""

    api: Database
    see: asyncpg.Connection
    tenant_id: UUID

    async def person(self, source_id: str | None = None, **values: Any) -> UUID:
        return await add_user(self.see, self.tenant_id, source_id=source_id, **values)

    async def switch_on(self, name: str, *keys: str, **values: Any) -> None:
        """With the usual key, and whole addresses compared, unless it is said otherwise."""
        method = SignInMethodName(name)
        is_by_username = method in {SignInMethodName.GOOGLE, SignInMethodName.MICROSOFT}
        row = {"is_enabled": True, "compares": "ADDRESS" if is_by_username else None}
        await insert(
            self.see,
            "sign_in_methods",
            tenant_id=self.tenant_id,
            method=name,
            keys=list(keys) or [KEYS[method]],
            **row | values,
        )

    async def sign_in(
        self, assertion: Assertion, *, at_page: bool = True, now: datetime | None = None
    ) -> SignedIn | Refusal:
        return await sign_in_by(
            self.api,
            assertion,
            tenant_id=self.tenant_id if at_page else None,
            client="Firefox",
            now=now or utc_now(),
        )

    async def refusal(self, assertion: Assertion, **values: Any) -> RefusalReason | None:
        """None: they are in."""
        outcome = await self.sign_in(assertion, **values)
        return outcome.reason if isinstance(outcome, Refusal) else None

    async def attempts(self) -> list[tuple[Any, ...]]:
        """(person, method, outcome, reason), the first one first."""
        rows = await self.see.fetch(
            "SELECT user_id, method, outcome, reason FROM sign_in_attempts"
            " WHERE tenant_id = $1 ORDER BY id",
            self.tenant_id,
        )
        return [tuple(row) for row in rows]

    async def acts(self) -> list[tuple[Any, ...]]:
        """(actor, action, target, details) of the audit log, the first one first."""
        rows = await self.see.fetch(
            "SELECT actor, action, target, details FROM audit_log WHERE tenant_id = $1 ORDER BY id",
            self.tenant_id,
        )
        return [(*row[:3], json.loads(row[3])) for row in rows]

    async def pins(self) -> list[tuple[Any, ...]]:
        rows = await self.see.fetch(
            "SELECT user_id, method, subject FROM identities WHERE tenant_id = $1 ORDER BY id",
            self.tenant_id,
        )
        return [tuple(row) for row in rows]

    async def override(self, user_id: UUID, *, is_eligible: bool) -> None:
        await self.see.execute(
            "INSERT INTO eligibility_overrides (tenant_id, user_id, is_eligible, set_by)"
            " VALUES ($1, $2, $3, 'system')",
            self.tenant_id,
            user_id,
            is_eligible,
        )

    async def change(self, user_id: UUID, **values: Any) -> None:
        for name, value in values.items():
            await self.see.execute(
                f"UPDATE users SET {name} = $2 WHERE id = $1",  # noqa: S608 - the test's own columns
                user_id,
                value,
            )


async def new_district(api: Database, see: asyncpg.Connection, slug: str) -> District:
    return District(api, see, await add_tenant(see, slug))


def clever(subject: str = "c1", key: str = KEYS[SignInMethodName.CLEVER]) -> Assertion:
    return Assertion(SignInMethodName.CLEVER, key, subject)


def classlink(subject: str = "s1", key: str = KEYS[SignInMethodName.CLASSLINK]) -> Assertion:
    return Assertion(SignInMethodName.CLASSLINK, key, subject)


def google(
    address: str | None = "mia@alpha.example",
    subject: str = "g1",
    key: str = KEYS[SignInMethodName.GOOGLE],
) -> Assertion:
    return Assertion(SignInMethodName.GOOGLE, key, subject, address)
