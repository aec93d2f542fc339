"""Real worker processes, and how a test waits for what they do and gets in their way."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg

from domain.database import DatabaseRole
from tests.conftest import KEY_TEXT

ROOT = Path(__file__).parents[2]
SECONDS = 30.0
GATE = 4242
"""The advisory lock that COPY into a run's enrollments waits for; see `gate_of_copy`."""


_GATES = """
    CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(GATE);
        RETURN NEW;
    END $$;
    CREATE FUNCTION public.build_gate() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE made record; BEGIN
        FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
            IF made.object_identity ~ '^staging[.]run_.*_enrollments$' THEN
                EXECUTE format('CREATE TRIGGER gate BEFORE INSERT ON %s FOR EACH ROW'
                    ' EXECUTE FUNCTION public.wait_at_gate()', made.object_identity);
            END IF;
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER gates ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
        EXECUTE FUNCTION public.build_gate();
"""


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    for _ in range(int(SECONDS / 0.05)):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {SECONDS} s: {what}")


@dataclass
class Workers:
    """Starts workers. All that are left are killed in the end, by their pids."""

    database_url: dict[str, str]
    redis_url: str
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, login: str = DatabaseRole.WORKER.value) -> "Process":
        log = self.folder / f"worker-{len(self.started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.main"],
                cwd=ROOT,
                env={
                    "PATH": os.defpath,
                    "HOMEROW_DATABASE_URL": self.database_url[login],
                    "HOMEROW_REDIS_URL": self.redis_url,
                    "HOMEROW_SECRET_KEYS": KEY_TEXT,
                    **self.settings,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.started.append(process)
        return Process(process, log)

    def kill_all(self) -> None:
        for process in self.started:
            process.kill()  # of a process that has been waited for, this does nothing
            process.wait(10)


@dataclass(frozen=True)
class Process:
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> int:
        """The exit status after a polite end."""
        self.process.terminate()
        return self.process.wait(20)

    def says(self, *words: str) -> bool:
        text = self.log.read_text(encoding="utf-8")
        return any(word in text for word in words)

    async def until_it_says(self, *words: str) -> None:
        async def said() -> bool:
            assert self.is_alive, self.log.read_text(encoding="utf-8")
            return self.says(*words)

        await until(said, f"{words} in the worker's log:\n{self.log.read_text(encoding='utf-8')}")


@contextmanager
def open_workers(
    database_url: dict[str, str],
    redis_url: str,
    folder: Path,
    settings: Mapping[str, str] | None = None,
) -> Generator[Workers]:
    workers = Workers(database_url, redis_url, folder, settings or {})
    try:
        yield workers
    finally:
        workers.kill_all()


async def until_waiting(see: asyncpg.Connection, run_id: UUID, words: str) -> int:
    """Until the run's connection waits for a lock in such a statement. Its backend's pid."""
    found: list[int] = []

    async def is_waiting() -> bool:
        pid = await see.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1"
            " AND wait_event_type = 'Lock' AND query ~* $2",
            f"homerow sync {run_id}",
            words,
        )
        if pid is not None:
            found.append(pid)
        return bool(found)

    await until(is_waiting, f"{words} of run {run_id} waits for a lock")
    return found[0]


async def until_gone(see: asyncpg.Connection, backend_pid: int) -> None:
    async def is_gone() -> bool:
        return not await see.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend_pid
        )

    await until(is_gone, "the former worker's connection is ended")


async def until_finished(see: asyncpg.Connection, run_id: UUID) -> str:
    """The state in which the run ended."""

    async def is_finished() -> bool:
        return bool(
            await see.fetchval(
                "SELECT finished_at IS NOT NULL FROM sync_runs WHERE id = $1", run_id
            )
        )

    await until(is_finished, f"run {run_id} ends")
    return str(await see.fetchval("SELECT state FROM sync_runs WHERE id = $1", run_id))


async def age_lease(see: asyncpg.Connection, run_id: UUID) -> None:
    """As if the worker had been silent for long enough."""
    await see.execute(
        "UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute' WHERE run_id = $1",
        run_id,
    )


async def build_gate(see: asyncpg.Connection) -> None:
    """From now on each row that is copied into a run's enrollments waits for the gate."""
    await see.execute(_GATES.replace("GATE", str(GATE)))


@asynccontextmanager
async def closed(dsn: str, statement: str) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """A transaction that holds what the statement locks, until it is opened or the block ends."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(statement)

    async def release() -> None:
        await connection.close(timeout=5)

    try:
        yield release
    finally:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await release()
