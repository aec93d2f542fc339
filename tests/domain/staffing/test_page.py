"""docs/imports.md: its examples can be imported, and it knows every column."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from domain.staffing.layouts import PEOPLE, PeopleKind
from tests.domain.staffing.files import SCHOOLS_OF, Office, counts, said

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[3] / "docs" / "imports.md").read_text(encoding="utf-8")


def examples() -> list[str]:
    """The files that are shown, header and rows."""
    found = re.findall(r"^ +username,.*(?:\n +\S+@\S+.*|\n +\S+,.*)+", PAGE, re.MULTILINE)
    return [dedent(example) + "\n" for example in found]


async def test_its_examples_are_imported_as_they_are(office: Office) -> None:
    admins, staff = examples()
    for kind, example in ((PeopleKind.ADMINS, admins), (PeopleKind.STAFF, staff)):
        report = await office.apply(example, kind)
        assert (said(report), report["warnings"]) == ([], [])
        assert counts(report) == {"create": len(example.splitlines()) - 1}
    assert await office.people("roles", SCHOOLS_OF) == [
        ("ann.fox", ["DISTRICT_ADMIN"], None),
        ("ida.may", ["STAFF"], ["0410"]),
        ("kim.day", ["SCHOOL_ADMIN"], ["0410", "0420"]),
    ]


def test_it_tells_of_every_column_and_which_must_be_there() -> None:
    table = PAGE.partition("## Columns")[2].partition("## Changing")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    told = [name.strip() for cell in cells for name in cell.split(",") if "---" not in name]
    columns = PEOPLE[PeopleKind.ADMINS].layout.columns
    assert told == [f"{one.name}*" if one.is_required else one.name for one in columns]
