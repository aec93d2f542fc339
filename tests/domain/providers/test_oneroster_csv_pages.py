"""Reading as a whole: pages, checkpoints, memory, the check, real packages."""

import asyncio
import gc
import tracemalloc
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from domain.roster.records import RecordType
from domain.roster.source import Completeness, RosterSource, RosterUnreadable
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    HEADERS,
    Files,
    folder,
    lines_of,
    package,
    problems,
    read,
    read_pages,
    records,
    refusal,
    source,
    with_modes,
    with_text,
    zipped,
)

REAL = Path(__file__).parents[4] / "shared" / "data" / "oneroster"


def busy_package(version: str = "1.1") -> Files:
    """A package in which every file has plain rows and odd ones."""
    files = package(version)
    files["orgs.csv"] = str(files["orgs.csv"]) + "\nd2,,,East,district,,\ns3,,,,school,,\n"
    files["classes.csv"] = str(files["classes.csv"]).replace(
        "\ng1", "\ng2,tobedeleted,,,,,,,,s1,t1,,,\ng3,,,x,,,,,,d2,t1,,,\ng1"
    )
    header, *rows = str(files["users.csv"]).splitlines()
    files["users.csv"] = lines_of(header, [*rows, "broken", "", rows[0].replace("u1", "u3", 1)])
    odd = ["e3,tobedeleted,,g1,s1,u1,student,,,", "e4,,,g1,s1,u1,pupil,,,", "", "e5", ",,,,"]
    odd += [f"f{number},,,g1,s1,u1,student,,,1/2/3" for number in range(5)]
    odd += ["e6,tobedeleted,,g1,s1,u1,student,,,", "e7,,,g1,s1,u1,parent,,,", ""]
    files["enrollments.csv"] = str(files["enrollments.csv"]) + "\n".join(odd)
    return {**files, "notes.txt": "hello"}


def test_the_source_is_a_roster_source(tmp_path):
    opened: RosterSource = source(tmp_path)
    assert opened


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 5_000])
def test_after_every_checkpoint_exactly_the_rest_follows(tmp_path, version, page_size):
    path = folder(tmp_path, busy_package(version))
    pages = read(path, page_size=page_size)
    for number, page in enumerate(pages, start=1):
        assert read(path, after=page.checkpoint, page_size=page_size) == pages[number:]


def test_a_reading_can_go_on_with_another_page_size(tmp_path):
    path = folder(tmp_path, busy_package())
    pages = read(path, page_size=2)
    for number, page in enumerate(pages, start=1):
        rest = read(path, after=page.checkpoint, page_size=3)
        for record_type in RecordType:
            assert records(rest, record_type) == records(pages[number:], record_type)
        assert problems(rest) == problems(pages[number:])


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_size_of_a_page_changes_nothing(tmp_path, version):
    path = folder(tmp_path, busy_package(version))
    whole, small = read(path), read(path, page_size=2)
    for record_type in RecordType:
        assert records(small, record_type) == records(whole, record_type)
        lasts = [page.is_last for page in small if page.record_type is record_type]
        assert lasts == [False] * (len(lasts) - 1) + [True]
    assert problems(small) == problems(whole)
    assert all(page.read <= 2 for page in small)


@pytest.mark.parametrize("page_size", [2, 5_000])
def test_every_row_is_counted_once(tmp_path, page_size):
    for page in read(folder(tmp_path, busy_package()), page_size=page_size):
        rejected = [problem for problem in page.problems if problem.rejects]
        others = len(page.records) + len(page.ignored) + len(page.deleted)
        assert page.read == others + len(rejected)
    assert sum(page.read for page in read(tmp_path)) == 5 + 1 + 1 + 3 + 4 + 12


def test_a_bulk_file_with_deletions_is_remarked_upon_once(tmp_path):
    pages = read(folder(tmp_path, busy_package()), page_size=1)
    places = [problem.place for problem in problems(pages, Code.BULK_FIELD_FORBIDDEN)]
    assert places == ["classes.csv line 2", "enrollments.csv line 4"]


@pytest.mark.parametrize("after", [{"file": "users.csv", "rows": 99}, {"file": "x", "rows": 1}])
def test_a_checkpoint_of_another_package_is_refused(tmp_path, after):
    with pytest.raises(RosterUnreadable) as caught:
        read(folder(tmp_path, package()), after=after)
    assert caught.value.code is Code.FILE_CHANGED


def test_a_delta_says_nothing_about_what_it_does_not_name(tmp_path):
    pages = read(folder(tmp_path, package(mode="delta")))
    assert {page.completeness for page in pages} == {Completeness.DELTA}
    assert problems(pages) == []
    plain = read(folder(tmp_path / "b", package()))
    assert [page.records for page in pages] == [page.records for page in plain]


def test_bulk_and_delta_are_decided_file_by_file(tmp_path):
    files = {**package(), "users.csv": package(mode="delta")["users.csv"]}
    modes = {**dict.fromkeys(HEADERS, "bulk"), "users.csv": "delta"}
    pages = read(folder(tmp_path, with_modes(files, modes)))
    deltas = [page.record_type for page in pages if page.completeness is Completeness.DELTA]
    assert deltas == [RecordType.USER]


def test_nothing_is_called_complete_before_a_file_was_read_to_its_end(tmp_path):
    files = package()
    files["enrollments.csv"] = str(files["enrollments.csv"]) + 'e9,,,"g1'
    path = folder(tmp_path, files)
    assert refusal(path, page_size=1).code is Code.FILE_MALFORMED_CSV

    async def lasts() -> list[RecordType]:
        seen = []
        async with aclosing(source(path, page_size=1).pages()) as pages:
            with suppress(RosterUnreadable):
                async for page in pages:
                    seen += [page.record_type] * page.is_last
        return seen

    assert asyncio.run(lasts()) == list(RecordType)[:-1]


@pytest.mark.anyio
async def test_other_tasks_run_between_the_pages(tmp_path):
    path = folder(tmp_path, busy_package("1.2"))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    pages = await read_pages(path, page_size=1)
    task.cancel()
    assert turns >= len(pages)


@pytest.mark.anyio
async def test_a_reading_may_be_given_up(tmp_path):
    path = zipped(tmp_path / "a.zip", busy_package("1.2"))
    async with aclosing(source(path, page_size=1).pages()) as pages:
        async for page in pages:
            if page.record_type is RecordType.USER:
                break


def _many(path: Path, rows: int) -> Path:
    files = package()
    files["enrollments.csv"] = lines_of(
        HEADERS["enrollments.csv"],
        [
            f"e{row},,,g{row % 900},s1,u{row % 5_000},student,,2026-08-17,2027-06-01"
            for row in range(rows)
        ],
    )
    header, *_ = str(files["users.csv"]).splitlines()
    files["users.csv"] = lines_of(
        header,
        [f"u{row},,,true,s1,student,u{row},,A{row},B{row},,,,,,,09," for row in range(rows // 10)],
    )
    return folder(path, files)


def _peak(path: Path) -> int:
    """The most memory of a reading whose pages are dropped."""

    async def run() -> None:
        async with aclosing(source(path, page_size=1_000).pages()) as pages:
            async for _ in pages:
                pass

    # What other tests have left would put off the collections that count here: set it aside.
    gc.freeze()
    gc.collect()
    tracemalloc.start()
    try:
        asyncio.run(run())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def test_memory_does_not_grow_with_the_package(tmp_path):
    small, large = _many(tmp_path / "small", 20_000), _many(tmp_path / "large", 200_000)
    _peak(small)
    assert _peak(large) < _peak(small) * 1.2


# -- check


@pytest.mark.anyio
async def test_a_check_says_what_it_found(tmp_path):
    files = with_text({**package(), "notes.txt": "x"}, "users.csv", "username", "userName")
    steps = await source(zipped(tmp_path / "a.zip", files)).check()
    assert all(step.is_ok and step.advice is None for step in steps)
    assert [step.name for step in steps] == ["package", "manifest", *HEADERS, "content"]
    assert steps[0].message == (
        "The package was opened; 7 files of it can be read. Not part of OneRoster: notes.txt."
    )
    assert steps[1].message.startswith("OneRoster 1.1: orgs.csv (bulk), ")
    assert "Misspelt: userName was read as username." in steps[6].message
    assert steps[-1].message.startswith("2 schools in orgs.csv; academicSessions.csv has 135 bytes")


@pytest.mark.anyio
async def test_a_check_of_a_manifest_alone_is_fine(tmp_path):
    files = with_modes({}, {})
    steps = await source(folder(tmp_path, files)).check()
    assert [(step.name, step.is_ok) for step in steps] == [
        ("package", True),
        ("manifest", True),
        ("content", True),
    ]


@pytest.mark.anyio
async def test_a_check_ends_at_the_step_that_fails(tmp_path):
    steps = await source(tmp_path / "nowhere").check()
    assert [(step.name, step.is_ok) for step in steps] == [("package", False)]
    files = with_text(package(), "courses.csv", "title", "metadata.title")
    steps = await source(folder(tmp_path, files)).check()
    assert (steps[-1].name, steps[-1].is_ok) == ("courses.csv", False)
    assert steps[-1].message == "courses.csv line 1: the column title is missing."
    assert (
        steps[-1].advice == "Correct the export of the student information system and sync again."
    )


# -- packages as exporters write them


def _real(name: str) -> Path:
    path = REAL / name
    if not path.is_dir():
        pytest.skip(f"{path.name} is not beside the repository")
    return path


@pytest.mark.parametrize("is_zip", [True, False])
def test_an_exported_package_is_read_whole(tmp_path, is_zip):
    path = _real("edfi-lms-toolkit-v1p1")
    if is_zip:
        files: Files = {file.name: file.read_bytes() for file in path.iterdir()}
        path = zipped(tmp_path / "a.zip", files)
    pages = read(path)
    counts = [len(records(pages, record_type)) for record_type in RecordType]
    assert counts == [1, 3, 2, 2, 10, 24]
    assert [problem for problem in problems(pages) if problem.rejects] == []
    assert pages[0].read == 2


def test_templates_with_nothing_but_headers_are_empty_files(tmp_path):
    pages = read(_real("classlink-templates-v1p1"))
    assert [page.read for page in pages] == [0] * 6
    assert [problem.code for problem in problems(pages)] == [Code.FILE_EMPTY] * 6
