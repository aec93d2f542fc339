"""How the command line speaks: results on standard output, one plain line on standard error."""

import logging

import asyncpg
import structlog
import typer
from alembic.util import CommandError as MigrationError
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from api.local import LocalServerError
from api.site import SettingsError
from domain.errors import DomainError, InvalidInput, NotFound
from domain.logs import configure_logs
from domain.secrets import SecretUnreadable
from domain.settings import Settings, read_settings

FAILED = 1
USAGE = 2
HELD = 3
_FILE_WIDTH = 140  # columns

# PostgreSQL's codes for a table, function, schema or role that is not there.
_SCHEMA_MISSING = {"42P01", "42703", "42883", "3F000", "22023", "42704"}

EXPECTED = (
    typer.TyperException,
    DomainError,
    LocalServerError,
    SecretUnreadable,
    SettingsError,
    ValidationError,
    MigrationError,
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    RedisError,
    OSError,
)
"""What a command may end with and a person can do something about. The rest is a bug."""


class CommandError(typer.TyperException):
    """A refusal of the command line's own, with the status that the command ends with."""

    def __init__(self, message: str, *, status: int = USAGE) -> None:
        super().__init__(message)
        self.exit_code = status


def explain(error: Exception) -> tuple[str, int]:
    """One line, and the status to end with."""
    if isinstance(error, typer.TyperException):
        return error.format_message(), error.exit_code
    is_usage = isinstance(error, NotFound | InvalidInput | SettingsError | ValidationError)
    return _sentence(error), USAGE if is_usage else FAILED


def _sentence(error: Exception) -> str:
    match error:
        case ValidationError():
            wrong = error.errors(include_url=False, include_input=False)[0]
            name = "_".join(["HOMEROW", *map(str, wrong["loc"])]).upper()
            return f"{name} is wrong: {wrong['msg']}."
        case DBAPIError() | asyncpg.PostgresError() | asyncpg.InterfaceError():
            return _explain_database(error)
        case MigrationError():
            return f"This Homerow does not know the database's schema, a newer one's: {error}"
        case RedisError():
            return f"Redis cannot be used (HOMEROW_REDIS_URL): {_line(error)}"
        case OSError():
            return f"A file or a server cannot be reached: {_line(error)}"
        case _:
            return str(error)


def _explain_database(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if getattr(cause, "sqlstate", None) in _SCHEMA_MISSING:
        return "The database does not have Homerow's newest schema: run `homerow migrate`."
    return f"PostgreSQL cannot be used (HOMEROW_DATABASE_URL): {_line(cause)}"


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def say(message: str) -> None:
    """A remark for the person at the terminal, beside the result."""
    typer.echo(message, err=True)


def tell(line: str) -> None:
    """A line of the result."""
    typer.echo(line)


def result_console() -> Console:
    """For tables. What is piped into a file is not cut to the width of a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def settings_for_a_person() -> Settings:
    """The settings, for a command that speaks to a person: what went wrong is told, not logged.

    Bugs are logged all the same.
    """
    configure_logs(is_quiet=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # Libraries would tell of their retries on standard error otherwise.
    logging.lastResort = logging.NullHandler()
    return read_settings()
