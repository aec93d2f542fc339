"""The api and worker processes of `homerow up`: started, watched, and stopped in good order."""

import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx2

from api.local import LocalServerError, forget_running, write_running
from api.local.processes import MAX_LOG_SIZE, TAIL_LINES, made, opened
from api.site import Site
from domain.database import DatabaseRole

READY_SECONDS = 60.0
STOP_SECONDS = 15.0  # longer than the worker gives a run that is under way
_POLL_SECONDS = 0.1
_WATCH_SECONDS = 0.5
_BACKLOG = 2048
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Child:
    """`log_start`: where in its log the words of this process begin."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    log_start: int = 0


@contextmanager
def child(
    name: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path | None,
    sockets: Sequence[socket.socket] = (),
) -> Generator[Child]:
    """A module of ours as a process, for as long as entered.

    Without a log it speaks to our own standard error.
    """
    with ExitStack() as stack:
        output = stack.enter_context(_log(log)) if log else sys.stderr.fileno()
        log_start = os.lseek(output, 0, os.SEEK_END) if log else 0
        process = subprocess.Popen(  # noqa: S603 - our own modules, and no shell
            [sys.executable, "-P", "-m", "api.tethered", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environment),
            pass_fds=[item.fileno() for item in sockets],
            # Ctrl-C at the terminal reaches only us: who is stopped when is decided here.
            start_new_session=True,
        )
    try:
        yield Child(name, process, log, log_start)
    finally:
        _stop(process)


def _log(path: Path) -> AbstractContextManager[int]:
    made(path.parent)
    if path.exists() and path.stat().st_size > MAX_LOG_SIZE:
        path.replace(path.with_name(f"{path.name}.1"))
    return opened(path)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdin is not None:
            process.stdin.close()


def watch(children: Sequence[Child]) -> NoReturn:
    """Wait until one of them ends by itself, which none of them should."""
    while True:
        require_all_alive(children)
        time.sleep(_WATCH_SECONDS)


def require_all_alive(children: Sequence[Child]) -> None:
    for item in children:
        require_alive(item)


def require_alive(item: Child) -> None:
    """Raises LocalServerError with the last lines of its log."""
    status = item.process.poll()
    if status is not None:
        raise LocalServerError(f"The {item.name} process ended with status {status}.{_tail(item)}")


def _tail(item: Child) -> str:
    if item.log is None:
        return ""
    with item.log.open("rb") as file:
        file.seek(item.log_start)
        lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f" {item.log} says:", *lines]) if lines else f" {item.log} says nothing."


def listen(host: str, port: int, *, is_fixed: bool) -> socket.socket:
    """A listening socket, to be handed to the api process; another port if this one is taken.

    With `is_fixed` the port was asked for: then no other will do.
    """
    try:
        return _listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and not is_fixed:
            return _listen(host, 0)
        raise LocalServerError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}."
            " Choose others with HOMEROW_HOST and HOMEROW_PORT."
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two that bind the same port at once are told apart only here.
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Where it is reached from this machine."""
    host, port = listener.getsockname()[:2]
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def wait_until_ready(url: str, item: Child) -> None:
    """Raises LocalServerError if it ends or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    # A proxy of the environment has no business between us and our own process.
    with httpx2.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            require_alive(item)
            if _is_ready(client, url):
                return
            time.sleep(_POLL_SECONDS)
    raise LocalServerError(
        f"The {item.name} process is not ready after {READY_SECONDS:.0f} s.{_tail(item)}"
    )


def _is_ready(client: httpx2.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/readyz").is_success
    except httpx2.TransportError:
        return False


@dataclass(frozen=True, slots=True)
class Serving:
    url: str
    children: Sequence[Child]


@contextmanager
def serving(site: Site) -> Generator[Serving]:
    """The worker and, when that has begun, the API of a site; other commands find them."""
    settings = site.settings
    is_fixed = "port" in settings.model_fields_set and settings.port != 0
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port, is_fixed=is_fixed))
        url = url_of(listener)
        worker = stack.enter_context(worker_process(site, metrics_offset=1))
        api = stack.enter_context(
            child(
                "api",
                ["api.serve", str(listener.fileno())],
                environment=site.environment(DatabaseRole.API),
                log=settings.data_dir / "api.log",
                sockets=[listener],
            )
        )
        wait_until_ready(url, api)
        require_alive(worker)
        stack.callback(forget_running, settings.data_dir)
        write_running(settings.data_dir, pid=os.getpid(), url=url)
        yield Serving(settings.public_url or url, [worker, api])


def worker_process(
    site: Site, *, has_log: bool = True, metrics_offset: int = 0
) -> AbstractContextManager[Child]:
    """`metrics_offset`: its metrics are at a port so far above that of the settings."""
    environment = site.environment(DatabaseRole.WORKER)
    if site.settings.metrics_port:
        environment["HOMEROW_METRICS_PORT"] = str(site.settings.metrics_port + metrics_offset)
    return child(
        "worker",
        ["worker.main"],
        environment=environment,
        log=site.settings.data_dir / "worker.log" if has_log else None,
    )
