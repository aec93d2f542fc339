"""Commands run in this process, on servers that run all the time."""

import logging
import os
import re
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
import structlog

from api.cli import execute
from api.generator.package import generate
from api.local import servers
from tests.api.commands import Result, Run, environment
from tests.conftest import FAST, roomy_folder


@pytest.fixture(scope="module", name="data_dir")
def fixture_data_dir() -> Generator[Path]:
    """A data folder whose servers run all the time, so that no command has to start them."""
    with (
        tempfile.TemporaryDirectory(prefix="tests-", dir=roomy_folder()) as folder,
        servers(Path(folder), settings=FAST),
    ):
        yield Path(folder)


@pytest.fixture(name="run")
def fixture_run(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Generator[Run]:
    """Runs a command in this process, which saves the seconds that its imports take."""
    logs, last_resort = structlog.get_config(), logging.lastResort

    def run(*arguments: object, **settings: str) -> Result:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("HOMEROW_")]:
                patch.delenv(name)
            for name, text in environment(data_dir, **settings).items():
                patch.setenv(name, text)
            capfd.readouterr()
            status = execute([str(argument) for argument in arguments])
        return Result(status, *capfd.readouterr())

    yield run
    structlog.configure(**logs)
    logging.lastResort = last_resort


@pytest.fixture(name="tenant")
def fixture_tenant(run: Run, request: pytest.FixtureRequest) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name)[-60:].strip("-")
    assert run("tenant", "create", slug, "--name", "Springfield").returncode == 0
    return slug


@pytest.fixture(name="package")
def fixture_package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    generate(folder, students=60, seed=3)
    return folder
