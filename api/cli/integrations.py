"""`homerow integration`: where a tenant's roster comes from."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import FAILED, CommandError, tell
from domain.clock import utc_now
from domain.integrations.service import Configuration, configure_integration, get_integration
from domain.people.callers import COMMAND_LINE
from domain.providers import open_source
from domain.roster.source import CheckStep, Provider

commands = typer.Typer(help="Set up and try out where a tenant's roster comes from.")


@commands.command(
    "set", epilog="Example: homerow integration set springfield oneroster-csv --path roster/"
)
def set_integration(
    slug: Annotated[str, typer.Argument(help="The tenant.")],
    provider: Annotated[str, typer.Argument(help="clever, classlink, oneroster or oneroster-csv.")],
    path: Annotated[
        Path | None, typer.Option(help="The folder or zip file of a OneRoster CSV package.")
    ] = None,
) -> None:
    """Connect a tenant to its provider, or change how."""
    configuration = Configuration(_provider(provider), _settings(_provider(provider), path))
    asyncio.run(_configure(slug, configuration))
    tell(f"{slug} takes its roster from {configuration.provider.value}.")


def _provider(text: str) -> Provider:
    name = text.upper().replace("-", "_")
    if name not in set(Provider):
        known = ", ".join(provider.value.lower() for provider in Provider)
        raise CommandError(f"There is no provider {text!r}. Choose one of: {known}.")
    return Provider(name)


def _settings(provider: Provider, path: Path | None) -> dict[str, Any]:
    if path is None:
        if provider is Provider.ONEROSTER_CSV:
            raise CommandError("ONEROSTER_CSV needs --path: a folder or a zip file.")
        return {}
    if not path.exists():
        raise CommandError(f"There is no folder or file {path}.")
    return {"path": str(path.resolve())}


async def _configure(slug: str, configuration: Configuration) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await configure_integration(
                session,
                tenant_id=tenant_id,
                configuration=configuration,
                keys=resources.keys,
                caller=COMMAND_LINE,
                now=utc_now(),
            )


@commands.command(epilog="Example: homerow integration test springfield")
def test(slug: Annotated[str, typer.Argument(help="The tenant.")]) -> None:
    """Try out a tenant's integration step by step, without reading the whole roster."""
    steps = asyncio.run(_check(slug))
    for step in steps:
        tell(f"{'ok' if step.is_ok else 'no':<4}{step.name}: {step.message}")
        if step.advice:
            tell(f"    {step.advice}")
    if not all(step.is_ok for step in steps):
        raise typer.Exit(FAILED)


async def _check(slug: str) -> Sequence[CheckStep]:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            integration = await get_integration(session, tenant_id=tenant_id)
        source = open_source(integration.provider, integration.settings, today=utc_now().date())
        return await source.check()
