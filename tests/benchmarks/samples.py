"""What is measured: a sample is one timed sync between two timed floors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean, median

_CHANGES = ("created", "updated", "archived", "restored")


class Kind(StrEnum):
    FIRST = "first"
    UNCHANGED = "unchanged"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Size:
    """A district and how many syncs of each kind are timed. Every first one has a new tenant."""

    name: str
    students: int
    repetitions: dict[Kind, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """`counts` are the run's: {record type: {fetched, created, …: n}}."""

    kind: Kind
    seconds: float
    floors: tuple[float, float]
    rows: int
    bytes: int
    peak_memory_mb: float
    phases: dict[str, float]
    counts: dict[str, dict[str, int]]

    @property
    def floor(self) -> float:
        return mean(self.floors)

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor

    @property
    def changes(self) -> int:
        return sum(numbers[name] for numbers in self.counts.values() for name in _CHANGES)

    @property
    def changed_share(self) -> float:
        """Of the records that a run created, changed or found as they were."""
        unchanged = sum(numbers["unchanged"] for numbers in self.counts.values())
        return self.changes / (self.changes + unchanged)

    @property
    def between_phases(self) -> float:
        """Claim, connections and all else that no phase has counted."""
        return self.seconds - sum(self.phases.values())


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of a size."""

    size: Size
    samples: Sequence[Sample]

    def of(self, kind: Kind) -> list[Sample]:
        return [sample for sample in self.samples if sample.kind is kind]

    def ratio(self, kind: Kind) -> float:
        return median(sample.ratio for sample in self.of(kind))

    @property
    def peak_memory_mb(self) -> float:
        return max(sample.peak_memory_mb for sample in self.samples)

    @property
    def rows(self) -> int:
        return self.of(Kind.FIRST)[0].rows


def median_of(samples: Iterable[Sample], phase: str) -> float:
    return median(sample.phases.get(phase, 0.0) for sample in samples)
