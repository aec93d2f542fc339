"""`homerow rollover`: a school year declared, shown, tried out and taken back."""

import json
import re
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from api.preflights import Named, tell_report
from domain.clock import utc_now
from domain.tenants.service import DEFAULT_TIME_ZONE
from tests.api.commands import Run, refusal
from tests.api.reports import REPORT


def test_a_year_is_declared_tried_out_and_taken_back(run: Run, tenant: str, package: Path) -> None:
    day = utc_now().astimezone(ZoneInfo(DEFAULT_TIME_ZONE)).date() + timedelta(days=40)
    opens, closes = day - timedelta(days=14), day + timedelta(days=30)
    words = f"from {opens} to {closes} up to 40 % of people archived and 100 % updated unasked.\n"
    result = run("rollover", "set", tenant, day)
    assert result.stdout == f"{day} UPCOMING: {words}"
    first, *days = run("rollover", "show", tenant).stdout.splitlines()
    assert re.fullmatch(rf"{tenant}: the school year \d+ is from [\d-]+ to [\d-]+\.", first)
    assert days == [f"{day} UPCOMING: {words}".strip()]
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    message = "The first sync has not been applied yet; start a plain preflight."
    assert message in refusal(run("rollover", "preflight", tenant, "--here"), 1)
    assert run("sync", tenant, "--here").returncode == 0
    result = run("rollover", "preflight", tenant, "--here")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == (
        f"Judged by the limits around {day}, when a school year begins: up to 40 % of people"
        " archived and 100 % updated unasked."
    )
    answer = json.loads(run("rollover", "preflight", tenant, "--here", "--json").stdout)
    assert answer["preflight"]["rollover"] == {
        "rollsOn": day.isoformat(),
        "archivePercent": 40,
        "updatePercent": 100,
    }
    result = run("rollover", "cancel", tenant, day)
    assert result.stdout == f"{day} CANCELLED: {words}"


def test_what_is_no_day_is_one_line_and_status_2(run: Run, tenant: str) -> None:
    for command in ("set", "cancel"):
        assert refusal(run("rollover", command, tenant, "august"), 2) == (
            "'august' is not a day as in 2026-08-20."
        )
    assert refusal(run("rollover", "cancel", tenant, "2026-08-20"), 2) == (
        "There is no year rollover on '2026-08-20'."
    )


def test_a_report_of_the_usual_limits_does_not_speak_of_years() -> None:
    assert not any("school year" in line for line in tell_report(REPORT, Named({})))
