"""The worker process: `python -m worker.main`, started by `homerow worker` and `homerow up`."""

import asyncio
import json
import os
import signal
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from arq import cron
from arq.worker import Worker, func
from redis.exceptions import RedisError

from domain.collector import calm_collector
from domain.database import DatabaseRole
from domain.figures import serving_metrics
from domain.jobs import CHECK, ERRAND, MAIL, WAKE
from domain.logs import configure_logs
from domain.notifications.delivery import Post
from domain.notifications.links import Links
from domain.providers.hosts import Hosts
from domain.queue import encode_job
from domain.resources import open_resources
from domain.secrets import KeyRing
from domain.settings import Settings, read_settings
from worker.clock import keep_time
from worker.discover import discover
from worker.places import RUNS_AT_ONCE
from worker.tasks import (
    WorkerContext,
    check,
    clean,
    erase,
    errand,
    mail,
    wake,
)

_SHORT_JOBS = 3
"""Places for what never takes long: trying a connection, errands, mails."""
_MINUTES = 60
_HOURS = 3600
_PATIENCE = 1.0
"""Seconds before a queue that is away is looked for again."""
_DRAIN = 10.0
"""Seconds that what is under way has to end by itself, once the worker is told to end."""
_LEAVE = 3.0
"""And then to be left in good order."""

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
        redis_pool=context.resources.queue.redis,
        ctx={"homerow": context},
        max_jobs=RUNS_AT_ONCE + _SHORT_JOBS,
        on_job_start=_note,
        poll_delay=0.2,
        job_serializer=encode_job,
        job_deserializer=json.loads,
        handle_signals=False,
    )


async def _note(ctx: dict[str, Any]) -> None:
    task = asyncio.current_task()
    if task is not None:
        WorkerContext.of(ctx).note(task)


async def heed_calls(context: WorkerContext) -> None:
    """Take wake-ups from the queue, for as long as the process lives.

    arq's worker ends when Redis is away for a moment. What it began goes on, and another one, whose
    counts are right, takes its place.
    """
    while True:
        try:
            await create_worker(context).async_run()
        except (RedisError, OSError) as error:
            log.warning("queue_lost", error=type(error).__name__)
        await asyncio.sleep(_PATIENCE)


async def live(context: WorkerContext) -> None:
    """Heed the clock and the queue until a signal says to end."""
    signals = asyncio.Queue[None]()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, None)
    told = asyncio.create_task(signals.get())
    heeding = [asyncio.create_task(heed(context)) for heed in (heed_calls, keep_time)]
    log.info("worker_started")
    ended, _ = await asyncio.wait([told, *heeding], return_when=asyncio.FIRST_COMPLETED)
    log.info("worker_ending", under_way=len(context.under_way))
    for task in heeding:
        task.cancel()
    await asyncio.wait(heeding)
    await _drain(context, signals)
    for task in ended:
        task.result()


async def _drain(context: WorkerContext, signals: asyncio.Queue[None]) -> None:
    """Wait for what is under way, until it takes too long or a second signal says so.

    Runs that are not through by then are given back: others go on with them from their last phase.
    """
    context.places.close()
    _end_for_sure()
    hurried = asyncio.create_task(signals.get())
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN):
            while context.under_way and not hurried.done():
                await asyncio.wait(
                    {hurried, *context.under_way}, return_when=asyncio.FIRST_COMPLETED
                )
    left = {hurried, *context.under_way}
    for task in left:
        task.cancel()
    await asyncio.wait(left, timeout=_LEAVE)


def _end_for_sure() -> None:
    """A server that hangs may hold up whatever is closed after the drain: nothing is lost by it."""
    timer = threading.Timer(_DRAIN + 2 * _LEAVE, os._exit, [1])
    timer.daemon = True
    timer.start()


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
        context = WorkerContext(
            resources,
            kept=timedelta(days=settings.retention_days),
            people_kept=timedelta(days=settings.purge_days),
            post=post,
            links=Links.of(settings),
            runs_per_provider=settings.runs_per_provider,
        )
        with serving_metrics(
            resources.database, host=settings.metrics_host, port=settings.metrics_port
        ):
            await live(context)


def main() -> None:
    configure_logs()
    calm_collector()
    # Ctrl-C before it has begun, or when it has ended.
    with suppress(KeyboardInterrupt):
        asyncio.run(run(read_settings()))


if __name__ == "__main__":
    main()
