"""What is said of a tenant or to operators beside single runs."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.notifications.notices import Entry, Link, Notice, Section, some

MOST: Final = 50
_SHARED: Final = {
    "REQUESTED": "Shared for the first time",
    "RENEWED": "Shared again",
    "WITHDRAWN": "Not shared any more",
}


def licences(tenant: str, used: int, limit: int, *, url: str) -> Notice:
    is_full = used >= limit
    state = "used up" if is_full else "nearly used up"
    then = (
        "Students who arrive from now on wait until there are more licences, or fewer students"
        " are shared. Nobody who has one loses it."
        if is_full
        else "When none is left, students who arrive wait."
    )
    return Notice(
        kind="LICENCES",
        subject=f"{tenant}: licences are {state}, {used:,} of {limit:,}",
        texts=(f"{used:,} of the {limit:,} licences of {tenant} are used.", then),
        link=Link("Look at the subscription", url),
        closing=("You hear of it again only when it changes.",),
    )


def late(tenant: str, last_success: str | None, every_days: int, *, url: str) -> Notice:
    """To contacts: the promise is not kept."""
    return Notice(
        kind="LATE",
        subject=f"{tenant}: the last successful sync is too long ago",
        texts=(
            f"{tenant} is to be synced {_promise(every_days)}, and is not.",
            _last(last_success),
            "What is stored stays as it was then. Homerow's operators are told too.",
        ),
        link=Link("Look at the syncs", url),
        closing=("This is said once; you hear when a sync succeeds again.",),
    )


class LateTenant(NamedTuple):
    slug: str
    last_success: str | None
    every_days: int


def late_tenants(tenants: Sequence[LateTenant]) -> Notice:
    """To operators."""
    number = len(tenants)
    entries = [
        Entry(one.slug, (_last(one.last_success), f"Promised: {_promise(one.every_days)}."))
        for one in tenants
    ]
    return Notice(
        kind="LATE_TENANTS",
        subject=f"Homerow: {number:,} {_tenants(number)} without a sync in time",
        texts=(f"The last success of {number:,} {_tenants(number)} is older than promised.",),
        sections=(Section("Tenants", entries=some(entries, MOST, "tenants")),),
        closing=("Each is named once until it is well again; `homerow status` shows all.",),
    )


def pause(tenant: str, *, first: str, last: str, reason: str | None, url: str) -> Notice:
    """`first` and `last` are days, in words."""
    return Notice(
        kind="PAUSE",
        subject=f"{tenant}: no syncs from {first}",
        texts=(
            f"From {first} to {last} no sync of {tenant} starts by itself.",
            *([f"The reason given: {reason}"] if reason else []),
            "The first night afterwards brings everything over that has changed meanwhile.",
        ),
        link=Link("Look at the schedule", url),
    )


def outage(provider: str, *, failing: int, ran: int, since: str) -> Notice:
    return Notice(
        kind="OUTAGE",
        subject=f"Homerow: {provider} seems to be out, {failing:,} tenants affected",
        texts=(
            (
                f"The syncs of {failing:,} of the {ran:,} tenants at {provider} that ran in the"
                f" last hour could not read their rosters, since {since}."
            ),
            "Until it is over they are tried every hour, and their contacts are not written to.",
        ),
        closing=("This is said once; you hear when it is over.",),
    )


def outage_over(provider: str, *, began: str, ended: str) -> Notice:
    return Notice(
        kind="OUTAGE_OVER",
        subject=f"Homerow: {provider} works again",
        texts=(f"Most syncs at {provider} succeed again. It was out from {began} to {ended}.",),
    )


class SharedDistrict(NamedTuple):
    """`change` is REQUESTED, RENEWED or WITHDRAWN."""

    change: str
    name: str
    external_id: str


def new_shares(provider: str, districts: Sequence[SharedDistrict]) -> Notice:
    number = len(districts)
    sections = []
    for change, title in _SHARED.items():
        entries = [Entry(f"{d.name} ({d.external_id})") for d in districts if d.change == change]
        if entries:
            sections.append(Section(title, entries=some(entries, MOST, "districts")))
    return Notice(
        kind="NEW_SHARES",
        subject=f"Homerow: {number:,} {'district' if number == 1 else 'districts'} changed sharing"
        f" at {provider}",
        texts=(f"{provider}'s list of who shares with this product has changed.",),
        sections=sections,
        closing=("`homerow onboarding list` shows all; docs/onboarding.md says what comes next.",),
    )


def undelivered(kinds: Sequence[tuple[str, int]]) -> Notice:
    number = sum(count for _, count in kinds)
    entries = [Entry(f"{kind}: {count:,}") for kind, count in kinds]
    return Notice(
        kind="UNDELIVERED",
        subject=f"Homerow: {number:,} {'mail' if number == 1 else 'mails'} could not be delivered",
        texts=("They were tried for days and are not tried any more.",),
        sections=(Section("Kinds", entries=entries),),
        closing=("The worker's log has the mails' ids (mail_given_up) and why (mail_failed).",),
    )


def _promise(every_days: int) -> str:
    return "every day" if every_days == 1 else f"every {every_days} days"


def _last(last_success: str | None) -> str:
    if last_success is None:
        return "No sync has succeeded yet."
    return f"The last sync that succeeded ended on {last_success}."


def _tenants(number: int) -> str:
    return "tenant" if number == 1 else "tenants"
