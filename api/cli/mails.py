"""`homerow mail`: what the mails look like."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.console import CommandError, tell
from domain.notifications.samples import KINDS, sample

commands = typer.Typer(help="What the mails look like.")


@commands.callback()
def mail() -> None:
    """Keeps `preview` a command of its own, though it is the only one."""


@commands.command(epilog="Example: homerow mail preview summary --output /tmp")
def preview(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(KINDS)}.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the files go.")] = Path(),
) -> None:
    """Write a mail with invented data, as HTML and as text."""
    kind = kind.lower()
    if kind not in KINDS:
        raise CommandError(f"There is no mail {kind!r}. Choose one of: {', '.join(KINDS)}.")
    written = sample(kind)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for suffix, body in (("html", written.html), ("txt", written.text)):
            (output / f"{kind}.{suffix}").write_text(body)
    except OSError as error:
        raise CommandError(str(error)) from error
    tell(f"{output / kind}.html and .txt: {written.subject}")
