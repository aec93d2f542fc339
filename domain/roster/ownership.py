"""Who owns each stored field: the one table that the sync and the API's refusals follow.

PROVIDER fields are what a sync compares and writes. LOCAL fields belong to the training product
and SYSTEM fields to Homerow: no sync changes them because of what a provider says. A test holds
every column of the roster's tables against this table.
"""

from enum import StrEnum

from domain.roster.records import RecordType


class FieldOwner(StrEnum):
    PROVIDER = "PROVIDER"
    LOCAL = "LOCAL"
    SYSTEM = "SYSTEM"


_SYSTEM = (
    "tenant_id",
    "id",
    "origin",
    "content_hash",
    "created_by_run_id",
    "archived_by_run_id",
)
_EXISTENCE = ("source_id", "archived_at")
P, L, S = FieldOwner.PROVIDER, FieldOwner.LOCAL, FieldOwner.SYSTEM


def _owners(provider: tuple[str, ...], *, local: tuple[str, ...] = ()) -> dict[str, FieldOwner]:
    return (
        dict.fromkeys(_SYSTEM, S)
        | dict.fromkeys(_EXISTENCE, P)
        | dict.fromkeys(provider, P)
        | dict.fromkeys(local, L)
    )


OWNERS: dict[RecordType, dict[str, FieldOwner]] = {
    RecordType.SCHOOL: _owners(
        ("name", "number", "parent_source_id", "keys"), local=("display_name",)
    ),
    RecordType.TERM: _owners(("name", "kind", "starts_on", "ends_on", "parent_source_id")),
    RecordType.COURSE: _owners(("name", "code", "subjects")),
    RecordType.GROUP: _owners(
        (
            "name",
            "school_id",
            "course_id",
            "term_source_ids",
            "starts_on",
            "ends_on",
            "code",
            "kind",
            "period",
            "grades",
            "subjects",
            "keys",
        )
    ),
    RecordType.USER: _owners(
        (
            "username",
            "given_name",
            "family_name",
            "preferred_given_name",
            "preferred_family_name",
            "email",
            "number",
            "roles",
            "grades",
            "is_enabled",
            "keys",
            "is_eligible",
        )
    )
    | {"username_key": S, "merged_into_id": S},
    RecordType.MEMBERSHIP: _owners(("user_id", "group_id", "role")),
}
del OWNERS[RecordType.MEMBERSHIP]["source_id"]  # the provider's ids stay with the spans

LOCAL_TABLES: dict[str, tuple[str, ...]] = {
    "training_settings": (
        "speed_target",
        "accuracy_target",
        "keyboard_layout",
        "has_avatars",
        "age_group",
    ),
    "default_places": ("group_id", "school_id"),
    "eligibility_overrides": ("is_eligible",),
    "progress": (
        "lessons",
        "seconds",
        "best_speed",
        "speed_total",
        "speed_count",
        "best_accuracy",
        "accuracy_total",
        "accuracy_count",
        "copied_lessons",
        "copied_seconds",
        "copied_speed_total",
        "copied_speed_count",
        "copied_accuracy_total",
        "copied_accuracy_count",
        "last_active_at",
    ),
}
"""What is LOCAL beside the roster's own tables: no sync ever changes a row of these."""


def written_by_sync(record_type: RecordType) -> tuple[str, ...]:
    """The columns that a create or an update takes from the provider's record."""
    return tuple(
        column
        for column, owner in OWNERS[record_type].items()
        if owner is FieldOwner.PROVIDER and column not in _EXISTENCE
    )
