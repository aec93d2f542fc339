"""The demo, from its first line to the last process that it leaves: none."""

import fcntl
import json
import re
import signal
from pathlib import Path

import httpx2
import pytest
from graphql import parse, validate

from api.demo import EXAMPLES, SUMMARY, list_differences
from api.graphql.schema import core
from api.runs import Report
from domain.sync.models import SyncRun
from tests.api.commands import homerow, processes_of, read_until, started

AS_EXPECTED = "The second night's counts are exactly what the generator expected."


@pytest.mark.parametrize("query", [SUMMARY, *EXAMPLES])
def test_what_the_demo_asks_is_in_the_schema(query: str) -> None:
    assert validate(core, parse(query)) == []


def test_a_count_that_differs_is_named() -> None:
    counts = {"USER": {"created": 3, "updated": 1}}
    expected = {"counts": {"USER": {"created": 4, "updated": 1}}, "errors": {"USER_DISABLED": 1}}
    assert list_differences(Report(SyncRun(counts=counts), {"ID_DUPLICATE": 2}), expected) == [
        "USER created: 3 instead of 4",
        "ID_DUPLICATE: 2 instead of 0",
        "USER_DISABLED: 0 instead of 1",
    ]


@pytest.mark.slow
def test_two_demos_at_once_show_what_they_should_and_leave_nothing(tmp_path: Path) -> None:
    staying, once = tmp_path / "staying", tmp_path / "once"
    with started(staying, "demo", "--students", 60) as process:
        result = homerow(once, "demo", "--once", "--students", 200)
        url = read_until(process, "GraphiQL: ").split()[-1]
        header = json.loads(read_until(process, "Header: ").partition(": ")[2])
        read_until(process, "Ctrl-C ends the demo.")
        answer = asked(url, header)
        refused = asked(url, {"Authorization": "Bearer hrw_wrong"})
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert (result.returncode, result.stderr) == (0, "")
    assert AS_EXPECTED in result.stdout
    assert '"openErrors": 13' in result.stdout
    assert answer.json()["data"]["tenants"]["nodes"][0]["slug"] == "springfield"
    assert refused.status_code == 401
    assert "springfield" not in refused.text
    assert processes_of(tmp_path) == []


def asked(url: str, header: dict[str, str]) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=10) as client:
        return client.post(url, json={"query": EXAMPLES[0]}, headers=header)


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = homerow(tmp_path, "demo", "--once")
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"homerow: A demo is running in .+ already\. .+\n", result.stderr)
