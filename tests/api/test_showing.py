"""How the command line tells of a run that is under way."""

from datetime import timedelta
from io import StringIO
from typing import Any

from rich.console import Console

from api.showing import lines_of, progress_bar
from domain.clock import utc_now
from domain.sync.models import SyncRun, SyncRunState

READING = {"read": 20_000, "expected": 110_000, "rate": 4_998.7}


def run(**values: Any) -> SyncRun:
    row = {"state": SyncRunState.FETCHING, "progress": READING, "phases": {}}
    return SyncRun(**row | values)


def lines(*runs: SyncRun, every: float = 0) -> str:
    written = StringIO()
    show = lines_of(Console(file=written, width=40), every=every)
    for each in runs:
        show(each)
    return written.getvalue()


def test_a_line_has_phase_records_and_rate() -> None:
    assert lines(run()) == "Fetching: 20,000 of 110,000 records, 4,999 per second\n"
    assert lines(run(state=SyncRunState.QUEUED, progress={})) == "Queued\n"


def test_a_line_has_the_estimate_where_there_is_one() -> None:
    usual = {"VALIDATING": 600.0, "APPLYING": 50.0}
    progress = READING | {"rate": 1000.0, "at": utc_now().isoformat(), "usual": usual}
    assert lines(run(progress=progress)).endswith(" per second, about 12 min left\n")


def test_a_run_that_is_soon_over_has_no_lines() -> None:
    assert lines(run(), run(), every=10) == ""
    ended = run(state=SyncRunState.SUCCEEDED, finished_at=utc_now() - timedelta(seconds=1))
    assert lines(ended) == ""


def test_a_terminal_has_a_bar_with_the_same_numbers() -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=True, width=120, color_system=None)
    with progress_bar(console) as show:
        show(run())
    assert "Fetching" in written.getvalue()
    assert "20,000 of 110,000 records, 4,999 per second" in written.getvalue()
