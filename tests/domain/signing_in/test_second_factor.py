"""Codes of an authenticator: good for a minute and a half, and once."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest

from domain.errors import InvalidInput
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.secrets import SecretUnreadable
from domain.signing_in.second_factor import (
    name_of,
    new_secret,
    step_of,
    switch_off,
    switch_on,
    uri_of,
    use_code,
)
from tests.api.graphql.signed_in import add_super_admin
from tests.domain.signing_in.district import District

NOW = datetime(2026, 9, 1, 12, 0, 15, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - of nobody
STEP = int(NOW.timestamp()) // 30


@pytest.mark.parametrize(("seconds", "is_good"), [(0, True), (30, True), (-30, True), (60, False)])
def test_a_code_is_good_around_its_time(seconds: int, is_good: bool) -> None:
    code = pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=seconds))
    assert (step_of(SECRET, code, now=NOW) == STEP + seconds // 30) is is_good


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "000 00"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert step_of(SECRET, code, now=NOW) is None


def test_blanks_in_a_code_do_not_matter() -> None:
    code = pyotp.TOTP(SECRET).at(NOW)
    assert step_of(SECRET, f" {code[:3]} {code[3:]} ", now=NOW) == STEP


def test_every_secret_is_its_own_and_authenticators_can_open_it() -> None:
    assert new_secret() != new_secret()
    assert uri_of(SECRET, name="ada@example.org") == (
        f"otpauth://totp/Homerow:ada%40example.org?secret={SECRET}&issuer=Homerow"
    )


async def turn_on(resources: Resources, district: District, account_id: UUID, code: str) -> None:
    async with district.api.transaction(district.tenant_id) as session:
        await switch_on(
            session,
            tenant_id=district.tenant_id,
            account_id=account_id,
            secret=SECRET,
            code=code,
            keys=resources.keys,
            caller=COMMAND_LINE,
            now=NOW,
        )


async def use(
    resources: Resources, district: District, account_id: UUID, sealed: bytes, *, at: datetime
) -> bool:
    async with district.api.transaction(district.tenant_id) as session:
        return await use_code(
            session,
            tenant_id=district.tenant_id,
            account_id=account_id,
            sealed=sealed,
            code=pyotp.TOTP(SECRET).at(at),
            keys=resources.keys,
            now=at,
        )


@pytest.mark.anyio
async def test_it_is_on_once_a_code_proves_that_the_authenticator_has_it(
    resources: Resources, alpha: District
) -> None:
    ada = await add_super_admin(alpha.see, alpha.tenant_id)
    with pytest.raises(InvalidInput, match="The code is wrong"):
        await turn_on(resources, alpha, ada, "000000")
    assert await alpha.see.fetchval("SELECT totp_sealed FROM accounts") is None

    await turn_on(resources, alpha, ada, pyotp.TOTP(SECRET).at(NOW))

    sealed = await alpha.see.fetchval("SELECT totp_sealed FROM accounts")
    assert SECRET.encode() not in sealed
    assert not await use(resources, alpha, ada, sealed, at=NOW)  # the one that proved it is used up
    later = NOW + timedelta(seconds=30)
    tries = await asyncio.gather(*(use(resources, alpha, ada, sealed, at=later) for _ in range(4)))
    assert sorted(tries) == [False, False, False, True]
    assert not await use(resources, alpha, ada, sealed, at=NOW)
    async with alpha.api.transaction(alpha.tenant_id) as session:
        assert await name_of(session, tenant_id=alpha.tenant_id, account_id=ada) == (
            "ada@example.org"
        )
        await switch_off(session, tenant_id=alpha.tenant_id, account_id=ada, caller=COMMAND_LINE)
    row = await alpha.see.fetchrow("SELECT totp_sealed, totp_step FROM accounts")
    assert tuple(row) == (None, None)
    assert [row[1] for row in await alpha.acts()] == ["secondFactorOn", "secondFactorOff"]


@pytest.mark.anyio
async def test_a_sealed_secret_is_of_its_account_alone(
    resources: Resources, alpha: District
) -> None:
    ada = await add_super_admin(alpha.see, alpha.tenant_id)
    await turn_on(resources, alpha, ada, pyotp.TOTP(SECRET).at(NOW))
    sealed = await alpha.see.fetchval("SELECT totp_sealed FROM accounts")
    eve = await add_super_admin(alpha.see, alpha.tenant_id, email="eve@example.org")
    with pytest.raises(SecretUnreadable):
        await use(resources, alpha, eve, sealed, at=NOW)
