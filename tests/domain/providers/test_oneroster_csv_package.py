"""Zips and folders: what is read of them, and what is refused."""

import errno
import os
import random
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from domain.providers.oneroster_csv import package as package_module
from domain.providers.oneroster_csv.package import Limits
from domain.roster.records import RecordType
from domain.roster.source import RosterUnreadable, SourceUnavailable
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    folder,
    package,
    problems,
    read,
    refusal,
    source,
    with_text,
    zipped,
)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_zip_and_a_folder_give_equal_pages(tmp_path, version):
    files = package(version)
    assert read(zipped(tmp_path / "a.zip", files)) == read(folder(tmp_path / "a", files))


@pytest.mark.parametrize("prefix", ["export/", "export\\"])
def test_one_enclosing_folder_is_taken_in_stride(tmp_path, prefix):
    files = package()
    litter = {f"__MACOSX/{prefix}._users.csv": "x", f"{prefix}.DS_Store": "x"}
    path = zipped(
        tmp_path / "a.zip", {f"{prefix}{name}": text for name, text in files.items()} | litter
    )
    pages, plain = read(path), read(folder(tmp_path / "a", files))
    unknown = [problem.found for problem in problems(pages, Code.FILE_UNKNOWN)]
    assert unknown == ["export/", "__MACOSX/", "export/.DS_Store"]
    assert [page.records for page in pages] == [page.records for page in plain]


def test_a_deeper_file_is_unknown_and_not_read(tmp_path):
    path = zipped(tmp_path / "a.zip", {**package(), "old/users.csv": "?"})
    assert [problem.found for problem in problems(read(path))] == ["old/users.csv"]


def test_an_unknown_file_is_a_warning_of_the_school_page(tmp_path):
    path = folder(tmp_path / "a", {**package(), "readme.txt": "hello", "results.csv": "\0"})
    (path / "sub").mkdir()
    pages = read(path)
    assert {problem.found for problem in problems(pages)} == {"readme.txt", "sub/"}
    assert {problem.record_type for problem in problems(pages)} == {RecordType.SCHOOL}
    assert [(problem.code, problem.source_id) for problem in problems(pages)] == [
        (Code.FILE_UNKNOWN, None)
    ] * 2


def test_a_link_in_a_folder_is_not_followed(tmp_path):
    files = package()
    (tmp_path / "elsewhere.csv").write_text(str(files.pop("users.csv")))
    path = folder(tmp_path / "a", files)
    (path / "users.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert refusal(path).code is Code.FILE_MISSING


@pytest.mark.parametrize("name", ["nowhere", "nowhere.zip"])
def test_a_missing_path_is_named(tmp_path, name):
    error = refusal(tmp_path / name)
    assert (error.code, str(tmp_path / name) in str(error)) == (Code.FILE_MISSING, True)


def test_a_path_that_is_neither_file_nor_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").code is Code.FILE_BAD_ZIP


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 40])
def test_a_file_that_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    assert refusal(tmp_path / "a.zip").code is Code.FILE_BAD_ZIP


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95, 0.999])
def test_a_truncated_zip_is_refused(tmp_path, part):
    content = zipped(tmp_path / "a.zip", package()).read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: int(len(content) * part)])
    assert refusal(tmp_path / "cut.zip").code is Code.FILE_BAD_ZIP


def test_damaged_content_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, text in package().items():
            archive.writestr(name, text)
    path.write_bytes(path.read_bytes().replace(b"Mathematics,MATH", b"Mathematica,MATH", 1))
    error = refusal(path)
    assert (error.code, error.place) == (Code.FILE_BAD_ZIP, "courses.csv")


def test_no_damage_to_a_zip_ends_in_anything_but_a_source_error(tmp_path):
    content = zipped(tmp_path / "a.zip", package("1.2")).read_bytes()
    chance = random.Random(7)  # noqa: S311 - the same damage in every run
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / "b.zip").write_bytes(damaged)
        with suppress(RosterUnreadable):
            read(tmp_path / "b.zip")


def test_more_than_64_entries_are_refused(tmp_path):
    files = {**package(), **{f"{number}.txt": "x" for number in range(64)}}
    assert refusal(zipped(tmp_path / "a.zip", files)).code is Code.FILE_TOO_LARGE
    assert refusal(folder(tmp_path / "a", files)).code is Code.FILE_TOO_LARGE


def test_a_huge_directory_of_a_zip_is_not_even_loaded(tmp_path):
    path = tmp_path / "a.zip"
    with ZipFile(path, "w") as archive:
        for number in range(8_000):
            archive.writestr(f"{number:0>100}", "")
    error = refusal(path)
    assert (error.code, "directory" in str(error)) == (Code.FILE_TOO_LARGE, True)


@pytest.mark.parametrize("name", ["more.zip", "more.csv.GZ"])
def test_an_archive_in_the_archive_is_refused(tmp_path, name):
    error = refusal(zipped(tmp_path / "a.zip", {**package(), name: "x"}))
    assert (error.code, error.place) == (Code.FILE_BAD_ZIP, name)


def test_another_compression_is_refused(tmp_path):
    with ZipFile(tmp_path / "a.zip", "w", ZIP_BZIP2) as archive:
        archive.writestr("manifest.csv", "x")
    assert refusal(tmp_path / "a.zip").code is Code.FILE_BAD_ZIP


def test_an_encrypted_entry_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", package())
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    error = refusal(path)
    assert (error.code, "encrypted" in str(error)) == (Code.FILE_BAD_ZIP, True)


def test_a_link_in_a_zip_is_refused(tmp_path):
    entry = ZipInfo("users.csv")
    entry.external_attr = 0o120777 << 16
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert refusal(tmp_path / "a.zip").code is Code.FILE_BAD_ZIP


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["users.csv", "Users.csv"])
def test_a_name_that_is_there_twice_is_refused(tmp_path, name):
    path = zipped(tmp_path / "a.zip", package())
    with ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    error = refusal(path)
    assert (error.code, error.place) == (Code.FILE_DUPLICATE, "users.csv")


def test_two_names_that_differ_by_case_are_refused_in_a_folder(tmp_path):
    path = folder(tmp_path / "a", {**package(), "USERS.csv": "x"})
    assert refusal(path).code is Code.FILE_DUPLICATE


def test_a_name_in_another_case_is_read(tmp_path):
    files = package()
    files["Users.CSV"] = files.pop("users.csv")
    assert read(folder(tmp_path / "a", files)) == read(folder(tmp_path / "b", package()))


def _bomb(path: Path, megabytes: int) -> Path:
    files = package()
    row = b"x" * 99 + b"\n"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, text in files.items():
            if name != "users.csv":
                archive.writestr(name, text)
        with archive.open("users.csv", "w", force_zip64=True) as entry:
            entry.write(str(files["users.csv"]).encode())
            for _ in range(megabytes):
                entry.write(row * 10_000)
    return path


def test_a_bomb_is_refused_while_it_is_inflated(tmp_path):
    path = _bomb(tmp_path / "a.zip", 60)
    assert path.stat().st_size < 2_000_000
    error = refusal(path)
    assert (error.code, error.place) == (Code.FILE_BOMB, "users.csv")


def _claim_size(path: Path, name: str, size: int) -> Path:
    """Write another uncompressed size into the directory of a zip."""
    content = bytearray(path.read_bytes())
    at = content.find(name.encode(), content.find(b"PK\x01\x02")) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    content[at + 24 : at + 28] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


def test_an_entry_that_is_larger_than_it_claims_is_refused(tmp_path):
    path = _claim_size(zipped(tmp_path / "a.zip", package()), "users.csv", 40)
    error = refusal(path)
    assert (error.code, error.place) == (Code.FILE_BOMB, "users.csv")


def test_an_entry_that_claims_a_prefix_with_its_checksum_is_refused(tmp_path):
    files = package()
    prefix = str(files["users.csv"]).encode()[:250]
    path = _claim_size(zipped(tmp_path / "a.zip", files), "users.csv", len(prefix))
    content = bytearray(path.read_bytes())
    for magic, offset, distance in ((b"PK\x01\x02", 16, 46), (b"PK\x03\x04", 14, 30)):
        at = content.find(b"users.csv", content.find(magic)) - distance
        content[at + offset : at + offset + 4] = struct.pack("<I", zlib.crc32(prefix))
    path.write_bytes(content)
    assert refusal(path).code in {Code.FILE_BOMB, Code.FILE_BAD_ZIP}


def test_an_entry_that_is_smaller_than_it_claims_is_refused(tmp_path):
    path = _claim_size(zipped(tmp_path / "a.zip", package()), "users.csv", 4_000)
    error = refusal(path)
    assert (error.code, error.place) == (Code.FILE_BAD_ZIP, "users.csv")


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", package())
    content = bytearray(path.read_bytes())
    at = content.find(b"courses.csv", content.find(b"PK\x01\x02")) - 46
    offset = struct.unpack("<I", content[at + 42 : at + 46])[0]
    content[at + 42 : at + 46] = struct.pack("<I", offset - 20)
    path.write_bytes(content)
    assert refusal(path).code is Code.FILE_BOMB


@pytest.mark.parametrize("limits", [Limits(uncompressed=500), Limits(compressed=500)])
def test_a_package_over_the_limits_is_refused(tmp_path, limits):
    path = zipped(tmp_path / "a.zip", package())
    assert refusal(path, limits=limits).code is Code.FILE_TOO_LARGE


def test_a_folder_over_the_limit_is_refused(tmp_path):
    path = folder(tmp_path / "a", package())
    assert refusal(path, limits=Limits(uncompressed=500)).code is Code.FILE_TOO_LARGE


@pytest.mark.anyio
@pytest.mark.parametrize("is_zip", [True, False])
async def test_a_file_that_changes_while_it_is_read_ends_the_reading(tmp_path, is_zip):
    files = package()
    write = zipped if is_zip else folder
    path = write(tmp_path / "a", files)
    pages = source(path).pages()
    assert (await anext(pages)).record_type is RecordType.SCHOOL
    if is_zip:
        os.utime(path, ns=(1, 1))
    else:
        folder(path, with_text(files, "users.csv", "u1", "u11"))
    with pytest.raises(RosterUnreadable) as caught:
        [page async for page in pages]
    assert caught.value.code is Code.FILE_CHANGED


@pytest.mark.anyio
@pytest.mark.parametrize("is_zip", [True, False])
async def test_the_fingerprint_changes_with_the_files(tmp_path, is_zip):
    files = package()
    write = zipped if is_zip else folder
    path = write(tmp_path / "a", files)
    before = await source(path).fingerprint()
    assert await source(path).fingerprint() == before
    write(path, with_text(files, "users.csv", "u1", "u11"))
    assert await source(path).fingerprint() != before


def test_a_disk_that_fails_is_worth_another_try(tmp_path, monkeypatch):
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(
        package_module, "_open_file", lambda _: SimpleNamespace(read=fail, close=int)
    )
    with pytest.raises(SourceUnavailable, match=r"^manifest.csv cannot be read: Input/output"):
        read(folder(tmp_path, package()))
