"""Whether a OneRoster server can be read, step by step, with one record of each collection."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from domain.providers.hosts import Hosts
from domain.providers.http.answer import Answer
from domain.providers.http.client import Authorizer, Client
from domain.providers.http.failures import Refused
from domain.providers.oneroster_rest.access import Access, Endpoint
from domain.providers.oneroster_rest.auth.oauth1 import OAuth1
from domain.providers.oneroster_rest.auth.oauth2 import ClientCredentials
from domain.providers.oneroster_rest.objects import COLLECTIONS, PageDecoder
from domain.providers.oneroster_rest.paging import total_of
from domain.providers.oneroster_rest.server import SIGNATURE_METHODS, core_scope
from domain.roster.records import RecordType
from domain.roster.source import CheckStep, SourceError
from domain.validation.codes import RULES, Code

_OF_CREDENTIALS: Final = frozenset({Code.CONN_AUTH_REJECTED, Code.CONN_DISCONNECTED})
_ADDRESS: Final = "address"
_CREDENTIALS: Final = "credentials"


def failed_step(name: str, error: SourceError, advice: str | None = None) -> CheckStep:
    remedy = RULES[error.code].remedy
    return CheckStep(name, is_ok=False, message=str(error), advice=advice or remedy)


async def check_access(access: Access, hosts: Hosts) -> Sequence[CheckStep]:
    """Stops at the first step that fails. Somebody is waiting: nothing is tried for long."""
    client = Client(allow_private=hosts.allow_private, patience=hosts.patience.hasty())
    async with client:
        try:
            endpoint = await access.open(client)
        except SourceError as error:
            return [failed_step(_step_of(error), error)]
        return [step async for step in _steps(_Check(client, endpoint))]


@dataclass(frozen=True, slots=True)
class _Check:
    client: Client
    endpoint: Endpoint

    async def count(self, record_type: RecordType, authorizer: Authorizer | None = None) -> int:
        """How many there are; -1 if the server does not say, and has some."""
        collection = COLLECTIONS[record_type]
        decoder = PageDecoder(collection)

        def decode(answer: Answer) -> int:
            rows = decoder.decode(answer.body)
            total = total_of(answer.headers)
            is_said = total is not None and total >= len(rows) and total != 1
            return total if is_said and total is not None else -bool(rows)

        return await self.client.get(
            f"{self.endpoint.base_url}/{collection.name}?limit=1&offset=0",
            authorizer=authorizer or self.endpoint.authorizer,
            decode=decode,
        )


async def _steps(check: _Check) -> AsyncIterator[CheckStep]:
    failed = await _first_failure(check)
    if failed and _step_of(failed) == _ADDRESS:
        yield failed_step(_ADDRESS, failed)
        return
    yield CheckStep(_ADDRESS, is_ok=True, message=f"{check.endpoint.base_url} answers.")
    if failed and _step_of(failed) == _CREDENTIALS:
        yield failed_step(_CREDENTIALS, failed, await _advice(check))
        return
    yield CheckStep(_CREDENTIALS, is_ok=True, message=_accepted(check.endpoint.authorizer))
    for record_type in COLLECTIONS:
        step = await _collection_step(check, record_type)
        yield step
        if not step.is_ok:
            return
    yield await _demographics_step(check)


async def _first_failure(check: _Check) -> SourceError | None:
    try:
        await check.count(RecordType.SCHOOL)
    except SourceError as error:
        return error
    return None


def _step_of(error: SourceError) -> str:
    """The step that the failure of the first request belongs to, whatever it went through."""
    if error.code in _OF_CREDENTIALS:
        return _CREDENTIALS
    is_shut = isinstance(error, Refused) and error.status == HTTPStatus.FORBIDDEN
    return COLLECTIONS[RecordType.SCHOOL].name if is_shut else _ADDRESS


def _accepted(authorizer: Authorizer) -> str:
    if isinstance(authorizer, ClientCredentials):
        return "The server gave out an access token."
    if isinstance(authorizer, OAuth1):
        return f"The server accepts the signature ({authorizer.signature_method.value})."
    return "The server accepts the token."


async def _advice(check: _Check) -> str | None:
    """With OAuth 1 the other signature method may be the right one: that is tried."""
    refused = check.endpoint.authorizer
    if not isinstance(refused, OAuth1):
        return None
    other = refused.signature_method.other
    try:
        await check.count(RecordType.SCHOOL, OAuth1(refused.key, refused.secret, other))
    except SourceError:
        return None
    setting = next(auth for auth, method in SIGNATURE_METHODS.items() if method is other)
    return f"The server accepts {other.value}: set auth to {setting.value}."


async def _collection_step(check: _Check, record_type: RecordType) -> CheckStep:
    name = COLLECTIONS[record_type].name
    try:
        count = await check.count(record_type)
    except SourceError as error:
        is_forbidden = error.code is Code.CONN_FORBIDDEN_SCOPE
        return failed_step(name, error, _scope_advice(check, name) if is_forbidden else None)
    if count < 0:
        return CheckStep(name, is_ok=True, message=f"{name} can be read.")
    message = f"{name} can be read; the server says that there are {count}."
    return CheckStep(name, is_ok=True, message=message, advice=_empty_advice(name, count))


def _empty_advice(name: str, count: int) -> str | None:
    return None if count else f"Check at the provider whether the district shares its {name}."


def _scope_advice(check: _Check, name: str) -> str:
    advice = f"Have the provider grant this application the {name} of the district"
    if isinstance(check.endpoint.authorizer, ClientCredentials):
        version = "1.2" if check.endpoint.base_url.endswith("v1p2") else "1.1"
        advice += f", by the scope {core_scope(version)}; then name it in the scopes"
    return f"{advice}, and test again."


async def _demographics_step(check: _Check) -> CheckStep:
    """A note, whatever the answer: they are not read."""
    url = f"{check.endpoint.base_url}/demographics?limit=1&offset=0"
    try:
        await check.client.get(
            url, authorizer=check.endpoint.authorizer, decode=lambda answer: answer.status
        )
    except SourceError:
        message = "Demographics are not shared. They are not needed."
        return CheckStep("demographics", is_ok=True, message=message)
    return CheckStep(
        "demographics",
        is_ok=True,
        message="Demographics are shared. They are not read, and need not be.",
    )
