"""Signing in with a password: counted, in the same time for all, and never with a former one."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pyotp
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.clock import new_id, utc_now
from domain.people.models import Account, LinkKind
from domain.resources import Resources
from domain.secrets import totp_context
from domain.signing_in import password_sign_in
from domain.signing_in.accounts import get_super_admin
from domain.signing_in.links import find_link, make_link, set_password
from domain.signing_in.password_sign_in import (
    TRIES_BY_ADDRESS,
    TRIES_BY_NAME,
    Try,
    neighbourhood,
    sign_in_with_password,
)
from domain.signing_in.passwords import hash_password, is_outdated
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal, SignedIn
from domain.throttle import Throttle, ThrottleUnavailable
from tests.api.graphql.signed_in import add_super_admin
from tests.domain.signing_in.district import District

pytestmark = pytest.mark.anyio

PASSWORD = "four plain words here"  # noqa: S105 - of nobody
ANOTHER = "quite other words there"
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
ADA = Try("ada@example.org", PASSWORD, None, "192.0.2.1", "Firefox")


@pytest.fixture
async def ada(resources: Resources, alpha: District) -> UUID:
    """The tests before this one came from the same address."""
    await resources.throttle.forget(f"password {ADA.address}")
    stored = await hash_password(PASSWORD)
    return await add_super_admin(alpha.see, alpha.tenant_id, password_hash=stored)


async def sign_in(
    resources: Resources, district: District, attempt: Try = ADA, **changes: Any
) -> SignedIn | Refusal:
    return await sign_in_with_password(
        resources.database,
        resources.keys,
        resources.throttle,
        tenant_id=district.tenant_id,
        attempt=replace(attempt, **changes),
        now=utc_now(),
    )


async def reason_of(
    resources: Resources, district: District, **changes: Any
) -> RefusalReason | None:
    """None: they are in."""
    outcome = await sign_in(resources, district, **changes)
    return outcome.reason if isinstance(outcome, Refusal) else None


async def set_another(
    resources: Resources, district: District, throttle: Throttle | None = None
) -> None:
    async with resources.database.transaction(district.tenant_id) as session:
        account: Account = await get_super_admin(
            session, tenant_id=district.tenant_id, email=ADA.name
        )
        url = await make_link(
            session, account, LinkKind.RESET, public_url="https://us", now=utc_now()
        )
    link = await find_link(resources.database, url.rpartition("/")[2])
    assert link is not None
    await set_password(resources.database, link, ANOTHER, now=utc_now(), throttle=throttle)


async def test_who_knows_the_password_is_in(
    resources: Resources, alpha: District, beta: District, ada: UUID
) -> None:
    outcome = await sign_in(resources, alpha, name=" ADA@example.org ")
    assert isinstance(outcome, SignedIn)
    assert (outcome.account_id, outcome.user_id) == (ada, None)
    assert await alpha.attempts() == [(None, "PASSWORD", "SIGNED_IN", None)]
    assert await reason_of(resources, beta) is RefusalReason.WRONG_PASSWORD


@pytest.mark.parametrize("name", ["eve@example.org", "ada@example.org", "", "\x00", "x" * 900])
async def test_tries_are_counted_whether_the_name_is_known_or_not(
    resources: Resources, alpha: District, ada: UUID, name: str
) -> None:
    reasons = [
        await reason_of(resources, alpha, name=name, password="no")  # noqa: S106 - a wrong one
        for _ in range(TRIES_BY_NAME + 1)
    ]
    wrong = [RefusalReason.WRONG_PASSWORD] * TRIES_BY_NAME
    assert reasons == [*wrong, RefusalReason.LOCKED_OUT]
    assert len(await alpha.attempts()) == TRIES_BY_NAME


async def test_many_at_once_get_no_more_tries(
    resources: Resources, alpha: District, ada: UUID
) -> None:
    reasons = await asyncio.gather(
        *(reason_of(resources, alpha, password=f"no {n}") for n in range(TRIES_BY_NAME + 5))
    )
    assert reasons.count(RefusalReason.WRONG_PASSWORD) == TRIES_BY_NAME
    assert reasons.count(RefusalReason.LOCKED_OUT) == 5


async def test_an_address_that_has_no_tries_left_locks_nobody_out(
    resources: Resources, alpha: District, ada: UUID
) -> None:
    address = f"address {new_id()}"
    for _ in range(TRIES_BY_ADDRESS):
        assert await resources.throttle.count(f"password {address}", TRIES_BY_ADDRESS, 60)
    for _ in range(TRIES_BY_NAME + 1):
        assert await reason_of(resources, alpha, address=address) is RefusalReason.LOCKED_OUT
    assert await reason_of(resources, alpha) is None


async def test_who_gets_in_uses_up_none_of_the_tries_of_an_address(
    resources: Resources, alpha: District, ada: UUID
) -> None:
    address = f"address {new_id()}"
    for _ in range(TRIES_BY_ADDRESS - 1):
        assert await resources.throttle.count(f"password {address}", TRIES_BY_ADDRESS, 60)
    assert [await reason_of(resources, alpha, address=address) for _ in range(3)] == [None] * 3
    wrong = [
        await reason_of(resources, alpha, address=address, password="no")  # noqa: S106
        for _ in range(2)
    ]
    assert wrong == [RefusalReason.WRONG_PASSWORD, RefusalReason.LOCKED_OUT]


async def test_a_new_password_opens_what_was_locked(
    resources: Resources, alpha: District, ada: UUID
) -> None:
    for _ in range(TRIES_BY_NAME):
        await reason_of(resources, alpha, password="no")  # noqa: S106 - a wrong one
    assert await reason_of(resources, alpha) is RefusalReason.LOCKED_OUT
    await set_another(resources, alpha, resources.throttle)
    assert await reason_of(resources, alpha) is RefusalReason.WRONG_PASSWORD
    assert await reason_of(resources, alpha, password=ANOTHER) is None


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_network_of_ipv6_is_counted_as_one(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted


async def test_a_password_that_is_replaced_meanwhile_opens_nothing(
    resources: Resources, alpha: District, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(password: str, stored: str | None) -> bool:
        await set_another(resources, alpha)
        return (password, stored is None) == (PASSWORD, False)

    monkeypatch.setattr(password_sign_in, "is_right", slow)
    assert await reason_of(resources, alpha) is RefusalReason.WRONG_PASSWORD
    assert await alpha.see.fetchval("SELECT count(*) FROM sessions") == 0


async def test_a_hash_of_former_figures_is_made_anew(
    resources: Resources, alpha: District, ada: UUID
) -> None:
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    former = weak.hash(PASSWORD)
    await alpha.see.execute("UPDATE accounts SET password_hash = $1", former)
    assert is_outdated(former)
    assert await reason_of(resources, alpha, password="no") is not None  # noqa: S106 - a wrong one
    assert await alpha.see.fetchval("SELECT password_hash FROM accounts") == former
    assert await reason_of(resources, alpha) is None
    renewed = await alpha.see.fetchval("SELECT password_hash FROM accounts")
    assert not is_outdated(renewed)
    assert await reason_of(resources, alpha) is None
    assert await alpha.see.fetchval("SELECT password_hash FROM accounts") == renewed


async def test_a_code_opens_once_however_many_type_it_at_once(
    resources: Resources, alpha: District, ada: UUID
) -> None:
    sealed = resources.keys.seal(TOTP.encode(), context=totp_context(alpha.tenant_id, ada))
    await alpha.see.execute("UPDATE accounts SET totp_sealed = $1, totp_step = 1", sealed)
    code = pyotp.TOTP(TOTP).at(utc_now())
    needed = RefusalReason.SECOND_FACTOR_NEEDED
    assert await reason_of(resources, alpha) is needed
    assert await reason_of(resources, alpha, password="no") is not needed  # noqa: S106 - a wrong one
    tries = await asyncio.gather(*(reason_of(resources, alpha, code=code) for _ in range(4)))
    assert tries.count(None) == 1
    assert tries.count(RefusalReason.WRONG_CODE) == 3
    earlier = pyotp.TOTP(TOTP).at(utc_now() - timedelta(seconds=30))
    assert await reason_of(resources, alpha, code=earlier) is RefusalReason.WRONG_CODE
    # What asks for the code alone is no attempt yet.
    reasons = [row[3] for row in await alpha.attempts()]
    assert reasons.count("SECOND_FACTOR_NEEDED") == 0


async def test_without_valkey_nobody_is_in_and_a_success_needs_it_no_more(
    resources: Resources, alpha: District, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise ThrottleUnavailable

    monkeypatch.setattr(Throttle, "forget", away)
    assert await reason_of(resources, alpha) is None
    monkeypatch.setattr(Throttle, "count", away)
    assert await reason_of(resources, alpha) is RefusalReason.UNAVAILABLE
    assert await reason_of(resources, alpha, name="eve") is RefusalReason.UNAVAILABLE
