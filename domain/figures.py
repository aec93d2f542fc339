"""/metrics: what this process has counted, and figures of all processes from the database.

They are served on a port of their own, so that what stands in front of the API cannot pass them
on by mistake.
"""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from prometheus_client import start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from typing_extensions import override

from domain.database import Database
from domain.metrics import REGISTRY

SECONDS: Final = 5.0
"""A database that does not answer in time keeps the other figures from nobody."""
# By name: what it says, and the name of its label, if it has one.
_FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "runs_unfinished": ("Runs that wait or are under way.", "state"),
    "records_per_second": ("How fast the runs that read now read together.", ""),
    "queue_lag_seconds": ("How long the run that waits longest has waited.", ""),
    "holds_open": ("Plans that wait for an administrator.", ""),
    "schedules_due": ("Schedules whose run is due and has not been started.", ""),
    "schedules_lag_seconds": ("For how long the longest of them is due.", ""),
    "mails_unsent": ("Mails that have not been sent.", "state"),
    "mails_lag_seconds": ("For how long a mail has been due that was not sent.", ""),
}

log = structlog.get_logger()

Figures = Mapping[str, Mapping[str, float]]


async def read_figures(database: Database) -> Figures:
    """By name and label, which is empty for a figure that has none."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    async with database.read() as session:
        for row in await session.execute(text("SELECT name, label, figure FROM read_figures()")):
            found[row.name][row.label] = row.figure
    return found


class DatabaseFigures(Collector):
    """Read when they are asked for, in the process's own loop, from the thread that serves them."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._loop = loop

    def describe(self) -> Iterator[Metric]:
        """Nothing is read before somebody asks."""
        return iter(())

    @override
    def collect(self) -> Iterator[Metric]:
        try:
            reading = read_figures(self._database)
            found = asyncio.run_coroutine_threadsafe(reading, self._loop).result(SECONDS)
        except Exception as error:  # noqa: BLE001 - the other figures are wanted all the more
            log.warning("figures_unread", error=type(error).__name__)
            found = {}
        up = GaugeMetricFamily("homerow_database_up", "Whether the database answered.")
        up.add_metric((), float(bool(found)))
        yield up
        for name, values in found.items():
            yield _family(name, values)


def _family(name: str, values: Mapping[str, float]) -> Metric:
    says, label = _FIGURES[name]
    family = GaugeMetricFamily(f"homerow_{name}", says, labels=[label] if label else [])
    for value, figure in values.items():
        family.add_metric([value] if label else [], figure)
    return family


@contextmanager
def serving_metrics(database: Database, *, host: str, port: int | None) -> Generator[int | None]:
    """The port, for as long as entered; 0 takes any, and None serves nothing.

    A port that is taken keeps nobody from their work: then nothing is served either.
    """
    if port is None:
        yield None
        return
    figures = DatabaseFigures(database, asyncio.get_running_loop())
    try:
        server, thread = start_http_server(port, host, REGISTRY)
    except OSError as error:
        log.warning("metrics_not_served", port=port, error=type(error).__name__)
        yield None
        return
    REGISTRY.register(figures)
    try:
        log.info("metrics_served", port=server.server_port)
        yield server.server_port
    finally:
        REGISTRY.unregister(figures)
        server.shutdown()
        server.server_close()
        thread.join()
