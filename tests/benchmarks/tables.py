"""The results as tables: on the terminal, and in the page, each part between its two marks."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table as RichTable

from domain.sync.models import ACTIVE
from tests.benchmarks.pull_floor import Floor
from tests.benchmarks.pulls import Pulled
from tests.benchmarks.results import (
    Results,
    rows_of_lists,
    rows_of_nights,
    rows_of_pulls,
    rows_of_rushes,
)
from tests.benchmarks.rush import Rush
from tests.benchmarks.samples import Kind, Sample, median_of

FIGURES = ("work", "measured", "must", "aim")

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def show(results: Results) -> None:
    # A file or a pipe has no width of its own; 80 columns would cut the tables.
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(str(results.machine), highlight=False)
    for tables in _parts(results).values():
        for headers, lines in tables:
            shown = RichTable(*headers)
            for line in lines:
                shown.add_row(*line)
            console.print(shown)


def write_page(results: Results, page: Path) -> None:
    """Replaces what stands between the marks of each part that was measured.

    Raises ValueError if they are not there.
    """
    text = page.read_text()
    for part, tables in _parts(results).items():
        begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
        if begin not in text or end not in text:
            raise ValueError(f"{page} has not the marks {begin} and {end}")
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}\n{_markdown(results, tables)}{end}{after}"
    page.write_text(text)


def _markdown(results: Results, tables: Sequence[Table]) -> str:
    made = f"Measured at {results.at:%Y-%m-%d %H:%M} UTC by `{results.command}`"
    parts = [f"{made} on {results.machine}.\n"]
    for headers, lines in tables:
        marked = [headers, ["---"] * len(headers), *lines]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in marked))
    return "\n".join(parts)


def _parts(results: Results) -> dict[str, Sequence[Table]]:
    """What was measured, by the marks that it stands between."""
    parts: dict[str, Sequence[Table]] = {}
    if results.measured:
        parts["nights"] = [(FIGURES, rows_of_nights(results)), _seconds(results)]
    if results.pulled:
        parts["pulls"] = [(FIGURES, rows_of_pulls(results)), _seconds_of_pulls(results)]
    if results.listed:
        parts["lists"] = [(FIGURES, rows_of_lists(results)), _milliseconds_of_lists(results)]
    if results.rushes:
        parts["rush"] = [(FIGURES, rows_of_rushes(results)), _seconds_of_rushes(results)]
    return parts


def _seconds_of_rushes(results: Results) -> Table:
    return _side_by_side([(rush.night, _rush_column(rush)) for rush in results.rushes])


def _rush_column(rush: Rush) -> dict[str, str]:
    return {
        "tenants": f"{rush.tenants:,}",
        "started late, median, s": f"{rush.lag(0.5):.1f}",
        "started late, 95 of 100, s": f"{rush.lag(0.95):.1f}",
        "started late, the last, s": f"{rush.lags[-1]:.1f}",
        "from the first due to the last ended, s": f"{rush.seconds:.1f}",
        "runs a second": f"{rush.runs_a_second:.1f}",
        "a sync beside others, by its phases, median, s": f"{median(rush.syncs):.2f}",
        "a sync alone, without a worker, s": f"{rush.alone_seconds / rush.alone_runs:.2f}",
        "processor time of the workers for a run, s": f"{rush.cpu_seconds / rush.tenants:.3f}",
        "the same without a worker, s": f"{rush.alone_cpu_seconds / rush.alone_runs:.3f}",
    }


def _seconds(results: Results) -> Table:
    """The median sync of each kind, phase by phase."""
    cells = [
        (f"{kind.value} {measured.size.name}", _column(measured.of(kind)))
        for measured in results.measured
        for kind in Kind
    ]
    return _side_by_side(cells)


def _seconds_of_pulls(results: Results) -> Table:
    """The median pull from each provider, and what its floor is made of."""
    return _side_by_side([(pulled.way.value, _pull_column(pulled)) for pulled in results.pulled])


def _milliseconds_of_lists(results: Results) -> Table:
    """The median page and its floor."""
    return _side_by_side(
        [
            (
                f"by {listed.order.lower()}",
                {
                    "KB of JSON": f"{listed.bytes / 1000:.0f}",
                    "the API, by HTTP, ms": f"{listed.seconds * 1000:.1f}",
                    "floor: one statement, ms": f"{listed.floor * 1000:.1f}",
                },
            )
            for listed in results.listed
        ]
    )


def _side_by_side(cells: Sequence[tuple[str, dict[str, str]]]) -> Table:
    titles = cells[0][1].keys()
    headers = ["", *(header for header, _ in cells)]
    return headers, [[title, *(column[title] for _, column in cells)] for title in titles]


def _column(samples: Sequence[Sample]) -> dict[str, str]:
    def middle(value: Callable[[Sample], float]) -> float:
        return median(value(sample) for sample in samples)

    seconds = middle(lambda sample: sample.seconds)
    return {
        "records read": f"{samples[0].rows:,}",
        "of them changed": f"{middle(lambda sample: sample.changed_share):.2%}",
        "floor, s": f"{middle(lambda sample: sample.floor):.2f}",
        **{
            f"{phase.value.lower()}, s": f"{median_of(samples, phase.value):.2f}"
            for phase in ACTIVE
        },
        "between phases, s": f"{middle(lambda sample: sample.between_phases):.2f}",
        "whole sync, s": f"{seconds:.2f}",
        "records a second": f"{samples[0].rows / seconds:,.0f}",
    }


def _pull_column(pulled: Pulled) -> dict[str, str]:
    def middle(seconds: Callable[[Floor], float]) -> str:
        return f"{pulled.middle(seconds):.2f}"

    floor, seconds = pulled.floor, median(pull.seconds for pull in pulled.pulls)
    return {
        "users in the roster": f"{pulled.users:,}",
        "rows read": f"{floor.rows:,}",
        "records copied": f"{floor.records:,}",
        "answers": f"{floor.answers:,}",
        "of so many MB": f"{floor.bytes / 1e6:.0f}",
        "a bare client reads them in, s": middle(lambda floor: floor.reading),
        "floor: decoding, s": middle(lambda floor: floor.decoding),
        "floor: COPY, s": middle(lambda floor: floor.copying),
        "floor, s": middle(lambda floor: floor.seconds),
        "fetching, s": f"{seconds:.2f}",
        "rows a second": f"{floor.rows / seconds:,.0f}",
    }
