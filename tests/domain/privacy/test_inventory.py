"""The inventory of personal data is whole: nothing about a person is kept beside it."""

from pathlib import Path

from domain.models import metadata
from domain.privacy.inventory import PLACES
from domain.privacy.page import page


def test_every_table_that_knows_people_is_in_the_inventory() -> None:
    named = {place.table for place in PLACES}
    for table in metadata.sorted_tables:
        knows = {"user_id", "record_id", "created_by_user_id", "membership_id"} & set(
            table.columns.keys()
        )
        if knows:
            assert table.name in named, f"{table.name} has {knows}"


def test_every_reference_to_a_person_is_in_the_inventory() -> None:
    named = {place.table for place in PLACES}
    for table in metadata.sorted_tables:
        for reference in table.foreign_key_constraints:
            if reference.referred_table.name in {"users", "memberships", "accounts"}:
                assert table.name in named, table.name


def test_what_is_hidden_is_there() -> None:
    for place in PLACES:
        assert set(place.hidden) <= set(metadata.tables[place.table].columns.keys())


def test_no_column_is_for_what_is_never_stored() -> None:
    forbidden = ("birth", "sex", "gender", "race", "ethnic", "phone", "sms", "disability", "lunch")
    for table in metadata.sorted_tables:
        for column in table.columns:
            assert not any(word in column.name for word in forbidden), f"{table}.{column.name}"


def test_the_page_is_current() -> None:
    published = Path(__file__).parents[3] / "docs" / "privacy.md"
    assert published.read_text() == page(), "run `make docs`"
