"""The servers Homerow brings along: PostgreSQL and Valkey out of wheels, started and stopped by us.

Each has a folder in the data folder, its log beside it, and listens on a unix socket only.
"""

import fcntl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.local.postgres import PostgresServer, find_postgres, start_postgres
from api.local.processes import LocalServerError, locked, made, opened
from api.local.records import Running, find_running, forget_running, local_secret, write_running
from api.local.valkey import ValkeyServer, find_valkey, start_valkey

__all__ = [
    "LocalServerError",
    "LocalServers",
    "PostgresServer",
    "Running",
    "ValkeyServer",
    "find_running",
    "forget_running",
    "local_secret",
    "servers",
    "start_postgres",
    "start_valkey",
    "write_running",
]


@dataclass(frozen=True, slots=True)
class LocalServers:
    postgres: PostgresServer
    valkey: ValkeyServer

    @property
    def database_url(self) -> str:
        return self.postgres.url("homerow_owner")

    @property
    def redis_url(self) -> str:
        return self.valkey.url


@contextmanager
def servers(
    data_dir: Path, *, settings: Mapping[str, str] | None = None
) -> Generator[LocalServers]:
    """Both servers of a data folder: shared with whoever uses them now, stopped by the last.

    Every user holds a shared lock, which a killed process loses by itself, so nobody has to be
    counted. Starting and stopping happen under a second, exclusive one. `settings` are
    PostgreSQL's and have no effect on a server that already runs.
    """
    data_dir = made(data_dir)
    gate = data_dir / "servers.lock"
    with opened(data_dir / "servers.users") as users:
        with locked(gate):
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                running = _start_both(data_dir, settings)
            except BaseException:
                _stop_unless_used(data_dir, users)
                raise
        try:
            yield running
        finally:
            with locked(gate):
                _stop_unless_used(data_dir, users)


def _start_both(data_dir: Path, settings: Mapping[str, str] | None) -> LocalServers:
    valkey = start_valkey(data_dir / "valkey")
    return LocalServers(start_postgres(data_dir / "postgres", settings=settings), valkey)


def _stop_unless_used(data_dir: Path, users: int) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Let go before the gate opens: the next to leave must not see us among the users.
        fcntl.flock(users, fcntl.LOCK_UN)
        return
    try:
        if postgres := find_postgres(data_dir / "postgres"):
            postgres.stop()
    finally:
        if valkey := find_valkey(data_dir / "valkey"):
            valkey.stop()
