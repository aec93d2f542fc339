"""How the command line tells what a preflight found: six answers in plain words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from domain.database import Database
from domain.roster.models import Origin
from domain.roster.records import RecordType
from domain.sync.hold_words import count_nouns, describe_reason
from domain.sync.models import PreflightItem
from domain.sync.preflight_items import PreflightOutcome, PreflightTopic

_NAMED: Final = 5
"""So many of a list are named; the API has them all."""

Numbers = Mapping[str, Any]


class Named(NamedTuple):
    """The first few names of each list, by its question and its answer."""

    names: Mapping[tuple[PreflightTopic, PreflightOutcome], Sequence[str]]

    def of(self, topic: PreflightTopic, outcome: PreflightOutcome, count: int) -> str:
        """Such as " (North, South and 3 more)"."""
        names = list(self.names.get((topic, outcome), ()))
        if not names:
            return ""
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        return f" ({', '.join(names)}{more})"


async def read_names(database: Database, *, tenant_id: UUID, run_id: UUID) -> Named:
    row = PreflightItem
    place = func.row_number().over(partition_by=(row.topic, row.outcome), order_by=row.id)
    ranked = (
        select(row.topic, row.outcome, row.name, row.source_id, row.id, place.label("place"))
        .where(row.tenant_id == tenant_id, row.run_id == run_id)
        .subquery()
    )
    names: dict[tuple[PreflightTopic, PreflightOutcome], list[str]] = {}
    async with database.read(tenant_id) as session:
        rows = await session.execute(
            select(ranked).where(ranked.c.place <= _NAMED).order_by(ranked.c.id)
        )
        for found in rows:
            key = PreflightTopic(found.topic), PreflightOutcome(found.outcome)
            names.setdefault(key, []).append(found.name or found.source_id or "?")
    return Named(names)


def tell_report(report: Numbers, named: Named) -> Iterator[str]:
    """A line for each question, and one for each reason why something would wait."""
    yield f"Schools: {_compared(PreflightTopic.SCHOOLS, report['schools'], named)}."
    classes = report["classes"]
    lacking = (
        f"{classes['without_teacher']:,} without a teacher, {classes['empty']:,} without students"
    )
    yield f"Classes: {_compared(PreflightTopic.CLASSES, classes, named)}; {lacking}."
    yield f"People: {_people(report['users'], named)}."
    yield f"Licences: {_licences(report['licences'], named)}."
    yield f"Usernames: {_usernames(report['usernames'], named)}."
    yield f"Settings and progress: {_local_data(report['local_data'])}."
    year = report.get("rollover")
    if year:
        yield (
            f"Judged by the limits around {year['rolls_on']}, when a school year begins: up to"
            f" {year['archive_percent']} % of people archived and {year['update_percent']} %"
            " updated unasked."
        )
    for reason in report["would_hold"]:
        yield f"Would wait for approval: {describe_reason(reason)}"


def _compared(topic: PreflightTopic, numbers: Numbers, named: Named) -> str:
    said = [f"{numbers['shared']:,} shared"]
    if numbers["expected"] is None:
        said.append("nobody has said what is expected")
    else:
        said.append(f"{numbers['shared_and_expected']:,} of them expected")
        for words, outcome in (
            ("not expected", PreflightOutcome.SHARED_NOT_EXPECTED),
            ("expected and not shared", PreflightOutcome.EXPECTED_NOT_SHARED),
        ):
            count = numbers[outcome.value.lower()]
            if count:
                said.append(f"{count:,} {words}{named.of(topic, outcome, count)}")
    left_out = numbers["left_out"]
    if left_out:
        names = named.of(topic, PreflightOutcome.LEFT_OUT, left_out)
        said.append(f"{left_out:,} left out by a rule{names}")
    return ", ".join(said)


def _people(numbers: Numbers, named: Named) -> str:
    topic = PreflightTopic.EXISTING_USERS
    said = [f"{numbers['created']:,} new"]
    for words, outcome in (
        ("stay", PreflightOutcome.KEPT),
        ("matched", PreflightOutcome.MATCHED),
        ("restored", PreflightOutcome.REVIVED),
        ("archived", PreflightOutcome.ARCHIVED),
        ("not found at the new provider", PreflightOutcome.UNMATCHED),
    ):
        count = sum(counts[outcome.value.lower()] for counts in numbers["by_origin"].values())
        if count:
            said.append(f"{count:,} {words}{named.of(topic, outcome, count)}")
    ambiguous = numbers["ambiguous"]
    if ambiguous:
        names = named.of(topic, PreflightOutcome.AMBIGUOUS, ambiguous)
        said.append(f"{ambiguous:,} to be decided by somebody{names}")
    if sum(numbers["by_origin"]["LEGACY"].values()):
        policy = numbers["policy"] or "nothing is chosen yet"
        said.append(f"those from before rostering: {policy}")
    return ", ".join(said)


def _licences(numbers: Numbers, named: Named) -> str:
    said = [f"{numbers['used']:,} used now", f"{numbers['needed']:,} needed"]
    if numbers["limit"] is None:
        said.append("no limit")
    else:
        said.append(f"the limit is {numbers['limit']:,}")
    if numbers["expected"] is not None:
        said.append(f"{numbers['expected']:,} expected")
    short = numbers["short_by"]
    if short:
        names = named.of(PreflightTopic.LICENCES, PreflightOutcome.WITHOUT_LICENCE, short)
        said.append(f"{short:,} missing{names}")
    return ", ".join(said)


def _usernames(numbers: Numbers, named: Named) -> str:
    topic = PreflightTopic.USERNAMES
    said = [f"{numbers['same']:,} the same"]
    for words, name, outcome in (
        ("would change", "would_change", PreflightOutcome.WOULD_CHANGE),
        ("belong to somebody else", "taken", PreflightOutcome.TAKEN),
        ("clash but for upper and lower case", "case_clashes", PreflightOutcome.CASE_CLASH),
    ):
        count = numbers[name]
        said.append(f"{count:,} {words}{named.of(topic, outcome, count)}")
    if numbers["legacy_same"] or numbers["legacy_different"]:
        said.append(
            f"of people from before rostering {numbers['legacy_same']:,} match and"
            f" {numbers['legacy_different']:,} do not"
        )
    return ", ".join(said)


_WHAT_HAPPENS: Final = {
    PreflightOutcome.KEPT_WITH_ARCHIVED: "archived, kept with them",
    PreflightOutcome.COMES_BACK: "restored, come back with them",
    PreflightOutcome.STAYS_BEHIND: "ended, kept with the old class",
    PreflightOutcome.CARRIED_OVER: "matched, stay theirs",
}


def _local_data(counts: Sequence[Numbers]) -> str:
    if not counts:
        return "none of them are touched"
    return ", ".join(
        f"of {count_nouns(RecordType(each['record_type']), each['count'])}"
        f" {_WHAT_HAPPENS[PreflightOutcome(each['outcome'])]}"
        for each in counts
    )


def as_json(report: Numbers, *, encode_school: Callable[[UUID], str]) -> dict[str, Any]:
    """With the names that the GraphQL API has for the same things, and its ids."""
    users = dict(report["users"])
    by_origin = users.pop("by_origin")
    return {
        "schools": _camel(report["schools"]),
        "classes": _camel(report["classes"]),
        "existingUsers": {
            **_camel(users),
            "byOrigin": [
                {"origin": origin.value, **by_origin[origin]}
                for origin in Origin
                if origin in by_origin
            ],
        },
        "licences": _camel(report["licences"]),
        "usernames": _camel(report["usernames"]),
        "localData": [_camel(each) for each in report["local_data"]],
        "rollover": _camel(report["rollover"]) if report.get("rollover") else None,
        "wouldHold": [_reason(reason, encode_school) for reason in report["would_hold"]],
        "held": [
            {"recordType": kind.value, "count": report["held"][kind]}
            for kind in RecordType
            if kind in report["held"]
        ],
    }


def _reason(reason: Numbers, encode_school: Callable[[UUID], str]) -> dict[str, Any]:
    school_id = reason.get("school_id")
    return {
        "code": reason["code"],
        "recordType": reason.get("record_type"),
        "count": reason.get("count"),
        "of": reason.get("of"),
        "value": reason.get("value"),
        "schoolId": encode_school(UUID(school_id)) if school_id else None,
        "message": describe_reason(reason),
    }


def _camel(values: Numbers) -> dict[str, Any]:
    def name(text: str) -> str:
        first, *rest = text.split("_")
        return first + "".join(map(str.title, rest))

    return {name(key): value for key, value in values.items()}
