"""A district's rows as OneRoster's JSON, in the dialect of a version and of a vendor.

What REST tells beside the CSV rows: `children`, hrefs, and where the rows have none a constant
`dateLastModified` and the status `active`. Values are served as they are, wrong ones too. Roles
are told in the words of the version: an administrator of 1.1 becomes districtAdministrator or
siteAdministrator in 1.2; those and principal, systemAdministrator become administrator in 1.1,
counselor becomes aide.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.fakes.district import CHANGED_AT, District, Row, listed, metadata_of, standing_of

Object = dict[str, Any]

HREF_HOST: Final = "https://roster.example.org"
"""Of another host than the one asked, as real ones are. Nobody should follow them."""

_BASES: Final = {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}
_TO_1_1: Final = {
    "districtAdministrator": "administrator",
    "siteAdministrator": "administrator",
    "systemAdministrator": "administrator",
    "principal": "administrator",
    "counselor": "aide",
}
_USER_ID = re.compile(r"\{([^:}]*):([^}]*)\}")
_BOOLEANS: Final = {"true": True, "false": False}


class Dialect(NamedTuple):
    """`has_text_booleans`: as ClassLink writes 1.1. `is_sloppy`: as 1EdTech's own server does."""

    version: str = "1.1"
    has_text_booleans: bool = False
    is_sloppy: bool = False

    @property
    def is_1_2(self) -> bool:
        return self.version == "1.2"

    def boolean(self, text: str) -> bool | str:
        if self.is_sloppy:
            return _BOOLEANS.get(text.lower(), text)
        is_text = self.is_1_2 or self.has_text_booleans
        return text if is_text else _BOOLEANS.get(text.lower(), text)


class Shapes:
    """Makes the objects of one district in one dialect."""

    def __init__(self, district: District, dialect: Dialect) -> None:
        self._district = district
        self._dialect = dialect
        self._base = HREF_HOST + _BASES[dialect.version]
        self._org_children: dict[str, list[str]] = _children(district, "orgs")
        self._session_children: dict[str, list[str]] = _children(district, "academicSessions")

    def _ref(self, collection: str, source_id: str, kind: str) -> Object:
        return {
            "href": f"{self._base}/{collection}/{source_id}",
            "sourcedId": source_id,
            "type": kind,
        }

    def _org_ref(self, source_id: str) -> Object:
        kind = self._district.org_types.get(source_id, "org") if self._dialect.is_sloppy else "org"
        return self._ref("orgs", source_id, kind)

    def _session_ref(self, source_id: str) -> Object:
        kind = "academicSession"
        if self._dialect.is_sloppy:
            kind = self._district.session_types.get(source_id, kind)
        return self._ref("academicSessions", source_id, kind)

    def _base_of(self, row: Row) -> Object:
        found: Object = {
            "sourcedId": row.get("sourcedId", ""),
            "status": row.get("status") or "active",
            "dateLastModified": row.get("dateLastModified") or CHANGED_AT,
        }
        if metadata := metadata_of(row):
            found["metadata"] = metadata
        elif self._dialect.is_sloppy:
            found["metadata"] = []
        return found

    def _parent(self, ref: Object | None) -> Object:
        if ref is not None:
            return {"parent": ref}
        return {"parent": []} if self._dialect.is_sloppy else {}

    def org(self, row: Row) -> Object:
        parent = row.get("parentSourcedId", "")
        return {
            **self._base_of(row),
            "name": row.get("name", ""),
            "type": row.get("type", ""),
            "identifier": row.get("identifier", ""),
            **self._parent(self._org_ref(parent) if parent else None),
            "children": [
                self._org_ref(child) for child in self._org_children.get(row["sourcedId"], ())
            ],
        }

    def session(self, row: Row) -> Object:
        parent = row.get("parentSourcedId", "")
        children = self._session_children.get(row["sourcedId"], ())
        year = row.get("schoolYear", "")
        return {
            **self._base_of(row),
            "title": row.get("title", ""),
            "startDate": row.get("startDate", ""),
            "endDate": row.get("endDate", ""),
            "type": row.get("type", ""),
            **self._parent(self._session_ref(parent) if parent else None),
            "children": [self._session_ref(child) for child in children],
            "schoolYear": int(year) if self._dialect.is_sloppy and year.isdecimal() else year,
        }

    def course(self, row: Row) -> Object:
        found = {
            **self._base_of(row),
            "title": row.get("title", ""),
            "courseCode": row.get("courseCode", ""),
            "grades": listed(row.get("grades", "")),
            "subjects": self._words(row.get("subjects", "")),
            "subjectCodes": listed(row.get("subjectCodes", "")),
            "resources": [],
        }
        if year := row.get("schoolYearSourcedId", ""):
            ref = self._session_ref(year)
            found["schoolYear"] = [ref] if self._dialect.is_sloppy else ref
        if org := row.get("orgSourcedId", ""):
            found["org"] = self._org_ref(org)
        return found

    def _words(self, text: str) -> list[str] | str:
        """A list; the sloppy one writes a single word without one."""
        words = listed(text)
        return words[0] if self._dialect.is_sloppy and len(words) == 1 else words

    def class_(self, row: Row) -> Object:
        return {
            **self._base_of(row),
            "title": row.get("title", ""),
            "classCode": row.get("classCode", ""),
            "classType": row.get("classType", ""),
            "location": row.get("location", ""),
            "grades": listed(row.get("grades", "")),
            "subjects": self._words(row.get("subjects", "")),
            "course": self._ref("courses", row.get("courseSourcedId", ""), "course"),
            "school": self._org_ref(row.get("schoolSourcedId", "")),
            "terms": [self._session_ref(term) for term in listed(row.get("termSourcedIds", ""))],
            "subjectCodes": listed(row.get("subjectCodes", "")),
            "periods": listed(row.get("periods", "")),
            "resources": [],
        }

    def enrollment(self, row: Row) -> Object:
        found = {
            **self._base_of(row),
            "user": self._ref("users", row.get("userSourcedId", ""), "user"),
            "class": self._ref("classes", row.get("classSourcedId", ""), "class"),
            "school": self._org_ref(row.get("schoolSourcedId", "")),
            "role": row.get("role", ""),
        }
        if primary := row.get("primary", ""):
            is_text = self._dialect.is_sloppy
            found["primary"] = primary if is_text else self._dialect.boolean(primary)
        for name in ("beginDate", "endDate"):
            if day := row.get(name, ""):
                found[name] = day
        return found

    def user(self, row: Row) -> Object:
        return self._user_1_2(row) if self._dialect.is_1_2 else self._user_1_1(row)

    def _user_1_1(self, row: Row) -> Object:
        standing = standing_of(self._district, row)
        return {
            **self._base_of(row),
            "username": row.get("username", ""),
            "userIds": _user_ids(row),
            "enabledUser": self._dialect.boolean(row.get("enabledUser", "")),
            "givenName": row.get("givenName", ""),
            "familyName": row.get("familyName", ""),
            "middleName": row.get("middleName", ""),
            "role": _TO_1_1.get(standing.role, standing.role),
            "identifier": row.get("identifier", ""),
            "email": row.get("email", ""),
            "sms": row.get("sms", ""),
            "phone": row.get("phone", ""),
            "agents": self._agents(row),
            "orgs": [self._org_ref(org) for org in standing.orgs],
            "grades": listed(row.get("grades", "")),
            "password": row.get("password", ""),
        }

    def _user_1_2(self, row: Row) -> Object:
        found = {
            **self._base_of(row),
            "userIds": _user_ids(row),
            "enabledUser": self._dialect.boolean(row.get("enabledUser", "")),
            "givenName": row.get("givenName", ""),
            "familyName": row.get("familyName", ""),
            "roles": self._roles(row),
            "userProfiles": [],
            "agents": self._agents(row),
            "grades": listed(row.get("grades", "")),
            "resources": [],
        }
        for name, column in _TEXTS_1_2:
            if text := row.get(column, ""):
                found[name] = text
        standing = standing_of(self._district, row)
        if main := row.get("primaryOrgSourcedId") or next(iter(standing.orgs), ""):
            found["primaryOrg"] = self._org_ref(main)
        return found

    def _roles(self, row: Row) -> list[Object]:
        if self._district.has_roles:
            rows = self._district.roles.get(row["sourcedId"], ())
            return [self._role(role) for role in rows]
        standing = standing_of(self._district, row)
        word = standing.role
        if word == "administrator":
            above = standing.orgs and not any(map(self._district.is_school, standing.orgs))
            word = "districtAdministrator" if above else "siteAdministrator"
        return [
            {"roleType": "primary", "role": word, "org": self._org_ref(org)}
            for org in standing.orgs or ("",)
        ]

    def _role(self, row: Row) -> Object:
        found = {
            "roleType": row.get("roleType", ""),
            "role": row.get("role", ""),
            "org": self._org_ref(row.get("orgSourcedId", "")),
        }
        dates = {name: row.get(name, "") for name in ("beginDate", "endDate")}
        return {**found, **{name: day for name, day in dates.items() if day}}

    def _agents(self, row: Row) -> list[Object]:
        return [
            self._ref("users", agent, "user") for agent in listed(row.get("agentSourcedIds", ""))
        ]


_TEXTS_1_2: Final = (
    ("username", "username"),
    ("userMasterIdentifier", "userMasterIdentifier"),
    ("middleName", "middleName"),
    ("preferredFirstName", "preferredGivenName"),
    ("preferredMiddleName", "preferredMiddleName"),
    ("preferredLastName", "preferredFamilyName"),
    ("pronouns", "pronouns"),
    ("identifier", "identifier"),
    ("email", "email"),
    ("sms", "sms"),
    ("phone", "phone"),
    ("password", "password"),
)


def _children(district: District, name: str) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for row in district.rows(name):
        if parent := row.get("parentSourcedId"):
            children.setdefault(parent, []).append(row["sourcedId"])
    return children


def _user_ids(row: Row) -> list[Mapping[str, str]]:
    return [
        {"type": kind, "identifier": identifier}
        for kind, identifier in _USER_ID.findall(row.get("userIds", ""))
    ]
