"""Small OneRoster districts made by hand: kept in memory, changed by night, written as CSV."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BASE = "sourcedId,status,dateLastModified"
COLUMNS = {
    "orgs": f"{BASE},name,type,identifier,parentSourcedId",
    "academicSessions": f"{BASE},title,type,startDate,endDate,parentSourcedId,schoolYear",
    "courses": (
        f"{BASE},schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"
    ),
    "classes": (
        f"{BASE},title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,"
        "termSourcedIds,subjects,subjectCodes,periods"
    ),
    "users": (
        f"{BASE},enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
        "identifier,email,sms,phone,agentSourcedIds,grades,password"
    ),
    "enrollments": (
        f"{BASE},classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"
    ),
}
Row = dict[str, str]


class File:
    """The rows of one file, in their order. An id may be there twice: then the first is meant."""

    def __init__(self, name: str) -> None:
        self.columns = COLUMNS[name].split(",")
        self.rows: list[Row] = []

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, source_id: str) -> Row:
        return next(row for row in self.rows if row["sourcedId"] == source_id)

    def add(self, source_id: str, **cells: str) -> Row:
        row = dict.fromkeys(self.columns, "") | {"sourcedId": source_id} | cells
        assert len(row) == len(self.columns), "a cell of no column"
        self.rows.append(row)
        return row

    def change(self, source_id: str, **cells: str) -> None:
        row = self[source_id]
        assert row.keys() >= cells.keys(), "a cell of no column"
        row.update(cells)

    def take(self, source_id: str) -> Row:
        """Take the row out; `put` brings it back, at the end."""
        row = self[source_id]
        self.rows.remove(row)
        return row

    def take_where(self, **cells: str) -> list[Row]:
        taken = [row for row in self.rows if cells.items() <= row.items()]
        self.rows = [row for row in self.rows if row not in taken]
        return taken

    def put(self, *rows: Row) -> None:
        self.rows.extend(rows)

    def write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


class CsvDistrict:
    """A district as OneRoster 1.1 files. It begins with the organisation `d1` and nothing else."""

    def __init__(self) -> None:
        self.orgs = File("orgs")
        self.terms = File("academicSessions")
        self.courses = File("courses")
        self.classes = File("classes")
        self.users = File("users")
        self.enrollments = File("enrollments")
        self.orgs.add("d1", name="District", type="district")

    @property
    def files(self) -> Mapping[str, File]:
        files = (
            self.orgs, self.terms, self.courses, self.classes, self.users, self.enrollments,
        )  # fmt: skip
        return dict(zip(COLUMNS, files, strict=True))

    def school(self, source_id: str, name: str, **cells: str) -> None:
        self.orgs.add(source_id, **{"type": "school", "parentSourcedId": "d1", **cells}, name=name)

    def term(self, source_id: str, starts: str, ends: str, **cells: str) -> None:
        standard = {"title": f"Term {source_id}", "type": "term"}
        self.terms.add(source_id, **{**standard, **cells}, startDate=starts, endDate=ends)

    def course(self, source_id: str, title: str, **cells: str) -> None:
        self.courses.add(source_id, title=title, **cells)

    def group(self, source_id: str, title: str, *, school: str, **cells: str) -> None:
        """A class. `terms` and `course` are cells: termSourcedIds, courseSourcedId."""
        self.classes.add(source_id, title=title, schoolSourcedId=school, **cells)

    def user(self, source_id: str, username: str, **cells: str) -> None:
        """A student of `s1`, unless the cells say otherwise, whose given name is the id's."""
        standard = {
            "enabledUser": "true",
            "orgSourcedIds": "s1",
            "role": "student",
            "grades": "9" if cells.get("role", "student") == "student" else "",
        }
        names = {"givenName": source_id.title(), "familyName": "Archer", "username": username}
        self.users.add(source_id, **{**standard, **names, **cells})

    def enroll(self, source_id: str, user: str, group: str, **cells: str) -> None:
        standard = {"role": "student", "userSourcedId": user, "classSourcedId": group}
        self.enrollments.add(source_id, **{**standard, **cells})

    def write(self, folder: Path, *, modes: Mapping[str, str] | None = None) -> Path:
        """The package as a folder, without anything that an earlier one had in it.

        `modes` name the files that are written and what they are: bulk, unless they say delta.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for former in folder.iterdir():
            former.unlink()
        written = dict.fromkeys(COLUMNS, "bulk") if modes is None else modes
        for name in written:
            self.files[name].write(folder / f"{name}.csv")
        write_manifest(folder, written)
        return folder


def write_manifest(folder: Path, modes: Mapping[str, str]) -> None:
    properties = {"manifest.version": "1.0", "oneroster.version": "1.1"}
    properties |= {f"file.{name}": mode for name, mode in modes.items()}
    lines = [f"{name},{value}" for name, value in {"propertyName": "value", **properties}.items()]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def named(**cells: Any) -> dict[str, str]:
    """Cells of a delta row: dated, and active unless they say otherwise."""
    return {"status": "active", "dateLastModified": "2026-11-01T00:00:00.000Z", **cells}


def small_district() -> CsvDistrict:
    """Two schools, a term, a course, two classes, a teacher and three students, and who is where.

    | class | teacher | students |
    | g1 Algebra at s1, term t1, course c1 | bob | ann (e1), cid (e3) |
    | g2 Biology at s2 | bob | dee (e5) |
    """
    district = CsvDistrict()
    district.school("s1", "North", identifier="17")
    district.school("s2", "South")
    district.term("t1", "2026-08-17", "2026-12-19")
    district.course("c1", "Mathematics", courseCode="MATH")
    district.group(
        "g1", "Algebra", school="s1", termSourcedIds="t1", courseSourcedId="c1", grades="9"
    )
    district.group("g2", "Biology", school="s2")
    district.user("bob", "bob", role="teacher", orgSourcedIds="s2,s1", email="Bob@example.org")
    district.user("ann", "ann", identifier="100", grades="9")
    district.user("cid", "cid")
    district.user("dee", "dee", orgSourcedIds="s2")
    district.enroll("e1", "ann", "g1", beginDate="2026-08-17", endDate="2026-12-19")
    district.enroll("e2", "bob", "g1", role="teacher", primary="true")
    district.enroll("e3", "cid", "g1")
    district.enroll("e4", "bob", "g2", role="teacher")
    district.enroll("e5", "dee", "g2")
    return district
