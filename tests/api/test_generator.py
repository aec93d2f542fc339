"""The generated districts: their bytes, their headers, their shape and what they cost."""

import csv
import hashlib
import json
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from api.generator.expected import Expected
from api.generator.names import LATIN, OTHERS, place_name
from api.generator.package import expected_path, generate

ROOT = Path(__file__).parents[2]
ACTIONS = ("created", "updated", "archived", "restored", "unchanged", "rejected", "ignored")
TYPES = ("SCHOOL", "TERM", "COURSE", "GROUP", "USER", "MEMBERSHIP")
GUARDIAN_ROLES = {"guardian", "parent", "relative"}
Row = dict[str, str]


BASE = "sourcedId,status,dateLastModified,"
HEADERS = {
    "academicSessions": "title,type,startDate,endDate,parentSourcedId,schoolYear",
    "orgs": "name,type,identifier,parentSourcedId",
    "courses": "schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes",
    "classes": (
        "title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,"
        "termSourcedIds,subjects,subjectCodes,periods"
    ),
    "enrollments": "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
}
USERS_1_1 = (
    "enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
    "identifier,email,sms,phone,agentSourcedIds,grades,password"
)
USERS_1_2 = (
    "enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,"
    "agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,"
    "preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns"
)
ROLES_1_2 = "userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"
COLUMNS = {
    "1.1": HEADERS | {"users": USERS_1_1},
    "1.2": HEADERS | {"users": USERS_1_2, "roles": ROLES_1_2},
}


def read(folder: Path, name: str) -> list[Row]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in [*sorted(folder.iterdir()), expected_path(folder)]:
        total.update(path.name.partition(".")[2].encode() + path.read_bytes())
    return total.hexdigest()


def two_nights(
    tmp_path: Path, *, students: int, change: float, version: str = "1.1"
) -> tuple[Path, Path]:
    folders = (tmp_path / "night0", tmp_path / "night1")
    generate(folders[0], students=students, seed=3, version=version)
    generate(folders[1], students=students, seed=3, change=change, version=version)
    return folders


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for version in ("1.1", "1.2"):
        for change in (0.0, 0.05):
            first, second = tmp_path / f"a{version}{change}", tmp_path / f"b{version}{change}"
            for folder in (first, second):
                generate(folder, students=900, seed=11, change=change, version=version)
            for path in first.iterdir():
                assert path.read_bytes() == (second / path.name).read_bytes()
            assert expected_path(first).read_bytes() == expected_path(second).read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    generate(here, students=300, seed=5, change=0.05)
    code = (
        "import sys; from pathlib import Path; from api.generator.package import generate;"
        "generate(Path(sys.argv[1]), students=300, seed=5, change=0.05)"
    )
    subprocess.run([sys.executable, "-c", code, str(there)], cwd=ROOT, check=True)
    assert digest(here) == digest(there)


def test_another_seed_gives_another_district(tmp_path: Path) -> None:
    generate(tmp_path / "a", students=50, seed=1)
    generate(tmp_path / "b", students=50, seed=2)
    for name in ("orgs", "users", "classes", "enrollments", "courses", "academicSessions"):
        first = {row["sourcedId"] for row in read(tmp_path / "a", name)}
        second = {row["sourcedId"] for row in read(tmp_path / "b", name)}
        assert not first & second


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_headers_are_those_of_the_version(tmp_path: Path, version: str) -> None:
    folder = tmp_path / "district"
    generate(folder, students=30, seed=1, version=version)
    columns = COLUMNS[version]
    assert {path.name for path in folder.iterdir()} == {
        "manifest.csv",
        *(f"{name}.csv" for name in columns),
    }
    for name, header in columns.items():
        lines = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == BASE + header
        assert len(lines) > 1


@pytest.mark.parametrize(("version", "count"), [("1.1", 13), ("1.2", 21)])
def test_the_manifest_names_every_file(tmp_path: Path, version: str, count: int) -> None:
    folder = tmp_path / "district"
    generate(folder, students=30, seed=1, version=version)
    values = {row["propertyName"]: row["value"] for row in read(folder, "manifest")}
    assert values["manifest.version"] == "1.0"
    assert values["oneroster.version"] == version
    files = {name[5:]: value for name, value in values.items() if name.startswith("file.")}
    assert len(files) == count
    bulk = {name for name, value in files.items() if value == "bulk"}
    assert bulk == set(COLUMNS[version])
    assert set(files.values()) == {"bulk", "absent"}


def test_bulk_rows_leave_status_and_date_blank_and_quote_lists(tmp_path: Path) -> None:
    folder = tmp_path / "district"
    generate(folder, students=400, seed=1)
    for name in COLUMNS["1.1"]:
        rows = read(folder, name)
        assert {(row["status"], row["dateLastModified"]) for row in rows} == {("", "")}
        ids = [row["sourcedId"] for row in rows]
        assert len(set(ids)) == len(ids)
        assert all(len(source_id) == 24 for source_id in ids)
    assert {row["enabledUser"] for row in read(folder, "users")} == {"true"}
    year_long = [row for row in read(folder, "classes") if "," in row["termSourcedIds"]]
    assert f'"{year_long[0]["termSourcedIds"]}"' in (folder / "classes.csv").read_text("utf-8")


def test_fetched_rows_are_all_accounted_for(tmp_path: Path) -> None:
    expected = generate(tmp_path / "night", students=2500, seed=8, change=0.1)
    for record_type, counts in expected.counts().items():
        if record_type != "MEMBERSHIP":
            in_files = ("created", "updated", "restored", "unchanged", "rejected", "ignored")
            assert counts["fetched"] == sum(counts[action] for action in in_files)


@pytest.mark.parametrize(("students", "change"), [(1, 1.0), (17, 1.0), (200, 0.05), (2000, 1.0)])
def test_every_section_keeps_its_teacher_and_a_student(
    tmp_path: Path, students: int, change: float
) -> None:
    for folder in two_nights(tmp_path, students=students, change=change):
        users: dict[str, Row] = {}
        for row in read(folder, "users"):
            users.setdefault(row["sourcedId"], row)
        accepted = {key for key, row in users.items() if row["familyName"] and row["role"]}
        members = defaultdict(list)
        for row in read(folder, "enrollments"):
            user = users.get(row["userSourcedId"])
            if user and row["userSourcedId"] in accepted and user["role"] != "wizard":
                members[row["classSourcedId"]].append((row["role"], row["primary"]))
        for section in read(folder, "classes"):
            roles = Counter(members[section["sourcedId"]])
            assert roles["teacher", "true"] == 1
            assert roles["student", "false"] >= 1


def test_a_district_has_believable_proportions(tmp_path: Path) -> None:
    folder = tmp_path / "district"
    generate(folder, students=10_000, seed=1)
    roles = Counter(row["role"] for row in read(folder, "users"))
    orgs = Counter(row["type"] for row in read(folder, "orgs"))
    assert roles["student"] == 10_000
    assert roles["teacher"] == pytest.approx(10_000 / 17.2, rel=0.02)
    assert roles["aide"] == pytest.approx(roles["teacher"] / 10, rel=0.2)
    assert sum(roles[role] for role in GUARDIAN_ROLES) == 5_000
    assert orgs == {"district": 1, "school": 14}
    assert roles["administrator"] == 15
    assert len(read(folder, "classes")) == pytest.approx(4_700, rel=0.05)
    assert len(read(folder, "enrollments")) == pytest.approx(55_000, rel=0.07)
    two_schools = [row for row in read(folder, "users") if "," in row["orgSourcedIds"]]
    assert len(two_schools) == 10_000 // 47


def test_every_reference_of_the_first_night_is_in_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "district"
    generate(folder, students=1500, seed=2)
    names = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments")
    rows = {name: read(folder, name) for name in names}
    ids = {name: {row["sourcedId"] for row in rows[name]} for name in names}
    references = [
        ("courses", "schoolYearSourcedId", "academicSessions"),
        ("courses", "orgSourcedId", "orgs"),
        ("classes", "courseSourcedId", "courses"),
        ("classes", "schoolSourcedId", "orgs"),
        ("classes", "termSourcedIds", "academicSessions"),
        ("users", "orgSourcedIds", "orgs"),
        ("users", "agentSourcedIds", "users"),
        ("enrollments", "classSourcedId", "classes"),
        ("enrollments", "schoolSourcedId", "orgs"),
        ("enrollments", "userSourcedId", "users"),
    ]
    for name, column, target in references:
        named = {part for row in rows[name] for part in row[column].split(",") if part}
        assert named
        assert named <= ids[target]


def test_names_are_many_and_all_have_an_ascii_spelling() -> None:
    for pool in (LATIN, *OTHERS):
        for names in pool:
            assert len({name.text for name in names}) == len(names)
            assert all(name.ascii.isascii() and name.ascii.isalpha() for name in names)
    assert len(LATIN.given) >= 150
    assert len(LATIN.family) >= 150
    spelled = {name.text: name.ascii for name in (*LATIN.given, *LATIN.family)}
    assert spelled["Łukasz"] == "lukasz"
    assert spelled["de la Cruz"] == "delacruz"
    assert spelled["O'Brien"] == "obrien"
    assert len({place_name(number) for number in range(1600)}) == 1600


def peak_megabytes(folder: Path, *, students: int) -> float:
    tracemalloc.start()
    generate(folder, students=students, seed=1, change=0.01)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1_000_000


def test_memory_does_not_grow_with_the_district(tmp_path: Path) -> None:
    small = peak_megabytes(tmp_path / "small", students=2_500)
    large = peak_megabytes(tmp_path / "large", students=10_000)
    assert large < small * 1.5


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        generate(tmp_path, students=5, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("students", "change", "version", "message"),
    [
        (0, 0.0, "1.1", "at least one student"),
        (5, 1.5, "1.1", "not more than 1"),
        (5, -0.1, "1.1", "more than 0"),
        (5, 0.0, "1.0", "not a valid Version"),
    ],
)
def test_wrong_arguments_write_nothing(
    tmp_path: Path, students: int, change: float, version: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / "district", students=students, seed=1, change=change, version=version)
    assert list(tmp_path.iterdir()) == []


def test_the_expected_counts_are_also_returned(tmp_path: Path) -> None:
    expected = generate(tmp_path / "district", students=20, seed=1)
    assert isinstance(expected, Expected)
    written = json.loads((tmp_path / "district.expected.json").read_text(encoding="utf-8"))
    assert written == {"counts": expected.counts(), "errors": expected.errors()}
    assert tuple(written["counts"]) == TYPES
    assert tuple(written["counts"]["USER"]) == ("fetched", *ACTIONS)
