"""Two small files of a data folder: its own key, and who serves it at the moment."""

import base64
import json
import os
import secrets
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from api.local.processes import ENVIRONMENT, made


@dataclass(frozen=True, slots=True)
class Running:
    """A `homerow up` that serves this data folder: its process and the API's address."""

    pid: int
    url: str


def local_secret(data_dir: Path) -> str:
    """The data folder's own key: 32 random bytes in base64, made once and kept from others."""
    data_dir = made(data_dir)
    path = data_dir / "secret_key"
    if not path.exists():
        # Written aside and linked into place: of two processes at once one wins, and neither
        # ever reads half a key. mkstemp opens with O_EXCL and mode 600.
        handle, draft = tempfile.mkstemp(prefix="secret_key.", dir=data_dir)
        with os.fdopen(handle, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)).decode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        Path(draft).unlink()
    return path.read_text()


def write_running(data_dir: Path, *, pid: int, url: str) -> None:
    path = made(data_dir) / "running.json"
    draft = path.with_name(f"running.{pid}")
    draft.write_text(json.dumps({"pid": pid, "url": url, "born": _born(pid)}))
    draft.replace(path)


def find_running(data_dir: Path) -> Running | None:
    """The `homerow up` of this data folder, unless it is gone or its pid is another's by now."""
    try:
        record = json.loads((data_dir / "running.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    born = _born(record["pid"])
    return Running(record["pid"], record["url"]) if born and born == record["born"] else None


def forget_running(data_dir: Path) -> None:
    (data_dir / "running.json").unlink(missing_ok=True)


def _born(pid: int) -> str:
    """When the process started, in the system's own words; empty for one that is not alive.

    It tells a process from a later one with the same pid.
    """
    if Path("/proc/self/stat").exists():
        try:
            # The second field is the program's name in brackets and may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        is_zombie = fields[0] == "Z"
        return "" if is_zombie else fields[19]
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)  # noqa: S603 -- our own words
    return found.stdout.decode().strip()
