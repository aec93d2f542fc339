"""Who may see and change what, in plain Python: what the policies must agree with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from tests.domain.reach.districts import District, Row

FOR_EVERYBODY: Final = frozenset(
    {
        "terms", "courses", "integrations", "subscriptions", "sign_in_methods",
        "training_versions", "year_rollovers",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Eyes:
    """Of one person of a district."""

    district: District
    user: Row

    @property
    def id(self) -> UUID:
        return UUID(str(self.user["id"]))

    @property
    def actor(self) -> str:
        return f"user {self.id}"

    def _is(self, *roles: str) -> bool:
        return not set(roles).isdisjoint(self.user["roles"])

    def _schools_of(self, user: UUID) -> set[UUID]:
        rows = self.district.rows["school_affiliations"]
        return {row["school_id"] for row in rows if row["user_id"] == user}

    def _live(self) -> list[Row]:
        return [row for row in self.district.rows["memberships"] if row["archived_at"] is None]

    @cached_property
    def schools(self) -> set[UUID]:
        """Those with all that is in them: of their staff and their admins."""
        return self._schools_of(self.id) if self._is("STAFF", "SCHOOL_ADMIN") else set()

    @cached_property
    def administered(self) -> set[UUID]:
        return self.schools if self._is("SCHOOL_ADMIN") else set()

    @cached_property
    def taught(self) -> set[UUID]:
        open_ones = {
            row["id"] for row in self.district.rows["groups"] if row["archived_at"] is None
        }
        return {
            row["group_id"]
            for row in self._live()
            if self._is("TEACHER")
            and (row["user_id"], row["role"]) == (self.id, "TEACHER")
            and row["group_id"] in open_ones
        }

    def _groups_of(self, schools: set[UUID]) -> set[UUID]:
        return {row["id"] for row in self.district.rows["groups"] if row["school_id"] in schools}

    def _people_of(self, schools: set[UUID], groups: set[UUID]) -> set[UUID]:
        linked = self.district.rows["school_affiliations"]
        return {row["user_id"] for row in linked if row["school_id"] in schools} | {
            row["user_id"] for row in self._live() if row["group_id"] in groups
        }

    @cached_property
    def groups(self) -> set[UUID]:
        """With their people and what these do there."""
        return self._groups_of(self.schools) | self.taught

    @cached_property
    def seen_groups(self) -> set[UUID]:
        own = {row["group_id"] for row in self._live() if row["user_id"] == self.id}
        return self.groups | own

    @cached_property
    def seen_schools(self) -> set[UUID]:
        rows = self.district.rows["groups"]
        of_groups = {row["school_id"] for row in rows if row["id"] in self.seen_groups}
        return self.schools | of_groups | self._schools_of(self.id)

    @cached_property
    def users(self) -> set[UUID]:
        return self._people_of(self.schools, self.groups)

    @cached_property
    def seen_users(self) -> set[UUID]:
        return self.users | {self.id}

    @cached_property
    def changed_groups(self) -> set[UUID]:
        return self._groups_of(self.administered) | self.taught

    @cached_property
    def students(self) -> set[UUID]:
        """Whose settings and places may be set."""
        students = {r["id"] for r in self.district.rows["users"] if "STUDENT" in r["roles"]}
        return students & self._people_of(self.administered, self.changed_groups)

    @cached_property
    def memberships(self) -> set[UUID]:
        return {
            row["id"]
            for row in self.district.rows["memberships"]
            if row["user_id"] == self.id or row["group_id"] in self.groups
        }

    def keys(self, table: str, ids: set[UUID]) -> set[str]:
        """As the provider calls them."""
        return {row["source_id"] for row in self.district.rows[table] if row["id"] in ids}

    @cached_property
    def error_keys(self) -> Mapping[str, set[str]]:
        return {
            "SCHOOL": self.keys("schools", self.administered),
            "GROUP": self.keys("groups", self._groups_of(self.administered)),
            "USER": self.keys("users", self._people_of(self.administered, set())),
        }

    def sees_error(self, row: Row) -> bool:
        keys, kind = self.error_keys, row["record_type"]
        record: Mapping[str, Any] = row["record"] or {}
        group = record.get("group_source_id")
        if kind == "MEMBERSHIP":
            known = {known["source_id"] for known in self.district.rows["groups"]}
            of_person = record.get("user_source_id") in keys["USER"] and group not in known
            return group in keys["GROUP"] or of_person
        named = {record.get("school_source_id"), *record.get("school_source_ids", ())}
        return row["source_id"] in keys.get(kind, ()) or (
            kind in {"GROUP", "USER"} and not named.isdisjoint(keys["SCHOOL"])
        )

    def sees_change(self, row: Row) -> bool:
        parts = {
            "SCHOOL": self.seen_schools,
            "GROUP": self.groups,
            "USER": self.users,
            "MEMBERSHIP": self.memberships,
        }
        return bool(self.administered) and row["record_id"] in parts.get(row["record_type"], ())

    def sees_settings(self, row: Row) -> bool:
        return (
            row.get("school_id") in {None, *self.seen_schools}
            and row.get("group_id") in {None, *self.seen_groups}
            and row.get("user_id") in {None, *self.seen_users}
        )

    def sees_carry(self, row: Row) -> bool:
        both = {row["from_group_id"], row["to_group_id"]}
        return row["user_id"] == self.id or both <= self.groups

    def changes_settings(self, row: Row) -> bool:
        return (
            row.get("user_id") in self.students
            or row.get("group_id") in self.changed_groups
            or row.get("school_id") in self.administered
        )

    def expected(self, table: str) -> list[Row]:
        """The rows of a table that they see; of one that nothing is said about, none."""
        rows = self.district.rows[table]
        if table in FOR_EVERYBODY:
            return rows
        sees = SEES.get(table)
        return [row for row in rows if sees(self, row)] if sees else []


SEES: Final[Mapping[str, Callable[[Eyes, Row], bool]]] = {
    "schools": lambda me, row: row["id"] in me.seen_schools,
    "groups": lambda me, row: row["id"] in me.seen_groups,
    "users": lambda me, row: row["id"] in me.seen_users,
    "school_affiliations": lambda me, row: (
        row["user_id"] in me.seen_users and row["school_id"] in me.seen_schools
    ),
    "memberships": lambda me, row: row["id"] in me.memberships,
    "membership_spans": lambda me, row: row["membership_id"] in me.memberships,
    "training_settings": Eyes.sees_settings,
    "progress": lambda me, row: row["user_id"] == me.id or row["group_id"] in me.groups,
    "progress_carries": Eyes.sees_carry,
    "default_places": lambda me, row: row["user_id"] in me.seen_users,
    "eligibility_overrides": lambda me, row: row["user_id"] in me.seen_users,
    "errands": lambda me, row: row["requested_by"] == me.actor,
    "exports": lambda me, row: row["created_by"] == me.actor,
    "sessions": lambda me, row: row["user_id"] == me.id,
    "sign_in_attempts": lambda me, row: row["user_id"] == me.id,
    "sync_runs": lambda me, _: bool(me.administered),
    "sync_changes": Eyes.sees_change,
    "validation_errors": Eyes.sees_error,
}

CHANGES: Final[Mapping[str, Callable[[Eyes, Row], bool]]] = {
    "training_settings": Eyes.changes_settings,
    "default_places": lambda me, row: row["user_id"] in {me.id, *me.students},
    "errands": SEES["errands"],
    "exports": SEES["exports"],
    "sessions": SEES["sessions"],
    "audit_log": lambda me, row: row["actor"] == me.actor,
}


def everybody(district: District) -> list[Eyes]:
    """Who can sign in."""
    return [Eyes(district, row) for row in district.rows["users"] if row["archived_at"] is None]
