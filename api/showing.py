"""How the command line shows runs: a progress bar while they last, tables when they have ended."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.runs import COUNTED, Report, Show
from domain.clock import utc_now
from domain.roster.records import RecordType
from domain.sync.models import SyncRun


@contextmanager
def progress_bar(console: Console) -> Generator[Show]:
    """Shows phase, records and rate; nothing where nobody watches."""
    if not console.is_terminal:
        yield lambda _: None
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
            read, expected = run.progress.get("read", 0), run.progress.get("expected", 0)
            progress.update(
                task,
                description=run.state.value.capitalize().replace("_", " "),
                completed=read,
                total=max(expected, read) if expected else None,
                said=_amount(run, read=read, expected=expected),
            )

        yield show


def _amount(run: SyncRun, *, read: int, expected: int) -> str:
    if run.started_at is None:
        return ""
    seconds = ((run.finished_at or utc_now()) - run.started_at).total_seconds()
    of = f" of {expected:,}" if expected else ""
    return f"{read:,}{of} records, {read / max(seconds, 0.1):,.0f} per second"


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
