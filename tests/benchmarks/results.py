"""The figures beside what they must and should be, and the file that keeps all of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.lists import Listed
from tests.benchmarks.machine import Machine
from tests.benchmarks.places import RESULTS
from tests.benchmarks.pulls import Pulled
from tests.benchmarks.rush import Rush
from tests.benchmarks.samples import Kind, Measured


class Goal(NamedTuple):
    must: str
    aim: str


GOALS = {
    Kind.UNCHANGED: Goal("≤ 2.5", "1.5"),
    Kind.CHANGED: Goal("≤ 3.2", "2"),
    Kind.FIRST: Goal("≤ 12", "6"),
}
MEMORY = Goal("≤ 400 MB", "flat")
MEMORY_RATIO = Goal("≤ 1.3", "1")
PULL = Goal("≤ 1.5", "1")
LIST = Goal("≤ 8", "2")
TITLES = {
    Kind.UNCHANGED: "unchanged full sync ÷ floor",
    Kind.CHANGED: "a night of changes ÷ floor",
    Kind.FIRST: "first full sync ÷ floor",
}


@dataclass(frozen=True, slots=True)
class Results:
    """`measured` from the smallest size to the largest, whose figures stand at the top.

    Any part may have been left out.
    """

    at: datetime
    command: str
    machine: Machine
    measured: Sequence[Measured]
    pulled: Sequence[Pulled]
    listed: Sequence[Listed]
    rushes: Sequence[Rush]

    @property
    def largest(self) -> Measured:
        return self.measured[-1]

    @property
    def memory_ratio(self) -> float | None:
        if len(self.measured) == 1:
            return None
        return self.largest.peak_memory_mb / self.measured[0].peak_memory_mb


class Row(NamedTuple):
    """A figure as it is shown."""

    title: str
    figure: str
    must: str
    aim: str


def rows_of_nights(results: Results) -> list[Row]:
    """The goals are those of a million records; a smaller size is held against them too."""
    shown = []
    for measured in results.measured:
        at = f", {measured.rows:,} records"
        for kind, title in TITLES.items():
            ratios = [sample.ratio for sample in measured.of(kind)]
            shown.append(Row(title + at, _figure(ratios), *GOALS[kind]))
        shown.append(Row("peak memory" + at, f"{measured.peak_memory_mb:.0f} MB", *MEMORY))
    if results.memory_ratio is not None:
        title = f"peak memory, {results.largest.rows:,} ÷ {results.measured[0].rows:,} records"
        shown.append(Row(title, f"{results.memory_ratio:.2f}", *MEMORY_RATIO))
    return shown


def rows_of_pulls(results: Results) -> list[Row]:
    shown = []
    for pulled in results.pulled:
        title = f"fetch phase ÷ decoding and COPY, {pulled.way}, {pulled.users:,} users"
        shown.append(Row(title, _figure(pulled.ratios), *PULL))
        memory = f"{pulled.peak_memory_mb:.0f} MB"
        shown.append(Row(f"peak memory, {pulled.way}", memory, *MEMORY))
    return shown


def rows_of_lists(results: Results) -> list[Row]:
    return [
        Row(
            f"a page of 100 users by {listed.order.lower()} ÷ the same JSON by one statement",
            f"{listed.ratio:.2f} (of {len(listed.pages)} pages)",
            *LIST,
        )
        for listed in results.listed
    ]


def rows_of_rushes(results: Results) -> list[Row]:
    return [
        Row(
            f"a worker's own processor time for a run ÷ without a worker, {rush.night},"
            f" {rush.tenants:,} tenants",
            f"{rush.cpu_ratio:.2f}",
            "none",
            "1",
        )
        for rush in results.rushes
    ]


def _figure(ratios: Sequence[float]) -> str:
    figure = f"{median(ratios):.2f}"
    if len(ratios) > 1:
        figure += f" ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} runs)"
    return figure


def store(results: Results) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{results.at:%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(_as_json(results), indent=2, ensure_ascii=False) + "\n")
    return path


def _as_json(results: Results) -> dict[str, Any]:
    return {
        **(_summary(results) if results.measured else {}),
        "at": results.at.isoformat(),
        "command": results.command,
        "machine": asdict(results.machine),
        "sizes": {measured.size.name: _size_as_json(measured) for measured in results.measured},
        "rushes": [asdict(rush) for rush in results.rushes],
        "lists": {listed.order: _listed_as_json(listed) for listed in results.listed},
        "pulls": {pulled.way.value: _pulled_as_json(pulled) for pulled in results.pulled},
    }


def _summary(results: Results) -> dict[str, Any]:
    largest = results.largest
    return {
        "unchanged_ratio": largest.ratio(Kind.UNCHANGED),
        "changed_1_ratio": largest.ratio(Kind.CHANGED),
        "first_ratio": largest.ratio(Kind.FIRST),
        "peak_memory_mb": largest.peak_memory_mb,
        "memory_ratio": results.memory_ratio,
    }


def _size_as_json(measured: Measured) -> dict[str, Any]:
    return {
        "students": measured.size.students,
        "rows": measured.rows,
        "ratios": {kind.value: measured.ratio(kind) for kind in Kind},
        "peak_memory_mb": measured.peak_memory_mb,
        "samples": [
            {
                **asdict(sample),
                "floor": sample.floor,
                "ratio": sample.ratio,
                "rows_per_second": sample.rows / sample.seconds,
                "changes": sample.changes,
                "changed_share": sample.changed_share,
                "between_phases": sample.between_phases,
            }
            for sample in measured.samples
        ],
    }


def _pulled_as_json(pulled: Pulled) -> dict[str, Any]:
    return {
        "users": pulled.users,
        "ratio": median(pulled.ratios),
        "peak_memory_mb": pulled.peak_memory_mb,
        "samples": [{**asdict(pull), "ratio": pull.ratio} for pull in pulled.pulls],
    }


def _listed_as_json(listed: Listed) -> dict[str, Any]:
    return {
        "bytes": listed.bytes,
        "seconds": listed.seconds,
        "floor": listed.floor,
        "ratio": listed.ratio,
        "samples": [asdict(page) for page in listed.pages],
    }
