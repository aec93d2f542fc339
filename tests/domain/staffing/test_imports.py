"""Imports of admins and staff: what is looked through, told, written, and left alone."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from domain.errors import Conflict, InvalidInput
from domain.files.imports import require_applied
from domain.people.callers import COMMAND_LINE
from domain.staffing.layouts import PeopleKind, template_of
from domain.tenants.service import create_tenant
from tests.api.graphql.seed import add_group, add_membership, add_school, add_user
from tests.api.graphql.signed_in import add_session
from tests.domain.staffing.files import ADMINS, SCHOOLS_OF, STAFF, Office, counts, said, sheet

pytestmark = pytest.mark.anyio

PAST = datetime(2026, 1, 1, tzinfo=UTC)


async def test_admins_are_taken_over_and_the_preview_said_so(office: Office) -> None:
    before = await office.places()
    preview = await office.look(ADMINS)
    assert await office.places() == before
    assert (preview["rows"], preview["wrong"], counts(preview)) == (2, 0, {"create": 2})
    assert preview["people"] == [
        {"line": 2, "username": "ann.fox", "action": "CREATE", "fields": []},
        {"line": 3, "username": "kim.day", "action": "CREATE", "fields": []},
    ]
    assert (preview["errors"], preview["error_count"], preview["warnings"]) == ([], 0, [])
    report = await office.apply(ADMINS)
    assert report == preview | {"is_applied": True}
    assert await office.people("given_name", "email", "roles", "is_enabled", SCHOOLS_OF) == [
        ("ann.fox", "Ann", "ann@example.org", ["DISTRICT_ADMIN"], True, None),
        ("kim.day", "Kim", "kim@example.org", ["SCHOOL_ADMIN"], True, ["0410", "0420"]),
    ]


async def test_staff_have_one_role(office: Office) -> None:
    report = await office.apply(STAFF, PeopleKind.STAFF)
    assert (report["kind"], counts(report)) == ("STAFF", {"create": 1})
    assert await office.people("roles", SCHOOLS_OF) == [("ida.may", ["STAFF"], None)]
    rows = sheet(("ida.may", "Ida", "May", "ida@example.org", "school_admin", "0410", ""))
    [(line, column, words)] = said(await office.look(rows, PeopleKind.STAFF))
    assert (line, column, words) == (2, "role", "'school_admin' is none of: STAFF.")


async def test_the_same_file_again_writes_nothing(office: Office) -> None:
    await office.apply(ADMINS)
    before = await office.places()
    report = await office.apply(ADMINS, archive_missing=True)
    assert await office.places() == before
    assert counts(report) == {"unchanged": 2}


async def test_what_differs_is_changed_and_told(office: Office) -> None:
    await office.apply(ADMINS)
    ids = await office.people("id")
    later = sheet(
        ("Ann.Fox", "Anne", "Fox", "kim@example.org", "district_admin", "", "yes"),
        ("kim.day", "Kim", "Day", "ann@example.org", "district_admin", "s2", "no"),
    )
    report = await office.apply(later)
    assert report["people"] == [
        {"line": 2, "username": "Ann.Fox", "action": "UPDATE",
         "fields": ["username", "given_name", "email"]},
        {"line": 3, "username": "kim.day", "action": "UPDATE",
         "fields": ["email", "role", "is_enabled", "school_numbers"]},
    ]  # fmt: skip
    assert await office.people("given_name", "email", "roles", "is_enabled", SCHOOLS_OF) == [
        ("Ann.Fox", "Anne", "kim@example.org", ["DISTRICT_ADMIN"], True, None),
        ("kim.day", "Kim", "ann@example.org", ["DISTRICT_ADMIN"], False, ["0420"]),
    ]
    assert [key for _, key in await office.people("id")] == [key for _, key in ids]


async def test_a_column_that_is_not_there_changes_nothing(office: Office) -> None:
    await office.apply(ADMINS)
    await office.see.execute("UPDATE users SET is_enabled = false WHERE username = 'kim.day'")
    narrow = (
        "username,given_name,family_name,email,role\n"
        "kim.day,Kim,Day,kim@example.org,district_admin\n"
    )
    report = await office.apply(narrow)
    assert report["people"][0]["fields"] == ["role"]
    assert await office.people("roles", "is_enabled", SCHOOLS_OF) == [
        ("ann.fox", ["DISTRICT_ADMIN"], True, None),
        ("kim.day", ["DISTRICT_ADMIN"], False, ["0410", "0420"]),
    ]


async def test_a_role_that_was_given_here_stays(office: Office) -> None:
    await office.apply(ADMINS)
    await office.see.execute(
        "UPDATE users SET roles = '{SCHOOL_ADMIN,STAFF}' WHERE username = 'kim.day'"
    )
    assert counts(await office.apply(ADMINS)) == {"unchanged": 2}
    await office.apply(ADMINS.replace("School Admin", "district_admin"))
    assert await office.people("roles") == [
        ("ann.fox", ["DISTRICT_ADMIN"]), ("kim.day", ["DISTRICT_ADMIN", "STAFF"]),
    ]  # fmt: skip


async def test_every_wrong_row_is_told_with_its_line_its_column_and_what_to_do(
    office: Office,
) -> None:
    await add_user(office.see, office.tenant_id, username="Mia", source_id="u1")
    await add_user(office.see, office.tenant_id, username="old", origin="LEGACY")
    await add_school(office.see, office.tenant_id, name="Twin", number="0420")
    await add_school(office.see, office.tenant_id, number="0430", archived_at=PAST)
    await office.apply(STAFF, PeopleKind.STAFF)
    mail = "{}@example.org".format
    report = await office.look(
        sheet(
            ("mia", "Mia", "Lee", mail("a"), "district_admin", "", ""),
            ("old", "Old", "Ray", mail("b"), "district_admin", "", ""),
            ("ida.may", "Ida", "May", mail("c"), "district_admin", "", ""),
            ("one", "One", "Ray", mail("d"), "school_admin", "0420", ""),
            ("two", "Two", "Ray", mail("e"), "school_admin", "410;9", ""),
            ("ten", "Ten", "Ray", mail("f"), "school_admin", "0430", ""),
            ("six", "Six", "Ray", mail("g"), "school_admin", "", ""),
            ("Six", "Six", "Ray", "nobody", "boss", "", "maybe"),
            ("eva", "Eva", "Ray", mail("h"), "district_admin", "", ""),
            ("EVA", "Eva", "Ray", mail("i"), "district_admin", "", ""),
            ("ben", "Ben", "Ray", mail("H"), "district_admin", "", ""),
            ("bob", "Bob", "Ray", "ida@example.org", "district_admin", "", ""),
            ("", "", "Ray", "", "", "", ""),
            ("", "Short"),
        )
    )
    assert said(report) == [
        (2, "username", ("Somebody here has the username 'Mia' already and is rostered by the"
         " provider: change that there, or write another username.")),
        (3, "username", ("Somebody here has the username 'old' already and was here before"
         " rostering: write another username.")),
        (4, "username", ("Somebody here has the username 'ida.may' already and belongs into"
         " staff.csv: change them there, or write another username.")),
        (5, "school_numbers", ("There are 2 schools with the number '0420': write the id that the"
         " provider has for the one that is meant.")),
        (6, "school_numbers", ("There is no school '410', but there is '0410': a spreadsheet may"
         " have dropped its zeros.")),
        (6, "school_numbers", "There is no school with the number or id '9'."),
        (7, "school_numbers", "The school '0430' is archived."),
        (8, "school_numbers", "A school admin needs a school here, by its number."),
        (9, "email", "'nobody' is not an email address such as ann.fox@example.org."),
        (9, "is_enabled", "'maybe' is neither yes nor no."),
        (9, "role", "'boss' is none of: SCHOOL_ADMIN, DISTRICT_ADMIN."),
        (11, "username", ("This is on line 10 already, as 'eva': upper and lower case are the"
         " same.")),
        (12, "email", ("This is on line 10 already, as 'h@example.org': upper and lower case are"
         " the same.")),
        (13, "email", "'ida.may', who is imported too, has this address."),
        *[(14, name, "There is nothing here, and there has to be.")
          for name in ("email", "given_name", "role", "username")],
        (15, None, "The row has 2 cells, and the first line 7."),
    ]  # fmt: skip
    assert (report["rows"], report["wrong"], counts(report)) == (14, 13, {"create": 1})
    assert report["error_count"] == 19


async def test_nothing_is_written_beside_errors_unless_they_are_to_be_skipped(
    office: Office,
) -> None:
    wrong = ADMINS + "bad,Bad,Row,none,district_admin,,\n"
    upload_id = await office.upload(wrong.encode(), PeopleKind.ADMINS)
    report = await office.ask(upload_id, PeopleKind.ADMINS, apply=True)
    with pytest.raises(Conflict, match=r"there are errors \(1\)"):
        require_applied(report)
    assert await office.people() == []
    require_applied(await office.ask(upload_id, PeopleKind.ADMINS, apply=True, skip_errors=True))
    assert [name for (name,) in await office.people()] == ["ann.fox", "kim.day"]
    assert await office.rows("SELECT content FROM uploads") == [(None,)]
    assert await office.rows(
        "SELECT actor, action, details->>'create', details->>'errors' FROM audit_log"
        " WHERE action LIKE '%Import'"
    ) == [("command line", "adminsImport", "2", "1")]


async def test_whoever_is_missing_is_archived_only_where_that_is_asked_for(
    office: Office,
) -> None:
    await office.apply(ADMINS)
    await office.apply(STAFF, PeopleKind.STAFF)
    rest = "\n".join(ADMINS.splitlines()[:2]) + "\n"
    assert counts(await office.apply(rest)) == {"unchanged": 1}
    preview = await office.look(rest, archive_missing=True)
    assert preview["people"] == [
        {"line": None, "username": "kim.day", "action": "ARCHIVE", "fields": []},
        {"line": 2, "username": "ann.fox", "action": "UNCHANGED", "fields": []},
    ]
    await office.apply(rest, archive_missing=True)
    assert [name for (name,) in await office.people()] == ["ann.fox", "ida.may"]


async def test_who_was_archived_comes_back_as_the_same_person(office: Office) -> None:
    await office.apply(ADMINS)
    [kim] = await office.rows("SELECT id FROM users WHERE username = 'kim.day'")
    school = await office.see.fetchval("SELECT id FROM schools WHERE number = '0410'")
    group = await add_group(office.see, office.tenant_id, school)
    await add_membership(office.see, office.tenant_id, kim[0], group, role="STAFF", origin="IMPORT")
    await add_session(office.see, office.tenant_id, "secret", user_id=kim[0])
    await office.apply("\n".join(ADMINS.splitlines()[:2]) + "\n", archive_missing=True)
    assert await office.rows(
        "SELECT u.archived_at IS NULL, m.archived_at IS NULL, s.ended_at IS NULL FROM users u"
        " JOIN memberships m ON m.user_id = u.id JOIN sessions s ON s.user_id = u.id"
    ) == [(False, False, False)]
    report = await office.apply(ADMINS.replace("Kim,", "Kimberly,"))
    assert report["people"][0] == {
        "line": 3, "username": "kim.day", "action": "RESTORE", "fields": ["given_name"],
    }  # fmt: skip
    assert await office.rows(
        "SELECT u.id, u.given_name, u.archived_at, m.archived_at FROM users u"
        " JOIN memberships m ON m.user_id = u.id"
    ) == [(kim[0], "Kimberly", None, None)]


async def test_an_archived_member_of_staff_is_somebody_else_than_a_new_admin(
    office: Office,
) -> None:
    await office.apply(STAFF, PeopleKind.STAFF)
    await office.see.execute("UPDATE users SET archived_at = now()")
    admins = sheet(("ida.may", "Ida", "May", "ida@example.org", "district_admin", "", ""))
    assert counts(await office.apply(admins)) == {"create": 1}
    assert await office.rows("SELECT count(*) FROM users") == [(2,)]


async def test_an_old_file_does_not_bring_back_who_was_merged(office: Office) -> None:
    await office.apply(ADMINS)
    await office.see.execute(
        "UPDATE users u SET archived_at = now(), merged_into_id = k.id FROM users k"
        " WHERE u.username = 'kim.day' AND k.username = 'ann.fox'"
    )
    report = await office.look(ADMINS)
    assert counts(report) == {"unchanged": 1}
    assert said(report) == [
        (
            3,
            "username",
            (
                "Whoever had the username 'kim.day' was merged into another person: take the row"
                " out, or write another username."
            ),
        )
    ]


async def test_the_last_district_admin_stays(office: Office) -> None:
    await office.apply(ADMINS)
    words = "Nobody here would be a district admin any more: keep one who is enabled."
    only_kim = "\n".join(ADMINS.splitlines()[::2]) + "\n"
    report = await office.apply(only_kim, archive_missing=True)
    assert (said(report), report["is_applied"]) == ([(1, "role", words)], False)
    assert report["wrong"] == 0  # no row of it is
    disabled = ADMINS.replace("district_admin,,yes", "district_admin,,no")
    assert said(await office.look(disabled)) == [(1, "role", words)]
    with pytest.raises(Conflict, match="Nobody here would be"):
        await office.apply(disabled, skip_errors=True)
    # A district admin of the provider's will do.
    await add_user(office.see, office.tenant_id, source_id="u1", roles=["DISTRICT_ADMIN"])
    assert counts(await office.apply(only_kim, archive_missing=True)) == {
        "unchanged": 1, "archive": 1,
    }  # fmt: skip


async def test_archiving_is_never_the_work_of_a_broken_file(office: Office) -> None:
    await office.apply(ADMINS)
    header = ADMINS.splitlines()[0] + "\n"
    with pytest.raises(InvalidInput, match="nobody in the file"):
        await office.apply(header, archive_missing=True)
    with pytest.raises(InvalidInput, match="would be missing"):
        await office.apply(ADMINS, archive_missing=True, skip_errors=True)
    wrong = header + "ann.fox,Ann,Fox,ann@example.org,boss,,\n"
    report = await office.apply(wrong, archive_missing=True)
    assert counts(report) == {}
    assert report["warnings"] == ["Who is missing from the file is told once no row is wrong."]
    assert len(await office.people()) == 2


async def test_only_those_of_the_tenant_are_looked_at(office: Office) -> None:
    other = await office.see.fetchval("SELECT uuidv7()")
    async with office.api.transaction(other) as session:
        await create_tenant(session, tenant_id=other, slug="beta", name="Beta", caller=COMMAND_LINE)
    theirs = Office(office.api, office.worker, office.see, other)
    await theirs.apply(STAFF, PeopleKind.STAFF)
    assert counts(await office.apply(STAFF, PeopleKind.STAFF, archive_missing=True)) == {
        "create": 1
    }
    assert await office.rows("SELECT count(*) FROM users WHERE archived_at IS NULL") == [(2,)]
    upload_id = await theirs.upload(STAFF.encode(), PeopleKind.STAFF)
    with pytest.raises(InvalidInput, match="no such upload"):
        await office.ask(upload_id, PeopleKind.STAFF)


UNREADABLE = {
    "workbook": (b"PK\x03\x04", "This is a workbook or a zip file"),
    "latin": (ADMINS.replace("Ann,", "\u00c9c,").encode("latin-1"), "is not UTF-8"),
    "missing": (b"username,email\n", "the columns given_name, family_name, role are missing"),
    "doubled": (f"email,{ADMINS}".encode(), "the column email is there twice"),
    "empty": (b"\n", "the columns username"),
    "open": (ADMINS.replace("Ann", '"Ann').encode(), "a quotation mark is not closed"),
    "nul": (ADMINS.replace("Ann", "\0").encode(), "NUL character"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_cannot_be_read_is_refused_with_a_reason(office: Office, kind: str) -> None:
    content, reason = UNREADABLE[kind]
    with pytest.raises(InvalidInput, match=reason) as refusal:
        await office.look(content)
    assert refusal.value.field == "uploadId"


@pytest.mark.parametrize("delimiter", [";", "\t"])
async def test_what_a_spreadsheet_of_another_country_writes_is_read(
    office: Office, delimiter: str
) -> None:
    quoted = ADMINS.replace("0410;0420", "#").replace(",", delimiter)
    content = b"\xef\xbb\xbf" + quoted.replace("#", '"0410;0420"').replace("\n", "\r\n").encode()
    await office.apply(content)
    assert (await office.people(SCHOOLS_OF))[1] == ("kim.day", ["0410", "0420"])


async def test_columns_that_are_not_known_are_told_and_never_stored(office: Office) -> None:
    content = ADMINS.replace("is_enabled", "password").replace(",yes", ",hunter2")
    report = await office.apply(content)
    assert report["warnings"] == ["The column 'password' is not read."]
    stored = str(await office.rows("SELECT to_jsonb(u)::text FROM users u"))
    assert "hunter2" not in stored + str(await office.rows("SELECT result::text FROM errands"))


@pytest.mark.parametrize("kind", PeopleKind)
async def test_a_template_is_a_file_of_nobody_and_its_example_fits(
    office: Office, kind: PeopleKind
) -> None:
    template = template_of(kind)
    assert (await office.look(template, kind))["rows"] == 0
    report = await office.apply(template.replace(b"# ", b""), kind)
    assert (said(report), counts(report)) == ([], {"create": 1})


async def test_they_take_no_licence(office: Office) -> None:
    await office.apply(ADMINS)
    await office.apply(STAFF, PeopleKind.STAFF)
    [row] = await office.see.fetch(
        "SELECT licences_used FROM summarise_tenants(ARRAY[$1::uuid])", office.tenant_id
    )
    assert row["licences_used"] == 0


async def test_many_people_are_written_by_a_fixed_number_of_statements(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0

    def counting(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def count(*given: Any, **named: Any) -> Any:
            nonlocal counted
            counted += 1
            return await function(*given, **named)

        return count

    for name in ("execute", "fetch", "fetchval", "copy_records_to_table"):
        original = getattr(asyncpg.Connection, name)
        monkeypatch.setattr(asyncpg.Connection, name, counting(original))

    async def statements(many: int) -> int:
        before = counted
        rows = [
            (f"n{many}-{n}", "N", "N", f"n{many}-{n}@example.org", "school_admin", "0410", "")
            for n in range(many)
        ]
        await office.apply(sheet(*rows))
        return counted - before

    assert await statements(3) == await statements(300) > 20
