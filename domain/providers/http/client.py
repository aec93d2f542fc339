"""Requests to one provider: tried again as the table and Patience say, until there is an answer.

Errors are those of domain.providers.http.failures; the ones for a status carry it. An Authorizer
and a decode function may raise a SourceError of their own: it ends the request at once.
"""

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar
from urllib.parse import urlencode

import httpcore2
import structlog

from domain.metrics import PROVIDER_CALLS
from domain.providers.http.address import Address, parse_address, redirected, refused_address
from domain.providers.http.answer import Answer, BadPayload
from domain.providers.http.failures import Setback, failure
from domain.providers.http.hints import retry_after
from domain.providers.http.pagesize import PageSize
from domain.providers.http.patience import Patience
from domain.providers.http.table import HINTED_STATUSES, Action, Step, action_of
from domain.providers.http.wire import Call, exchange, open_pool
from domain.roster.source import SourceError
from domain.validation.codes import Code

log = structlog.get_logger()

T = TypeVar("T")
Url = str | Callable[[int], str]
"""Sent byte for byte, so it must be escaped. A callable gets the page size of each attempt."""
WaitHint = Callable[[Mapping[str, str]], float | None]
"""The seconds that the headers of a 429 or 503 ask to wait. Names are in lower case."""

LARGEST_BODY: Final = 64 << 20
_MOST_REDIRECTS: Final = 5
_OWN_HEADERS: Final = {
    "User-Agent": "Homerow",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
}
_REQUEST_IDS: Final = ("x-request-id", "clever-request-id", "x-correlation-id")
_REQUEST_ID: Final = re.compile(r"[\w.:/+=-]{1,100}", re.ASCII)
_BAD_PAYLOAD: Final = Action(Step.RETRY, Code.CONN_BAD_PAYLOAD)


class Authorizer(Protocol):
    async def headers(self, method: str, url: str) -> Mapping[str, str]:
        """What proves who asks. Called for every attempt: a nonce is good for one.

        `url` is what is sent, byte for byte.
        """
        ...

    async def renew(self) -> bool:
        """After a 401: True if there are other credentials now."""
        ...


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """An Authorizer for a bearer that cannot be renewed, or for none at all."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002
        return self.values

    async def renew(self) -> bool:
        return False


@dataclass(slots=True)
class _Request:
    """What is asked, and how it has been changed by what was answered."""

    method: str
    url: Url
    authorizer: Authorizer = field(repr=False)
    page_size: PageSize | None = None
    content: bytes | None = field(default=None, repr=False)
    asked: Address | None = None
    asked_size: int = 0
    is_renewed: bool = False

    def next_url(self) -> str:
        if isinstance(self.url, str):
            return self.url
        self.asked_size = self.page_size.size if self.page_size else 0
        return self.url(self.asked_size)

    def ask_for_less(self) -> bool:
        """False if there is nothing that could be made smaller."""
        if self.page_size is None or isinstance(self.url, str):
            return False
        # Another request of the collection may have made it smaller meanwhile.
        return self.page_size.size < self.asked_size or self.page_size.halve()

    async def is_mended(self, setback: Setback) -> bool:
        """Whether it is worth asking again at once, in another way."""
        match setback.action.step:
            case Step.RENEW if not self.is_renewed:
                self.is_renewed = True
                return await self.authorizer.renew()
            case Step.SHRINK:
                return self.ask_for_less()
            case _:
                return False

    @property
    def place(self) -> str:
        return self.asked.place if self.asked else ""


class Client:
    """Keeps its connections while it is open. May be shared by concurrent requests."""

    def __init__(
        self,
        *,
        allow_private: bool,
        patience: Patience,
        wait_hint: WaitHint = retry_after,
        largest_body: int = LARGEST_BODY,
        pool: httpcore2.AsyncConnectionPool | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._patience = patience
        self._wait_hint = wait_hint
        self._largest_body = largest_body
        self._pool = pool or open_pool(allow_private=allow_private)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.aclose()

    async def get(
        self,
        url: Url,
        *,
        authorizer: Authorizer,
        decode: Callable[[Answer], T],
        page_size: PageSize | None = None,
    ) -> T:
        return await self._insist(_Request("GET", url, authorizer, page_size), decode)

    async def post_form(
        self,
        url: str,
        *,
        form: Mapping[str, str],
        headers: Mapping[str, str],
        decode: Callable[[Answer], T],
    ) -> T:
        """For OAuth 2: asking for a token twice does no harm, so it is tried again like a GET."""
        authorizer = FixedHeaders({"Content-Type": "application/x-www-form-urlencoded", **headers})
        content = urlencode(form).encode("ascii")
        return await self._insist(_Request("POST", url, authorizer, content=content), decode)

    async def _insist(self, request: _Request, decode: Callable[[Answer], T]) -> T:
        attempt = 1
        while True:
            try:
                answer = await self._ask(request)
                self._check(answer)
                return _decode(answer, decode)
            except Setback as caught:
                # Without its traceback, which holds what was read of the body.
                setback = caught.with_traceback(None)
            if await request.is_mended(setback):
                _log_retry(request, setback, attempt=attempt, wait=0.0)
                continue
            wait = self._wait_after(attempt, request, setback)
            _log_retry(request, setback, attempt=attempt, wait=wait)
            await asyncio.sleep(wait)
            attempt += 1

    async def _ask(self, request: _Request) -> Answer:
        """The answer behind all redirects."""
        address = parse_address(request.next_url(), allow_private=self._allow_private)
        for _ in range(_MOST_REDIRECTS + 1):
            request.asked = address
            answer = await self._send(request, address)
            if action_of(answer.status).step is not Step.FOLLOW:
                return answer
            address = redirected(
                address, answer.headers.get("location", ""), allow_private=self._allow_private
            )
        raise refused_address("It redirects again and again.", place=address.place)

    async def _send(self, request: _Request, address: Address) -> Answer:
        # Not within the attempt's time: it may have to fetch a token first.
        proof = await request.authorizer.headers(request.method, address.url)
        call = Call(
            request.method,
            address,
            {"Host": address.authority, **_OWN_HEADERS, **proof},
            request.content,
        )
        status = "none"
        try:
            answer = await exchange(
                self._pool, call, patience=self._patience, largest_body=self._largest_body
            )
            status = str(answer.status)
        finally:
            PROVIDER_CALLS.labels(status).inc()
        log.debug(
            "provider_answered",
            host=address.authority,
            path=address.path,
            status=answer.status,
            bytes=len(answer.body),
        )
        return answer

    def _check(self, answer: Answer) -> None:
        """Raises a Setback for an answer that is not one to take."""
        action = action_of(answer.status)
        if action.step is Step.TAKE:
            if answer.status != HTTPStatus.OK and not answer.body:
                raise Setback(_BAD_PAYLOAD, f"answered {answer.status} without a body")
            return
        hint = self._wait_hint(answer.headers) if answer.status in HINTED_STATUSES else None
        raise Setback(
            action,
            f"answered {answer.status}{_request_id(answer.headers)}",
            status=answer.status,
            hint=hint,
        )

    def _wait_after(self, attempt: int, request: _Request, setback: Setback) -> float:
        """The seconds until the next attempt. Raises the error of the request if there is none."""
        step, hint = setback.action.step, setback.hint or 0.0
        if hint > self._patience.longest_retry_after:
            raise _throttled(request, setback, longest=self._patience.longest_retry_after)
        is_final = step in {Step.REFUSE, Step.RENEW, Step.SHRINK}
        if is_final or attempt >= self._patience.attempts:
            raise _failed(request, setback, attempt)
        if step is Step.RETRY_SMALLER:
            request.ask_for_less()
        chance = random.random()  # noqa: S311 - jitter is no secret
        return hint + self._patience.wait_after(attempt, chance)


def _decode(answer: Answer, decode: Callable[[Answer], T]) -> T:
    try:
        return decode(answer)
    except BadPayload as bad:
        # Without its cause: what a parser says of a body quotes it.
        raise Setback(_BAD_PAYLOAD, f"sent what cannot be read ({bad})") from None


def _failed(request: _Request, setback: Setback, attempts: int) -> SourceError:
    times = f" after {attempts} attempts" if attempts > 1 else ""
    return failure(
        setback.action.code or Code.CONN_BAD_PAYLOAD,
        f"{request.place} {setback.what}{times}.",
        place=request.place,
        status=setback.status,
    )


def _throttled(request: _Request, setback: Setback, *, longest: float) -> SourceError:
    return failure(
        Code.CONN_THROTTLED,
        f"{request.place} {setback.what} and asks to wait {setback.hint:.0f} seconds;"
        f" a run waits {longest:.0f} seconds at most.",
        place=request.place,
        status=setback.status,
    )


def _request_id(headers: Mapping[str, str]) -> str:
    """What the provider's support asks for."""
    found = next((headers[name] for name in _REQUEST_IDS if name in headers), "")
    return f" (request id {found})" if _REQUEST_ID.fullmatch(found) else ""


def _log_retry(request: _Request, setback: Setback, *, attempt: int, wait: float) -> None:
    log.info(
        "provider_request_retried",
        host=request.asked.authority if request.asked else None,
        path=request.asked.path if request.asked else None,
        status=setback.status,
        code=setback.action.code,
        attempt=attempt,
        wait=round(wait, 3),
    )
