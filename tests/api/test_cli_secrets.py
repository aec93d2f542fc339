"""`homerow secrets`: from one key to the next, as an operator does it."""

import asyncio
import base64
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import text

from api.site import open_site
from domain.database import DatabaseRole
from domain.secrets import KeyRing, signing_key_context
from domain.settings import Settings
from tests.api.commands import Run


def keys(*names: str) -> str:
    """What HOMEROW_SECRET_KEYS is set to; the first one seals."""
    return ",".join(
        f"{name}:{base64.b64encode(name.encode().ljust(32)).decode()}" for name in names
    )


async def execute(data_dir: Path, statement: str, **values: object) -> None:
    with open_site(Settings(data_dir=data_dir)) as site:
        await site.migrate()
        async with (
            site.resources(DatabaseRole.OWNER) as resources,
            resources.database.transaction() as session,
        ):
            await session.execute(text(statement), values)


def add_signing_key(data_dir: Path, kid: str, ring: str, *, context: str | None = None) -> None:
    sealed = KeyRing.parse(ring).seal(b"private", context=context or signing_key_context(kid))
    insert = "INSERT INTO signing_keys (kid, sealed, public) VALUES (:kid, :sealed, '{}')"
    asyncio.run(execute(data_dir, insert, kid=kid, sealed=sealed))


@pytest.fixture(autouse=True)
def fixture_emptied(data_dir: Path) -> Generator[None]:
    yield
    asyncio.run(execute(data_dir, "DELETE FROM signing_keys"))


def test_from_one_key_to_the_next(run: Run, data_dir: Path) -> None:
    for number in range(3):
        add_signing_key(data_dir, f"launch-{number}", keys("old"))
    add_signing_key(data_dir, "launch-3", keys("new"))
    both = {"HOMEROW_SECRET_KEYS": keys("new", "old")}

    result = run("secrets", "check", **both)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "'new': 1 values; it seals",
        "'old': 3 values; run `homerow secrets rotate`",
    ]

    result = run("secrets", "rotate", **both)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "integration_credentials.sealed: 0 sealed anew, 0 had 'new' already, 0 unreadable",
        "accounts.totp_sealed: 0 sealed anew, 0 had 'new' already, 0 unreadable",
        "signing_keys.sealed: 3 sealed anew, 1 had 'new' already, 0 unreadable",
    ]

    again = run("secrets", "rotate", **both)
    assert again.stdout.splitlines()[-1] == (
        "signing_keys.sealed: 0 sealed anew, 4 had 'new' already, 0 unreadable"
    )
    result = run("secrets", "check", **both)
    assert result.stdout.splitlines() == [
        "'new': 4 values; it seals",
        "'old': 0 values; it can be taken away",
    ]
    alone = run("secrets", "check", HOMEROW_SECRET_KEYS=keys("new"))
    assert (alone.returncode, alone.stdout) == (0, "'new': 4 values; it seals\n")


def test_what_does_not_open_is_named_and_ends_with_1(run: Run, data_dir: Path) -> None:
    add_signing_key(data_dir, "good", keys("new"))
    add_signing_key(data_dir, "lost", keys("old"))
    add_signing_key(data_dir, "moved", keys("new"), context="signing_keys:good")
    alone = {"HOMEROW_SECRET_KEYS": keys("new")}
    remark = (
        "What is unreadable was sealed with a key that is not in HOMEROW_SECRET_KEYS, or was moved"
        " or changed: put the key back, or enter the secret anew.\n"
    )
    result = run("secrets", "check", **alone)
    assert (result.returncode, result.stderr) == (1, remark)
    assert result.stdout.splitlines() == [
        "'new': 1 values; it seals",
        "signing_keys.sealed: 2 unreadable (kid lost) (kid moved)",
    ]
    result = run("secrets", "rotate", **alone)
    assert (result.returncode, result.stderr) == (1, remark)
    assert result.stdout.splitlines()[-1] == (
        "signing_keys.sealed: 0 sealed anew, 1 had 'new' already,"
        " 2 unreadable (kid lost) (kid moved)"
    )


def test_without_keys_of_ones_own_the_data_folders_key_seals(run: Run) -> None:
    result = run("secrets", "check")
    assert (result.returncode, result.stdout) == (0, "'local': 0 values; it seals\n")
