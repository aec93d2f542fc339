"""The counts that a generated night expects, against a recount of the written files."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from api.generator.package import expected_path, generate

ACTIONS = ("created", "updated", "archived", "restored", "unchanged", "rejected", "ignored")
TYPES = ("SCHOOL", "TERM", "COURSE", "GROUP", "USER", "MEMBERSHIP")
TAKEN_ROLES = {
    "student",
    "teacher",
    "aide",
    "administrator",
    "siteAdministrator",
    "districtAdministrator",
}
GUARDIAN_ROLES = {"guardian", "parent", "relative"}

Row = dict[str, str]
Spans = frozenset[tuple[str, ...]]
MembershipKey = tuple[str, str, str]


class Roster(NamedTuple):
    """What is stored after a night: the records by identifier, the memberships by their key."""

    records: dict[str, dict[str, Row]]
    memberships: dict[MembershipKey, Spans]


NOTHING = Roster({record_type: {} for record_type in TYPES}, {})


class Recount:
    """Reads a night's files against what is stored: slow, plain, and blind to the generator."""

    def __init__(self, folder: Path, stored: Roster) -> None:
        self.folder = folder
        self.stored = stored
        self.counts = {name: dict.fromkeys(("fetched", *ACTIONS), 0) for name in TYPES}
        self.errors: Counter[str] = Counter()
        self.present: dict[str, dict[str, Row]] = {}
        self.roles: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        if (folder / "roles.csv").exists():
            for row in read(folder, "roles"):
                self.roles[row["userSourcedId"]].append((row["role"], row["orgSourcedId"]))

    def run(self) -> Roster:
        self.returned = self.find_returned()
        records = {
            record_type: self.compare(record_type, read(self.folder, name))
            for record_type, name in (
                ("SCHOOL", "orgs"),
                ("TERM", "academicSessions"),
                ("COURSE", "courses"),
                ("GROUP", "classes"),
                ("USER", "users"),
            )
        }
        self.count_crowded_schools(records["USER"])
        return Roster(records, self.compare_memberships(records))

    def count_crowded_schools(self, users: dict[str, Row]) -> None:
        """Schools with students in several classes, by the first school of each."""
        classes: defaultdict[str, set[str]] = defaultdict(set)
        for row in read(self.folder, "enrollments"):
            if row["role"] == "student":
                classes[row["userSourcedId"]].add(row["classSourcedId"])
        crowded = {self.first_school(users[key]) for key in users if len(classes[key]) > 1}
        if crowded:
            self.errors["STUDENT_MULTI_GROUP"] = len(crowded)

    @staticmethod
    def first_school(user: Row) -> str:
        return user.get("primaryOrgSourcedId") or Recount.orgs_of(user)[0]

    def compare(self, record_type: str, rows: list[Row]) -> dict[str, Row]:
        stored = self.stored.records[record_type]
        kept: dict[str, Row] = {}
        seen: dict[str, Row] = {}
        for row in rows:
            source_id = row["sourcedId"]
            if record_type == "USER" and self.roles:
                row["roles"] = str(sorted(self.roles[source_id]))
            action = self.verdict(record_type, row, seen)
            if action == "taken":
                before = stored.get(source_id)
                action = self.action(before, row)
                kept[source_id] = row
            elif action == "rejected" and source_id in stored:
                kept.setdefault(source_id, stored[source_id])
            seen.setdefault(source_id, row)
            self.counts[record_type]["fetched"] += 1
            self.counts[record_type][action] += 1
        if record_type == "USER":
            kept |= {former: stored[former] for former in self.returned.values()}
        self.counts[record_type]["archived"] = len(stored.keys() - seen.keys() - kept.keys())
        return kept

    def find_returned(self) -> dict[str, str]:
        """New ids of people whom the number shows to be stored ones that are not there: the old."""
        rows, stored = read(self.folder, "users"), self.stored.records.get("USER", {})
        present = {row["sourcedId"] for row in rows}
        gone = {row["identifier"]: key for key, row in stored.items() if key not in present}
        return {
            row["sourcedId"]: gone[row["identifier"]]
            for row in rows
            if row["sourcedId"] not in stored and row["identifier"] in gone
        }

    def verdict(self, record_type: str, row: Row, seen: dict[str, Row]) -> str:
        if row["sourcedId"] in seen:
            return self.reject("ID_DUPLICATE")
        if record_type == "SCHOOL" and row["type"] != "school":
            return "ignored"
        return self.user_verdict(row) if record_type == "USER" else "taken"

    def user_verdict(self, row: Row) -> str:
        words = {role for role, _ in self.roles[row["sourcedId"]]} or {row.get("role", "")}
        if words <= GUARDIAN_ROLES:
            return "ignored"
        if not words <= TAKEN_ROLES:
            return self.reject("USER_ROLE_UNKNOWN")
        if row["sourcedId"] in self.returned:
            return self.reject("USER_ID_CHANGED")
        if not row["givenName"] and not row["familyName"]:
            return self.reject("USER_NAME_MISSING")
        schools = {org for _, org in self.roles[row["sourcedId"]]} or set(self.orgs_of(row))
        if words == {"student"} and len(schools) > 1:
            self.errors["STUDENT_MULTI_SCHOOL"] += 1
        if row["enabledUser"] == "false":
            self.errors["USER_DISABLED"] += 1
        return "taken"

    @staticmethod
    def orgs_of(row: Row) -> list[str]:
        return row.get("orgSourcedIds", "").split(",")

    def reject(self, code: str) -> str:
        self.errors[code] += 1
        return "rejected"

    def compare_memberships(self, records: dict[str, dict[str, Row]]) -> dict[MembershipKey, Spans]:
        counts = self.counts["MEMBERSHIP"]
        spans: defaultdict[MembershipKey, set[tuple[str, ...]]] = defaultdict(set)
        seen: set[str] = set()
        for row in read(self.folder, "enrollments"):
            counts["fetched"] += 1
            if row["userSourcedId"] in self.returned:
                counts["ignored"] += 1
                continue
            code = self.enrollment_problem(row, seen, records)
            seen.add(row["sourcedId"])
            if code:
                self.errors[code] += 1
                counts["rejected"] += 1
                continue
            key = (row["userSourcedId"], row["classSourcedId"], row["role"])
            spans[key].add((row["sourcedId"], row["beginDate"], row["endDate"], row["primary"]))
        present = {key: frozenset(value) for key, value in spans.items()}
        present |= {
            key: value
            for key, value in self.stored.memberships.items()
            if key[0] in self.returned.values() and key[1] in records["GROUP"]
        }
        for key, value in present.items():
            counts[self.action(self.stored.memberships.get(key), value)] += 1
        counts["archived"] = len(self.stored.memberships.keys() - present.keys())
        return present

    @staticmethod
    def enrollment_problem(
        row: Row, seen: set[str], records: dict[str, dict[str, Row]]
    ) -> str | None:
        if row["sourcedId"] in seen:
            return "ID_DUPLICATE"
        if row["userSourcedId"] not in records["USER"]:
            return "ENR_USER_MISSING"
        if row["classSourcedId"] not in records["GROUP"]:
            return "ENR_CLASS_MISSING"
        assert records["GROUP"][row["classSourcedId"]]["schoolSourcedId"] == row["schoolSourcedId"]
        return None

    @staticmethod
    def action(before: object, after: object) -> str:
        if before is None:
            return "created"
        return "unchanged" if before == after else "updated"


def read(folder: Path, name: str) -> list[Row]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def two_nights(
    tmp_path: Path, *, students: int, change: float, version: str = "1.1"
) -> tuple[Path, Path]:
    folders = (tmp_path / "night0", tmp_path / "night1")
    generate(folders[0], students=students, seed=3, version=version)
    generate(folders[1], students=students, seed=3, change=change, version=version)
    return folders


def assert_recounted(folder: Path, stored: Roster) -> Roster:
    recount = Recount(folder, stored)
    after = recount.run()
    expected = json.loads(expected_path(folder).read_text(encoding="utf-8"))
    assert expected["counts"] == recount.counts
    assert expected["errors"] == dict(recount.errors)
    return after


def accepted_students(roster: Roster) -> dict[str, Row]:
    return {key: row for key, row in roster.records["USER"].items() if row["role"] == "student"}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize(
    ("students", "change"),
    [(1, 1.0), (17, 0.5), (200, 0.01), (700, 0.001), (2000, 0.02), (2000, 1.0)],
)
def test_a_recount_of_both_nights_agrees(
    tmp_path: Path, version: str, students: int, change: float
) -> None:
    first, second = two_nights(tmp_path, students=students, change=change, version=version)
    after = assert_recounted(first, NOTHING)
    assert_recounted(second, after)
    assert len(read(first, "orgs")) > 1


@pytest.mark.parametrize("change", [0.02, 1.0])
def test_usernames_and_emails_are_unique_among_accepted_rows(tmp_path: Path, change: float) -> None:
    first, second = two_nights(tmp_path, students=2000, change=change)
    zero = Recount(first, NOTHING).run()
    for roster in (zero, Recount(second, zero).run()):
        people = roster.records["USER"].values()
        for field in ("username", "email"):
            values = [row[field] for row in people]
            assert all(value.isascii() for value in values)
            assert len({value.casefold() for value in values}) == len(values)


@pytest.mark.parametrize(("students", "change"), [(2000, 0.02), (200, 0.01), (200, 0.05)])
def test_every_kind_of_change_to_a_user_is_there(
    tmp_path: Path, students: int, change: float
) -> None:
    first, second = two_nights(tmp_path, students=students, change=change)
    expected = json.loads(expected_path(second).read_text(encoding="utf-8"))
    zero = Recount(first, NOTHING).run()
    before = accepted_students(zero)
    after = accepted_students(Recount(second, zero).run())
    gone = {key: before[key] for key in before.keys() - after.keys()}
    new = {key: after[key] for key in after.keys() - before.keys()}
    left_behind = {row["username"]: row for row in gone.values()}
    same_name = {
        row["identifier"] == left_behind[row["username"]]["identifier"]
        for row in new.values()
        if row["username"] in left_behind
    }
    assert same_name == {False}  # a username used again
    assert expected["errors"]["USER_ID_CHANGED"] >= 1
    assert any(row["username"] not in left_behind for row in new.values())
    assert left_behind.keys() - {row["username"] for row in new.values()}
    fields: Counter[str] = Counter()
    for key in before.keys() & after.keys():
        fields.update(name for name in before[key] if before[key][name] != after[key][name])
    assert fields["orgSourcedIds"] >= 1
    assert fields["familyName"] >= 1
    assert fields["enabledUser"] >= 1
    assert fields["username"] >= 2
    assert fields["username"] % 2 == 0
    assert fields["givenName"] == fields["role"] == fields["identifier"] == 0


@pytest.mark.parametrize(("students", "change"), [(2000, 0.02), (200, 0.01), (200, 0.05)])
def test_every_kind_of_change_to_sections_and_memberships_is_there(
    tmp_path: Path, students: int, change: float
) -> None:
    first, second = two_nights(tmp_path, students=students, change=change)
    expected = json.loads(expected_path(second).read_text(encoding="utf-8"))
    zero = Recount(first, NOTHING).run()
    one = Recount(second, zero).run()
    assert all(expected["counts"]["GROUP"][action] for action in ("created", "updated", "archived"))
    changed = [
        (zero.memberships[key], one.memberships[key])
        for key in zero.memberships.keys() & one.memberships.keys()
        if zero.memberships[key] != one.memberships[key]
    ]
    identifiers = {
        {span[0] for span in before} == {span[0] for span in after} for before, after in changed
    }
    assert identifiers == {True, False}  # an earlier end, and an enrollment issued anew
    assert expected["errors"].keys() == {
        "ENR_CLASS_MISSING",
        "ENR_USER_MISSING",
        "USER_ID_CHANGED",
        "ID_DUPLICATE",
        "STUDENT_MULTI_GROUP",
        "STUDENT_MULTI_SCHOOL",
        "USER_DISABLED",
        "USER_NAME_MISSING",
        "USER_ROLE_UNKNOWN",
    }
    assert expected["counts"]["USER"]["rejected"] >= 3
    assert expected["counts"]["MEMBERSHIP"]["rejected"] >= 3
    assert any_switch(zero, one)


def any_switch(before: Roster, after: Roster) -> bool:
    """Whether someone went from one section that is still there to another that was there."""
    there = before.records["GROUP"].keys() & after.records["GROUP"].keys()
    schools = {key: row["orgSourcedIds"] for key, row in after.records["USER"].items()}
    left, entered = (
        {
            key[0]
            for key in one.keys() - other.keys()
            if key[1] in there
            and key[0] in before.records["USER"]
            and schools.get(key[0]) == before.records["USER"][key[0]]["orgSourcedIds"]
        }
        for one, other in (
            (before.memberships, after.memberships),
            (after.memberships, before.memberships),
        )
    )
    return bool(left & entered)
