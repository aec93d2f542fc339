"""Where something about a person is kept: exports read there, erasing deletes there.

A test compares the tables with the models, and what is left after erasing with nothing.
"""

from dataclasses import dataclass
from typing import Final

_AMONG: Final = "ANY (CAST(:ids AS uuid[]))"
_OF_MEMBERSHIPS: Final = (
    f"(SELECT m.id FROM memberships m WHERE m.tenant_id = :tenant_id AND m.user_id = {_AMONG})"
)
_SOURCE_IDS: Final = (
    f"(SELECT u.source_id FROM users u WHERE u.tenant_id = :tenant_id AND u.id = {_AMONG}"
    " AND u.source_id IS NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A table, and which of its rows are about the people `:ids` of `:tenant_id`.

    `purpose` says why we have it. `hidden` are columns that an export leaves out: they are not
    about the person, or worth something to whoever steals them. What `is_kept` outlives the
    person, by an id that then leads nowhere.
    """

    table: str
    rows: str
    purpose: str
    hidden: tuple[str, ...] = ()
    is_kept: bool = False


def _records(record_type: str, ids: str) -> str:
    return f"(record_type = '{record_type}' AND record_id IN {ids})"


_OF_PEOPLE: Final = f"user_id = {_AMONG}"
_PEOPLE: Final = "(SELECT unnest(CAST(:ids AS uuid[])))"
_HISTORY: Final = f"{_records('USER', _PEOPLE)} OR {_records('MEMBERSHIP', _OF_MEMBERSHIPS)}"

PLACES: Final = (
    Place(
        "users",
        f"id = {_AMONG} OR merged_into_id = {_AMONG}",
        "who somebody is: name, username, roles, grade, number; the address where asked for",
        hidden=("content_hash",),
    ),
    Place("school_affiliations", _OF_PEOPLE, "which schools somebody belongs to"),
    Place("memberships", _OF_PEOPLE, "which groups somebody is in", hidden=("content_hash",)),
    Place("membership_spans", f"membership_id IN {_OF_MEMBERSHIPS}", "since when, and until when"),
    Place("progress", _OF_PEOPLE, "results in the training product, added up by year and group"),
    Place("progress_carries", _OF_PEOPLE, "results that came along to another group"),
    Place("training_settings", _OF_PEOPLE, "targets and keyboard"),
    Place("default_places", _OF_PEOPLE, "where somebody lands after signing in"),
    Place("eligibility_overrides", _OF_PEOPLE, "whether a student takes part, where said by hand"),
    Place(
        "identities",
        _OF_PEOPLE,
        "which account at Google or Microsoft somebody signs in with",
    ),
    Place(
        "accounts",
        _OF_PEOPLE,
        "that somebody signs in with a password",
        hidden=("password_hash", "totp_sealed", "totp_step"),
    ),
    Place(
        "account_links",
        "account_id IN (SELECT a.id FROM accounts a WHERE a.tenant_id = :tenant_id"
        f" AND a.user_id = {_AMONG})",
        "invitations and links to choose a new password",
        hidden=("token_hash",),
    ),
    Place("sessions", _OF_PEOPLE, "from which browsers, and when", hidden=("token_hash",)),
    Place("sign_in_attempts", _OF_PEOPLE, "when somebody signed in, or was refused and why"),
    Place("external_keys", _records("USER", _PEOPLE), "how somebody was known elsewhere"),
    Place("identity_links", _records("USER", _PEOPLE), "how somebody was found again"),
    Place(
        "people_merges",
        f"kept_id = {_AMONG} OR merged_id = {_AMONG}",
        "that two records were one person",
    ),
    Place(
        "match_candidates",
        "candidate_ids && CAST(CAST(:ids AS uuid[]) AS text[])"
        f" OR (record_type = 'USER' AND source_id IN {_SOURCE_IDS})",
        "questions whether somebody is somebody else",
    ),
    Place("sync_changes", _HISTORY, "what syncs changed, with the values before and after"),
    Place("preflight_items", _HISTORY, "what a test sync would have changed"),
    Place(
        "validation_errors",
        f"(record_type = 'USER' AND source_id IN {_SOURCE_IDS}) OR (record_type = 'MEMBERSHIP'"
        f" AND record ->> 'user_source_id' IN {_SOURCE_IDS})",
        "what is wrong with the data about somebody, with the record as it came",
    ),
    Place(
        "api_tokens",
        f"created_by_user_id = {_AMONG}",
        "tokens for machines that somebody has made: they end with the person",
        hidden=("token_hash",),
        is_kept=True,
    ),
    Place(
        "audit_log",
        "actor IN (SELECT 'user ' || id FROM unnest(CAST(:ids AS uuid[])) id)"
        " OR target IN (SELECT id::text FROM unnest(CAST(:ids AS uuid[])) id)",
        "what somebody did, or had done to them, by their id",
        is_kept=True,
    ),
)
