"""The commands that serve: `up` for everything, `api` and `worker` for one each, and `migrate`."""

import asyncio
from contextlib import suppress

import typer

from api.cli.console import FAILED, CommandError, say, settings_for_a_person, tell
from api.cli.safety import refuse_unsafe
from api.local import find_running
from api.processes import listen, serving, url_of, watch, worker_process
from api.site import open_site, prepare
from domain.database import DatabaseRole
from domain.logs import configure_logs
from domain.settings import read_settings

commands = typer.Typer()


@commands.command(epilog="Example: homerow up")
def up() -> None:
    """Start everything: servers, newest schema, worker and API. Ctrl-C ends it all.

    PostgreSQL and Valkey are Homerow's own, in the data folder, unless HOMEROW_DATABASE_URL and
    HOMEROW_REDIS_URL name others. The processes write their logs into the data folder.
    """
    settings = settings_for_a_person()
    if running := find_running(settings.data_dir):
        raise CommandError(
            f"Homerow is up already at {running.url} (process {running.pid}).", status=FAILED
        )
    with open_site(settings) as site:
        asyncio.run(site.migrate())
        with serving(site) as served:
            tell(f"Homerow is at {served.url}")
            tell(f"GraphQL:       {served.url}/graphql")
            tell(f"Logs and data: {settings.data_dir.absolute()}")
            tell("Ctrl-C ends it.")
            with suppress(KeyboardInterrupt):
                watch(served.children)


@commands.command(epilog="Example: homerow migrate")
def migrate() -> None:
    """Bring the database to the newest schema. It is safe to run at every start."""
    with open_site(settings_for_a_person()) as site:
        asyncio.run(site.migrate())
    tell("The database has the newest schema.")


@commands.command(epilog="Example: HOMEROW_PORT=8080 homerow api")
def api() -> None:
    """Serve the API in this process. The log goes to standard error.

    In production it does not start with unsafe settings: `homerow doctor` names them, too.
    """
    # The application takes a second to import, for which no other command should have to wait.
    from api.serve import serve  # noqa: PLC0415

    configure_logs()
    settings = read_settings()
    refuse_unsafe(settings)
    listener = listen(settings.host, settings.port, is_fixed=True)
    with listener, open_site(settings) as site:
        asyncio.run(prepare(site))
        say(f"The API is at {settings.public_url or url_of(listener)}")
        opening = site.resources(DatabaseRole.API)
        serve(opening, listener, settings=settings)


@commands.command(epilog="Example: homerow worker")
def worker() -> None:
    """Run a worker, which does the syncs. The log goes to standard error."""
    configure_logs()
    settings = read_settings()
    with open_site(settings) as site:
        asyncio.run(prepare(site))
        with worker_process(site, has_log=False) as process, suppress(KeyboardInterrupt):
            watch([process])
