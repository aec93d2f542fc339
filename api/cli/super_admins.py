"""`homerow super-admin`: who administers a tenant by password, whatever its roster says."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import say, tell
from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.people.models import Account
from domain.settings import read_settings
from domain.signing_in.accounts import (
    create_super_admin,
    disable_account,
    enable_account,
    get_super_admin,
    list_super_admins,
)
from domain.signing_in.links import invite_super_admin
from domain.signing_in.second_factor import switch_off

commands = typer.Typer(help="Who administers a tenant by password.")

_REMARK = (
    "The link is good for seven days and for one use. If a mail server is set (HOMEROW_SMTP_URL),"
    " it is mailed as well."
)
Slug = Annotated[str, typer.Argument(help="The tenant.")]
Email = Annotated[str, typer.Argument(help="The super admin's mail address, their sign-in name.")]


@commands.command(
    epilog="Example: homerow super-admin create springfield ada@example.org --name 'Ada Root'"
)
def create(
    slug: Slug, email: Email, name: Annotated[str, typer.Option(help="The super admin's name.")]
) -> None:
    """Add a super admin; print the link with which they choose their password, and mail it."""
    tell(asyncio.run(_create(slug, email, name)))
    say(_REMARK)


async def _create(slug: str, email: str, name: str) -> str:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            account = await create_super_admin(
                session, tenant_id=tenant_id, name=name, email=email, caller=COMMAND_LINE
            )
            return await invite_super_admin(
                session, account, public_url=_public_url(), now=utc_now()
            )


def _public_url() -> str:
    settings = read_settings()
    return settings.public_url or f"http://{settings.host}:{settings.port}"


@commands.command(epilog="Example: homerow super-admin invite springfield ada@example.org")
def invite(slug: Slug, email: Email) -> None:
    """Send and print another link; the former ones are void."""
    tell(asyncio.run(_invite(slug, email)))
    say(_REMARK)


async def _invite(slug: str, email: str) -> str:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            account = await get_super_admin(session, tenant_id=tenant_id, email=email)
            return await invite_super_admin(
                session, account, public_url=_public_url(), now=utc_now()
            )


@commands.command(name="list", epilog="Example: homerow super-admin list springfield --json")
def list_(
    slug: Slug,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show a tenant's super admins, and who of them has chosen a password."""
    found = asyncio.run(_list(slug))
    if as_json:
        rows = [_as_json(one) for one in found]
        tell(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    for one in found:
        tell(f"{one.email}  {one.name}{_state_of(one)}")


def _state_of(account: Account) -> str:
    if account.disabled_at is not None:
        return "  (disabled)"
    return "  (invited)" if account.password_changed_at is None else ""


def _as_json(account: Account) -> dict[str, Any]:
    return {
        "email": account.email,
        "name": account.name,
        "hasSecondFactor": account.totp_step is not None,
        "createdAt": account.created_at,
        "passwordChangedAt": account.password_changed_at,
        "disabledAt": account.disabled_at,
    }


async def _list(slug: str) -> Sequence[Account]:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            return await list_super_admins(session, tenant_id)


@commands.command(epilog="Example: homerow super-admin disable springfield ada@example.org")
def disable(slug: Slug, email: Email) -> None:
    """Let a super admin in no more, and end their sessions and tokens."""
    asyncio.run(_change(slug, email, is_enabled=False))
    tell(f"{email} is disabled.")


@commands.command(epilog="Example: homerow super-admin enable springfield ada@example.org")
def enable(slug: Slug, email: Email) -> None:
    """Let a disabled super admin in again."""
    asyncio.run(_change(slug, email, is_enabled=True))
    tell(f"{email} is enabled.")


async def _change(slug: str, email: str, *, is_enabled: bool) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            account = await get_super_admin(session, tenant_id=tenant_id, email=email)
            if is_enabled:
                await enable_account(session, account, caller=COMMAND_LINE)
            else:
                await disable_account(session, account, caller=COMMAND_LINE, now=utc_now())


@commands.command(
    epilog="Example: homerow super-admin drop-second-factor springfield ada@example.org"
)
def drop_second_factor(slug: Slug, email: Email) -> None:
    """For who has lost their authenticator: the password alone does, until they set up another."""
    asyncio.run(_drop(slug, email))
    tell(f"{email} signs in without a second factor.")


async def _drop(slug: str, email: str) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            account = await get_super_admin(session, tenant_id=tenant_id, email=email)
            await switch_off(
                session, tenant_id=tenant_id, account_id=account.id, caller=COMMAND_LINE
            )
