"""One of Clever's lists, page after page to its end, which has to be reached in order of ids."""

from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from domain.providers.clever.api import Answered, Api, Wanted
from domain.providers.clever.decoding import Odd
from domain.providers.clever.objects import Object
from domain.providers.http.failures import Refused
from domain.providers.http.pagesize import PageSize
from domain.roster.source import RosterMoved, RosterUnreadable
from domain.validation.codes import Code

_NOT_SHARED: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
    }
)


class Slice(NamedTuple):
    """Some rows of a list, none of them given before. `cursor` is where the next ones begin."""

    rows: Sequence[Object | Odd]
    cursor: str
    is_last: bool = False


async def read_list(
    api: Api, wanted: Wanted, kind: type[Object], *, after: str, page_size: PageSize
) -> AsyncGenerator[Slice]:
    """The list behind the cursor. Raises a SourceError if its end cannot be reached.

    The end is a page that is not full and names no next one. A full page without a link to the
    next one is not believed: an empty page has to follow.
    """
    cursor, is_promised, was_empty = after, False, False
    while True:
        answered = await api.page(wanted, kind, after=cursor, page_size=page_size)
        rows, following = answered.page.rows, answered.next_cursor
        fresh = _fresh_rows(rows, cursor, wanted)
        if fresh:
            is_last = following is None and len(rows) < answered.asked
            cursor = _last_id(fresh, cursor) if is_last else _next(fresh, answered, cursor, wanted)
            yield Slice(fresh, cursor, is_last=is_last)
            is_promised, was_empty = following is not None, False
        elif not rows and following is not None and not was_empty and following > cursor:
            cursor, was_empty, is_last = following, True, False
        else:
            _require_end(answered, wanted, is_promised=is_promised)
            yield Slice((), cursor, is_last=True)
            is_last = True
        if is_last:
            return


async def read_optional_list(
    api: Api, wanted: Wanted, kind: type[Object], *, after: str, page_size: PageSize
) -> AsyncGenerator[Slice]:
    """A list that a district need not share: then it is empty."""
    cursor = after
    try:
        async for part in read_list(api, wanted, kind, after=after, page_size=page_size):
            cursor = part.cursor
            yield part
    except Refused as refused:
        if refused.status not in _NOT_SHARED:
            raise
        yield Slice((), cursor, is_last=True)


def _require_end(answered: Answered, wanted: Wanted, *, is_promised: bool) -> None:
    """A page without anything new is an end only if nothing more was announced."""
    if answered.next_cursor is not None or len(answered.page.rows) >= answered.asked:
        raise _broken(wanted, "Pages without anything new lead to one another.")
    if is_promised:
        raise RosterMoved(
            Code.CONN_INTERRUPTED,
            f"Clever announced more of {wanted.path} and sent nothing.",
            place=wanted.path,
        )


def _fresh_rows(
    rows: Sequence[Object | Odd], cursor: str, wanted: Wanted
) -> Sequence[Object | Odd]:
    """The rows behind the cursor. Where pages overlap, the others were given before."""
    ids = [row.id for row in rows if row.id]
    if ids != sorted(ids):
        raise _broken(wanted, "Its rows are not in the order of their ids.")
    if not cursor or (ids and ids[0] > cursor):
        return rows
    return [row for row in rows if not row.id or row.id > cursor]


def _next(fresh: Sequence[Object | Odd], answered: Answered, cursor: str, wanted: Wanted) -> str:
    """Behind the last row, whatever the link says; unless only the link says where that is."""
    following = answered.next_cursor
    reached = following if following and not fresh[-1].id else _last_id(fresh, cursor)
    if reached <= cursor:
        raise _broken(wanted, "The same page came twice.")
    return reached


def _last_id(rows: Sequence[Object | Odd], cursor: str) -> str:
    return next((row.id for row in reversed(rows) if row.id), cursor)


def _broken(wanted: Wanted, what: str) -> RosterUnreadable:
    return RosterUnreadable(
        Code.CONN_PAGINATION_BROKEN,
        f"Clever's list {wanted.path} does not come to an end. {what}",
        place=wanted.path,
    )
