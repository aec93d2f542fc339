"""OneRoster CSV: the files of a package, their headers and their rows."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from api.generator.district import Org, Term
from api.generator.people import User
from api.generator.timetable import Course, Membership, Section

BUFFER_BYTES = 1 << 18
BASE = ("sourcedId", "status", "dateLastModified")
# Bulk files leave status and dateLastModified blank.
BULK = ("", "")
SCHOOL_YEAR = "2027"


class Version(StrEnum):
    V1_1 = "1.1"
    V1_2 = "1.2"


ALL_FILES = {
    Version.V1_1: (
        "academicSessions categories classes classResources courses courseResources demographics"
        " enrollments lineItems orgs resources results users"
    ),
    Version.V1_2: (
        "academicSessions categories classes classResources courses courseResources demographics"
        " enrollments lineItemLearningObjectiveIds lineItems lineItemScoreScales orgs resources"
        " resultLearningObjectiveIds results resultScoreScales roles scoreScales userProfiles"
        " userResources users"
    ),
}
HEADERS = {
    "academicSessions": "title type startDate endDate parentSourcedId schoolYear",
    "orgs": "name type identifier parentSourcedId",
    "courses": "schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes",
    "classes": (
        "title grades courseSourcedId classCode classType location schoolSourcedId"
        " termSourcedIds subjects subjectCodes periods"
    ),
    "enrollments": "classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
}
USER_HEADERS = {
    Version.V1_1: (
        "enabledUser orgSourcedIds role username userIds givenName familyName middleName"
        " identifier email sms phone agentSourcedIds grades password"
    ),
    Version.V1_2: (
        "enabledUser username userIds givenName familyName middleName identifier email sms phone"
        " agentSourcedIds grades password userMasterIdentifier preferredGivenName"
        " preferredMiddleName preferredFamilyName primaryOrgSourcedId pronouns"
    ),
}
ROLES_HEADER = "userSourcedId roleType role beginDate endDate orgSourcedId userProfileSourcedId"
# 1.1 has one word for those who administer a school and those who administer a district.
ROLES_1_1 = {"districtAdministrator": "administrator", "siteAdministrator": "administrator"}

Row = Sequence[str]


def headers(version: Version) -> dict[str, tuple[str, ...]]:
    """The files that are written, with their columns."""
    columns = HEADERS | {"users": USER_HEADERS[version]}
    if version is Version.V1_2:
        columns |= {"roles": ROLES_HEADER}
    return {name: (*BASE, *columns[name].split()) for name in sorted(columns)}


class Package:
    """The open files of one folder. Rows go out as they come: nothing is kept."""

    def __init__(self, folder: Path, version: Version) -> None:
        self.version = version
        self._folder = folder
        self._stack = ExitStack()
        # csv gives its writers no name that can be written in an annotation.
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        columns = headers(self.version)
        _prepare(self._folder, {"manifest", *columns})
        with ExitStack() as stack:
            for name, header in columns.items():
                path = self._folder / f"{name}.csv"
                file = path.open("w", buffering=BUFFER_BYTES, encoding="utf-8", newline="")
                self._writers[name] = csv.writer(stack.enter_context(file))
                self._writers[name].writerow(header)
            self._stack = stack.pop_all()
        self._write_manifest()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def write(self, name: str, rows: Iterable[Row]) -> None:
        self._writers[name].writerows(rows)

    def _write_manifest(self) -> None:
        written = headers(self.version)
        path = self._folder / "manifest.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("propertyName", "value"))
            writer.writerow(("manifest.version", "1.0"))
            writer.writerow(("oneroster.version", self.version.value))
            for name in ALL_FILES[self.version].split():
                writer.writerow((f"file.{name}", "bulk" if name in written else "absent"))
            writer.writerow(("source.systemName", "Homerow district generator"))
            writer.writerow(("source.systemCode", "homerow"))


def org_row(org: Org) -> Row:
    return (org.source_id, *BULK, org.name, org.type, org.identifier, org.parent_id)


def term_row(term: Term) -> Row:
    return (
        term.source_id,
        *BULK,
        term.title,
        term.type,
        term.begin,
        term.end,
        term.parent_id,
        SCHOOL_YEAR,
    )


def course_row(course: Course) -> Row:
    return (
        course.source_id,
        *BULK,
        course.year_id,
        course.title,
        course.code,
        course.grade,
        course.org_id,
        course.subject,
        "",
    )


def section_row(section: Section) -> Row:
    return (
        section.source_id,
        *BULK,
        section.title,
        ",".join(section.grades),
        section.course_id,
        section.code,
        "homeroom" if section.offer.is_homeroom else "scheduled",
        section.room,
        section.school_id,
        ",".join(section.term_ids),
        section.offer.subject,
        "",
        section.period,
    )


def user_row_1_1(user: User) -> Row:
    return (
        user.source_id,
        *BULK,
        _boolean(user.is_enabled),
        ",".join(user.org_ids),
        ROLES_1_1.get(user.role, user.role),
        user.username,
        *_user_middle(user),
    )


def user_row_1_2(user: User) -> Row:
    return (
        user.source_id,
        *BULK,
        _boolean(user.is_enabled),
        user.username,
        *_user_middle(user),
        "",
        "",
        "",
        "",
        user.org_ids[0],
        "",
    )


def role_rows(role_ids: Sequence[str], user: User) -> Iterator[Row]:
    """A primary role in each school: a role is primary for an org, not for the person."""
    for role_id, org_id in zip(role_ids, user.org_ids, strict=True):
        yield (role_id, *BULK, user.source_id, "primary", user.role, "", "", org_id, "")


def membership_rows(membership: Membership) -> Iterator[Row]:
    for span in membership.spans:
        yield (
            span.source_id,
            "",
            "",
            membership.section_id,
            membership.school_id,
            membership.user_id,
            membership.role,
            _boolean(span.is_primary),
            span.begin,
            span.end,
        )


def _user_middle(user: User) -> Row:
    """The columns from userIds to password, which both versions have in this order."""
    return (
        "",
        user.given,
        user.family,
        "",
        user.identifier,
        user.email,
        "",
        "",
        user.agent_id,
        user.grade,
        "",
    )


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _prepare(folder: Path, names: set[str]) -> None:
    """Make the folder. A package holds nothing but its files, so others are not tolerated."""
    folder.mkdir(parents=True, exist_ok=True)
    strange = sorted({path.name for path in folder.iterdir()} - {f"{name}.csv" for name in names})
    if strange:
        raise FileExistsError(f"{folder} holds files that are not of this package: {strange}")
