"""`homerow generate`: a made-up district as a OneRoster CSV package."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.console import CommandError, tell
from api.generator.files import Version
from api.generator.package import expected_path, generate

commands = typer.Typer()


@commands.command(
    "generate", epilog="Example: homerow generate roster/ --students 2000 --seed 1 --change 0.02"
)
def generate_district(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    students: Annotated[int, typer.Option(help="How many students.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same district.")] = 1,
    change: Annotated[
        float, typer.Option(help="Write the night after, with this share of the students changed.")
    ] = 0.0,
    version: Annotated[Version, typer.Option(help="Of OneRoster.")] = Version.V1_1,
) -> None:
    """Write a district's files, and beside them what a sync of them must count."""
    try:
        generate(folder, students=students, seed=seed, change=change, version=version)
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    tell(f"{folder} has the package, {expected_path(folder).name} beside it the expected counts.")
