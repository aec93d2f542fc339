"""Launch tokens: signed by a published key, for one audience, a minute long, good once."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from domain.clock import new_id, utc_now
from domain.resources import Resources
from domain.signing_in.launch import TENANT_CLAIM, launch_token, public_keys, redeem

pytestmark = pytest.mark.anyio

AUDIENCE = "https://training.example"
TENANT_ID = new_id()
STRANGE: tuple[object, ...] = (
    [],
    {"alg": None},
    {"alg": "ES256", "crit": 1},
    {"alg": "ES256", "kid": []},
)
CLAIMS = {"iss": "https://us", "aud": AUDIENCE, "sub": "mia", TENANT_CLAIM: str(TENANT_ID)}


async def mint(resources: Resources, now: datetime, **claims: Any) -> str:
    async with resources.database.transaction() as session:
        return await launch_token(
            session, resources.keys, resources.one_time, claims=CLAIMS | claims, now=now
        )


async def use(
    resources: Resources,
    token: str,
    now: datetime,
    *,
    audience: str = AUDIENCE,
    tenant_id: UUID = TENANT_ID,
) -> Mapping[str, Any] | None:
    async with resources.database.read() as session:
        return await redeem(
            session,
            resources.one_time,
            token,
            audience=audience,
            may_see=lambda one: one == tenant_id,
            now=now,
        )


async def test_a_token_says_who_it_is_and_is_good_once(resources: Resources) -> None:
    now = utc_now()
    token = await mint(resources, now)
    claims = await use(resources, token, now)
    assert claims is not None
    assert {name: claims[name] for name in CLAIMS} == CLAIMS
    assert claims["exp"] - claims["iat"] == 60
    assert await use(resources, token, now) is None


async def test_a_token_is_verified_by_the_published_keys_alone(resources: Resources) -> None:
    token = await mint(resources, utc_now())
    async with resources.database.read() as session:
        published = await public_keys(session, now=utc_now())
    assert all("d" not in key for key in published)
    keys = KeySet.import_key_set({"keys": published})
    assert jwt.decode(token, keys, algorithms=["ES256"]).claims["sub"] == "mia"


async def test_who_it_is_not_for_does_not_use_it_up(resources: Resources) -> None:
    now = utc_now()
    token = await mint(resources, now)
    assert await use(resources, token, now, tenant_id=new_id()) is None
    assert await use(resources, token, now, audience="https://other.example") is None
    assert await use(resources, token, now + timedelta(seconds=61)) is None
    assert await use(resources, token, now - timedelta(seconds=6)) is None
    assert await use(resources, token, now) is not None


def _header(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


async def test_what_we_have_not_signed_is_nothing(resources: Resources) -> None:
    now = utc_now()
    token = await mint(resources, now)
    async with resources.database.read() as session:
        [public] = await public_keys(session, now=now)
    claims = jwt.decode(
        token, KeySet.import_key_set({"keys": [public]}), algorithms=["ES256"]
    ).claims
    foreign = ECKey.generate_key("P-256", {"kid": public["kid"]})
    secret = OctKey.import_key(b"x" * 32)
    forged = [
        jwt.encode({"alg": "ES256", "kid": public["kid"]}, claims, foreign, algorithms=["ES256"]),
        jwt.encode({"alg": "HS256", "kid": public["kid"]}, claims, secret, algorithms=["HS256"]),
        ".".join([_header({"alg": "none"}), *token.split(".")[1:2], ""]),
        *(".".join([_header(header), *token.split(".")[1:]]) for header in STRANGE),
        ".".join([*token.split(".")[:2], ""]),
        "",
        "a.b.c",
        token[:-4] + "AAAA",
    ]
    for one in forged:
        assert await use(resources, one, now) is None, one
    assert await use(resources, token, now) is not None


async def test_one_key_is_made_however_many_ask_at_once(resources: Resources) -> None:
    now = utc_now()
    await asyncio.gather(*(mint(resources, now) for _ in range(4)))
    async with resources.database.read() as session:
        assert len(await public_keys(session, now=now)) == 1


async def test_a_key_is_renewed_and_the_former_one_published_for_a_day(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    now = utc_now()
    early = now - timedelta(days=91)
    await mint(resources, early)
    token = await mint(resources, now)
    async with resources.database.read() as session:
        published = [key["kid"] for key in await public_keys(session, now=now)]
        later = [key["kid"] for key in await public_keys(session, now=now + timedelta(days=2))]
    assert len(published) == 2
    assert later == published[:1]
    assert await use(resources, token, now) is not None
    row = await superuser.fetchrow("SELECT sealed, public FROM signing_keys LIMIT 1")
    assert b"PRIVATE KEY" not in row["sealed"]
