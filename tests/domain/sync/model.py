"""What a night should leave behind, worked out in plain Python from what the codes say.

It knows schools, classes, people, enrollments and sharing rules; it was not written from the SQL.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from domain.roster.records import RecordType
from tests.domain.sync.model_night import (
    GroupValues,
    Key,
    Night,
    Read,
    SharingRules,
    Span,
    Stored,
    Taken,
    UserValues,
    read_night,
)


def next_night(
    stored: Stored, night: Night, rules: SharingRules, required: Collection[str] = ()
) -> tuple[Stored, dict[RecordType, dict[str, int]]]:
    """What is stored after the night and after all that waits was approved, and what it counts."""
    read = read_night(stored, night)
    give_schools(read)
    leave_out(read, rules)
    judge_groups(read, stored.of(RecordType.GROUP))
    judge_users(read, stored.of(RecordType.USER), required)
    judge_memberships(read)
    taken = {
        RecordType.SCHOOL: read.schools,
        RecordType.GROUP: read.groups,
        RecordType.USER: read.users,
        RecordType.MEMBERSHIP: read.memberships,
    }
    counts = {name: count(stored, name, item) for name, item in taken.items()}
    live = {name: item.records for name, item in taken.items()}
    archived = {
        name: {
            key: value
            for key, value in {
                **stored.archived.get(name, {}), **stored.live.get(name, {})
            }.items()
            if key not in item.records
        }
        for name, item in taken.items()
    }  # fmt: skip
    return replace(stored, live=live, archived=archived), counts


def count(stored: Stored, record_type: RecordType, taken: Taken) -> dict[str, int]:
    before, archived = stored.of(record_type), stored.archived.get(record_type, {})
    new = [key for key in taken.records if key not in before]
    updated = [k for k, value in taken.records.items() if k in before and before[k] != value]
    gone = [key for key in before if key not in taken.records]
    changed = set(new) | set(updated)
    if record_type is RecordType.MEMBERSHIP:
        unchanged = len(before) - len(updated) - len(gone)
    else:
        unchanged = len([k for k in taken.records if k not in changed and k not in taken.kept])
    return {
        "created": len([key for key in new if key not in archived]),
        "restored": len([key for key in new if key in archived]),
        "updated": len(updated),
        "archived": len(gone),
        "unchanged": unchanged,
        "rejected": len(taken.refused),
        "ignored": taken.ignored,
    }


def give_schools(read: Read) -> None:
    """Who names no school is of those of their groups, first where they are in most."""
    for source_id, values in read.users.records.items():
        if values.schools or source_id in read.users.kept:
            continue
        groups = {key[1] for key, _, _ in read.rows if key[0] == source_id}
        schools = [
            read.groups.records[group].school for group in groups if group in read.groups.records
        ]
        found = sorted(set(schools) & read.schools.records.keys(),
                       key=lambda school: (-schools.count(school), school))  # fmt: skip
        read.users.records[source_id] = values._replace(schools=tuple(found))


def judge_groups(read: Read, before: Mapping[str, GroupValues]) -> None:
    groups = read.groups
    for source_id, values in list(groups.records.items()):
        if not values.title or values.school not in read.schools.records:
            groups.refuse(source_id)
    groups.keep(before)


def judge_users(read: Read, before: Mapping[str, UserValues], required: Collection[str]) -> None:
    users = read.users
    for source_id, values in list(users.records.items()):
        if source_id in users.kept:
            continue
        schools = tuple(org for org in values.schools if org in read.schools.records)
        if schools:
            users.records[source_id] = values._replace(schools=schools)
        else:
            users.refuse(source_id)
    users.keep(before)
    refuse_incomplete(users, before, required)
    settle_usernames(users, before)
    while "UNIQUE_NUMBER_REQUIRED" in required and refuse_shared_numbers(users, before):
        settle_usernames(users, before)
    for source_id, values in users.records.items():
        if values.role == "STUDENT" and source_id not in users.kept:
            users.records[source_id] = values._replace(schools=values.schools[:1])


def refuse_incomplete(
    taken: Taken, before: Mapping[str, UserValues], required: Collection[str]
) -> None:
    for source_id, values in list(taken.records.items()):
        is_judged = source_id not in taken.kept and values.role == "STUDENT"
        lacks = {"GRADE_REQUIRED"} if not values.grades else set()
        lacks |= {"UNIQUE_NUMBER_REQUIRED"} if not values.number else set()
        if is_judged and lacks & set(required):
            taken.refuse(source_id)
    taken.keep(before)


def refuse_shared_numbers(taken: Taken, before: Mapping[str, UserValues]) -> bool:
    """Who stays as stored keeps the number, else who has it, else the first. Whether any lost."""
    wanting: dict[str, list[tuple[bool, bool, int, str]]] = {}
    for place, (source_id, values) in enumerate(taken.records.items()):
        if values.role == "STUDENT" and values.number:
            has_it = source_id in before and before[source_id].number == values.number
            claim = (source_id not in taken.kept, not has_it, place, source_id)
            wanting.setdefault(values.number, []).append(claim)
    losers = [claim[-1] for claims in wanting.values() for claim in sorted(claims)[1:] if claim[0]]
    for source_id in losers:
        taken.refuse(source_id)
    taken.keep(before)
    return bool(losers)


def settle_usernames(taken: Taken, before: Mapping[str, UserValues]) -> None:
    """Who stays as stored keeps the name, else who has it, else the first in the feed."""
    losers = {""}
    while losers:
        wanting: dict[str, list[tuple[bool, bool, int, str]]] = {}
        for number, (source_id, values) in enumerate(taken.records.items()):
            name = values.username.casefold()
            has_it = source_id in before and before[source_id].username.casefold() == name
            claim = (source_id not in taken.kept, not has_it, number, source_id)
            wanting.setdefault(name, []).append(claim)
        losers = {claim[-1] for claims in wanting.values() for claim in sorted(claims)[1:]}
        for source_id in losers:
            taken.refuse(source_id)
        taken.keep(before)


def judge_memberships(read: Read) -> None:
    """The first row of an id is taken, if it names somebody and something that is there."""
    taken, seen = read.memberships, set()
    found: dict[Key, set[Span]] = {}
    for key, span, is_stored in read.rows:
        if span[0] in seen:
            taken.refused.append(span[0])
        elif key[0] in read.users.records and key[1] in read.groups.records:
            found.setdefault(key, set()).add(span)
        elif key[0] not in read.users.records and key[0] in read.guardians and not is_stored:
            taken.ignored += 1
        elif not is_stored:
            taken.refused.append(span[0])
        seen.add(span[0])
    taken.records = {key: frozenset(of_key) for key, of_key in found.items()}


def leave_out(read: Read, rules: SharingRules) -> None:
    """What the rules do not name, and who is then in no class where they speak of classes."""
    gone: dict[RecordType, set[str]] = {}
    schools, groups, users = read.schools, read.groups, read.users
    if "SCHOOL" in rules:
        wanted = {value.casefold() for value in rules["SCHOOL"]}
        shared = {key for key, name in schools.records.items() if {key, name.casefold()} & wanted}
        known = {word for key, name in schools.records.items() for word in (key, name.casefold())}
        read.unknown_schools = len(wanted - known)
        gone[RecordType.SCHOOL] = schools.leave_out(schools.records.keys() - shared)
    others = gone.get(RecordType.SCHOOL, set())
    for key, values in groups.records.items():
        is_shared = (
            values.school not in others
            and not (values.grades and is_other(rules, "GRADE", values.grades))
            and not is_other(rules, "SUBJECT", values.subjects)
        )
        if not is_shared:
            gone.setdefault(RecordType.GROUP, set()).add(key)
    groups.leave_out(gone.get(RecordType.GROUP, set()))
    learning = {key[0] for key, _, _ in read.rows if key[1] in groups.records}
    for key, values in users.records.items():
        kept = tuple(school for school in values.schools if school not in others)
        is_elsewhere = bool(values.schools) and not any(s in schools.records for s in kept)
        if (
            (is_elsewhere and kept != values.schools)
            or (values.role == "STUDENT" and is_other(rules, "GRADE", values.grades))
            or ("SUBJECT" in rules and key not in learning)
        ):
            gone.setdefault(RecordType.USER, set()).add(key)
        users.records[key] = values._replace(schools=kept)
    users.leave_out(gone.get(RecordType.USER, set()))
    read.left_out = gone
    leave_out_rows(read)


def is_other(rules: SharingRules, subject: str, words: Sequence[str]) -> bool:
    """Whether there is a rule and none of the words is one of its values."""
    if subject not in rules:
        return False
    return not {value.casefold() for value in rules[subject]} & {w.casefold() for w in words}


def leave_out_rows(read: Read) -> None:
    users, groups = (read.left_out.get(kind, set()) for kind in (RecordType.USER, RecordType.GROUP))
    gone = [row for row in read.rows if row[0][0] in users or row[0][1] in groups]
    read.rows = [row for row in read.rows if row not in gone]
    read.memberships.leave_out(span[0] for _, span, _ in gone)
