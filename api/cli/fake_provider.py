"""`homerow fake-provider`: a provider's API over a folder of CSV files, to try Homerow out with."""

import shlex
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli.console import FAILED, CommandError, tell
from api.fakes import Told
from api.fakes import fake_provider as fake_provider_of
from domain.roster.source import Provider

commands = typer.Typer()

_TENANT = "springfield"
_OPTIONS = {"version": "oneroster_version"}


class FakeProvider(StrEnum):
    CLEVER = "clever"
    ONEROSTER = "oneroster"
    CLASSLINK = "classlink"


@commands.command(
    "fake-provider", epilog="Example: homerow fake-provider clever --district roster/ --port 8400"
)
def fake_provider(
    provider: Annotated[FakeProvider, typer.Argument(help="Whose API is spoken.")],
    district: Annotated[Path, typer.Option(help="A folder of OneRoster CSV files.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Serve a district as a provider would, until Ctrl-C. Needs a checkout of Homerow."""
    if not (district / "users.csv").is_file():
        raise CommandError(f"There is no users.csv in {district}.")
    status = 0
    with (
        suppress(KeyboardInterrupt),
        fake_provider_of(Provider(provider.value.upper()), district, port=port) as fake,
    ):
        tell(fake.line)
        for hint in how_to_use(fake.told):
            tell(hint)
        sys.stdout.flush()
        status = fake.process.wait()
    if status:
        raise CommandError(f"The fake provider ended with status {status}.", status=FAILED)


def how_to_use(told: Told) -> list[str]:
    """What to set, and what to run, so that a tenant's roster comes from the fake."""
    words = [_TENANT, told.provider.value.lower()]
    for name, value in {**told.settings, **told.credentials}.items():
        words += [f"--{_OPTIONS.get(name, name).replace('_', '-')}", value]
    return [
        "",
        "Set these where Homerow's API and worker are started:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in told.environment.items()),
        "and connect a tenant to it:",
        f"  homerow integration set {shlex.join(words)}",
        "Ctrl-C ends it.",
    ]
