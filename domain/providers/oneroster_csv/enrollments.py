"""Enrollments: most of the rows of a package, so plain ones take a short way."""

from datetime import date
from functools import partial
from itertools import islice
from operator import itemgetter

from domain.providers.oneroster.drafts import Draft, Memo, OddError
from domain.providers.oneroster.mapping import map_enrollment
from domain.providers.oneroster_csv.rows import ReadPage, Sheet, take_row
from domain.providers.vocabulary import (
    ID_LENGTH,
    MEMBERSHIP_ROLES,
    parse_boolean,
    parse_date,
)
from domain.roster.records import Enrollment, MembershipRole


def enrollment_reader(sheet: Sheet) -> ReadPage:
    """Plain rows are taken by position and from memory; whatever is odd by `map_enrollment`.

    Most rows of a package come this way, so it is written for speed: cells by position, one look
    for each into what is known, and no function of Python's own for a row.
    """
    at = sheet.table.columns
    width, is_delta = sheet.table.width, sheet.is_delta
    modified_at = at["dateLastModified"]
    pick_ids = itemgetter(at["sourcedId"], at["userSourcedId"], at["classSourcedId"])
    pick_others = itemgetter(
        at["status"], at["role"], at["primary"], at["beginDate"], at["endDate"]
    )
    standings, days = Memo(_delta_standing if is_delta else _standing), Memo(_day)
    make = partial(tuple.__new__, Enrollment)

    def read_page(draft: Draft, size: int) -> None:
        keep = draft.records.append

        def take_odd(row: list[str]) -> None:
            take_row(sheet, row, sheet.table.line, map_row=map_enrollment, draft=draft)

        for row in islice(sheet.table.rows, size):
            try:
                source_id, user, group = ids = pick_ids(row)
                status, word, primary, begin, end = pick_others(row)
                role, is_primary = standings[status, word, primary]
                begins_on, ends_on = days[begin], days[end]
            except (IndexError, OddError):
                take_odd(row)
                continue
            joined = "".join(ids)
            if (
                not source_id
                or not user
                or not group
                or len(row) != width
                or len(source_id) > ID_LENGTH
                or " " in joined
                or not joined.isprintable()
                or (begins_on and ends_on and ends_on <= begins_on)
                or (is_delta and not row[modified_at].strip())
            ):
                take_odd(row)
            else:
                keep(make((source_id, user, group, role, is_primary, begins_on, ends_on)))

    return read_page


def _standing(cells: tuple[str, str, str]) -> tuple[str, bool]:
    """Role and primary of a plain row. A bulk file needs no status, and many have one."""
    status, role, primary = cells
    return _delta_standing((status.strip() or "active", role, primary))


def _delta_standing(cells: tuple[str, str, str]) -> tuple[str, bool]:
    status, role_word, primary = cells
    role = MEMBERSHIP_ROLES.get(role_word.strip().lower())
    is_primary = parse_boolean(primary)
    if status.strip().lower() != "active" or role is None:
        raise OddError
    if role is not MembershipRole.TEACHER:
        return role.value, False
    if primary.strip() and is_primary is None:
        raise OddError
    return role.value, bool(is_primary)


def _day(cell: str) -> date | None:
    text = cell.strip()
    day = parse_date(text)
    if text and day is None:
        raise OddError
    return day
