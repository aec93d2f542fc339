"""The results as tables: on the terminal, and in the page between its two marks."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from domain.sync.models import ACTIVE
from tests.benchmarks.results import Results, rows
from tests.benchmarks.samples import Kind, Sample, median_of

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

FIGURES = ("work", "measured", "must", "aim")


def show(results: Results) -> None:
    # A file or a pipe has no width of its own; 80 columns would cut the tables.
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(str(results.machine), highlight=False)
    for headers, lines in _tables(results):
        table = Table(*headers)
        for line in lines:
            table.add_row(*line)
        console.print(table)


def write_page(results: Results, page: Path) -> None:
    """Replaces what stands between the marks. Raises ValueError if they are not there."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has not the marks {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{_markdown(results)}{END}{after}")


def _markdown(results: Results) -> str:
    made = f"Measured at {results.at:%Y-%m-%d %H:%M} UTC by `{results.command}`"
    parts = [f"{made} on {results.machine}.\n"]
    for headers, lines in _tables(results):
        marked = [headers, ["---"] * len(headers), *lines]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in marked))
    return "\n".join(parts)


def _tables(results: Results) -> list[tuple[Sequence[str], Sequence[Sequence[str]]]]:
    return [(FIGURES, rows(results)), _seconds(results)]


def _seconds(results: Results) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The median sync of each kind, phase by phase."""
    cells = [
        (f"{kind.value} {measured.size.name}", _column(measured.of(kind)))
        for measured in results.measured
        for kind in Kind
    ]
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
