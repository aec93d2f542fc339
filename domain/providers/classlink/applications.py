"""ClassLink's list of the districts that share with a partner: `/applications` of its proxy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from domain.providers.http.answer import Answer, BadPayload
from domain.providers.http.client import Client
from domain.providers.oneroster_rest.auth.bearer import bearer
from domain.roster.source import CredentialsRejected, RosterUnreadable
from domain.validation.codes import Code

_PAGE: Final = 1000
_SHOWN: Final = 40  # characters of a word of ClassLink's


@dataclass(frozen=True, slots=True)
class Application:
    """What one district shares with us. Every value is the text that ClassLink gave.

    `path_id` is a part of the proxy's paths, and is escaped already: it is sent as it is.
    `bearer` opens this district's roster and nothing else.
    """

    number: str
    tenant_id: str
    tenant_name: str
    enabled: str
    tenant_status: str
    path_id: str
    bearer: str = field(repr=False)

    @property
    def hindrance(self) -> str | None:
        """Why the roster cannot be read; None where it can."""
        # Texts both: the one that says no is "false".
        if self.enabled.casefold() != "true":
            return f"The application is not enabled at ClassLink (enabled: {_shown(self.enabled)})."
        if self.tenant_status != "Active":
            return f"The district is not active at ClassLink ({_shown(self.tenant_status)})."
        if not self.path_id or not self.bearer:
            return "ClassLink lists the district without an application id or a bearer token."
        return None


def _shown(word: str) -> str:
    return repr(word[:_SHOWN]) if word else "nothing"


async def read_applications(client: Client, proxy_url: str, token: str) -> list[Application]:
    """The whole list. There is no total: an empty page ends it."""
    partner = bearer(token)
    found: list[Application] = []
    beginnings: set[Application] = set()
    while True:
        url = f"{proxy_url}/applications?limit={_PAGE}&offset={len(found)}"
        page = await client.get(url, authorizer=partner, decode=_decode)
        if not page:
            return found
        if page[0] in beginnings:
            raise RosterUnreadable(
                Code.CONN_PAGINATION_BROKEN,
                "ClassLink's list of applications begins again instead of coming to its end.",
                place="/applications",
            )
        beginnings.add(page[0])
        found += page


def find_application(applications: Iterable[Application], tenant_id: str) -> Application:
    """The district's application that can be read: of several the newest.

    Raises CredentialsRejected where there is none, and says why.
    """
    own = [item for item in applications if item.tenant_id == tenant_id]
    if not own:
        raise CredentialsRejected(
            Code.CONN_DISCONNECTED,
            f"ClassLink does not list the district with the tenant id {tenant_id!r}"
            " among those that share with this application.",
        )
    newest = sorted(own, key=_age)
    usable = next((item for item in newest if item.hindrance is None), None)
    if usable is None:
        raise CredentialsRejected(Code.CONN_DISCONNECTED, newest[0].hindrance or "")
    return usable


def _age(application: Application) -> int:
    """Numbers ascend with time; a stable sort leaves those without one in the list's order."""
    number = application.number
    return -int(number) if number.isascii() and number.isdecimal() else 0


def usable_applications(applications: Iterable[Application]) -> list[Application]:
    """One of each district that has one."""
    newest = sorted(applications, key=_age)
    usable = {item.tenant_id: item for item in reversed(newest) if item.hindrance is None}
    return [item for tenant_id, item in usable.items() if tenant_id]


def _decode(answer: Answer) -> Sequence[Application]:
    try:
        content = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        raise BadPayload("It is no JSON.") from None
    rows = content.get("applications") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadPayload("It has no list of applications.")
    return [_application_of(row) for row in rows]


def _application_of(row: dict[str, Any]) -> Application:
    return Application(
        number=_text(row.get("id")),
        tenant_id=_text(row.get("tenant_id")),
        tenant_name=_text(row.get("tenant_name")),
        enabled=_text(row.get("enabled")),
        tenant_status=_text(row.get("tenant_status")),
        path_id=_text(row.get("oneroster_application_id")),
        bearer=_text(row.get("bearer")),
    )


def _text(value: object) -> str:
    """Ids come as numbers and as texts."""
    match value:
        case None | float() | dict() | list():
            return ""
        case bool():
            return str(value).lower()
        case _:
            return str(value).strip()
