"""Whether somebody who has proved who they are gets in: a pure function of what is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from domain.people.callers import CallerRole
from domain.people.models import SignInMethodName
from domain.signing_in.refusals import RefusalReason

ADMINISTRATORS: Final = frozenset(
    {CallerRole.SUPER_ADMIN, CallerRole.DISTRICT_ADMIN, CallerRole.SCHOOL_ADMIN}
)
"""Who gets in before the day of going live."""
CLEVER_ONLY: Final = frozenset({CallerRole.DISTRICT_ADMIN, CallerRole.SCHOOL_ADMIN})


@dataclass(frozen=True, slots=True)
class Facts:
    """`is_of_clever`: the roster has the person from Clever. `live_on` is a local date."""

    roles: frozenset[CallerRole]
    methods: frozenset[SignInMethodName]
    is_closed: bool = False
    is_archived: bool = False
    is_enabled: bool = True
    is_eligible: bool = True
    is_of_clever: bool = False
    time_zone: str = "UTC"
    live_on: date | None = None

    def is_live(self, now: datetime) -> bool:
        return (
            self.live_on is None or now.astimezone(ZoneInfo(self.time_zone)).date() >= self.live_on
        )


def decide(facts: Facts, method: SignInMethodName, now: datetime) -> RefusalReason | None:
    """None: come in. Of several reasons the one that has to be mended first."""
    return next(_reasons(facts, method, now), None)


def _reasons(facts: Facts, method: SignInMethodName, now: datetime) -> Iterator[RefusalReason]:
    is_super_admin = CallerRole.SUPER_ADMIN in facts.roles
    if facts.is_closed:
        yield RefusalReason.TENANT_CLOSED
    if facts.is_archived:
        yield RefusalReason.ARCHIVED
    if not facts.is_enabled:
        yield RefusalReason.DISABLED
    yield from _reasons_of_roles(facts)
    if method not in facts.methods and not is_super_admin:
        yield RefusalReason.METHOD_OFF
    if must_use_clever(facts) and method is not SignInMethodName.CLEVER:
        yield RefusalReason.MUST_USE_CLEVER
    if not facts.is_live(now) and facts.roles.isdisjoint(ADMINISTRATORS):
        yield RefusalReason.NOT_LIVE_YET


def _reasons_of_roles(facts: Facts) -> Iterator[RefusalReason]:
    if not facts.roles:
        yield RefusalReason.NO_ROLE
    if CallerRole.STUDENT in facts.roles and not facts.is_eligible:
        yield RefusalReason.NOT_ELIGIBLE


def must_use_clever(facts: Facts) -> bool:
    """L4: district and school admins who are rostered from Clever."""
    return facts.is_of_clever and not facts.roles.isdisjoint(CLEVER_ONLY)
