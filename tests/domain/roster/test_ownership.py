"""One table says who owns each field, and nothing is missing from it."""

import pytest

from domain.models import metadata
from domain.roster.ownership import OWNERS, FieldOwner, written_by_sync
from domain.roster.records import RECORD_CLASSES, RecordType
from domain.sync.entities import ENTITIES, Entity
from domain.validation.codes import RULES, Code, Owner, Severity

TABLES = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.GROUP: "groups",
    RecordType.USER: "users",
    RecordType.MEMBERSHIP: "memberships",
}


@pytest.mark.parametrize("record_type", RecordType)
def test_every_column_has_an_owner_and_every_owner_a_column(record_type: RecordType) -> None:
    columns = {column.name for column in metadata.tables[TABLES[record_type]].columns}
    assert OWNERS[record_type].keys() == columns


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.record_type.value)
def test_a_sync_writes_what_the_provider_owns_and_compares_all_of_it(entity: Entity) -> None:
    written = set(written_by_sync(entity.record_type))
    assert all(OWNERS[entity.record_type][name] is FieldOwner.PROVIDER for name in written)
    sources = {name.replace("school_id", "school_source_id").replace(
        "course_id", "course_source_id") for name in written}  # fmt: skip
    assert sources <= set(entity.compared)


def test_what_a_school_is_called_here_is_local() -> None:
    local = [
        (record_type, name)
        for record_type, owners in OWNERS.items()
        for name, owner in owners.items()
        if owner is FieldOwner.LOCAL
    ]
    assert local == [(RecordType.SCHOOL, "display_name")]


def test_every_code_has_a_rule_with_words() -> None:
    assert set(RULES) == set(Code)
    for code, rule in RULES.items():
        assert (rule.severity in Severity, rule.owner in Owner) == (True, True)
        assert all(text[0].isupper() for text in (rule.title, rule.effect, rule.remedy)), code
        assert rule.effect.endswith("."), code
        assert rule.remedy.endswith("."), code


def test_records_come_in_the_order_of_their_dependence() -> None:
    order = list(RECORD_CLASSES)
    assert order == list(RecordType)
    for child, parent in (("GROUP", "SCHOOL"), ("GROUP", "TERM"), ("USER", "SCHOOL")):
        assert order.index(RecordType(child)) > order.index(RecordType(parent))
    assert order[-1] is RecordType.MEMBERSHIP
