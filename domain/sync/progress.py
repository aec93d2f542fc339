"""How far a run has come, how fast it reads, and when it should be over.

A function of the run's row, so that whoever asks, by whatever way, is told the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from domain.sync.models import ACTIVE, SyncRun, SyncRunState

PHASES: Final = tuple(state for state in SyncRunState if state in ACTIVE)
"""In their order."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """`expected` is what the last run read. `rate` is in records per second: of the reading.

    `estimated_finish_at` is None where nothing is known of earlier runs, and once it has passed.
    """

    phase: SyncRunState | None
    read: int
    expected: int | None
    rate: float | None
    estimated_finish_at: datetime | None

    @classmethod
    def of(cls, run: SyncRun, *, now: datetime) -> Self:
        return cls.read_from(run.state, run.progress, run.phases, now=now)

    @classmethod
    def read_from(
        cls,
        state: SyncRunState,
        progress: Mapping[str, Any],
        phases: Mapping[str, Any],
        *,
        now: datetime,
    ) -> Self:
        finish = _finish(state, progress, phases)
        return cls(
            phase=phase_of(state, phases),
            read=progress.get("read", 0),
            expected=progress.get("expected") or None,
            rate=progress.get("rate"),
            estimated_finish_at=finish if finish and finish > now else None,
        )

    @property
    def percent(self) -> int | None:
        return min(100 * self.read // self.expected, 100) if self.expected else None


def phase_of(state: SyncRunState, phases: Mapping[str, Any]) -> SyncRunState | None:
    """The phase that it is in, or ended in; None before it starts."""
    if state in ACTIVE:
        return state
    begun = [phase for phase in PHASES if phase.value in phases]
    return begun[-1] if begun else None


def usual_seconds(phases: Mapping[str, Any]) -> dict[str, float]:
    """How long each phase of a run took, for the estimates of the next one."""
    return {
        phase.value: phases[phase.value]["seconds"]
        for phase in PHASES
        if "seconds" in phases.get(phase.value, {})
    }


def _finish(
    state: SyncRunState, progress: Mapping[str, Any], phases: Mapping[str, Any]
) -> datetime | None:
    """As the tenant's last run went, but for the reading: that is as fast as it is."""
    usual: Mapping[str, float] = progress.get("usual", {})
    if state not in ACTIVE or not usual:
        return None
    later = sum(usual.get(phase.value, 0) for phase in PHASES[PHASES.index(state) + 1 :])
    if state is SyncRunState.FETCHING:
        rate, read = progress.get("rate"), progress.get("read", 0)
        if not rate:
            return None
        left = max(progress.get("expected", 0) - read, 0) / rate
        return datetime.fromisoformat(progress["at"]) + timedelta(seconds=left + later)
    began = _began(phases)
    return began and began + timedelta(seconds=usual.get(state.value, 0) + later)


def _began(phases: Mapping[str, Any]) -> datetime | None:
    """When the present phase did: as the last one ended."""
    ends = [
        datetime.fromisoformat(phase["started_at"]) + timedelta(seconds=phase["seconds"])
        for phase in phases.values()
        if "started_at" in phase
    ]
    return max(ends, default=None)
