"""Who manages the fields of a stored record, and where each is changed (product.md G3).

Told by the table of owners: of what a provider shares, the provider's fields are read-only here;
of what was there before, or was imported, everybody's fields are changed here.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from domain.errors import Conflict, ProviderManaged
from domain.roster.models import Origin
from domain.roster.ownership import OWNERS, FieldOwner
from domain.roster.records import RecordType
from domain.roster.source import Provider

NAMES: Final = {
    Provider.CLEVER: "Clever",
    Provider.CLASSLINK: "ClassLink",
    Provider.ONEROSTER: "The OneRoster service",
    Provider.ONEROSTER_CSV: "The OneRoster export",
}
PLACES: Final = {
    Provider.CLEVER: "in Clever, or in the student information system that feeds it",
    Provider.CLASSLINK: "in ClassLink, or in the student information system that feeds it",
    Provider.ONEROSTER: "in the student information system behind the OneRoster service",
    Provider.ONEROSTER_CSV: "in the system that writes the OneRoster files",
}
HERE: Final = "Change it here: no sync touches it."
NOWHERE: Final = "Homerow keeps it; nobody changes it."

_RENAMED: Final = {
    "school_id": "school",
    "course_id": "course",
    "user_id": "user",
    "group_id": "group",
    "term_source_ids": "terms",
}
_UNSHOWN: Final = frozenset(
    {
        "tenant_id",
        "content_hash",
        "created_by_run_id",
        "archived_by_run_id",
        "parent_source_id",
        "keys",
        "username_key",
        "merged_into_id",
    }
)
"""Columns that the API does not show."""
_LISTED: Final = {RecordType.USER: ("school", "schools"), RecordType.MEMBERSHIP: ("spans",)}
"""What is the provider's too, and lies in tables of its own."""
LOCAL_FIELDS: Final[dict[str, dict[RecordType, tuple[str, ...]]]] = {
    "training_settings": dict.fromkeys(
        (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER), ("trainingSettings",)
    ),
    "default_places": {RecordType.USER: ("defaultGroup", "defaultSchool")},
    "eligibility_overrides": {RecordType.USER: ("eligibility",)},
    "progress": dict.fromkeys((RecordType.GROUP, RecordType.USER), ("progress",)),
}
"""The fields of the API that show the local tables, by table."""
_ELIGIBLE: Final = "isEligible"


class Rosterer(NamedTuple):
    """The provider of a tenant: the connected one, or the last that was. None: never any."""

    provider: Provider | None = None
    is_connected: bool = False


class ManagedFields(NamedTuple):
    """Some fields of a record, by their names in the API, and where they are changed."""

    owner: FieldOwner
    provider: Provider | None
    fields: tuple[str, ...]
    where: str


def api_name(column: str) -> str:
    head, *rest = _RENAMED.get(column, column).split("_")
    return head + "".join(part.title() for part in rest)


def fields_of(record_type: RecordType, owner: FieldOwner) -> tuple[str, ...]:
    """The fields of the API that an owner has, of a record that a provider shares."""
    columns = (name for name, known in OWNERS[record_type].items() if known is owner)
    shown = [api_name(name) for name in columns if name not in _UNSHOWN]
    if owner is FieldOwner.PROVIDER:
        shown += _LISTED.get(record_type, ())
    if owner is FieldOwner.LOCAL:
        shown += (name for table in LOCAL_FIELDS.values() for name in table.get(record_type, ()))
    return tuple(shown)


def managed_by(
    record_type: RecordType,
    origin: Origin,
    rosterer: Rosterer,
    *,
    is_eligibility_local: bool = False,
) -> list[ManagedFields]:
    """Every field of a record once. `is_eligibility_local`: who is eligible was set here."""
    theirs = fields_of(record_type, FieldOwner.PROVIDER)
    local = fields_of(record_type, FieldOwner.LOCAL)
    system = ManagedFields(
        FieldOwner.SYSTEM, None, fields_of(record_type, FieldOwner.SYSTEM), NOWHERE
    )
    if origin is not Origin.PROVIDER:
        # Nobody but the provider gives these, and there is none.
        ours = tuple(name for name in theirs if name not in {"sourceId", "spans"})
        return [ManagedFields(FieldOwner.LOCAL, None, ours + local, HERE), system]
    if is_eligibility_local:
        theirs = tuple(name for name in theirs if name != _ELIGIBLE)
        local = (*local, _ELIGIBLE)
    managed = [
        ManagedFields(FieldOwner.PROVIDER, rosterer.provider, theirs, where_to_change(rosterer))
    ]
    if local:
        managed.append(ManagedFields(FieldOwner.LOCAL, None, local, HERE))
    return [*managed, system]


def where_to_change(rosterer: Rosterer) -> str:
    if rosterer.provider is None:
        return "It came with a provider's roster: connect a provider, and it comes with a sync."
    if not rosterer.is_connected:
        name = NAMES[rosterer.provider]
        return f"{name} is not connected any more: connect it again, and it comes with a sync."
    return f"Change it {PLACES[rosterer.provider]}; it comes with the next sync."


def refuse_change(fields: Iterable[str], rosterer: Rosterer, *, field: str) -> Conflict:
    """Of a provider's record: `fields` are what was to be changed; `field` is who is to blame."""
    names = ", ".join(fields)
    where = where_to_change(rosterer)
    if rosterer.provider is None:
        return Conflict(f"This is not managed here: {names}. {where}", field=field)
    message = f"{NAMES[rosterer.provider]} manages this: {names}. {where}"
    return ProviderManaged(message, field=field, provider=rosterer.provider.value)


def refuse_adding(rosterer: Rosterer, *, field: str) -> Conflict:
    """In a tenant that rosters, or into what a provider shares, nothing is added by hand."""
    if rosterer.provider is None:
        message = "This came with a provider's roster: nothing is added to it by hand."
        return Conflict(message, field=field)
    message = (
        f"{NAMES[rosterer.provider]} says who and what there is here, so nothing is added by hand."
        f" Add it {PLACES[rosterer.provider]}; it comes with the next sync. Administrators and"
        " staff who are not in the roster come in by adminsImport and staffImport."
    )
    return ProviderManaged(message, field=field, provider=rosterer.provider.value)
