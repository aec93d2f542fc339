"""The `homerow` command: one module per noun, put together here."""

import sys
from collections.abc import Sequence

import typer

from api.cli import (
    demo,
    doctor,
    exports,
    fake_provider,
    generate,
    holds,
    integrations,
    legacy,
    mails,
    onboarding,
    operators,
    people,
    people_imports,
    role_maps,
    rollover,
    run_acts,
    schedule,
    secrets,
    servers,
    sharing,
    status,
    super_admins,
    syncs,
    tenants,
    tokens,
)
from api.cli.console import EXPECTED, explain, say
from api.signals import stop_on_signals

__all__ = ["app", "execute", "main"]

app = typer.Typer(
    help="Rostering and provisioning back office for school typing-training products.",
    epilog="Example: homerow up",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (servers, demo, doctor, generate, fake_provider, status, syncs):
    app.add_typer(commands.commands)
app.add_typer(tenants.commands, name="tenant")
app.add_typer(integrations.commands, name="integration")
app.add_typer(sharing.commands, name="sharing")
app.add_typer(role_maps.commands, name="role-map")
app.add_typer(onboarding.commands, name="onboarding")
app.add_typer(run_acts.commands, name="run")
app.add_typer(holds.commands, name="hold")
app.add_typer(schedule.commands, name="schedule")
app.add_typer(rollover.commands, name="rollover")
app.add_typer(tokens.commands, name="token")
app.add_typer(operators.commands, name="operator")
app.add_typer(super_admins.commands, name="super-admin")
app.add_typer(people.commands, name="person")
app.add_typer(secrets.commands, name="secrets")
app.add_typer(exports.commands, name="export")
app.add_typer(mails.commands, name="mail")
app.add_typer(legacy.commands, name="legacy")
app.add_typer(people_imports.admins, name="admins")
app.add_typer(people_imports.staff, name="staff")


def main() -> None:
    stop_on_signals()
    sys.exit(execute(sys.argv[1:] or ["--help"]))


def execute(arguments: Sequence[str]) -> int:
    """The status that the command ends with."""
    try:
        status: int | None = app(arguments, prog_name="homerow", standalone_mode=False)
    except EXPECTED as error:
        message, status = explain(error)
        say(f"homerow: {message}")
    return status or 0
