"""Changing keys: everything sealed is found, sealed anew where it opens, and named where not."""

import base64
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import LargeBinary

from api.local import LocalServers
from domain.clock import new_id
from domain.database import DatabaseRole
from domain.integrations.service import credentials_context
from domain.models import metadata
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources, open_resources
from domain.rotation import SEALED, Survey, rotate_sealed, survey_sealed
from domain.secrets import KeyRing, sealing_key, signing_key_context, totp_context
from domain.tenants.service import create_tenant
from tests.sources import HOSTS

pytestmark = pytest.mark.anyio

NOT_SEALED = {"token_hash", "fingerprint", "content"}
"""Binary columns that hold no secret, or a hash of one."""


def ring(*names: str) -> KeyRing:
    """The first one seals. A key's bytes are its name's, so that rings share keys."""
    pairs = (f"{name}:{base64.b64encode(name.encode().ljust(32)).decode()}" for name in names)
    return KeyRing.parse(",".join(pairs))


OLD, NEW, BOTH = ring("old"), ring("new"), ring("new", "old")
TABLES = ["integration_credentials.sealed", "accounts.totp_sealed", "signing_keys.sealed"]


@pytest.fixture(name="owner")
async def fixture_owner(
    local_servers: LocalServers, database_url: dict[str, str]
) -> AsyncGenerator[Resources]:
    async with open_resources(
        database_url=database_url[DatabaseRole.OWNER],
        redis_url=local_servers.redis_url,
        keys=OLD,
        hosts=HOSTS,
        role=DatabaseRole.OWNER,
    ) as opened:
        yield opened


async def add_tenant(owner: Resources) -> UUID:
    tenant_id = new_id()
    async with owner.database.transaction(tenant_id) as session:
        await create_tenant(
            session, tenant_id=tenant_id, caller=COMMAND_LINE, name="A", slug=f"t-{tenant_id}"
        )
    return tenant_id


async def add_credentials(
    superuser: asyncpg.Connection, tenant_id: UUID, keys: KeyRing, plain: bytes = b"{}"
) -> UUID:
    integration_id = new_id()
    await superuser.execute(
        "INSERT INTO integrations (tenant_id, id, provider, status)"
        " VALUES ($1, $2, 'ONEROSTER_CSV', 'DISCONNECTED')",
        tenant_id,
        integration_id,
    )
    await superuser.execute(
        "INSERT INTO integration_credentials (tenant_id, integration_id, sealed)"
        " VALUES ($1, $2, $3)",
        tenant_id,
        integration_id,
        keys.seal(plain, context=credentials_context(tenant_id, integration_id)),
    )
    return integration_id


async def add_account(superuser: asyncpg.Connection, tenant_id: UUID, keys: KeyRing | None) -> UUID:
    account_id = new_id()
    sealed = keys and keys.seal(b"second factor", context=totp_context(tenant_id, account_id))
    await superuser.execute(
        "INSERT INTO accounts (tenant_id, id, name, email, totp_sealed, created_by)"
        " VALUES ($1, $2, 'Mia', $3, $4, 'test')",
        tenant_id,
        account_id,
        f"{account_id}@example.org",
        sealed,
    )
    return account_id


async def add_signing_key(superuser: asyncpg.Connection, kid: str, keys: KeyRing) -> None:
    sealed = keys.seal(b"private key", context=signing_key_context(kid))
    await superuser.execute(
        "INSERT INTO signing_keys (kid, sealed, public) VALUES ($1, $2, '{}')", kid, sealed
    )


async def credentials_of(superuser: asyncpg.Connection, integration_id: UUID) -> Any:
    return await superuser.fetchval(
        "SELECT sealed FROM integration_credentials WHERE integration_id = $1", integration_id
    )


def test_every_sealed_column_is_known() -> None:
    """A new binary column is added to SEALED, or here to those that need no key."""
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name not in NOT_SEALED
    }
    assert binary == {column.name for column in SEALED} == set(TABLES)


def test_what_is_sealed_says_with_which_key() -> None:
    assert sealing_key(BOTH.seal(b"x", context="c")) == "new"
    assert sealing_key(b"") == ""
    assert sealing_key(b"\x01\x09short") == "short"


async def test_everything_gets_the_new_key_in_every_table(
    owner: Resources, superuser: asyncpg.Connection
) -> None:
    tenants = [await add_tenant(owner), await add_tenant(owner)]
    added = [await add_credentials(superuser, tenant, OLD, b"secret") for tenant in tenants]
    await add_credentials(superuser, tenants[0], BOTH)
    account = await add_account(superuser, tenants[0], OLD)
    await add_account(superuser, tenants[1], None)
    await add_signing_key(superuser, "launch-1", OLD)
    moments = await superuser.fetch("SELECT updated_at FROM integration_credentials ORDER BY 1")

    surveys = await rotate_sealed(owner.database, BOTH)

    assert [survey.name for survey in surveys] == TABLES
    assert [survey.resealed for survey in surveys] == [2, 1, 1]
    assert [dict(survey.by_key) for survey in surveys] == [{"new": 3}, {"new": 1}, {"new": 1}]
    assert not any(survey.unreadable for survey in surveys)
    for tenant, integration in zip(tenants, added, strict=True):
        sealed = await credentials_of(superuser, integration)
        assert NEW.open(sealed, context=credentials_context(tenant, integration)) == b"secret"
    totp = await superuser.fetchval("SELECT totp_sealed FROM accounts WHERE id = $1", account)
    assert NEW.open(totp, context=totp_context(tenants[0], account)) == b"second factor"
    key = await superuser.fetchval("SELECT sealed FROM signing_keys")
    assert NEW.open(key, context=signing_key_context("launch-1")) == b"private key"
    # The secret is the same: nothing that watches for a change may see one.
    assert moments == await superuser.fetch(
        "SELECT updated_at FROM integration_credentials ORDER BY 1"
    )


async def test_a_second_time_changes_nothing(
    owner: Resources, superuser: asyncpg.Connection
) -> None:
    tenant = await add_tenant(owner)
    integration = await add_credentials(superuser, tenant, OLD)
    await rotate_sealed(owner.database, BOTH)
    sealed = await credentials_of(superuser, integration)
    surveys = await rotate_sealed(owner.database, BOTH)
    assert [survey.resealed for survey in surveys] == [0, 0, 0]
    assert await credentials_of(superuser, integration) == sealed


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
async def test_batches_miss_nothing_and_take_nothing_twice(
    owner: Resources, superuser: asyncpg.Connection, batch: int
) -> None:
    for _ in range(3):
        tenant = await add_tenant(owner)
        for keys in (OLD, NEW):
            await add_credentials(superuser, tenant, keys)
    for number in range(3):
        await add_signing_key(superuser, f"key-{number}", OLD)
    surveys = await rotate_sealed(owner.database, BOTH, batch=batch)
    assert [survey.resealed for survey in surveys] == [3, 0, 3]
    assert [survey.by_key["new"] for survey in surveys] == [6, 0, 3]


async def test_a_rotation_that_was_interrupted_is_taken_up(
    owner: Resources, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await add_tenant(owner)
    for _ in range(5):
        await add_credentials(superuser, tenant, OLD)
    seal = KeyRing.seal
    sealed: list[str] = []

    def seal_three(keys: KeyRing, plain: bytes, *, context: str) -> bytes:
        if len(sealed) == 3:
            raise KeyboardInterrupt
        sealed.append(context)
        return seal(keys, plain, context=context)

    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "seal", seal_three)
        with pytest.raises(KeyboardInterrupt):
            await rotate_sealed(owner.database, BOTH, batch=2)
    # The first batch stays; of the second one, nothing is there by halves.
    [survey, *_] = await survey_sealed(owner.database, BOTH)
    assert survey.by_key == {"new": 2, "old": 3}
    [survey, *_] = await rotate_sealed(owner.database, BOTH, batch=2)
    assert (survey.resealed, dict(survey.by_key)) == (3, {"new": 5})


async def test_a_value_that_was_moved_is_named_and_left_as_it_is(
    owner: Resources, superuser: asyncpg.Connection
) -> None:
    """Attack G2: another row's ciphertext, another tenant's, and another table's."""
    ours, theirs = await add_tenant(owner), await add_tenant(owner)
    good = await add_credentials(superuser, ours, OLD)
    moved = await add_credentials(superuser, theirs, OLD)
    other_row = await add_credentials(superuser, ours, NEW)
    stolen = await credentials_of(superuser, good)
    for integration in (moved, other_row):
        await superuser.execute(
            "UPDATE integration_credentials SET sealed = $1 WHERE integration_id = $2",
            stolen,
            integration,
        )
    account = await add_account(superuser, ours, OLD)
    await superuser.execute("UPDATE accounts SET totp_sealed = $1", stolen)

    credentials, totp, _ = await rotate_sealed(owner.database, BOTH)

    assert (credentials.resealed, dict(credentials.by_key)) == (1, {"new": 1})
    assert sorted(credentials.unreadable) == sorted(
        [
            f"tenant_id {theirs}, integration_id {moved}",
            f"tenant_id {ours}, integration_id {other_row}",
        ]
    )
    assert totp.unreadable == [f"tenant_id {ours}, id {account}"]
    for integration in (moved, other_row):
        assert await credentials_of(superuser, integration) == stolen


async def test_a_key_that_was_taken_away_too_early_is_missed(
    owner: Resources, superuser: asyncpg.Connection
) -> None:
    """Attack G3: the old key is gone in the middle of the change."""
    tenant = await add_tenant(owner)
    integration = await add_credentials(superuser, tenant, OLD)
    await add_credentials(superuser, tenant, NEW)
    await add_signing_key(superuser, "launch-1", OLD)

    credentials, _, signing = await rotate_sealed(owner.database, NEW)
    assert credentials.unreadable == [f"tenant_id {tenant}, integration_id {integration}"]
    assert (credentials.resealed, credentials.by_key["new"]) == (0, 1)
    assert signing.unreadable == ["kid launch-1"]

    # Nothing was lost: with the key put back, it goes on.
    credentials, _, signing = await rotate_sealed(owner.database, BOTH)
    assert (credentials.resealed, signing.resealed) == (1, 1)
    assert unreadable(await survey_sealed(owner.database, NEW)) == []


async def test_while_it_is_under_way_both_keys_open(
    owner: Resources, superuser: asyncpg.Connection
) -> None:
    tenant = await add_tenant(owner)
    added = [await add_credentials(superuser, tenant, keys, b"s") for keys in (OLD, NEW)]
    for integration in added:
        sealed = await credentials_of(superuser, integration)
        assert BOTH.open(sealed, context=credentials_context(tenant, integration)) == b"s"


async def test_looking_changes_nothing(owner: Resources, superuser: asyncpg.Connection) -> None:
    tenant = await add_tenant(owner)
    integration = await add_credentials(superuser, tenant, OLD)
    await add_credentials(superuser, tenant, NEW)
    sealed = await credentials_of(superuser, integration)
    [survey, *_] = await survey_sealed(owner.database, BOTH)
    assert (survey.resealed, dict(survey.by_key)) == (0, {"old": 1, "new": 1})
    assert await credentials_of(superuser, integration) == sealed


def unreadable(surveys: Sequence[Survey]) -> list[str]:
    return [row for survey in surveys for row in survey.unreadable]
