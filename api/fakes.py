"""A fake provider as a process beside ours: a folder of CSV files behind a provider's API.

The fakes are part of the tests, so they are there in a checkout only, and run on their own: no
package of ours imports them.
"""

import json
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from api.local import LocalServerError
from domain.roster.source import Provider

_ROOT: Final = Path(__file__).resolve().parents[1]
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a fake says when it is ready.

    `environment` are the settings that lead to it, `settings` and `credentials` a tenant's.
    """

    provider: Provider
    environment: Mapping[str, str]
    settings: Mapping[str, str]
    credentials: Mapping[str, str]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Told":
        return cls(
            Provider(said["provider"]), said["environment"], said["settings"], said["credentials"]
        )


@dataclass(frozen=True, slots=True)
class Fake:
    """`line` is what it said, as it stands."""

    process: subprocess.Popen[str]
    line: str
    told: Told


@contextmanager
def fake_provider(provider: Provider, district: Path, *, port: int = 0) -> Generator[Fake]:
    """Serves the folder until it is left. Raises LocalServerError if it does not start."""
    if not (_ROOT / "tests" / "fakes").is_dir():
        raise LocalServerError("The fake providers are in a checkout of Homerow only: tests/fakes.")
    arguments = [provider.value.lower(), "--district", str(district.resolve()), "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own module, and no shell
        [sys.executable, "-m", "tests.fakes", *arguments, "--tethered"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C at the terminal reaches only us, and we tell the fake.
        start_new_session=True,
    )
    with process:
        try:
            yield _started(process, process.stdout)
        finally:
            _stop(process)


def _started(process: subprocess.Popen[str], output: IO[str] | None) -> Fake:
    line = output.readline() if output else ""
    if not line:
        raise LocalServerError(f"The fake provider ended with status {process.wait()}.")
    return Fake(process, line.rstrip("\n"), Told.of(json.loads(line)))


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
