"""Who manages which field, and where it is changed, told from the one table of owners."""

from collections import Counter
from pathlib import Path

import pytest

from domain.errors import Conflict, ProviderManaged
from domain.roster.managed import (
    HERE,
    LOCAL_FIELDS,
    NAMES,
    NOWHERE,
    ManagedFields,
    Rosterer,
    api_name,
    fields_of,
    managed_by,
    refuse_adding,
    refuse_change,
    where_to_change,
)
from domain.roster.models import Origin
from domain.roster.ownership import LOCAL_TABLES, FieldOwner
from domain.roster.page import page
from domain.roster.records import RecordType
from domain.roster.source import Provider

CLEVER = Rosterer(Provider.CLEVER, is_connected=True)
IN_CLEVER = (
    "Change it in Clever, or in the student information system that feeds it; it comes with the"
    " next sync."
)
PUBLISHED = Path(__file__).parents[3] / "docs" / "ownership.md"


def test_of_a_providers_school_only_the_name_shown_and_the_settings_are_changed_here() -> None:
    assert managed_by(RecordType.SCHOOL, Origin.PROVIDER, CLEVER) == [
        ManagedFields(
            FieldOwner.PROVIDER,
            Provider.CLEVER,
            ("sourceId", "archivedAt", "name", "number"),
            IN_CLEVER,
        ),
        ManagedFields(FieldOwner.LOCAL, None, ("displayName", "trainingSettings"), HERE),
        ManagedFields(FieldOwner.SYSTEM, None, ("id", "origin"), NOWHERE),
    ]


@pytest.mark.parametrize("origin", [Origin.LEGACY, Origin.IMPORT])
def test_what_no_provider_shares_is_changed_here_altogether(origin: Origin) -> None:
    assert managed_by(RecordType.SCHOOL, origin, CLEVER) == [
        ManagedFields(
            FieldOwner.LOCAL,
            None,
            ("archivedAt", "name", "number", "displayName", "trainingSettings"),
            HERE,
        ),
        ManagedFields(FieldOwner.SYSTEM, None, ("id", "origin"), NOWHERE),
    ]


@pytest.mark.parametrize("record_type", RecordType)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("said_here", [True, False])
def test_every_field_is_told_once(record_type: RecordType, origin: Origin, said_here: bool) -> None:
    is_local = said_here and record_type is RecordType.USER
    parts = managed_by(record_type, origin, CLEVER, is_eligibility_local=is_local)
    told = Counter(name for part in parts for name in part.fields)
    all_of_them = {name for owner in FieldOwner for name in fields_of(record_type, owner)}
    if origin is not Origin.PROVIDER:
        all_of_them -= {"sourceId", "spans"}
    assert told == dict.fromkeys(all_of_them, 1)


def test_who_is_eligible_is_local_as_soon_as_it_is_said_here() -> None:
    owners = [
        next(
            part.owner
            for part in managed_by(
                RecordType.USER, Origin.PROVIDER, CLEVER, is_eligibility_local=is_local
            )
            if "isEligible" in part.fields
        )
        for is_local in (False, True)
    ]
    assert owners == [FieldOwner.PROVIDER, FieldOwner.LOCAL]


def test_every_local_table_is_shown_by_some_field() -> None:
    assert LOCAL_FIELDS.keys() == LOCAL_TABLES.keys()


def test_every_provider_has_its_place() -> None:
    assert NAMES.keys() == set(Provider)
    places = {where_to_change(Rosterer(provider, is_connected=True)) for provider in Provider}
    assert len(places) == len(Provider)
    assert IN_CLEVER in places


def test_a_refusal_names_the_provider_the_fields_and_the_place() -> None:
    refused = refuse_change(["username", "email"], CLEVER, field="username")
    assert isinstance(refused, ProviderManaged)
    assert (refused.provider, refused.field) == ("CLEVER", "username")
    assert str(refused) == f"Clever manages this: username, email. {IN_CLEVER}"


def test_adding_by_hand_is_refused_with_the_way_in() -> None:
    refused = refuse_adding(CLEVER, field="tenantId")
    assert isinstance(refused, ProviderManaged)
    assert str(refused) == (
        "Clever says who and what there is here, so nothing is added by hand. Add it in Clever, or"
        " in the student information system that feeds it; it comes with the next sync."
        " Administrators and staff who are not in the roster come in by adminsImport and"
        " staffImport."
    )


def test_a_provider_that_is_gone_is_named_all_the_same() -> None:
    gone = Rosterer(Provider.CLASSLINK, is_connected=False)
    assert where_to_change(gone) == (
        "ClassLink is not connected any more: connect it again, and it comes with a sync."
    )
    nobody = refuse_change(["name"], Rosterer(), field="name")
    assert type(nobody) is Conflict
    assert nobody.field == "name"


def test_columns_are_named_as_the_api_names_them() -> None:
    assert [api_name(name) for name in ("given_name", "school_id", "term_source_ids")] == [
        "givenName",
        "school",
        "terms",
    ]


def test_the_page_is_current() -> None:
    """If it is not, write it: make docs."""
    assert PUBLISHED.read_text(encoding="utf-8") == page()
