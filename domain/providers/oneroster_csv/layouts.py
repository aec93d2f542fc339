"""The files of a OneRoster package that are read, and the columns of each."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from domain.providers.oneroster.people import eligibility_column
from domain.roster.records import RecordType
from domain.roster.source import Eligibility


class Layout(NamedTuple):
    """`mapped` columns are read, `required` ones must be there, `unread` ones are only known.

    Real files lack columns that the standard asks for; required is what a record needs.
    """

    file: str
    record_type: RecordType
    mapped: tuple[str, ...]
    required: frozenset[str]
    unread: frozenset[str] = frozenset()


MANIFEST: Final = "manifest.csv"
ROLES: Final = "roles.csv"
STATUS_COLUMNS: Final = ("status", "dateLastModified")

MISSPELT: Final[Mapping[str, str]] = {
    "datalastmodified": "dateLastModified",
    "prefferedgivenname": "preferredGivenName",
    "prefferedfamilyname": "preferredFamilyName",
    "prefferedmiddlename": "preferredMiddleName",
}
"""Misspellings that exporters are known for, in lower case."""


def _layout(
    file: str, record_type: RecordType, *, required: str, optional: str = "", unread: str = ""
) -> Layout:
    """Columns as words in one string; the three that every file begins with are added."""
    needed = ("sourcedId", *required.split())
    return Layout(
        file,
        record_type,
        (*needed, *STATUS_COLUMNS, *optional.split()),
        frozenset(needed),
        frozenset(unread.split()),
    )


MANIFEST_LAYOUT: Final = Layout(
    MANIFEST,
    RecordType.SCHOOL,
    ("propertyName", "value"),
    frozenset({"propertyName", "value"}),
)

_USER_UNREAD = (
    "middleName sms phone agentSourcedIds password userMasterIdentifier"
    " resourceSourcedIds preferredMiddleName pronouns"
)
_USER_OPTIONAL = "userIds identifier email grades preferredGivenName preferredFamilyName"

COLLECTIONS: Final[Mapping[RecordType, Layout]] = {
    layout.record_type: layout
    for layout in (
        _layout(
            "orgs.csv",
            RecordType.SCHOOL,
            required="name type",
            optional="identifier parentSourcedId",
        ),
        _layout(
            "academicSessions.csv",
            RecordType.TERM,
            required="title type startDate endDate",
            optional="parentSourcedId",
            unread="schoolYear",
        ),
        _layout(
            "courses.csv",
            RecordType.COURSE,
            required="title",
            optional="courseCode subjects",
            unread="schoolYearSourcedId grades orgSourcedId subjectCodes",
        ),
        _layout(
            "classes.csv",
            RecordType.GROUP,
            required="title schoolSourcedId courseSourcedId termSourcedIds",
            optional="classCode classType grades subjects periods",
            unread="location subjectCodes",
        ),
        _layout(
            "users.csv",
            RecordType.USER,
            required="enabledUser username givenName familyName orgSourcedIds role",
            optional=_USER_OPTIONAL,
            unread=f"{_USER_UNREAD} primaryOrgSourcedId",
        ),
        _layout(
            "enrollments.csv",
            RecordType.MEMBERSHIP,
            required="classSourcedId userSourcedId role",
            optional="primary beginDate endDate",
            unread="schoolSourcedId",
        ),
    )
}
"""Of OneRoster 1.1, parents first."""

USERS_1_2: Final = _layout(
    "users.csv",
    RecordType.USER,
    required="enabledUser username givenName familyName",
    optional=f"{_USER_OPTIONAL} primaryOrgSourcedId",
    unread=_USER_UNREAD,
)

ROLES_LAYOUT: Final = _layout(
    ROLES,
    RecordType.USER,
    required="userSourcedId roleType role orgSourcedId",
    optional="beginDate endDate",
    unread="userProfileSourcedId",
)

ROSTERING_FILES: Final[tuple[str, ...]] = (
    *(layout.file for layout in COLLECTIONS.values()),
    ROLES,
)

_UNREAD_FILES = (
    "categories classResources courseResources demographics lineItems resources results"
    " lineItemLearningObjectiveIds lineItemScoreScales resultLearningObjectiveIds"
    " resultScoreScales scoreScales userProfiles userResources"
)
UNREAD_FILES: Final = frozenset(f"{name}.csv".lower() for name in _UNREAD_FILES.split())
"""Part of OneRoster and not of rostering: never opened, whatever they are. In lower case."""

READ_FILES: Final[Mapping[str, str]] = {name.lower(): name for name in (MANIFEST, *ROSTERING_FILES)}
"""The right spelling by the one in lower case."""


def collections_of(
    version: str, eligibility: Eligibility | None = None
) -> Mapping[RecordType, Layout]:
    """The layouts of a version of OneRoster, parents first.

    A column that says who is eligible must be there: without it nobody would be.
    """
    users = COLLECTIONS[RecordType.USER] if version == "1.1" else USERS_1_2
    if eligibility is not None:
        column = eligibility_column(eligibility)
        users = users._replace(mapped=(*users.mapped, column), required=users.required | {column})
    return {**COLLECTIONS, RecordType.USER: users}


def files_of(version: str) -> tuple[str, ...]:
    """The rostering files of a version."""
    return tuple(name for name in ROSTERING_FILES if version != "1.1" or name != ROLES)
