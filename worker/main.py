"""The worker process: `python -m worker.main`, started by `homerow worker` and `homerow up`."""

import asyncio
import json
import sys
from datetime import timedelta

import structlog
from arq import cron
from arq.worker import Worker, func

from domain.collector import calm_collector
from domain.database import DatabaseRole
from domain.figures import serving_metrics
from domain.jobs import CHECK, ERRAND, MAIL, WAKE
from domain.logs import configure_logs
from domain.notifications.delivery import Post
from domain.notifications.links import Links
from domain.providers.hosts import Hosts
from domain.queue import encode_job, redis_settings
from domain.resources import open_resources
from domain.secrets import KeyRing
from domain.settings import Settings, read_settings
from worker.discover import discover
from worker.tasks import (
    RUNS_AT_ONCE,
    WorkerContext,
    check,
    clean,
    erase,
    errand,
    mail,
    tick,
    wake,
)
from worker.watch import watch

_SHORT_JOBS = 3
"""Places for what never takes long: trying a connection, errands, and the clock's ticks."""
_MINUTES = 60
_HOURS = 3600
_TICKS = {0, 20, 40}
"""Seconds of every minute: a dead worker's run is taken over within a minute."""
_LOOKS = {10, 30, 50}

log = structlog.get_logger()


def create_worker(context: WorkerContext) -> Worker:
    """A worker of arq's around our tasks.

    Jobs are wake-ups: they are kept nowhere and never retried, since the rows in PostgreSQL say
    what is to be done.
    """
    return Worker(
        functions=[
            func(wake, name=WAKE.name, keep_result=0, timeout=24 * _HOURS, max_tries=1),
            func(check, name=CHECK.name, keep_result=0, timeout=30 * _MINUTES, max_tries=1),
            func(errand, name=ERRAND.name, keep_result=0, timeout=_HOURS, max_tries=1),
            func(mail, name=MAIL.name, keep_result=0, timeout=_HOURS, max_tries=1),
        ],
        cron_jobs=[
            cron(
                tick,
                name="tick",
                second=_TICKS,
                run_at_startup=True,
                timeout=24 * _HOURS,
                keep_result=0,
                max_tries=1,
            ),
            cron(clean, name="clean", minute=7, second=0, keep_result=0, max_tries=1),
            cron(
                erase,
                name="erase",
                hour=3,
                minute=37,
                second=0,
                timeout=_HOURS,
                keep_result=0,
                max_tries=1,
            ),
            cron(
                watch,
                name="watch",
                second=_LOOKS,
                timeout=_HOURS,
                keep_result=0,
                max_tries=1,
            ),
            # Not on the hour, when everybody asks.
            cron(
                discover,
                name="discover",
                minute=23,
                second=41,
                timeout=_HOURS / 2,
                keep_result=0,
                max_tries=1,
            ),
        ],
        redis_settings=redis_settings(context.resources.redis_url),
        ctx={"homerow": context},
        max_jobs=RUNS_AT_ONCE + _SHORT_JOBS,
        job_completion_wait=10,
        poll_delay=0.2,
        job_serializer=encode_job,
        job_deserializer=json.loads,
        handle_signals=True,
    )


async def run(settings: Settings) -> None:
    if settings.database_url is None or settings.redis_url is None or settings.secret_keys is None:
        raise SystemExit(
            "The worker needs HOMEROW_DATABASE_URL, HOMEROW_REDIS_URL and HOMEROW_SECRET_KEYS; "
            "`homerow worker` sets them for the embedded servers."
        )
    try:
        post = Post.of(settings)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    async with open_resources(
        database_url=settings.database_url.get_secret_value(),
        redis_url=settings.redis_url.get_secret_value(),
        keys=KeyRing.parse(settings.secret_keys.get_secret_value()),
        hosts=Hosts.of(settings),
        role=DatabaseRole.WORKER,
    ) as resources:
        log.info("worker_started")
        context = WorkerContext(
            resources,
            kept=timedelta(days=settings.retention_days),
            people_kept=timedelta(days=settings.purge_days),
            post=post,
            links=Links.of(settings),
        )
        with serving_metrics(
            resources.database, host=settings.metrics_host, port=settings.metrics_port
        ):
            await create_worker(context).async_run()


def main() -> None:
    configure_logs()
    calm_collector()
    try:
        asyncio.run(run(read_settings()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)


if __name__ == "__main__":
    main()
