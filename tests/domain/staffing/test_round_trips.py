"""What is exported is a file that changes nothing when it is imported, and does no harm before."""

import csv
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.files.sheets import BOM, original_text, safe_cell
from domain.staffing.layouts import HEADER, PeopleKind, meant, told
from tests.api.graphql.seed import add_school, add_user
from tests.domain.staffing.files import ADMINS, STAFF, Office, counts, said, sheet

pytestmark = pytest.mark.anyio

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
TEXTS = st.text(CHARACTERS, max_size=20) | st.text("=+-@;,|\"'# aé\u00a0", max_size=8)
NAMES = TEXTS.map(str.strip).filter(bool)
PEOPLE = st.lists(
    st.tuples(NAMES, NAMES, NAMES),
    min_size=1,
    max_size=8,
    unique_by=lambda names: names[0].casefold(),
)


@given(TEXTS)
@example("'=1")
@example("'#x;=1")
@example("-5")
@example("'-5")
def test_what_is_made_harmless_is_read_as_it_was(text: str) -> None:
    assert original_text(safe_cell(text)) == text
    assert meant(safe_cell(told(text))) == text


def test_a_cell_with_line_ends_is_left_alone() -> None:
    for text in ("a\n'=1", "a\t'=1", "\r'=1"):
        assert original_text(text) == text


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    people=st.lists(
        st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=8, unique_by=lambda p: p[0].casefold()
    ),
    number=NAMES,
)
@example(people=[("=cmd|' /C calc'!A0", "Zoë", "'t Hooft"), ("#1", '"Bo"', "@x")], number="-07")
async def test_whatever_they_are_called_an_export_changes_nothing(
    office: Office, people: list[tuple[str, str, str]], number: str
) -> None:
    await office.see.execute("UPDATE users SET archived_at = now()")
    await office.see.execute("UPDATE schools SET number = $1 WHERE source_id = 's1'", number)
    for n, (username, given_name, family_name) in enumerate(people):
        school = await office.see.fetchval("SELECT id FROM schools WHERE source_id = 's1'")
        await add_user(
            office.see,
            office.tenant_id,
            origin="IMPORT",
            roles=["SCHOOL_ADMIN"],
            schools=[school],
            username=username,
            given_name=given_name,
            family_name=family_name,
            email=f"{n}@example.org",
        )
    before = await office.places()
    content = await office.export()
    report = await office.apply(content, archive_missing=True)
    assert (said(report), counts(report)) == ([], {"unchanged": len(people)})
    assert await office.places() == before


async def test_an_export_has_the_columns_of_an_import(office: Office) -> None:
    await office.apply(ADMINS)
    await office.apply(STAFF, PeopleKind.STAFF)
    await add_user(office.see, office.tenant_id, source_id="u1", roles=["DISTRICT_ADMIN"])
    content = await office.export()
    assert content.startswith(BOM)
    assert list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))) == [
        list(HEADER),
        ["ann.fox", "Ann", "Fox", "ann@example.org", "district_admin", "", "yes"],
        ["kim.day", "Kim", "Day", "kim@example.org", "school_admin", "0410;0420", "yes"],
    ]
    staff = (await office.export(PeopleKind.STAFF)).decode("utf-8-sig").splitlines()
    assert staff[1:] == ['"ida.may","Ida","May","ida@example.org","staff","","yes"']
    assert await office.rows(
        "SELECT target FROM audit_log WHERE action = 'exportDownload' ORDER BY id"
    ) == [("ADMINS",), ("STAFF",)]


async def test_what_was_edited_in_an_export_is_imported(office: Office) -> None:
    await office.apply(ADMINS)
    content = (await office.export()).decode("utf-8-sig")
    edited = content.replace('"Kim"', '"Kimberly"').replace('"ann.fox"', '"#ann"')
    report = await office.apply(edited.encode(), archive_missing=True)
    assert counts(report) == {"update": 1, "archive": 1}


@pytest.mark.parametrize(
    ("number", "source_id", "written"),
    [
        ("0430", "s3", "0430"),
        ("0420", "s3", "s3"),
        (None, "s3", "s3"),
        ("0420", "0410", None),
        (None, None, None),
        ("1;2", None, None),
        (" 7", None, None),
    ],
)
async def test_a_school_is_written_by_a_name_that_is_its_alone(
    office: Office, number: str | None, source_id: str | None, written: str | None
) -> None:
    school = await add_school(
        office.see, office.tenant_id, name="Third", number=number, source_id=source_id,
        origin="PROVIDER" if source_id else "LEGACY",
    )  # fmt: skip
    rows = [("eva", "Eva", "Ray", "eva@example.org", "school_admin", str(school), "")]
    await office.apply(sheet(*rows))
    [_, row] = csv.reader(io.StringIO((await office.export()).decode("utf-8-sig")))
    assert row[5] == (written or str(school))
    assert counts(await office.look(await office.export())) == {"unchanged": 1}


async def test_a_school_that_is_archived_waits_for_its_return(office: Office) -> None:
    await office.apply(ADMINS)
    await office.see.execute("UPDATE schools SET archived_at = now() WHERE number = '0420'")
    content = await office.export()
    assert b'"0410","yes"' in content
    assert counts(await office.apply(content)) == {"unchanged": 2}
    assert counts(await office.apply(content.replace(b'"0410"', b'"s1"'))) == {"unchanged": 2}
    await office.see.execute("UPDATE schools SET archived_at = NULL")
    assert b'"0410;0420","yes"' in await office.export()
