"""What is said of a run that has ended, alone or among a day's. Numbers and codes, never a name."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.notifications.notices import Entry, Link, Notice, Section, Table, some

MOST_CAUSES: Final = 20
HOW_TO_LEAVE: Final = (
    "Once it is mended, start a sync: one that succeeds brings the usual schedule back."
)
_SAID_ONCE: Final = "This is said once, however many nights it goes on; you hear when it is over."
_HEAD: Final = ("", "new", "changed", "archived", "restored", "left out", "waiting")


class Counted(NamedTuple):
    """`noun` is a type of records, such as "Classes"."""

    noun: str
    created: int = 0
    updated: int = 0
    archived: int = 0
    restored: int = 0
    rejected: int = 0
    held: int = 0

    @property
    def changes(self) -> int:
        return self.created + self.updated + self.archived + self.restored


class Cause(NamedTuple):
    """Open errors of one code: how many, from how many causes, and what to do about them."""

    code: str
    title: str
    errors: int
    causes: int
    effect: str
    remedy: str


class Failure(NamedTuple):
    code: str
    title: str
    effect: str
    remedy: str


class RunFacts(NamedTuple):
    """`waiting` are the reasons of a hold. `next_sync` None: none starts by itself.

    Times are words of the tenant's own clock.
    """

    tenant: str
    ended_at: str
    url: str
    counted: Sequence[Counted] = ()
    causes: Sequence[Cause] = ()
    warnings: int = 0
    waiting: Sequence[str] = ()
    failure: Failure | None = None
    next_sync: str | None = None

    @property
    def changes(self) -> int:
        return sum(one.changes for one in self.counted)

    @property
    def errors(self) -> int:
        return sum(one.errors for one in self.causes)


def summary(facts: RunFacts) -> Notice:
    return Notice(
        kind="SUMMARY",
        subject=f"{facts.tenant}: synced, {_outcome(facts)}",
        texts=(f"The sync of {facts.tenant} ended on {facts.ended_at}.", _changed(facts)),
        sections=_sections(facts),
        link=_link(facts),
        closing=(_next(facts),),
    )


def recovered(facts: RunFacts) -> Notice:
    return Notice(
        kind="RECOVERED",
        subject=f"{facts.tenant}: syncing works again, {_outcome(facts)}",
        texts=(
            (
                f"The trouble that we wrote of is over: the sync of {facts.tenant} that ended on"
                f" {facts.ended_at} went through."
            ),
            _changed(facts),
        ),
        sections=_sections(facts),
        link=_link(facts),
        closing=(_next(facts),),
    )


def hold(facts: RunFacts) -> Notice:
    return Notice(
        kind="HOLD",
        subject=f"{facts.tenant}: a sync waits for your decision",
        texts=(
            (
                f"The sync of {facts.tenant} that ended on {facts.ended_at} would change"
                " more than it may unasked."
            ),
            _changed(facts),
        ),
        sections=_sections(facts),
        link=_link(facts, "Look at what waits, and decide"),
        closing=(_SAID_ONCE, _next(facts)),
    )


def failure(facts: RunFacts) -> Notice:
    return Notice(
        kind="FAILURE",
        subject=f"{facts.tenant}: the sync failed, {_failed(facts).title[0].lower()}"
        f"{_failed(facts).title[1:]}",
        texts=(f"The sync of {facts.tenant} that ended on {facts.ended_at} failed.",),
        sections=_sections(facts),
        link=_link(facts),
        closing=(_SAID_ONCE, HOW_TO_LEAVE, _next(facts)),
    )


def switched_off(facts: RunFacts) -> Notice:
    return Notice(
        kind="OFF",
        subject=f"{facts.tenant}: syncs are switched off",
        texts=(
            (
                f"The syncs of {facts.tenant} have failed for four weeks: none starts by itself any"
                " more. What is stored stays as it is."
            ),
        ),
        sections=_sections(facts),
        link=_link(facts),
        closing=(HOW_TO_LEAVE,),
    )


def digest(tenant: str, day: str, runs: Sequence[RunFacts]) -> Notice:
    """`runs` in their order; what is open and when the next one starts is the last one's."""
    last = runs[-1]
    failed = sum(run.failure is not None for run in runs)
    changes = sum(run.changes for run in runs)
    return Notice(
        kind="DIGEST",
        subject=f"{tenant}: {len(runs):,} {_plural(len(runs), 'sync')} until {day},"
        f" {changes:,} {_plural(changes, 'change')}, {failed:,} failed",
        texts=(f"The syncs of {tenant} since the last of these mails:",),
        sections=[
            *(Section(run.ended_at, (_line(run),), _table(run)) for run in runs),
            *_open(last),
        ],
        link=_link(last),
        closing=(_next(last),),
    )


def _line(run: RunFacts) -> str:
    if run.failure:
        return f"Failed: {run.failure.title} ({run.failure.code}). {run.failure.remedy}"
    return _changed(run)


def _outcome(facts: RunFacts) -> str:
    parts = [f"{facts.changes:,} {_plural(facts.changes, 'change')}"]
    if facts.errors:
        parts.append(f"{facts.errors:,} open {_plural(facts.errors, 'error')}")
    if facts.waiting:
        parts.append("something waits")
    return ", ".join(parts)


def _changed(facts: RunFacts) -> str:
    if not facts.changes:
        return "Nothing was changed."
    return f"{facts.changes:,} {_plural(facts.changes, 'record')} changed."


def _sections(facts: RunFacts) -> list[Section]:
    sections = []
    if facts.failure:
        why = facts.failure
        texts = (why.effect, why.remedy)
        sections.append(Section("Why", entries=(Entry(f"{why.title} ({why.code})", texts),)))
    if table := _table(facts):
        sections.append(Section("What changed", table=table))
    return [*sections, *_open(facts)]


def _open(facts: RunFacts) -> list[Section]:
    """What is left to be done."""
    sections = []
    if facts.waiting:
        sections.append(Section("What waits", entries=[Entry(text) for text in facts.waiting]))
    if facts.causes:
        entries = [_cause(one) for one in facts.causes]
        sections.append(
            Section(
                f"{facts.errors:,} open {_plural(facts.errors, 'error')}, and what to do",
                entries=some(entries, MOST_CAUSES, "kinds of errors"),
            )
        )
    if facts.warnings:
        text = f"{facts.warnings:,} {_plural(facts.warnings, 'warning')} can be looked at too."
        sections.append(Section("Warnings", (text,)))
    return sections


def _cause(one: Cause) -> Entry:
    where = f"{one.errors:,} {_plural(one.errors, 'error')}"
    if one.causes != one.errors:
        where += f" from {one.causes:,} {_plural(one.causes, 'cause')}"
    return Entry(f"{one.title} ({one.code}): {where}", (one.effect, one.remedy))


def _table(facts: RunFacts) -> Table | None:
    """Only what is not zero."""
    rows = [one for one in facts.counted if any(one[1:])]
    kept = [place for place in range(1, len(_HEAD)) if any(row[place] for row in rows)]
    if not rows:
        return None
    return Table(
        [_HEAD[0], *(_HEAD[place] for place in kept)],
        [[row.noun, *(f"{row[place]:,}" for place in kept)] for row in rows],
    )


def _link(facts: RunFacts, label: str = "Look at the syncs") -> Link:
    return Link(label, facts.url)


def _next(facts: RunFacts) -> str:
    if facts.next_sync is None:
        return "No sync starts by itself."
    return f"The next sync starts on {facts.next_sync}."


def _failed(facts: RunFacts) -> Failure:
    if facts.failure is None:
        raise ValueError("a run that did not fail")
    return facts.failure


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
