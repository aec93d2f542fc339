"""`homerow demo`: all of Homerow in a minute, with a made-up district."""

from typing import Annotated

import typer

from api.cli.asking import provider_named
from api.cli.console import FAILED, CommandError, result_console, settings_for_a_person
from api.demo import STUDENTS, run_demo

commands = typer.Typer()


@commands.command(epilog="Example: homerow demo --once --students 500")
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the tables instead of staying up.")
    ] = False,
    provider: Annotated[
        str, typer.Option(help="oneroster-csv, or clever, classlink or oneroster: a fake of it.")
    ] = "oneroster-csv",
    students: Annotated[int, typer.Option(min=1, help="How many students.")] = STUDENTS,
) -> None:
    """Sync a made-up district for two nights, and leave the API up to be explored.

    It has servers and a folder of its own inside the data folder, made afresh each time.
    """
    console = result_console()
    is_as_expected = run_demo(
        settings_for_a_person(),
        console,
        provider=provider_named(provider),
        students=students,
        once=once,
    )
    if not is_as_expected:
        raise CommandError("The second night was not what the generator expected.", status=FAILED)
