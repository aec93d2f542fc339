"""A district's rows as the objects of Clever's Data API.

What Clever cannot tell, so that a roster read from it has not got it:

- whether a person is enabled (`enabledUser`); and preferred names, but for students in v3.1;
- what a term is (semester, school year) and which is part of which; the real one has only the
  terms that a section names, this one has every academic session;
- more than one term, one grade and one subject of a section, and its room and kind (homeroom);
  subjects are words of Clever's own list; courses have a name and a number only;
- a section without a student: it is not served at all;
- when an enrollment begins and ends, its own id, and that somebody was enrolled twice; members
  other than students and teachers (aides, proctors, administrators); who is primary, but for one
  teacher of a section;
- organisations that are no schools; which organisation is part of which;
- what kind of staff or administrator somebody is: aides, counselors, proctors, principals and
  administrators of a school are all `staff`;
- more than one grade of a student; whether a student has left while their row stays;
- rows that never get into Clever: without an id, of an unknown role, deleted, and of rows with
  the same id all but the last.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from tests.fakes.district import District, Row, clever_id, listed, metadata_of, standing_of

CREATED: Final = "2026-07-01T12:00:00.000Z"
MODIFIED: Final = "2026-08-01T12:00:00.000Z"

Object = dict[str, Any]

_GRADES: Final = {
    "IT": "InfantToddler",
    "PR": "Preschool",
    "PK": "PreKindergarten",
    "TK": "TransitionalKindergarten",
    "KG": "Kindergarten",
    **{f"{number:02d}": str(number) for number in range(1, 14)},
    "PS": "PostGraduate",
    "UG": "Ungraded",
    "": "",
}
_SUBJECTS: Final = (
    ("homeroom", "homeroom/advisory"),
    ("advisory", "homeroom/advisory"),
    ("english", "english/language arts"),
    ("reading", "english/language arts"),
    ("writing", "english/language arts"),
    ("math", "math"),
    ("social", "social studies"),
    ("history", "social studies"),
    ("science", "science"),
    ("language", "language"),
    ("keyboarding", "technology and engineering"),
    ("computing", "technology and engineering"),
    ("physical", "PE and health"),
    ("art", "arts and music"),
    ("music", "arts and music"),
)
_STAFF: Final = frozenset({"aide", "counselor", "proctor", "principal", "siteAdministrator"})
_DISTRICT_ADMINS: Final = frozenset({"districtAdministrator", "systemAdministrator"})
_RELATIONSHIPS: Final = {
    "parent": ("Parent", "Parent/Guardian"),
    "guardian": ("Other", "Parent/Guardian"),
    "relative": ("Other", "Family"),
}


def district_id(district: District) -> str:
    for org, kind in district.org_types.items():
        if kind == "district":
            return clever_id("district", org)
    return clever_id("district", "")


def district_object(district: District, *, moves: int) -> Object:
    """`moves`: how often somebody said that the district was synced since its files changed."""
    written_at = district.written_at + timedelta(seconds=moves)
    found = {
        "id": district_id(district),
        "name": next((r["name"] for r in district.rows("orgs") if r["type"] == "district"), ""),
        "district_contact": {
            "id": clever_id("contact", "district"),
            "district": district_id(district),
            "email": "roster@example.org",
            "name": {"first": "Robin", "last": "Rivers"},
            "title": "",
        },
        "error": "",
        "last_sync": written_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{written_at:%f}"[:3] + "Z",
        "launch_date": "2026-07-01",
        "login_methods": ["Clever Passwords"],
        "portal_url": "https://clever.example/in/fake-district",
        "sis_type": "sftp",
        "state": "running",
    }
    side: Mapping[str, Any] = district.side.get("district", {})
    return {**found, **side}


def grade_of(code: str) -> str:
    return _GRADES.get(code.zfill(2) if code.isdecimal() else code, "Other")


def subject_of(words: str) -> str:
    subjects = listed(words)
    if not subjects:
        return ""
    folded = subjects[0].casefold()
    return next((subject for word, subject in _SUBJECTS if word in folded), "other")


def kept_rows(district: District, name: str) -> Iterator[Row]:
    """Those that could have got into Clever; of several with one id the last."""
    by_id = {row["sourcedId"]: row for row in district.rows(name) if row.get("sourcedId")}
    for row in by_id.values():
        if row.get("status", "") in {"", "active"}:
            yield row


def schools(district: District) -> Iterator[Object]:
    for row in kept_rows(district, "orgs"):
        if row["type"] == "school":
            yield {
                "id": clever_id("school", row["sourcedId"]),
                "district": district_id(district),
                "name": row["name"],
                "sis_id": row["sourcedId"],
                "school_number": row.get("identifier", ""),
                "state_id": "",
                "low_grade": "",
                "high_grade": "",
                "phone": "",
                "principal": {"name": "", "email": ""},
                "location": {"address": "", "city": "", "state": "", "zip": ""},
                "ext": metadata_of(row),
                "created": CREATED,
                "last_modified": MODIFIED,
            }


def terms(district: District) -> Iterator[Object]:
    for row in kept_rows(district, "academicSessions"):
        yield {
            "id": clever_id("term", row["sourcedId"]),
            "district": district_id(district),
            "name": row["title"],
            "start_date": row["startDate"],
            "end_date": _last_day(row["endDate"]),
        }


def _last_day(end: str) -> str:
    """Clever's terms end on a day that is in them; OneRoster's on the first that is not."""
    try:
        return (date.fromisoformat(end) - timedelta(days=1)).isoformat()
    except ValueError:
        return end


def courses(district: District) -> Iterator[Object]:
    for row in kept_rows(district, "courses"):
        yield {
            "id": clever_id("course", row["sourcedId"]),
            "district": district_id(district),
            "name": row["title"],
            "number": row.get("courseCode", ""),
        }


class Members(NamedTuple):
    """Of a section, in the order of the rows. `primary` is a teacher, if any."""

    students: dict[str, None]
    teachers: dict[str, None]
    primary: list[str]


def sections(district: District) -> Iterator[Object]:
    members = _members(district)
    for row in kept_rows(district, "classes"):
        found = members.get(row["sourcedId"])
        if found and found.students:
            yield _section(district, row, found)


def _members(district: District) -> dict[str, Members]:
    members: dict[str, Members] = {}
    person: dict[str, str] = {}
    for row in district.rows("enrollments"):
        role = row["role"].lower()
        if role not in {"student", "teacher"} or row.get("status", "") not in {"", "active"}:
            continue
        if not row["userSourcedId"] or not row.get("sourcedId"):
            continue
        user = row["userSourcedId"]
        user_id = person.get(user) or person.setdefault(user, clever_id("user", user))
        found = members.setdefault(row["classSourcedId"], Members({}, {}, []))
        (found.students if role == "student" else found.teachers)[user_id] = None
        if role == "teacher" and row.get("primary", "").lower() in {"true", "1"}:
            found.primary.append(user_id)
    return members


def _section(district: District, row: Row, members: Members) -> Object:
    teachers = list(members.teachers)
    term = listed(row["termSourcedIds"])
    course = row["courseSourcedId"]
    return {
        "id": clever_id("section", row["sourcedId"]),
        "district": district_id(district),
        "school": clever_id("school", row["schoolSourcedId"]),
        "name": row["title"],
        "sis_id": row["sourcedId"],
        "section_number": row.get("classCode", ""),
        "subject": subject_of(row.get("subjects", "")),
        "grade": grade_of(next(iter(listed(row.get("grades", ""))), "")),
        "period": next(iter(listed(row.get("periods", ""))), ""),
        "course": clever_id("course", course) if course else "",
        "term_id": clever_id("term", term[0]) if term else "",
        "students": list(members.students),
        "teachers": teachers,
        "teacher": next(iter([*members.primary, *teachers]), ""),
        "ext": metadata_of(row),
        "created": CREATED,
        "last_modified": MODIFIED,
    }


def users(district: District, *, has_preferred_names: bool = False) -> Iterator[Object]:
    """`has_preferred_names`: as v3.1 has them."""
    wards = _wards(district)
    for row in kept_rows(district, "users"):
        standing = standing_of(district, row)
        role = _role_of(district, standing.role, standing.orgs)
        if role is None:
            continue
        at = [clever_id("school", org) for org in standing.orgs if district.is_school(org)]
        found = _user(district, row, role=role, at=at)
        if role == "contact":
            found["roles"]["contact"]["student_relationships"] = [
                {"student": student, "relationship": relationship, "type": kind}
                for student in wards.get(row["sourcedId"], ())
                for relationship, kind in [_RELATIONSHIPS[standing.role]]
            ]
        if role == "student" and has_preferred_names:
            found["roles"]["student"]["preferred_name"] = {
                "first": row.get("preferredGivenName", ""),
                "middle": row.get("preferredMiddleName", ""),
                "last": row.get("preferredFamilyName", ""),
            }
        yield found


def _role_of(district: District, word: str, orgs: tuple[str, ...]) -> str | None:
    """Clever's key of a role, None where it has none."""
    if word == "administrator":
        above = bool(orgs) and not any(map(district.is_school, orgs))
        return "district_admin" if above else "staff"
    if word in _DISTRICT_ADMINS:
        return "district_admin"
    if word in _STAFF:
        return "staff"
    if word in _RELATIONSHIPS:
        return "contact"
    return word if word in {"student", "teacher"} else None


def _wards(district: District) -> Mapping[str, list[str]]:
    """The students of each guardian. Either side's row may name the other."""
    wards: dict[str, list[str]] = {}
    for row in district.rows("users"):
        is_student = standing_of(district, row).role == "student"
        for other in listed(row.get("agentSourcedIds", "")):
            guardian, student = (
                (other, row["sourcedId"]) if is_student else (row["sourcedId"], other)
            )
            wards.setdefault(guardian, []).append(clever_id("user", student))
    return wards


def _user(district: District, row: Row, *, role: str, at: list[str]) -> Object:
    given, family = row["givenName"], row["familyName"]
    name = {"first": given, "last": family, "middle": row.get("middleName", "")}
    if role == "contact":
        name = {"last": f"{given} {family}".strip()}
    return {
        "id": clever_id("user", row["sourcedId"]),
        "district": district_id(district),
        "name": name,
        "email": row.get("email", ""),
        "created": CREATED,
        "last_modified": MODIFIED,
        "roles": {role: _ROLE_OBJECTS[role](row, at)},
    }


def _student(row: Row, at: list[str]) -> Object:
    return {
        "school": at[0] if at else "",
        "schools": at,
        "sis_id": row["sourcedId"],
        "student_number": row.get("identifier", ""),
        "grade": grade_of(next(iter(listed(row.get("grades", ""))), "")),
        "credentials": {"district_username": row["username"]},
        "email": row.get("email", ""),
        "enrollments": [],
        "ext": metadata_of(row),
        # What a district may share although nobody needs it: a reader must let it lie.
        "state_id": f"STATE-{row['sourcedId']}",
        "dob": "2/29/2012",
        "gender": "X",
        "race": "Unknown",
        "hispanic_ethnicity": "N",
        "graduation_year": "",
        "location": {"address": "1 Secret Street", "city": "", "state": "", "zip": "99999"},
    }


def _teacher(row: Row, at: list[str]) -> Object:
    return {
        "school": at[0] if at else "",
        "schools": at,
        "sis_id": row["sourcedId"],
        "teacher_number": row.get("identifier", ""),
        "state_id": "",
        "title": "",
        "credentials": {"district_username": row["username"]},
        "ext": metadata_of(row),
        "legacy_id": clever_id("legacy teacher", row["sourcedId"]),
    }


def _staff(row: Row, at: list[str]) -> Object:
    return {
        "schools": at,
        "staff_id": row.get("identifier", ""),
        "title": "",
        "department": "",
        "credentials": {"district_username": row["username"]},
        "ext": metadata_of(row),
        "legacy_id": clever_id("legacy staff", row["sourcedId"]),
    }


def _district_admin(row: Row, _at: list[str]) -> Object:
    return {"title": "", "legacy_id": clever_id("legacy district admin", row["sourcedId"])}


def _contact(row: Row, _at: list[str]) -> Object:
    return {
        "phone": row.get("phone", ""),
        "phone_type": "Other",
        "sis_id": row["sourcedId"],
        "student_relationships": [],
        "legacy_id": clever_id("legacy contact", row["sourcedId"]),
    }


_ROLE_OBJECTS: Final = {
    "student": _student,
    "teacher": _teacher,
    "staff": _staff,
    "district_admin": _district_admin,
    "contact": _contact,
}
