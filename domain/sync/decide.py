"""Decide: a pure function from what a plan would do to whether it may."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from domain.roster.records import RecordType
from domain.validation.codes import Code


class TypeCounts(NamedTuple):
    """Of one record type: what is live now, and how many records a plan adds and takes away."""

    stored: int
    arriving: int
    archived: int


class Reason(NamedTuple):
    """Why a plan waits: `archived` of the `stored` live records would go."""

    code: Code
    record_type: RecordType
    archived: int
    stored: int


class Verdict(NamedTuple):
    reasons: tuple[Reason, ...] = ()

    @property
    def is_held(self) -> bool:
        return bool(self.reasons)

    def as_json(self) -> str:
        return json.dumps(
            [
                {
                    "code": reason.code.value,
                    "record_type": reason.record_type.value,
                    "count": reason.archived,
                    "of": reason.stored,
                }
                for reason in self.reasons
            ]
        )


WATCHED = (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
FEW = 10
"""A type with no more live records than this may end: a last class closes in summer."""


def decide(counts: Mapping[RecordType, TypeCounts]) -> Verdict:
    """Hold a plan that would leave nothing of a type.

    No district loses all its people at once, but exports do come out empty.
    """
    return Verdict(
        tuple(
            Reason(Code.HOLD_TYPE_EMPTY, record_type, numbers.archived, numbers.stored)
            for record_type, numbers in counts.items()
            if record_type in WATCHED
            and numbers.stored > FEW
            and numbers.archived == numbers.stored
            and numbers.arriving == 0
        )
    )
