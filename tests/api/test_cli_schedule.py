"""`homerow schedule`: what is set, what comes of it, and what is refused."""

import json
from pathlib import Path

from tests.api.commands import Run, refusal


def test_a_schedule_is_tried_set_paused_and_resumed(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    before = run("schedule", "show", tenant, "--json").stdout
    wanted = ("--preset", "los_angeles_21", "--every-days", 2, "--spread", 0)
    tried = run("schedule", "set", tenant, *wanted, "--preview")
    first, *nights = tried.stdout.splitlines()
    assert first == "21:00 America/Los_Angeles, every 2 days, within 0 minutes."
    assert [line.split()[0] + line.split()[3] for line in nights] == ["next:21:00:00"] * 3
    assert run("schedule", "show", tenant, "--json").stdout == before
    assert run("schedule", "set", tenant, *wanted).stdout == tried.stdout
    stored = json.loads(run("schedule", "show", tenant, "--json").stdout)
    assert (stored["localTime"], stored["everyDays"]) == ("21:00:00", 2)
    assert stored["nextDueAt"] == stored["nextRuns"][0]
    assert run("schedule", "pause", tenant).stdout == f"{tenant} is paused.\n"
    assert json.loads(run("schedule", "show", tenant, "--json").stdout)["nextRuns"] == []
    assert "is paused; resume it first" in refusal(run("sync", tenant, "--here"), 1)
    assert run("schedule", "resume", tenant).stdout == tried.stdout


def test_blackouts_are_given_as_two_days(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    result = run("schedule", "set", tenant, "--blackout", "2026-12-21..2027-01-03")
    assert "not from 2026-12-21 to 2027-01-03" in result.stdout
    result = run("schedule", "set", tenant, "--no-blackouts")
    assert "not from" not in result.stdout


def test_what_cannot_be_set_is_one_line_and_status_2(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    for given, words in (
        (("--every-days", 30), "a roster that is a month old lets in who has left"),
        (("--zone", "Mars/Olympus"), "'Mars/Olympus' is no IANA time zone"),
        (("--at", "nine"), "--at is a time of day such as 21:00, not 'nine'."),
        (("--blackout", "winter"), "not 'winter'."),
    ):
        assert words in refusal(run("schedule", "set", tenant, *given), 2)
