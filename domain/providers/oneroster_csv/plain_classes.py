"""Classes: plain rows take a short way, others that of `mapping`. Both lead to the same group."""

from functools import partial
from itertools import islice
from operator import itemgetter

from domain.providers.oneroster.drafts import Draft, Memo, OddError, Rules
from domain.providers.oneroster.mapping import map_class
from domain.providers.oneroster.standings import plain_grades
from domain.providers.oneroster_csv.rows import ReadPage, Sheet, take_row
from domain.providers.vocabulary import CLASS_TYPES, TEXT_LENGTH, split_list
from domain.roster.records import Group

_TEXTS = ("sourcedId", "title", "schoolSourcedId", "courseSourcedId", "classCode")
_COMMON = ("status", "classType", "periods", "grades", "termSourcedIds", "subjects")


def class_reader(sheet: Sheet, rules: Rules) -> ReadPage:
    at = sheet.table.columns
    width, is_delta, modified_at = sheet.table.width, sheet.is_delta, at["dateLastModified"]
    pick_texts = itemgetter(*(at[name] for name in _TEXTS))
    pick_common = itemgetter(*(at[name] for name in _COMMON))
    commons = Memo(partial(_common, is_delta=is_delta))
    schools = Memo(partial(_school, rules=rules))
    make = partial(tuple.__new__, Group)

    def plain_class(row: list[str]) -> Group:
        texts = tuple(map(str.strip, pick_texts(row)))
        source_id, title, school, course, code = texts
        if (
            not source_id
            or len(row) != width
            or max(map(len, texts)) > TEXT_LENGTH
            or not source_id.isprintable()
            or (is_delta and not row[modified_at].strip())
        ):
            raise OddError
        kind, period, grades, terms, subjects = commons[pick_common(row)]
        return make(
            (
                source_id,
                title,
                schools[school],
                course or None,
                terms,
                code or None,
                kind,
                period,
                grades,
                subjects,
                (),
            )
        )

    map_row = partial(map_class, rules=rules)

    def read_page(draft: Draft, size: int) -> None:
        keep = draft.records.append
        for row in islice(sheet.table.rows, size):
            try:
                keep(plain_class(row))
            except (IndexError, OddError):
                take_row(sheet, row, sheet.table.line, map_row=map_row, draft=draft)

    return read_page


_Common = tuple[str | None, str | None, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _common(cells: tuple[str, ...], *, is_delta: bool) -> _Common:
    """What many classes have alike: kind, period, grades, terms and subjects of an active one."""
    status, word, periods, grades, terms, subjects = cells
    kind = CLASS_TYPES.get(word.strip().lower())
    standing = status.strip().lower()
    if (standing != "active" and (standing or is_delta)) or (word.strip() and kind is None):
        raise OddError
    period = ", ".join(split_list(periods)) or None
    return kind, period, plain_grades(split_list(grades)), split_list(terms), split_list(subjects)


def _school(source_id: str, *, rules: Rules) -> str:
    if not source_id or rules.org_types.get(source_id, "school") != "school":
        raise OddError
    return source_id
