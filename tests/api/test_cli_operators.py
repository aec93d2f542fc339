"""`homerow operator` and `homerow super-admin`: people who are in no roster."""

import asyncio
import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.site import open_site
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.people.callers import SCOPES, Caller, CallerRole
from domain.people.credentials import find_caller
from domain.settings import Settings
from domain.signing_in.links import find_link, set_password
from tests.api.commands import Run, refusal

ADA = "ada@example.org"
REMARK = (
    "The link is good for seven days and for one use. If a mail server is set (HOMEROW_SMTP_URL),"
    " it is mailed as well.\n"
)


async def _execute(data_dir: Path, statement: str, **values: str) -> list[tuple[Any, ...]]:
    with open_site(Settings(data_dir=data_dir)) as site:
        await site.migrate()
        async with (
            site.resources(DatabaseRole.OWNER) as resources,
            resources.database.transaction() as session,
        ):
            return [tuple(row) for row in await session.execute(text(statement), values)]


def rows(data_dir: Path, statement: str, **values: str) -> list[tuple[Any, ...]]:
    return asyncio.run(_execute(data_dir, statement, **values))


@pytest.fixture(autouse=True)
def fixture_nobody_left(data_dir: Path) -> Generator[None]:
    yield
    for table in ("api_tokens", "operators"):
        rows(data_dir, f"DELETE FROM {table} RETURNING id")  # noqa: S608 - our own names


def caller_of(data_dir: Path, secret: str) -> Caller | None:
    async def find() -> Caller | None:
        with open_site(Settings(data_dir=data_dir)) as site:
            async with site.resources(DatabaseRole.API) as resources:
                return await find_caller(resources.database, secret, now=utc_now())

    return asyncio.run(find())


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_operators_come_and_go(run: Run) -> None:
    assert run("operator", "list").stdout == ""
    result = run("operator", "create", ADA, "--name", "Ada Root")
    assert (result.returncode, result.stdout) == (0, "ada@example.org is operator now.\n")
    result = run("operator", "create", "bo@example.org", "--name", "Bo Diaz", "--role", "support")
    assert result.stdout == "bo@example.org is support now.\n"
    assert refusal(run("operator", "create", "ADA@example.org", "--name", "Ada"), 1) == (
        "There is an operator ADA@example.org already."
    )
    assert run("operator", "disable", "bo@example.org").stdout == "bo@example.org is disabled.\n"

    assert run("operator", "list").stdout.splitlines() == [
        "ada@example.org  operator  Ada Root",
        "bo@example.org  support  Bo Diaz  (disabled)",
    ]
    ada, bo = listed(run, "operator", "list")
    assert (ada["email"], ada["name"], ada["role"], ada["disabledAt"]) == (
        ADA,
        "Ada Root",
        "OPERATOR",
        None,
    )
    assert (bo["role"], bo["disabledAt"] is None) == ("SUPPORT", False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "ada", "--name", "Ada"), "This is no mail address, such as ada@example.org."),
        (("create", ADA, "--name", " "), "A name has 1 to 200 characters."),
        (("disable", "eve@example.org"), "There is no operator 'eve@example.org'."),
    ],
)
def test_what_is_wrong_about_an_operator_is_one_line(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert refusal(run("operator", *arguments), 2) == said


@pytest.mark.parametrize("role", ["operator", "support"])
def test_a_token_is_worth_what_its_operator_is(run: Run, data_dir: Path, role: str) -> None:
    run("operator", "create", ADA, "--name", "Ada Root", "--role", role)
    result = run("token", "create", "--operator", ADA)
    assert result.returncode == 0
    secret = result.stdout.strip()
    caller = caller_of(data_dir, secret)
    assert caller is not None
    wanted = CallerRole[role.upper()]
    assert caller.roles == {wanted}
    assert (caller.scopes, caller.tenant_id) == (SCOPES[wanted], None)

    run("operator", "disable", ADA)

    assert caller_of(data_dir, secret) is None
    assert refusal(run("token", "create", "--operator", ADA), 2) == (
        "There is no operator 'ada@example.org'."
    )


def test_a_token_is_a_tenants_or_an_operators(run: Run, tenant: str) -> None:
    assert refusal(run("token", "create", "--operator", ADA, "--tenant", tenant), 2) == (
        "A token is a tenant's or an operator's: say --tenant or --operator."
    )


def link_of(result: Any) -> str:
    """The token of the link that was printed."""
    assert (result.returncode, result.stderr) == (0, REMARK)
    found = re.fullmatch(r"(\S+/account-links/([\w-]{43}))\n", result.stdout)
    assert found is not None, result.stdout
    return found[2]


def choose_password(data_dir: Path, token: str) -> bool:
    async def choose() -> bool:
        with open_site(Settings(data_dir=data_dir)) as site:
            async with site.resources(DatabaseRole.API) as resources:
                link = await find_link(resources.database, token)
                if link is not None:
                    await set_password(
                        resources.database, link, "four plain words here", now=utc_now()
                    )
                return link is not None

    return asyncio.run(choose())


def test_a_super_admin_is_invited_by_a_link(run: Run, data_dir: Path, tenant: str) -> None:
    public = {"HOMEROW_PUBLIC_URL": "https://homerow.example"}
    result = run("super-admin", "create", tenant, ADA, "--name", "Ada Root", **public)
    former = link_of(result)
    assert result.stdout.startswith("https://homerow.example/account-links/")
    assert run("super-admin", "list", tenant).stdout == "ada@example.org  Ada Root  (invited)\n"
    mails = rows(data_dir, "SELECT kind, recipient, body_text FROM mail_outbox ORDER BY id")
    assert mails[-1][:2] == ("INVITATION", ADA)
    assert former in mails[-1][2]

    newer = link_of(run("super-admin", "invite", tenant, "ADA@example.org", **public))

    assert not choose_password(data_dir, former)
    assert choose_password(data_dir, newer)
    assert not choose_password(data_dir, newer)
    assert run("super-admin", "list", tenant).stdout == "ada@example.org  Ada Root\n"
    [ada] = listed(run, "super-admin", "list", tenant)
    assert (ada["email"], ada["hasSecondFactor"], ada["disabledAt"]) == (ADA, False, None)
    assert ada["passwordChangedAt"] is not None
    acts = rows(
        data_dir,
        "SELECT l.actor, l.action FROM audit_log l JOIN tenants t ON t.id = l.tenant_id"
        " WHERE t.slug = :slug AND l.action LIKE 'superAdmin%'",
        slug=tenant,
    )
    assert acts == [("command line", "superAdminCreate")]


def test_a_super_admin_is_let_in_no_more_and_again(run: Run, tenant: str) -> None:
    link_of(run("super-admin", "create", tenant, ADA, "--name", "Ada Root"))
    result = run("super-admin", "disable", tenant, ADA)
    assert (result.returncode, result.stdout) == (0, "ada@example.org is disabled.\n")
    assert run("super-admin", "list", tenant).stdout == "ada@example.org  Ada Root  (disabled)\n"
    assert refusal(run("super-admin", "invite", tenant, ADA), 1) == (
        "ada@example.org is disabled. Enable the account first."
    )
    assert run("super-admin", "enable", tenant, ADA).stdout == "ada@example.org is enabled.\n"
    link_of(run("super-admin", "invite", tenant, ADA))
    result = run("super-admin", "drop-second-factor", tenant, ADA)
    assert result.stdout == "ada@example.org signs in without a second factor.\n"


def test_what_is_wrong_about_a_super_admin_is_one_line(run: Run, tenant: str) -> None:
    create = ("super-admin", "create", tenant)
    link_of(run(*create, ADA, "--name", "Ada Root"))
    assert refusal(run(*create, ADA, "--name", "Ada"), 1) == (
        "There is a super admin with the address ada@example.org already."
    )
    assert refusal(run(*create, "bo", "--name", "Bo"), 2) == (
        "This is no mail address, such as ada@example.org."
    )
    for command in ("invite", "disable", "enable", "drop-second-factor"):
        assert refusal(run("super-admin", command, tenant, "eve@example.org"), 2) == (
            "There is no super admin 'eve@example.org'."
        )
    assert refusal(run("super-admin", "list", "nobody"), 2) == "There is no tenant 'nobody'."
