"""`homerow integration`: where a tenant's roster comes from."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from api.cli.asking import opened, provider_named, tenant_of
from api.cli.console import FAILED, CommandError, tell
from api.providers import platform_of
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.integrations.checks import record_check, try_connection
from domain.integrations.disconnection import activate, disconnect
from domain.integrations.models import Integration
from domain.integrations.provider_settings import OneRosterAuth, OneRosterVersion
from domain.integrations.service import (
    Configuration,
    EligibilityRule,
    configure_integration,
    get_integration,
)
from domain.people.callers import COMMAND_LINE
from domain.roster.source import CheckStep

commands = typer.Typer(help="Set up and try out where a tenant's roster comes from.")

Slug = Annotated[str, typer.Argument(help="The tenant.")]


def _secret(variable: str, what: str) -> Any:
    return typer.Option(
        help=f"{what} `-` reads a line of the standard input, or asks at a terminal.",
        envvar=variable,
        show_envvar=True,
    )


@commands.command(
    "set",
    epilog="Example: homerow integration set springfield oneroster-csv --path roster/ · "
    "Example: homerow integration set springfield clever --token - < token.txt",
)
def set_integration(  # noqa: PLR0913 - one for each option
    slug: Slug,
    provider: Annotated[str, typer.Argument(help="clever, classlink, oneroster or oneroster-csv.")],
    *,
    path: Annotated[
        Path | None, typer.Option(help="The folder or zip file of a OneRoster CSV package.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="OneRoster, ClassLink: the address of the district's API.")
    ] = None,
    oneroster_version: Annotated[
        OneRosterVersion | None, typer.Option(help="OneRoster: if the address does not say it.")
    ] = None,
    auth: Annotated[
        OneRosterAuth | None,
        typer.Option(case_sensitive=False, help="OneRoster: how the server knows who asks."),
    ] = None,
    token_url: Annotated[
        str | None, typer.Option(help="OneRoster: where OAuth 2 tokens come from.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="OneRoster: a scope to ask for; may be repeated.")
    ] = None,
    district_id: Annotated[
        str | None, typer.Option(help="Clever: the district, if the credentials open several.")
    ] = None,
    tenant_id: Annotated[
        str | None, typer.Option(help="ClassLink: its own id of the district.")
    ] = None,
    application_id: Annotated[
        str | None, typer.Option(help="ClassLink: the OneRoster application id of its proxy.")
    ] = None,
    key: Annotated[str | None, _secret("HOMEROW_INTEGRATION_KEY", "The key, or client id.")] = None,
    secret: Annotated[
        str | None, _secret("HOMEROW_INTEGRATION_SECRET", "The secret of the key.")
    ] = None,
    token: Annotated[
        str | None, _secret("HOMEROW_INTEGRATION_TOKEN", "A token, where it takes one.")
    ] = None,
    student_email: Annotated[
        bool | None,
        typer.Option(
            "--student-email/--no-student-email", help="Take over students' email addresses."
        ),
    ] = None,
    eligibility_field: Annotated[
        str | None, typer.Option(help="The metadata field that says which students are eligible.")
    ] = None,
    eligibility_value: Annotated[
        list[str] | None, typer.Option(help="A value of it that means yes; may be repeated.")
    ] = None,
    no_eligibility: Annotated[
        bool, typer.Option("--no-eligibility", help="Every student is eligible again.")
    ] = False,
) -> None:
    """Connect a tenant to its provider, or change how.

    What is not given stays as it is, but the provider's settings and its credentials are each
    given as a whole. To keep secrets out of the shell's history, give `-` or set the variables.
    """
    settings = {
        "path": _existing(path),
        "base_url": base_url,
        "version": oneroster_version and oneroster_version.value,
        "auth": auth and auth.value,
        "token_url": token_url,
        "scopes": scope or None,
        "district_id": district_id,
        "tenant_id": tenant_id,
        "application_id": application_id,
    }
    credentials = {"key": key, "secret": secret, "token": token}
    configuration = Configuration(
        provider=provider_named(provider),
        settings=_given(settings) or None,
        credentials={name: _read(name, text) for name, text in _given(credentials).items()},
        with_student_email=student_email,
        eligibility=_eligibility(eligibility_field, eligibility_value or []),
        removes_eligibility=no_eligibility,
    )
    asyncio.run(_configure(slug, configuration))
    tell(f"{slug} takes its roster from {configuration.provider.value}.")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _existing(path: Path | None) -> str | None:
    if path is None:
        return None
    if not path.exists():
        raise CommandError(f"There is no folder or file {path}.")
    return str(path.resolve())


def _read(name: str, text: str) -> str:
    """A secret that was not typed into the command."""
    if text != "-":
        return text
    if sys.stdin.isatty():
        return str(typer.prompt(name.capitalize(), hide_input=True, err=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise CommandError(f"The standard input has no line for --{name}.")
    return line


def _eligibility(field: str | None, values: Sequence[str]) -> EligibilityRule | None:
    if field is None and not values:
        return None
    if field is None or not values:
        raise CommandError("Give --eligibility-field together with --eligibility-value.")
    return EligibilityRule(field, values)


async def _configure(slug: str, configuration: Configuration) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await configure_integration(
                session,
                tenant_id=tenant_id,
                configuration=replace(configuration, platform=platform_of(resources.hosts)),
                keys=resources.keys,
                caller=COMMAND_LINE,
                now=utc_now(),
            )


@commands.command(epilog="Example: homerow integration show springfield")
def show(slug: Slug) -> None:
    """Show how a tenant is connected; secrets are not shown."""
    integration = asyncio.run(_read_integration(slug))
    tell(f"provider: {integration.provider.value}")
    tell(f"status: {integration.status.value}")
    for name, value in sorted(integration.settings.items()):
        tell(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    tell(f"student emails: {'yes' if integration.with_student_email else 'no'}")
    if rule := integration.eligibility:
        tell(f"eligible: students whose {rule['field']} is {' or '.join(rule['values'])}")


async def _read_integration(slug: str) -> Integration:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            return await get_integration(session, tenant_id=tenant_id)


@commands.command("disconnect", epilog="Example: homerow integration disconnect springfield")
def leave(slug: Slug) -> None:
    """Read nothing from a tenant's provider any more, and forget its credentials.

    All people and groups stay as they are, and are recognised when it is connected again.
    """
    asyncio.run(_disconnect(slug))
    tell(f"{slug} is disconnected.")


async def _disconnect(slug: str) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await disconnect(session, tenant_id=tenant_id, caller=COMMAND_LINE, now=utc_now())


@commands.command("activate", epilog="Example: homerow integration activate springfield")
def return_(slug: Slug) -> None:
    """Connect a tenant again as it was; `set` does so where that needs credentials."""
    integration = asyncio.run(_activate(slug))
    tell(f"{slug} takes its roster from {integration.provider.value}.")


async def _activate(slug: str) -> Integration:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            return await activate(
                session,
                tenant_id=tenant_id,
                keys=resources.keys,
                caller=COMMAND_LINE,
                now=utc_now(),
                platform=platform_of(resources.hosts),
            )


@commands.command("test", epilog="Example: homerow integration test springfield")
def try_integration(
    slug: Slug,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try out a tenant's integration step by step, without reading the whole roster.

    Ends with status 1 if a step fails.
    """
    steps = asyncio.run(_check(slug))
    if as_json:
        tell(_as_json(steps))
    else:
        for step in steps:
            tell(f"{'ok' if step.is_ok else 'no':<4}{step.name}: {step.message}")
            if step.advice:
                tell(f"    {step.advice}")
    if not all(step.is_ok for step in steps):
        raise typer.Exit(FAILED)


def _as_json(steps: Sequence[CheckStep]) -> str:
    """With the names that the GraphQL API has for the same things."""
    told = [
        {"name": step.name, "ok": step.is_ok, "message": step.message, "advice": step.advice}
        for step in steps
    ]
    return orjson.dumps({"steps": told}, option=orjson.OPT_INDENT_2).decode()


async def _check(slug: str) -> Sequence[CheckStep]:
    """In this process, with the worker's rights: whoever has this machine has its keys as well."""
    async with opened(DatabaseRole.WORKER) as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        async with database.transaction(tenant_id) as session:
            integration_id = (await get_integration(session, tenant_id=tenant_id)).id
            record_check(
                session, tenant_id=tenant_id, integration_id=integration_id, caller=COMMAND_LINE
            )
        return await try_connection(
            database,
            resources.open_source,
            resources.keys,
            tenant_id=tenant_id,
            integration_id=integration_id,
        )
