"""Small OneRoster packages to test with: valid ones, in which a test changes one thing."""

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from domain.providers.oneroster_csv.source import OneRosterCsvSource
from domain.roster.records import Record, RecordType
from domain.roster.source import Checkpoint, Page, Problem, RosterUnreadable
from domain.validation.codes import Code

Files = dict[str, str | bytes]
TODAY = date(2026, 11, 22)

BASE = "sourcedId,status,dateLastModified"
HEADERS = {
    "orgs.csv": f"{BASE},name,type,identifier,parentSourcedId",
    "academicSessions.csv": f"{BASE},title,type,startDate,endDate,parentSourcedId,schoolYear",
    "courses.csv": (
        f"{BASE},schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"
    ),
    "classes.csv": (
        f"{BASE},title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,"
        "termSourcedIds,subjects,subjectCodes,periods"
    ),
    "users.csv": (
        f"{BASE},enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
        "identifier,email,sms,phone,agentSourcedIds,grades,password"
    ),
    "enrollments.csv": (
        f"{BASE},classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"
    ),
}
RECORD_TYPES = dict(zip(HEADERS, RecordType, strict=True))
USERS_1_2_HEADER = (
    f"{BASE},enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,"
    "phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,"
    "preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns"
)
ROLES_HEADER = (
    f"{BASE},userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"
)
ROWS: Mapping[str, Sequence[str]] = {
    "orgs.csv": ["d1,,,District,district,,", "s1,,,North,school,17,d1", "s2,,,South,school,,d1"],
    "academicSessions.csv": ["t1,,,Autumn,term,2026-08-17,2026-12-19,,2027"],
    "courses.csv": ["c1,,,t1,Mathematics,MATH,09,d1,Mathematics,"],
    "classes.csv": ['g1,,,Algebra,"9, 10",c1,ALG,scheduled,120,s1,t1,"Mathematics, Logic",,"1, 2"'],
    "users.csv": [
        "u1,,,true,s1,student,ann,{Fed:1},Ann,Archer,,S1,ANN@example.org,555,555,,9,secret",
        'u2,,,TRUE,"s2, s1",teacher,bob,,Bob,Baker,,,Bob@Example.org,,,,,',
    ],
    "enrollments.csv": [
        "e1,,,g1,s1,u1,student,,2026-08-17,2026-12-19",
        "e2,,,g1,s1,u2,teacher,true,,",
    ],
}
USERS_1_2 = [
    "u1,,,true,ann,,Ann,Archer,,S1,ann@example.org,,,,09,,,Annie,,,s1,she",
    "u2,,,true,bob,,Bob,Baker,,,bob@example.org,,,,,,,,,,,",
]
ROLES = [
    "r2,,,u2,secondary,aide,,,s1,",
    "r1,,,u1,primary,student,,,s1,",
    "r3,,,u2,primary,teacher,,,s2,",
]


def manifest(modes: Mapping[str, str], version: str = "1.1") -> str:
    lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{version}"]
    lines += [f"file.{name.removesuffix('.csv')},{mode}" for name, mode in modes.items()]
    return "\n".join(lines) + "\n"


def lines_of(header: str, rows: Sequence[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


def package(version: str = "1.1", mode: str = "bulk") -> Files:
    """A valid package. In delta mode every row is active and dated."""
    files: Files = {name: lines_of(HEADERS[name], rows) for name, rows in ROWS.items()}
    if version == "1.2":
        files["users.csv"] = lines_of(USERS_1_2_HEADER, USERS_1_2)
        files["roles.csv"] = lines_of(ROLES_HEADER, ROLES)
    if mode == "delta":
        dated = ",active,2026-11-01T00:00:00.000Z,"
        files = {name: str(text).replace(",,,", dated) for name, text in files.items()}
        files = {name: _only_first_dated(str(text), dated) for name, text in files.items()}
    return {"manifest.csv": manifest(dict.fromkeys(files, mode), version), **files}


def _only_first_dated(text: str, dated: str) -> str:
    """Blank cells further on in a row stay blank."""
    lines = []
    for line in text.splitlines():
        first, found, rest = line.partition(dated)
        lines.append(first + found + rest.replace(dated, ",,,"))
    return "\n".join(lines) + "\n"


def with_cells(files: Files, file: str, cells: Mapping[str, str], row: int = 0) -> Files:
    """The package with other cells in a row of a file, by the names of their columns."""
    header, *rows = csv.reader(str(files[file]).splitlines())
    for column, value in cells.items():
        rows[row][header.index(column)] = value
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return {**files, file: text.getvalue()}


def with_text(files: Files, file: str, old: str, new: str) -> Files:
    assert old in str(files[file])
    return {**files, file: str(files[file]).replace(old, new, 1)}


def with_modes(files: Files, modes: Mapping[str, str], version: str = "1.1") -> Files:
    return {**files, "manifest.csv": manifest(modes, version)}


def folder(path: Path, files: Mapping[str, str | bytes]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (path / name).write_bytes(data)
    return path


def zipped(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def source(path: Path, **options: Any) -> OneRosterCsvSource:
    return OneRosterCsvSource(path, **{"today": TODAY, **options})


async def read_pages(path: Path, *, after: Checkpoint | None = None, **options: Any) -> list[Page]:
    async with aclosing(source(path, **options).pages(after)) as pages:
        return [page async for page in pages]


def read(path: Path, *, after: Checkpoint | None = None, **options: Any) -> list[Page]:
    return asyncio.run(read_pages(path, after=after, **options))


def read_type(pages: Sequence[Page], record_type: RecordType) -> Page:
    """The only page of a type."""
    (page,) = [page for page in pages if page.record_type is record_type]
    return page


def records(pages: Sequence[Page], record_type: RecordType) -> list[Record]:
    return [record for page in pages if page.record_type is record_type for record in page.records]


def problems(pages: Sequence[Page], code: Code | None = None) -> list[Problem]:
    found = [problem for page in pages for problem in page.problems]
    return [problem for problem in found if code is None or problem.code is code]


def refusal(path: Path, **options: Any) -> RosterUnreadable:
    """The error that ends the reading of a package."""
    with pytest.raises(RosterUnreadable) as caught:
        read(path, **options)
    return caught.value


def changed_page(
    path: Path, file: str, cells: Mapping[str, str], *, row: int = 0, **options: Any
) -> Page:
    """The page of a file of a valid package in which some cells of a row are others."""
    files = package(options.pop("version", "1.1"), options.pop("mode", "bulk"))
    pages = read(folder(path, with_cells(files, file, cells, row)), **options)
    return read_type(pages, RECORD_TYPES[file])


def only_problem(page: Page) -> Problem:
    (problem,) = page.problems
    return problem
