"""The doors for programs: a frontend fetches its session, an application takes somebody over."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.graphql.errors import MASK, ErrorCode, Refused, log_failure
from api.graphql.requests import authenticate
from api.request_ids import request_id_of
from api.signing_in.endpoints import LARGEST_FORM
from api.signing_in.landing import audience_of
from api.signing_in.returning import redeem_code
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.one_time import OneTimeUnavailable
from domain.people.callers import Scope
from domain.people.sessions import renew_token
from domain.signing_in.launch import public_keys, redeem

_SECONDS = 10
Act = Callable[[Site, Request], Awaitable[Response]]


def machine_routes(site: Site) -> list[Route]:
    return [
        Route("/session/token", _endpoint(site, _fetch_session), methods=["POST"]),
        Route("/launch/redeem", _endpoint(site, _redeem), methods=["POST"]),
        Route("/.well-known/jwks.json", _endpoint(site, _publish), methods=["GET"]),
    ]


def _endpoint(site: Site, act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        request_id = request_id_of(request.scope)
        try:
            response = await act(site, request)
        except Refused as refused:
            response = _problem(refused, request_id)
        except OneTimeUnavailable:
            words = "A part of this site does not answer. Try again in a minute."
            response = _problem(Refused(503, ErrorCode.TIMEOUT, words), request_id)
        except Exception as error:  # noqa: BLE001 - nothing may get out but the mask
            log_failure(error, request_id=request_id)
            failed = Refused(500, ErrorCode.INTERNAL_SERVER_ERROR, MASK)
            response = _problem(failed, request_id)
        response.headers["X-Request-Id"] = request_id
        return response

    return respond


def _problem(refused: Refused, request_id: str) -> Response:
    content = {
        "status": refused.status,
        "code": refused.code.value,
        "detail": str(refused),
        "requestId": request_id,
    }
    return Response(
        orjson.dumps(content),
        refused.status,
        headers=refused.headers,
        media_type="application/problem+json",
    )


async def _fetch_session(site: Site, request: Request) -> Response:
    """{code, code_verifier} for the session's token. No cookie is looked at or set."""
    asked = await _read(request)
    code, verifier = _text(asked, "code"), _text(asked, "code_verifier")
    key = await redeem_code(site.resources.one_time, code, verifier)
    renewed = None
    if key is not None:
        async with site.resources.database.transaction(key.tenant_id) as session:
            renewed = await renew_token(session, tenant_id=key.tenant_id, session_id=key.session_id)
    if renewed is None:
        raise Refused(
            400,
            ErrorCode.BAD_USER_INPUT,
            "The code was used, is older than a minute, or was made for somebody else. Sign in"
            " again.",
        )
    token, until = renewed
    return _json({"token": token, "tokenType": "Bearer", "expiresAt": until.isoformat()})


async def _redeem(site: Site, request: Request) -> Response:
    """{token} for what it says, once. By an API token with the scope training:read."""
    caller = await authenticate(request, site.resources.database)
    if Scope.TRAINING_READ not in caller.scopes:
        words = f"This needs a token with the scope {Scope.TRAINING_READ.value}."
        raise Refused(403, ErrorCode.FORBIDDEN, words)
    token = _text(await _read(request), "token")
    async with site.resources.database.read() as session:
        claims = await redeem(
            session,
            site.resources.one_time,
            token,
            audience=audience_of(site),
            may_see=caller.may_see,
            now=utc_now(),
        )
    if claims is None:
        raise Refused(
            410,
            ErrorCode.NOT_FOUND,
            "The launch token was redeemed, is older than a minute, or is not for you. Send the"
            " person back to the sign-in page.",
        )
    return _json(dict(claims))


async def _publish(site: Site, _: Request) -> Response:
    async with site.resources.database.read() as session:
        keys = await public_keys(session, now=utc_now())
    response = _json({"keys": keys})
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


async def _read(request: Request) -> Mapping[str, Any]:
    """Raises Refused."""
    essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if essence != "application/json":
        raise Refused(415, ErrorCode.BAD_REQUEST, "Send application/json.")
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_FORM:
                    words = f"A request has at most {LARGEST_FORM} bytes."
                    raise Refused(413, ErrorCode.BAD_REQUEST, words)
        content = orjson.loads(body)
    except TimeoutError:
        words = "The request did not arrive in time."
        raise Refused(408, ErrorCode.BAD_REQUEST, words) from None
    except orjson.JSONDecodeError:
        raise Refused(400, ErrorCode.BAD_REQUEST, "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise Refused(400, ErrorCode.BAD_REQUEST, "The body is not an object.")
    return content


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(400, ErrorCode.BAD_REQUEST, f"`{name}` is missing, or is no text.")
    return value


def _json(content: Mapping[str, Any]) -> Response:
    return Response(
        orjson.dumps(content), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )
