"""What can go wrong with one attempt, and the errors that a request ends with.

A request that fails because of a status raises a `Refused`, which is also what its code calls
for: a SourceUnavailable, CredentialsRejected or RosterUnreadable. A source that knows a way out
catches it by its status:

    try:
        page = await client.get(sorted_url, authorizer=authorizer, decode=decode)
    except Refused as refused:
        if refused.status != HTTPStatus.BAD_REQUEST:
            raise
        page = await client.get(unsorted_url, authorizer=authorizer, decode=decode)
"""

from typing import Final

from domain.providers.http.table import Action
from domain.roster.source import (
    CredentialsRejected,
    RosterUnreadable,
    SourceError,
    SourceUnavailable,
)
from domain.validation.codes import Code


class Setback(Exception):
    """One attempt failed. `what` follows the name of the place: "answered 503"."""

    def __init__(
        self, action: Action, what: str, *, status: int | None = None, hint: float | None = None
    ) -> None:
        super().__init__(what)
        self.action = action
        self.what = what
        self.status = status
        self.hint = hint


class Refused(SourceError):
    """The provider's answer was this status, and asking again did not help."""

    status: int


class UnavailableStatus(Refused, SourceUnavailable):
    """429, 5xx, 408."""


class RejectedStatus(Refused, CredentialsRejected):
    """401, 403, 404."""


class UnreadableStatus(Refused, RosterUnreadable):
    """Any other status."""


_UNAVAILABLE: Final = frozenset(
    {
        Code.CONN_UNREACHABLE,
        Code.CONN_TIMEOUT,
        Code.CONN_THROTTLED,
        Code.CONN_SERVER_ERROR,
    }
)
_REJECTED: Final = frozenset(
    {Code.CONN_AUTH_REJECTED, Code.CONN_FORBIDDEN_SCOPE, Code.CONN_ADDRESS_REFUSED}
)


def failure(code: Code, message: str, *, place: str, status: int | None) -> SourceError:
    """The error that a request ends with."""
    if status is None:
        return _plain_class(code)(code, message, place=place)
    refused = _status_class(code)(code, message, place=place)
    refused.status = status
    return refused


def _plain_class(code: Code) -> type[SourceError]:
    if code in _UNAVAILABLE:
        return SourceUnavailable
    return CredentialsRejected if code in _REJECTED else RosterUnreadable


def _status_class(code: Code) -> type[Refused]:
    if code in _UNAVAILABLE:
        return UnavailableStatus
    return RejectedStatus if code in _REJECTED else UnreadableStatus
