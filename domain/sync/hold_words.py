"""What a hold says: the questions that everybody asks when a sync waits, answered in words."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain.roster.records import RecordType
from domain.validation.codes import RULES, Code

_ACTIONS = ("created", "updated", "archived", "restored")
_NOUNS = {
    RecordType.SCHOOL: ("school", "schools"),
    RecordType.TERM: ("term", "terms"),
    RecordType.COURSE: ("course", "courses"),
    RecordType.GROUP: ("class", "classes"),
    RecordType.USER: ("person", "people"),
    RecordType.MEMBERSHIP: ("membership", "memberships"),
}


class HoldWords(NamedTuple):
    applied: int
    waiting: int
    message: str


def count_nouns(record_type: RecordType, number: int) -> str:
    """Such as "1 class" or "12 people"."""
    one, many = _NOUNS[record_type]
    return f"{number:,} {one if number == 1 else many}"


def describe_hold(
    counts: Mapping[str, Mapping[str, int]], *, told: Sequence[str], is_open: bool
) -> HoldWords:
    """`counts` are the run's, by type."""
    applied = sum(numbers.get(name, 0) for numbers in counts.values() for name in _ACTIONS)
    held = {kind: counts[kind]["held"] for kind in RecordType if counts.get(kind, {}).get("held")}
    waiting = ", ".join(count_nouns(RecordType(kind), number) for kind, number in held.items())
    parts = [
        f"{applied:,} changes were applied." if applied else "Nothing was applied.",
        f"These wait, as they were: {waiting}." if waiting else "No record waits.",
        f"A notice went to {', '.join(told)}." if told else "No notice was sent.",
        "The next run looks anew: what is within limits then is applied, what is not waits again."
        " Approving starts a run that may do what was shown, and no more."
        if is_open
        else "It has ended.",
    ]
    return HoldWords(applied, sum(held.values()), " ".join(parts))


def describe_reason(reason: Mapping[str, Any]) -> str:
    """`reason` as it is stored with a hold."""
    rule = RULES[Code(reason["code"])]
    numbers = ""
    if reason.get("count") is not None and reason.get("record_type"):
        concerned = count_nouns(RecordType(reason["record_type"]), reason["count"])
        numbers = f": {concerned} of {reason['of']:,}"
    value = f" ({reason['value']})" if reason.get("value") else ""
    return f"{rule.title}{numbers}{value}. {rule.remedy}"
