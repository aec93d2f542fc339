"""Judge: what a run's end means for the tenant, and as what contacts are told. Pure functions.

A reason is told once, however often it comes again, until the syncs are well: a failure's code,
or a hold's.
"""

from datetime import datetime
from typing import Final, NamedTuple

from domain.sync.models import SUCCESSFUL, SyncMode, SyncRunState, SyncTrigger, ToldAs
from domain.tenants.models import SummaryMail
from domain.validation.codes import RULES, Code, Severity

PASSING: Final = frozenset(
    {
        Code.CONN_UNREACHABLE.value,
        Code.CONN_TIMEOUT.value,
        Code.CONN_THROTTLED.value,
        Code.CONN_SERVER_ERROR.value,
        Code.CONN_INTERRUPTED.value,
        Code.CONN_BAD_PAYLOAD.value,
    }
)
"""Failures that may be gone in an hour, and that an outage of the provider shows as."""

_HOLDS: Final = frozenset(
    code.value for code, rule in RULES.items() if rule.severity is Severity.HOLD
)


class Ended(NamedTuple):
    """A run that is over. `is_outage`: its provider is known to be out."""

    state: SyncRunState
    mode: SyncMode
    trigger: SyncTrigger
    code: str | None
    holds: frozenset[str]
    has_new_errors: bool
    at: datetime
    is_outage: bool = False

    @property
    def is_excused(self) -> bool:
        return self.is_outage and self.code in PASSING


class Standing(NamedTuple):
    """As domain.integrations.standings has it. `is_late`: that was told."""

    failures: int = 0
    first_failed_at: datetime | None = None
    told: frozenset[str] = frozenset()
    is_late: bool = False


class Judged(NamedTuple):
    standing: Standing
    told_as: ToldAs


def judge(standing: Standing, ended: Ended) -> Judged:
    match ended.state:
        case SyncRunState.FAILED:
            return _judge_failure(standing, ended)
        case SyncRunState.HELD | SyncRunState.SUCCEEDED_WITH_HOLD:
            return _judge_hold(standing, ended)
        case state if state in SUCCESSFUL:
            return _judge_success(standing, ended)
        case _:  # cancelled: somebody wanted it so
            return Judged(standing, ToldAs.NONE)


def _judge_failure(standing: Standing, ended: Ended) -> Judged:
    """One asked for by hand is no step towards the quarantine, nor is what an outage does."""
    if ended.is_excused:
        return Judged(standing, ToldAs.NONE)
    if ended.trigger is SyncTrigger.SCHEDULE:
        standing = standing._replace(
            failures=standing.failures + 1, first_failed_at=standing.first_failed_at or ended.at
        )
    code = str(ended.code)
    is_passing = (
        code in PASSING and ended.trigger is SyncTrigger.SCHEDULE and standing.failures == 1
    )
    if is_passing or code in standing.told:
        return Judged(standing, ToldAs.NONE)
    return Judged(standing._replace(told=standing.told | {code}), ToldAs.FAILURE)


def _judge_hold(standing: Standing, ended: Ended) -> Judged:
    """The provider was read: nothing fails any more. Where all waits it is not well either."""
    is_applied = ended.state is SyncRunState.SUCCEEDED_WITH_HOLD
    told = ended.holds if is_applied else ended.holds | standing.told
    judged = Standing(told=told)
    if ended.holds - standing.told:
        return Judged(judged, ToldAs.HOLD)
    if not is_applied:
        return Judged(judged, ToldAs.NONE)
    has_recovered = standing.is_late or bool(standing.told - told)
    return Judged(judged, ToldAs.RECOVERED if has_recovered else _summary(ended))


def _judge_success(standing: Standing, ended: Ended) -> Judged:
    """A delta does not look at what waits since the last full run."""
    waiting = standing.told & _HOLDS if ended.mode is SyncMode.DELTA else frozenset[str]()
    has_recovered = standing.is_late or bool(standing.told - waiting)
    return Judged(Standing(told=waiting), ToldAs.RECOVERED if has_recovered else _summary(ended))


def _summary(ended: Ended) -> ToldAs:
    return ToldAs.NEW_ERRORS if ended.has_new_errors else ToldAs.SUMMARY


def receives(summary_mail: SummaryMail, told_as: ToldAs) -> bool:
    """Whether somebody with this wish is told of it."""
    match summary_mail:
        case SummaryMail.ALWAYS:
            return told_as is not ToldAs.NONE
        case SummaryMail.ONLY_PROBLEMS:
            return told_as not in {ToldAs.NONE, ToldAs.SUMMARY}
        case SummaryMail.NEVER:
            return False
