"""Manifests, headers and CSV: what is read although it is odd, and what ends the reading."""

import csv
import io

import pytest

from domain.providers.oneroster_csv.package import Limits
from domain.roster.records import RecordType
from domain.roster.source import Completeness, Problem
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    HEADERS,
    Files,
    folder,
    manifest,
    package,
    problems,
    read,
    read_type,
    records,
    refusal,
    with_cells,
    with_modes,
    with_text,
    zipped,
)

ALL_BULK = dict.fromkeys(HEADERS, "bulk")


def test_a_plain_package_has_no_problems(tmp_path):
    pages = read(folder(tmp_path, package()))
    assert problems(pages) == []
    assert [(page.record_type, page.read, page.is_last) for page in pages] == [
        (RecordType.SCHOOL, 3, True),
        (RecordType.TERM, 1, True),
        (RecordType.COURSE, 1, True),
        (RecordType.GROUP, 1, True),
        (RecordType.USER, 2, True),
        (RecordType.MEMBERSHIP, 2, True),
    ]
    assert {page.completeness for page in pages} == {Completeness.FULL}


@pytest.mark.parametrize(
    "text",
    [
        manifest(ALL_BULK).replace("manifest.version,1.0", "manifest.version,1"),
        manifest(ALL_BULK).replace("\n", "\r\n"),
        "\ufeff" + manifest(ALL_BULK),
        manifest(ALL_BULK) + "file.results,sometimes\nfile.demographics,\nfile.roles,\nnews,1\n\n",
        manifest(ALL_BULK) + "source.systemName\n,\n",
        manifest(ALL_BULK).replace(",bulk", ",Bulk ").replace("file.orgs", "File.Orgs"),
        manifest(ALL_BULK).replace("propertyName,value", '"PropertyName", "value"'),
    ],
)
def test_an_odd_manifest_is_read(tmp_path, text):
    files = {**package(), "manifest.csv": text}
    assert read(folder(tmp_path / "a", files)) == read(folder(tmp_path / "b", package()))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_only_a_manifest_means_no_updates(tmp_path, version):
    pages = read(folder(tmp_path, {"manifest.csv": manifest({}, version)}))
    assert [page.record_type for page in pages] == list(RecordType)
    assert {(page.read, len(page.problems), page.is_last, page.completeness) for page in pages} == {
        (0, 0, True, Completeness.DELTA)
    }


def test_an_absent_collection_says_nothing(tmp_path):
    files = package()
    del files["courses.csv"], files["academicSessions.csv"]
    modes = {name: "bulk" for name in files if name != "manifest.csv"}
    pages = read(folder(tmp_path, with_modes(files, {**modes, "courses.csv": "absent"})))
    completeness = {page.record_type: page.completeness for page in pages}
    assert completeness[RecordType.COURSE] is Completeness.DELTA
    assert completeness[RecordType.TERM] is Completeness.DELTA
    assert completeness[RecordType.GROUP] is Completeness.FULL


def test_a_package_without_manifest_is_refused(tmp_path):
    files = package()
    del files["manifest.csv"]
    error = refusal(folder(tmp_path, files))
    assert (error.code, error.place) == (Code.FILE_MISSING, "manifest.csv")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("users.csv", "userIds", "userId"), ("classes.csv", "termSourcedIds", "termSourcedId")],
)
def test_a_package_of_oneroster_1_0_is_named_as_such(tmp_path, file, old, new):
    files = with_text(package(), file, old, new)
    del files["manifest.csv"]
    error = refusal(folder(tmp_path, files))
    assert (error.code, "1.0" in str(error)) == (Code.MANIFEST_VERSION, True)


@pytest.mark.parametrize("version", ["1.0", "", "2", "1.2.1"])
def test_another_version_is_refused(tmp_path, version):
    files = with_modes(package(), ALL_BULK, version)
    assert refusal(folder(tmp_path, files)).code is Code.MANIFEST_VERSION


def test_another_mode_is_refused(tmp_path):
    error = refusal(folder(tmp_path, with_modes(package(), {**ALL_BULK, "orgs.csv": "full"})))
    assert (error.code, "file.orgs is 'full'" in str(error)) == (Code.MANIFEST_MODE, True)


def test_a_property_with_two_values_is_refused(tmp_path):
    files = {**package(), "manifest.csv": manifest(ALL_BULK) + "file.orgs,delta\n"}
    assert refusal(folder(tmp_path, files)).code is Code.MANIFEST_MISMATCH


@pytest.mark.parametrize("mode", ["absent", ""])
def test_a_file_that_the_manifest_does_not_name_is_refused(tmp_path, mode):
    error = refusal(folder(tmp_path, with_modes(package(), {**ALL_BULK, "courses.csv": mode})))
    assert error.code is Code.MANIFEST_MISMATCH
    assert str(error) == (
        "manifest.csv: it does not name courses.csv, which is in the package. Set file.courses to "
        "bulk or delta, or remove the file."
    )


@pytest.mark.parametrize("file", list(HEADERS))
def test_a_file_that_the_manifest_names_must_be_there(tmp_path, file):
    files = package()
    del files[file]
    error = refusal(folder(tmp_path, files))
    assert (error.code, error.place) == (Code.FILE_MISSING, file)


def test_a_1_2_package_with_users_needs_roles(tmp_path):
    files = package("1.2")
    del files["roles.csv"]
    error = refusal(folder(tmp_path, with_modes(files, ALL_BULK, "1.2")))
    assert (error.code, error.place) == (Code.FILE_MISSING, "roles.csv")


def test_files_outside_rostering_are_never_opened(tmp_path):
    files = {**package(), "demographics.csv": b"\xff\0\xff", "userprofiles.csv": "x"}
    assert problems(read(folder(tmp_path, files))) == []


def test_a_bom_crlf_and_blank_lines_change_nothing(tmp_path):
    odd: Files = {}
    for name, text in package().items():
        lines = ["", *str(text).splitlines(), "", ",,,,"]
        odd[name] = ("\ufeff" + "\r\n".join(lines)).encode()
    pages = read(folder(tmp_path / "a", odd))
    plain = read(folder(tmp_path / "b", package()))
    assert [page.records for page in pages] == [page.records for page in plain]
    assert [page.read for page in pages] == [page.read for page in plain]
    assert problems(pages) == []


def test_columns_in_another_order_change_nothing(tmp_path):
    files = package()
    for name in HEADERS:
        text = io.StringIO()
        rows = csv.reader(str(files[name]).splitlines())
        csv.writer(text).writerows(row[::-1] for row in rows)
        files[name] = text.getvalue()
    assert read(folder(tmp_path / "a", files)) == read(folder(tmp_path / "b", package()))


def _with_columns(files: Files, file: str, columns: str) -> Files:
    """The file with more columns in front, blank in every row."""
    commas = "," * (columns.count(",") + 1)
    header, *rows = str(files[file]).splitlines()
    return {**files, file: "\n".join([f"{columns},{header}", *(commas + row for row in rows)])}


def test_metadata_ext_and_blank_columns_are_silent(tmp_path):
    files = _with_columns(package(), "users.csv", "metadata.a,EXT_b,,, ")
    files = _with_columns(files, "enrollments.csv", ",metadata.x,metadata.x")
    pages = read(folder(tmp_path / "a", files))
    assert pages == read(folder(tmp_path / "b", package()))


def test_an_unknown_column_is_one_warning(tmp_path):
    pages = read(folder(tmp_path, _with_columns(package(), "users.csv", "shoeSize,shoeSize")))
    assert problems(pages) == [
        Problem(
            Code.FILE_HEADER_UNKNOWN,
            RecordType.USER,
            field="shoeSize",
            found="shoeSize",
            place="users.csv line 1",
        )
    ]
    assert read_type(pages, RecordType.USER).problems == problems(pages)


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("users.csv", "username", "UserName"),
        ("users.csv", "dateLastModified", "dataLastModified"),
        ("enrollments.csv", "classSourcedId", "classsourcedid"),
        ("users.csv", "password", "PASSWORD"),
    ],
)
def test_a_misspelt_column_is_taken_with_a_warning(tmp_path, file, right, wrong):
    pages = read(folder(tmp_path / "a", with_text(package(), file, right, wrong)))
    plain = read(folder(tmp_path / "b", package()))
    assert [page.records for page in pages] == [page.records for page in plain]
    (problem,) = problems(pages)
    assert (problem.code, problem.found, problem.expected, problem.rejects) == (
        Code.FILE_HEADER_UNKNOWN,
        wrong,
        right,
        False,
    )


def test_a_known_typo_of_a_preferred_name_is_taken(tmp_path):
    files = with_text(package("1.2"), "users.csv", "preferredGivenName", "prefferedGivenName")
    pages = read(folder(tmp_path, files))
    assert records(pages, RecordType.USER)[0].preferred_given_name == "Annie"
    assert [problem.expected for problem in problems(pages)] == ["preferredGivenName"]


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("orgs.csv", "type"),
        ("academicSessions.csv", "endDate"),
        ("courses.csv", "title"),
        ("classes.csv", "schoolSourcedId"),
        ("users.csv", "role"),
        ("enrollments.csv", "userSourcedId"),
    ],
)
def test_a_missing_required_column_is_named(tmp_path, file, column):
    error = refusal(folder(tmp_path, with_text(package(), file, f",{column}", ",metadata.x")))
    assert (error.code, error.place) == (Code.FILE_HEADER_MISSING, f"{file} line 1")
    assert str(error) == f"{file} line 1: the column {column} is missing."


def test_an_optional_column_may_be_missing(tmp_path):
    files = with_text(package(), "users.csv", "identifier", "metadata.identifier")
    files = with_text(files, "enrollments.csv", "endDate", "metadata.x")
    pages = read(folder(tmp_path, files))
    assert problems(pages) == []
    assert records(pages, RecordType.USER)[0].number is None
    assert [enrollment.ends_on for enrollment in records(pages, RecordType.MEMBERSHIP)] == [
        None
    ] * 2


@pytest.mark.parametrize("column", ["status", "dateLastModified"])
def test_a_delta_file_needs_its_status_columns(tmp_path, column):
    files = with_text(package(mode="delta"), "users.csv", column, "metadata.x")
    assert refusal(folder(tmp_path, files)).code is Code.FILE_HEADER_MISSING


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_a_file_without_header_is_refused(tmp_path, content):
    error = refusal(folder(tmp_path, {**package(), "courses.csv": content}))
    assert error.code is Code.FILE_HEADER_MISSING


@pytest.mark.parametrize("name", ["username", "USERNAME", "sms"])
def test_a_column_that_is_there_twice_is_refused(tmp_path, name):
    error = refusal(folder(tmp_path, _with_columns(package(), "users.csv", name)))
    assert (error.code, error.place) == (Code.FILE_HEADER_DUPLICATE, "users.csv line 1")


def test_a_file_without_rows_is_empty_and_full(tmp_path):
    page = read_type(
        read(folder(tmp_path, {**package(), "courses.csv": HEADERS["courses.csv"]})),
        RecordType.COURSE,
    )
    assert (page.read, page.is_last, page.completeness) == (0, True, Completeness.FULL)
    assert [(problem.code, problem.place) for problem in page.problems] == [
        (Code.FILE_EMPTY, "courses.csv")
    ]


def test_an_empty_delta_file_is_nothing_to_remark_upon(tmp_path):
    pages = read(folder(tmp_path, {**package(mode="delta"), "courses.csv": HEADERS["courses.csv"]}))
    assert problems(pages) == []


@pytest.mark.parametrize(
    ("row", "source_id"),
    [("e9,,,g1", "e9"), ("e9,,,g1,s1,u1,student,,,,surplus", "e9"), (",,,x", None)],
)
def test_a_row_of_another_width_is_rejected_and_the_rest_goes_on(tmp_path, row, source_id):
    files = with_text(package(), "enrollments.csv", "\ne1", f"\n{row}\ne1")
    page = read_type(read(folder(tmp_path, files)), RecordType.MEMBERSHIP)
    assert [record.source_id for record in page.records] == ["e1", "e2"]
    (problem,) = page.problems
    assert (problem.code, problem.source_id, problem.rejects, problem.record) == (
        Code.FILE_ROW_WIDTH,
        source_id,
        True,
        None,
    )
    assert (problem.place, problem.expected) == ("enrollments.csv line 2", "10 cells")
    assert page.read == 3


def test_blank_cells_behind_the_last_column_are_no_problem(tmp_path):
    files = with_text(
        package(), "enrollments.csv", "student,,2026-08-17,2026-12-19", "student,,,,, "
    )
    files = with_text(files, "users.csv", "secret", "secret,,")
    pages = read(folder(tmp_path, files))
    assert problems(pages) == []
    assert read_type(pages, RecordType.MEMBERSHIP).read == 2


@pytest.mark.parametrize("write", [folder, zipped])
def test_bytes_that_are_not_utf8_are_named_by_line_and_offset(tmp_path, write):
    files = package()
    content = str(files["users.csv"]).encode().replace(b"Baker", b"B\xe4ker")
    error = refusal(write(tmp_path / "a", {**files, "users.csv": content}))
    offset = content.index(b"\xe4")
    assert (error.code, error.place) == (Code.FILE_NOT_UTF8, "users.csv line 3")
    assert f"offset {offset} " in str(error)


def test_utf_16_is_refused(tmp_path):
    content = str(package()["orgs.csv"]).encode("utf-16")
    error = refusal(folder(tmp_path, {**package(), "orgs.csv": content}))
    assert error.code in {Code.FILE_NOT_UTF8, Code.FILE_MALFORMED_CSV}


def test_a_nul_is_refused_with_its_line(tmp_path):
    error = refusal(folder(tmp_path, with_text(package(), "users.csv", "Baker", "Ba\0ker")))
    assert (error.code, error.place) == (Code.FILE_MALFORMED_CSV, "users.csv line 3")


@pytest.mark.parametrize(
    ("cell", "line"),
    [('"Algebra', 2), ('"Alge"bra', 2), ("Alge\rbra", 2), ('"Alge\n\nbra"x', 2)],
)
def test_broken_csv_is_refused_with_the_line_where_it_begins(tmp_path, cell, line):
    files = with_text(package(), "classes.csv", "Algebra", cell)
    error = refusal(folder(tmp_path, files))
    assert (error.code, error.place) == (Code.FILE_MALFORMED_CSV, f"classes.csv line {line}")


def test_an_open_quotation_mark_in_a_long_file_is_named_by_its_own_line(tmp_path):
    rows = "".join(f"e{number},,,g1,s1,u1,student,,,\n" for number in range(9_000))
    files = package()
    files["enrollments.csv"] = str(files["enrollments.csv"]) + 'x,,,"g1,s1,u1,student,,,\n' + rows
    error = refusal(folder(tmp_path, files))
    assert (error.code, error.place) == (Code.FILE_MALFORMED_CSV, "enrollments.csv line 4")
    assert "quotation mark" in str(error)


def test_a_quoted_line_break_and_quotation_marks_are_read(tmp_path):
    files = with_text(package(), "classes.csv", "Algebra", '"Algebra\r\n""One"""')
    (group,) = records(read(folder(tmp_path, files)), RecordType.GROUP)
    assert group.name == 'Algebra\r\n"One"'


@pytest.mark.parametrize("is_at_the_end", [True, False])
def test_a_line_over_the_limit_is_refused(tmp_path, is_at_the_end):
    cells = ",".join(["x" * 60_000] * 20)
    files = package()
    text = str(files["enrollments.csv"])
    files["enrollments.csv"] = text + cells if is_at_the_end else text + cells + "\n" + "e,\n" * 9
    error = refusal(folder(tmp_path, files))
    assert (error.code, error.place) == (Code.FILE_TOO_LARGE, "enrollments.csv line 4")


def test_the_limit_of_a_line_is_exact(tmp_path):
    path = folder(tmp_path, package())
    longest = max(len(line) for line in str(package()["classes.csv"]).splitlines())
    assert problems(read(path, limits=Limits(line=200))) == []
    assert refusal(path, limits=Limits(line=longest - 1)).code is Code.FILE_TOO_LARGE


def test_a_cell_over_the_limit_is_refused(tmp_path):
    files = with_cells(package(), "users.csv", {"middleName": "x" * 70_000}, row=1)
    error = refusal(folder(tmp_path, files))
    assert (error.code, error.place) == (Code.FILE_TOO_LARGE, "users.csv line 3")


def test_more_than_200_columns_are_refused(tmp_path):
    columns = ",".join(f"metadata.{number}" for number in range(200))
    error = refusal(folder(tmp_path, _with_columns(package(), "orgs.csv", columns)))
    assert (error.code, error.place) == (Code.FILE_TOO_LARGE, "orgs.csv line 1")
