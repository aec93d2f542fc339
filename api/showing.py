"""How the command line shows runs: a progress bar while they last, tables when they have ended."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.runs import COUNTED, Report, Show
from domain.clock import utc_now
from domain.roster.records import RecordType
from domain.sync.models import SyncRun
from domain.sync.progress import RunProgress

LINE_SECONDS = 10.0


@contextmanager
def progress_bar(console: Console) -> Generator[Show]:
    """Shows phase, records, rate and estimate; without a terminal, a plain line now and then."""
    if not console.is_terminal:
        yield lines_of(console)
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Waiting", total=None, said="")

        def show(run: SyncRun) -> None:
            now = RunProgress.of(run, now=utc_now())
            progress.update(
                task,
                description=_phase(run),
                completed=now.read,
                total=max(now.expected, now.read) if now.expected else None,
                said=amount(now),
            )

        yield show


def lines_of(console: Console, *, every: float = LINE_SECONDS) -> Show:
    """A run that is soon over has none."""
    said_at = time.monotonic()

    def show(run: SyncRun) -> None:
        nonlocal said_at
        if run.finished_at is None and time.monotonic() - said_at >= every:
            said_at = time.monotonic()
            said = amount(RunProgress.of(run, now=utc_now()))
            line = f"{_phase(run)}: {said}" if said else _phase(run)
            console.print(line, soft_wrap=True, highlight=False)

    return show


def _phase(run: SyncRun) -> str:
    return run.state.value.capitalize().replace("_", " ")


def amount(progress: RunProgress) -> str:
    """How much of how much, how fast, and how long it should take yet; nothing before it begins."""
    if progress.rate is None:
        return ""
    of = f" of {progress.expected:,}" if progress.expected else ""
    said = f"{progress.read:,}{of} records, {progress.rate:,.0f} per second"
    if progress.estimated_finish_at is None:
        return said
    left = max((progress.estimated_finish_at - utc_now()).total_seconds(), 0)
    minutes, seconds = divmod(round(left), 60)
    return f"{said}, about {f'{minutes} min' if minutes else f'{seconds} s'} left"


def counts_table(reports: Mapping[str, Report]) -> Table:
    """Counts by type and action; a section for each titled run."""
    table = Table(title="What the syncs did")
    table.add_column("")
    table.add_column("record type")
    for name in COUNTED:
        table.add_column(name, justify="right")
    for title, of in reports.items():
        for kind in RecordType:
            if kind.value in of.run.counts:
                numbers = [f"{of.count(kind, name):,}" for name in COUNTED]
                table.add_row(title, kind.value, *numbers)
                title = ""  # noqa: PLW2901 - said once for each section
        table.add_section()
    return table


def runs_table(reports: Mapping[str, Report]) -> Table:
    """State, time, speed and errors by code; a row for each titled run."""
    table = Table(title="How they went")
    for name in ("", "state"):
        table.add_column(name)
    for name in ("seconds", "records", "per second"):
        table.add_column(name, justify="right")
    table.add_column("errors by code")
    for title, of in reports.items():
        speed = of.read / of.seconds if of.seconds else 0
        errors = "\n".join(f"{code} {count:,}" for code, count in of.errors.items())
        numbers = (f"{of.seconds:.2f}", f"{of.read:,}", f"{speed:,.0f}")
        table.add_row(title, of.run.state.value, *numbers, errors or "none")
    return table
