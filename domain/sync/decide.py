"""Decide: a pure function from what a plan would do to whether it may."""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from domain.roster.records import RecordType, Role
from domain.validation.codes import Code


class TypeCounts(NamedTuple):
    """Of one record type: what is live now, and how many records a plan adds and takes away.

    `left_out` of the archived are in the feed, and nobody has seen that the sharing rules would
    archive them. `is_empty`: the provider said that there is none at all.
    """

    stored: int
    arriving: int
    archived: int
    left_out: int = 0
    is_empty: bool = False


class Reason(NamedTuple):
    """Why a plan waits: `archived` of the `stored` live records would go.

    `value` is what a sharing rule says and the feed does not have, or the role of the people who
    would go.
    """

    code: Code
    record_type: RecordType
    archived: int
    stored: int
    value: str | None = None

    def as_dict(self) -> dict[str, str | int]:
        told: dict[str, str | int] = {
            "code": self.code.value,
            "record_type": self.record_type.value,
            "count": self.archived,
            "of": self.stored,
        }
        return told if self.value is None else told | {"value": self.value}


class Verdict(NamedTuple):
    reasons: tuple[Reason, ...] = ()

    @property
    def is_held(self) -> bool:
        return bool(self.reasons)

    def as_json(self) -> str:
        return json.dumps([reason.as_dict() for reason in self.reasons])


WATCHED = (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
FEW = 10
"""A type with no more live records than this may end: a last class closes in summer. And a
sharing rule may archive so many unseen."""
MOST_LEFT_OUT = 0.1
"""Or this share of what is live."""


def decide(
    counts: Mapping[RecordType, TypeCounts],
    *,
    roles: Mapping[Role, TypeCounts] = MappingProxyType({}),
    unknown_schools: Sequence[str] = (),
) -> Verdict:
    """Hold a plan that would leave nothing of a type, or that our own rules would make large.

    No district loses all its people at once, nor all its teachers, but exports do come out empty;
    and a school that a rule names and the feed does not have is more likely misspelt than gone.
    """
    schools = counts.get(RecordType.SCHOOL, TypeCounts(0, 0, 0))
    unknown = [
        Reason(
            Code.CONN_SCHOOL_NOT_FOUND, RecordType.SCHOOL, schools.archived, schools.stored, value
        )
        for value in unknown_schools
    ]
    of_types = list(_reasons_of_types(counts))
    of_roles = [
        Reason(Code.HOLD_TYPE_EMPTY, RecordType.USER, numbers.archived, numbers.stored, role.value)
        for role, numbers in roles.items()
        if _is_left_empty(RecordType.USER, numbers)
    ]
    is_all = any(reason[:2] == (Code.HOLD_TYPE_EMPTY, RecordType.USER) for reason in of_types)
    return Verdict((*unknown, *of_types, *(() if is_all else of_roles)))


def _reasons_of_types(counts: Mapping[RecordType, TypeCounts]) -> Iterator[Reason]:
    for record_type, numbers in counts.items():
        if _is_left_empty(record_type, numbers):
            yield Reason(Code.HOLD_TYPE_EMPTY, record_type, numbers.archived, numbers.stored)
        if numbers.left_out > max(FEW, MOST_LEFT_OUT * numbers.stored):
            yield Reason(Code.HOLD_SHARING_CHANGE, record_type, numbers.left_out, numbers.stored)


def _is_left_empty(record_type: RecordType, numbers: TypeCounts) -> bool:
    if numbers.is_empty:
        return numbers.stored > 0
    return (
        record_type in WATCHED
        and numbers.stored > FEW
        and numbers.archived == numbers.stored
        and numbers.arriving == 0
    )
