"""Signing in with a provider: away to it, and back with a code for which we have asked.

A code for which this browser has not asked is never exchanged: somebody else could have sent it,
to have this browser signed in as themselves. Portals send such codes as well, and mean no harm;
so a sign-in of our own is begun instead, which a provider that knows the browser answers without
a question.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.signing_in.cookies import read_login, read_session, set_login
from api.signing_in.finishing import LANDING, finish_sign_in, refuse
from api.signing_in.site import Site
from api.signing_in.sso import words
from api.signing_in.sso.asking import find_entry, read_return, single
from api.signing_in.sso.conversation import Door, authorize_url, identify, sends_issuer
from api.signing_in.sso.discovery import Directory
from api.signing_in.sso.failures import CodeSpent, Fault, NotOfDistrict, ProviderFailed
from api.signing_in.sso.providers import Provider
from api.signing_in.sso.showing import show_problem
from api.signing_in.sso.transactions import (
    Login,
    Transaction,
    Wish,
    is_done,
    keep,
    new_transaction,
    remember_done,
    take,
)
from api.signing_in.sso.words import Stopped
from domain.clock import utc_now
from domain.one_time import OneTimeUnavailable
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal, SignedIn, sign_in_by

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Visit:
    """A request, and what is known of it. The login is a new one where the browser has none."""

    request: Request
    door: Door
    login: Login
    keeps_cookies: bool
    now: datetime

    def ask(self, name: str) -> str | None:
        return single(self.request, name)


Act = Callable[[Visit], Awaitable[Response]]


class Flow:
    def __init__(self, site: Site, providers: Mapping[str, Provider | None]) -> None:
        """The providers by the methods' names in lower case; None: it is not set up."""
        self._site = site
        self._providers = providers
        self._directory = Directory()

    async def start(self, request: Request) -> Response:
        """GET /sign-in/{method}: by a link of ours, or as the address that a portal opens."""
        return await self._answer(request, self._start)

    async def come_back(self, request: Request) -> Response:
        """GET /sign-in/{method}/callback."""
        return await self._answer(request, self._come_back)

    async def _answer(self, request: Request, act: Act) -> Response:
        if request.method != "GET":
            # Whoever only looks must not use anything up.
            return Response(status_code=405, headers={"Allow": "GET"})
        method, base = request.path_params["method"], _base_url(self._site, request)
        provider = self._providers.get(method)
        if provider is None or base is None:
            problem = words.NOT_SET_UP if method in self._providers else words.UNKNOWN_METHOD
            return show_problem(Stopped(problem), provider=method.capitalize())
        door = Door(provider, self._directory, f"{base}/sign-in/{method}/callback")
        login = Login.parse(read_login(request))
        keeps_cookies = login is not None or read_session(request) is not None
        visit = Visit(request, door, login or Login.new(), keeps_cookies, utc_now())
        try:
            return await act(visit)
        except ProviderFailed as failed:
            stopped = _stopped(visit, failed)
        except OneTimeUnavailable:
            log.warning("sso_unavailable", method=provider.method)
            stopped = Stopped(words.UNAVAILABLE)
        except Stopped as raised:
            stopped = raised
        return self._over(visit, show_problem(stopped, provider=provider.title, method=method))

    async def _start(self, visit: Visit) -> Response:
        if visit.ask("error"):
            raise Stopped(words.DENIED)
        if visit.ask("code"):
            return await self._restart(visit)
        entry = await find_entry(self._site, visit.ask("tenant"), visit.door.provider.method)
        if entry.refusal:
            return self._over(visit, await refuse(self._site, visit.request, entry.refusal))
        wanted = read_return(self._site, visit.request)
        wish = Wish(entry.tenant_id, entry.slug, wanted.url, wanted.code_challenge)
        return await self._begin(visit, visit.login.began(), wish, hint=entry.hint)

    async def _begin(
        self,
        visit: Visit,
        login: Login,
        wish: Wish,
        *,
        hint: str | None = None,
        is_restart: bool = False,
    ) -> Response:
        method = visit.door.provider.method
        transaction = new_transaction(method, login, wish, is_restart=is_restart)
        state = await keep(self._site.resources.one_time, transaction)
        url = await authorize_url(visit.door, transaction, state=state, hint=hint, now=visit.now)
        response = RedirectResponse(url, 302)
        set_login(response, str(login))
        return response

    async def _restart(self, visit: Visit) -> Response:
        """Once more from the beginning, for nobody in particular; not again and again."""
        if not visit.login.may_restart(visit.now):
            raise Stopped(words.CIRCLE)
        log.info("sso_restarted", method=visit.door.provider.method)
        return await self._begin(visit, visit.login.restarted(visit.now), Wish(), is_restart=True)

    async def _come_back(self, visit: Visit) -> Response:
        state, code, error = visit.ask("state"), visit.ask("code"), visit.ask("error")
        transaction = await self._take_own(visit, state)
        slug = transaction.wish.slug if transaction else None
        if error == "access_denied":
            raise Stopped(words.DENIED, slug=slug)
        if error:
            raise ProviderFailed(Fault.ERROR_ANSWER)
        if transaction is None:
            session = read_session(visit.request)
            if state and await is_done(self._site.resources.one_time, state, session):
                return RedirectResponse(LANDING, 303)
            return await self._restart(visit)
        try:
            await _check_issuer(visit)
            return await self._sign_in(visit, transaction, code=code, state=state or "")
        except CodeSpent:
            return await self._restart(visit)
        except ProviderFailed as failed:
            raise _stopped(visit, failed, slug=slug) from failed

    async def _take_own(self, visit: Visit, state: str | None) -> Transaction | None:
        """The transaction that this browser has begun with this provider; used up in any case."""
        taken = await take(self._site.resources.one_time, state) if state else None
        if taken is None:
            return None
        if taken.method is visit.door.provider.method and taken.is_of(visit.login):
            return taken
        log.warning("sso_foreign_state", method=visit.door.provider.method)
        if taken.is_restart and not visit.keeps_cookies:
            # Beginning again would never end.
            raise Stopped(words.NO_COOKIES)
        return None

    async def _sign_in(
        self, visit: Visit, transaction: Transaction, *, code: str | None, state: str
    ) -> Response:
        if code is None:
            raise ProviderFailed(Fault.NO_CODE)
        site, request, wish = self._site, visit.request, transaction.wish
        try:
            assertion = await identify(visit.door, transaction, code=code, now=visit.now)
        except NotOfDistrict:
            reason = RefusalReason.NOT_AUTHORIZED_BY_DISTRICT
            refusal = Refusal.because(reason, wish.tenant_id)
            return self._over(visit, await refuse(site, request, refusal))
        outcome = await sign_in_by(
            site.resources.database,
            assertion,
            tenant_id=wish.tenant_id,
            client=request.headers.get("user-agent"),
            now=visit.now,
        )
        if not isinstance(outcome, SignedIn):
            return self._over(visit, await refuse(site, request, outcome))
        with suppress(OneTimeUnavailable):
            await remember_done(site.resources.one_time, state, outcome.token)
        return await finish_sign_in(
            site,
            request,
            outcome,
            return_to=wish.return_to,
            code_challenge=wish.code_challenge,
        )

    def _over(self, visit: Visit, response: Response) -> Response:
        """However it has ended: what comes next goes round in no circle."""
        if visit.login.restarted_at is not None:
            set_login(response, str(visit.login.began()))
        return response


def _base_url(site: Site, request: Request) -> str | None:
    """Never from what the request says about where it came to, but on a developer's machine."""
    if site.web.public_url:
        return site.web.public_url.rstrip("/")
    return str(request.base_url).rstrip("/") if site.web.is_local else None


async def _check_issuer(visit: Visit) -> None:
    issuer = visit.ask("iss")
    if issuer is None:
        is_right = not await sends_issuer(visit.door, now=visit.now)
    else:
        is_right = visit.door.provider.is_issuer(issuer)
    if not is_right:
        raise ProviderFailed(Fault.ANSWER_ISSUER)


def _stopped(visit: Visit, failed: ProviderFailed, *, slug: str | None = None) -> Stopped:
    log.warning(
        "sso_provider_failed",
        method=visit.door.provider.method,
        fault=failed.fault,
        place=failed.place,
        status=failed.status,
    )
    return Stopped(words.FAILED, slug=slug)
