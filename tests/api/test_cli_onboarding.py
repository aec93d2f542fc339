"""The commands that bring a tenant from a preflight to its first sync."""

import json
from pathlib import Path

import pytest

from api.preflights import Named, as_json, tell_report
from domain.sync.preflight_items import PreflightOutcome, PreflightTopic
from tests.api.commands import Run, refusal
from tests.api.reports import REPORT

NOBODY = {"matched": 0, "revived": 0, "archived": 0, "unmatched": 0, "kept": 0}


@pytest.fixture(name="connected")
def fixture_connected(run: Run, tenant: str, package: Path) -> str:
    result = run("integration", "set", tenant, "oneroster-csv", "--path", package)
    assert result.returncode == 0, result.stderr
    return tenant


def test_a_preflight_answers_in_plain_words(run: Run, connected: str) -> None:
    result = run("sync", connected, "--mode", "preflight", "--here")
    assert result.returncode == 0, result.stderr
    first, *lines, last = result.stdout.splitlines()
    assert first.startswith(f"{connected}: SUCCEEDED")
    assert "nothing changed (a sync would: " in first
    assert [line.split(":")[0] for line in lines] == [
        "Schools",
        "Classes",
        "People",
        "Licences",
        "Usernames",
        "Settings and progress",
    ]
    assert last.startswith("The preflight is run ")
    assert "nobody has said what is expected" in lines[0]
    assert "no limit" in lines[3]
    shown = run("onboarding", "show", connected).stdout
    assert "PREFLIGHT" in shown
    assert "homerow onboarding approve SLUG" in shown.replace("\n", " ")


def test_the_last_preflight_is_approved_and_then_synced(run: Run, connected: str) -> None:
    result = run("sync", connected, "--mode", "preflight", "--here", "--json")
    report = json.loads(result.stdout)
    assert report["mode"] == "PREFLIGHT"
    created = report["preflight"]["existingUsers"]["created"]
    assert created > 60
    assert report["preflight"]["existingUsers"]["byOrigin"] == [
        {"origin": origin, **NOBODY} for origin in ("LEGACY", "PROVIDER", "IMPORT")
    ]
    result = run("onboarding", "approve", connected)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{connected}: the next sync takes over what was shown.")
    checklist = json.loads(run("onboarding", "show", connected, "--json").stdout)
    states = {step["name"]: step["state"] for step in checklist["steps"]}
    assert states["APPROVED"] == "DONE"
    assert checklist["nextStep"]["name"] == "LIVE"
    assert checklist["approvalLapsesAt"]
    synced = json.loads(run("sync", connected, "--here", "--json").stdout)
    assert synced["preflight"] is None
    [users] = [count for count in synced["counts"] if count["recordType"] == "USER"]
    assert users["created"] == created


def test_without_a_preflight_there_is_nothing_to_approve(run: Run, connected: str) -> None:
    line = refusal(run("onboarding", "approve", connected), 2)
    assert line == (
        f"There is no preflight: run `homerow sync {connected} --mode preflight --wait`."
    )
    unknown = run("onboarding", "approve", connected, "01a205dd-e278-7b29-82ac-36b4a037c804")
    assert refusal(unknown, 2) == "There is no such run of this tenant."
    assert refusal(run("onboarding", "show", "nobody"), 2) == "There is no tenant 'nobody'."


def test_a_report_names_the_first_of_each_list() -> None:
    named = Named(
        {
            (PreflightTopic.SCHOOLS, PreflightOutcome.EXPECTED_NOT_SHARED): ["East"],
            (PreflightTopic.LICENCES, PreflightOutcome.WITHOUT_LICENCE): ["Gus Archer"],
            (PreflightTopic.USERNAMES, PreflightOutcome.TAKEN): ["Ann", "Bob"],
        }
    )
    lines = list(tell_report(REPORT, named))
    assert lines[0] == (
        "Schools: 2 shared, 1 of them expected, 1 not expected, 1 expected and not shared (East)."
    )
    assert lines[1] == (
        "Classes: 7 shared, nobody has said what is expected, 3 left out by a rule;"
        " 1 without a teacher, 2 without students."
    )
    assert lines[2] == (
        "People: 4 new, 5 matched, 6 archived, 1 to be decided by somebody,"
        " those from before rostering: MATCH_KEYS."
    )
    assert lines[3] == "Licences: 8 used now, 10 needed, the limit is 9, 1 missing (Gus Archer)."
    assert lines[4] == (
        "Usernames: 1 the same, 2 would change, 3 belong to somebody else (Ann, Bob and 1 more),"
        " 4 clash but for upper and lower case, of people from before rostering 5 match and 6 do"
        " not."
    )
    assert lines[5] == "Settings and progress: of 3 people restored, come back with them."
    assert lines[6].startswith("Would wait for approval: ")


def test_a_report_has_the_ids_of_the_api() -> None:
    reason = {"code": "SCHOOL_VANISHED", "record_type": "SCHOOL", "count": 1, "of": 9,
              "school_id": "01a205dd-e278-7b29-82ac-36b4a037c804"}  # fmt: skip
    told = as_json(REPORT | {"would_hold": [reason]}, encode_school=lambda key: f"S{key.hex[:4]}")
    [hold] = told["wouldHold"]
    assert (hold["schoolId"], hold["recordType"], hold["value"]) == ("S01a2", "SCHOOL", None)
    assert told["schools"]["sharedAndExpected"] == 1
