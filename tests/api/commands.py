"""Running `homerow` as a process of its own, and finding out what it left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from api.local.postgres import find_postgres
from api.local.valkey import find_valkey

ROOT = Path(__file__).parents[2]


class Result(NamedTuple):
    """What a command ended with; shaped like a subprocess's."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if "HOMEROW_" not in name}
    return {**inherited, "HOMEROW_DATA_DIR": str(data_dir), "HOMEROW_PORT": "0", **settings}


def homerow(
    data_dir: Path, *arguments: object, **settings: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "api.cli", *map(str, arguments)],
        cwd=ROOT,
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def refusal(result: "Result | subprocess.CompletedProcess[str]", status: int) -> str:
    """The one line that a refused command says."""
    assert (result.returncode, result.stdout) == (status, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("homerow: ")
    return line.removeprefix("homerow: ")


@contextmanager
def started(
    data_dir: Path, *arguments: object, **settings: str
) -> Generator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "api.cli", *map(str, arguments)],
        cwd=ROOT,
        env=environment(data_dir, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """The line that holds the words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError(f"ended without {words!r}: {lines}")


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (is_met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_met


def processes_of(data_dir: Path) -> list[str]:
    """The command lines of the processes that serve or use a data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            used = process.environ().get("HOMEROW_DATA_DIR", "")
        except psutil.Error:
            continue
        if str(data_dir) in command or used.startswith(str(data_dir)):
            found.append(command)
    return found


def stop_servers(data_dir: Path) -> None:
    if postgres := find_postgres(data_dir / "postgres"):
        postgres.stop()
    if valkey := find_valkey(data_dir / "valkey"):
        valkey.stop()
