"""Deciding: what waits, from numbers alone."""

import json
from collections.abc import Mapping
from typing import Any

from domain.roster.records import RecordType, Role
from domain.sync.decide import FEW, TypeCounts, decide
from domain.validation.codes import Code

USER = RecordType.USER


def codes(numbers: TypeCounts, record_type: RecordType = USER) -> list[tuple[Code, int, int]]:
    verdict = decide({record_type: numbers})
    return [(reason.code, reason.archived, reason.stored) for reason in verdict.reasons]


def test_unseen_archives_of_a_rule_wait_beyond_ten_and_a_tenth() -> None:
    sharing = Code.HOLD_SHARING_CHANGE
    assert codes(TypeCounts(50, 0, 20, left_out=FEW)) == []
    assert codes(TypeCounts(50, 0, 20, left_out=FEW + 1)) == [(sharing, 11, 50)]
    assert codes(TypeCounts(110, 0, 20, left_out=FEW + 1)) == []
    assert codes(TypeCounts(109, 0, 20, left_out=FEW + 1)) == [(sharing, 11, 109)]
    assert codes(TypeCounts(1000, 0, 300, left_out=100)) == []
    assert codes(TypeCounts(1000, 0, 300, left_out=101)) == [(sharing, 101, 1000)]


def test_an_empty_answer_waits_if_anything_is_stored() -> None:
    for record_type in RecordType:
        assert codes(TypeCounts(1, 0, 1, is_empty=True), record_type) == [
            (Code.HOLD_TYPE_EMPTY, 1, 1)
        ]
        assert codes(TypeCounts(0, 0, 0, is_empty=True), record_type) == []
        assert codes(TypeCounts(1, 0, 1), record_type) == []


def test_each_unknown_school_is_a_reason() -> None:
    counts = {RecordType.SCHOOL: TypeCounts(5, 0, 2)}
    verdict = decide(counts, unknown_schools=["Nroth", "s8"])
    assert json.loads(verdict.as_json()) == [
        {"code": "CONN_SCHOOL_NOT_FOUND", "record_type": "SCHOOL", "count": 2, "of": 5,
         "value": value}
        for value in ("Nroth", "s8")
    ]  # fmt: skip
    assert decide(counts).is_held is False


def test_all_teachers_gone_is_a_reason_unless_there_are_few_or_everybody_goes() -> None:
    some = {USER: TypeCounts(500, 0, 40)}

    def reasons(numbers: TypeCounts, counts: Mapping[RecordType, TypeCounts] = some) -> list[Any]:
        verdict = decide(counts, roles={Role.TEACHER: numbers})
        return [(reason.archived, reason.stored, reason.value) for reason in verdict.reasons]

    assert reasons(TypeCounts(40, 0, 40)) == [(40, 40, "TEACHER")]
    assert reasons(TypeCounts(FEW, 0, FEW)) == []
    assert reasons(TypeCounts(1, 0, 1, is_empty=True)) == [(1, 1, "TEACHER")]
    everybody = {USER: TypeCounts(500, 0, 500)}
    assert reasons(TypeCounts(40, 0, 40), everybody) == [(500, 500, None)]
