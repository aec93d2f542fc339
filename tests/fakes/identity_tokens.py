"""The token endpoint of the fake identity providers, and the id_tokens that come from it."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from tests.fakes.identity import (
    ANOTHER_APPLICATION,
    Asked,
    Grant,
    IdentityFake,
    Misdeed,
    P,
    Refused,
)
from tests.fakes.identity_keys import unsigned

ELSEWHERE: Final = "/elsewhere"
"""Where nobody should go who was told to: everything asked for there is in `requests` too."""
_USUAL_FIELDS: Final = frozenset({"grant_type", "code", "redirect_uri"})
_CLIENT_FIELDS: Final = frozenset({"client_id", "client_secret"})
_PIECE: Final = b" " * 65536
_PIECES: Final = 20
_HTML: Final = "<!doctype html>\n<title>Sorry</title>\n<h1>Something went wrong</h1>\n"


def token_answer(fake: IdentityFake[P], asked: Asked) -> Response:
    """Raises Refused."""
    instead = _instead(fake, asked)
    if instead is not None:
        return instead
    _check_request(fake, asked)
    _check_client(fake, asked)
    _check_fields(fake, asked)
    grant = fake.take_code(asked.fields)
    answer = _no_store(JSONResponse(_tokens(fake, grant, asked.base_url)))
    if fake.misdeed is Misdeed.TOKEN_SLOW:
        pieces = _slowly(bytes(answer.body), fake.amount)
        return StreamingResponse(pieces, media_type="application/json")
    return answer


def _instead(fake: IdentityFake[P], asked: Asked) -> Response | None:
    amount = int(fake.amount)
    match fake.misdeed:
        case Misdeed.TOKEN_FAILS:
            return JSONResponse({"error": "server_error"}, amount)
        case Misdeed.TOKEN_HTML:
            return HTMLResponse(_HTML, amount)
        case Misdeed.TOKEN_HUGE:
            return StreamingResponse(_hugely(amount), media_type="application/json")
        case Misdeed.TOKEN_REDIRECTS:
            return RedirectResponse(f"{asked.base_url}{ELSEWHERE}", amount)
        case _:
            return None


async def _slowly(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    size = -(-len(body) // _PIECES)
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / _PIECES)
        yield body[start : start + size]


async def _hugely(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, len(_PIECE)):
        yield _PIECE
        # A client that has hung up is noticed only while others have their turn.
        await asyncio.sleep(0)
    yield b"{}"


def _no_store(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def _check_request(fake: IdentityFake[P], asked: Asked) -> None:
    kinds = {"application/x-www-form-urlencoded"}
    if fake.manners.takes_json:
        kinds.add("application/json")
    if asked.method != "POST":
        raise Refused("invalid_request", "Codes are exchanged by POST.", status=405)
    if asked.headers.get("content-type", "").partition(";")[0].strip() not in kinds:
        raise Refused("invalid_request", "This content type is not read.")
    if asked.query:
        raise Refused("invalid_request", "Nothing of this belongs into the address.")


def _check_client(fake: IdentityFake[P], asked: Asked) -> None:
    given = _clients(asked)
    if len(given) != 1:
        raise Refused("invalid_client", "Who it is has to be said, and in one way.", status=401)
    [(way, client_id, secret)] = given
    known = fake.application
    is_it = (client_id, secret) == (known.client_id, known.client_secret)
    if way not in fake.manners.client_auth or not is_it:
        raise Refused("invalid_client", "Who is this?", status=401)


def _clients(asked: Asked) -> list[tuple[str, str, str]]:
    found = []
    if "authorization" in asked.headers:
        scheme, _, encoded = asked.headers["authorization"].partition(" ")
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        client_id, _, secret = text.partition(":")
        found.append((scheme.lower(), client_id, secret))
    if "client_secret" in asked.fields:
        fields = asked.fields
        found.append(("post", fields.get("client_id", ""), fields["client_secret"]))
    return found


def _check_fields(fake: IdentityFake[P], asked: Asked) -> None:
    manners, fields = fake.manners, asked.fields
    known = _USUAL_FIELDS | manners.token_fields
    if "post" in manners.client_auth:
        known |= _CLIENT_FIELDS
    unknown = set(fields) - known
    if unknown:
        raise Refused("invalid_request", f"Unknown: {', '.join(sorted(unknown))}.")
    may_lack = manners.token_may_be_short and "grant_type" not in fields
    if not may_lack and fields.get("grant_type") != "authorization_code":
        raise Refused("unsupported_grant_type", "Only codes are exchanged here.")


def _tokens(fake: IdentityFake[P], grant: Grant[P], base_url: str) -> dict[str, Any]:
    access_token = fake.issue_access(grant)
    tokens: dict[str, Any] = {"access_token": access_token, "token_type": fake.manners.token_type}
    told = fake.as_told(grant)
    if fake.has_id_token(told) and fake.misdeed is not Misdeed.NO_ID_TOKEN:
        claims = _claims(fake, told, base_url, access_token)
        tokens["id_token"] = _signed(fake, claims, base_url)
    return tokens


def _claims(
    fake: IdentityFake[P], grant: Grant[P], base_url: str, access_token: str
) -> Mapping[str, Any]:
    now = int(fake.clock())
    claims = {
        "iss": fake.issuer_of(base_url, grant.person),
        "aud": fake.application.client_id,
        "iat": now,
        "exp": now + 3600,
        **({"nonce": grant.nonce} if grant.nonce is not None else {}),
        **fake.claims_of(grant, access_token),
    }
    return _spoilt(fake, claims, base_url)


def _spoilt(fake: IdentityFake[P], claims: dict[str, Any], base_url: str) -> dict[str, Any]:
    party = {"azp": ANOTHER_APPLICATION}
    changes: Mapping[Misdeed | None, Mapping[str, Any]] = {
        Misdeed.OTHER_AUDIENCE: {"aud": ANOTHER_APPLICATION, **(party if "azp" in claims else {})},
        Misdeed.OTHER_PARTY: party,
        Misdeed.OTHER_ISSUER: {"iss": fake.other_issuer(base_url)},
        Misdeed.OTHER_NONCE: {"nonce": "nonce-of-another-sign-in"},
    }
    shifts: Mapping[Misdeed | None, float] = {
        Misdeed.EXPIRED: claims["iat"] - claims["exp"] - fake.amount,
        Misdeed.ISSUED_IN_FUTURE: fake.amount,
    }
    spoilt = {**claims, **changes.get(fake.misdeed, {})}
    if fake.misdeed is Misdeed.NO_NONCE:
        spoilt.pop("nonce", None)
    return _moved(spoilt, int(shifts.get(fake.misdeed, 0)))


def _moved(claims: Mapping[str, Any], seconds: int) -> dict[str, Any]:
    """All its times are so many seconds later."""
    times = {"iat", "nbf", "exp", "auth_time"} & set(claims)
    return {**claims, **{name: claims[name] + seconds for name in times}}


def _signed(fake: IdentityFake[P], claims: Mapping[str, Any], base_url: str) -> str:
    keys, address = fake.keys, f"{base_url}{ELSEWHERE}"
    signers: Mapping[Misdeed | None, Callable[[], str]] = {
        Misdeed.OTHER_KEY: lambda: keys.forge(claims, kid=keys.current.kid),
        Misdeed.UNKNOWN_KEY_NAME: lambda: keys.sign(claims, kid="nobody-knows"),
        Misdeed.ALGORITHM_NONE: lambda: unsigned(claims),
        Misdeed.SIGNED_WITH_PUBLIC_KEY: lambda: keys.sign_with_public_key(claims),
        Misdeed.KEY_BY_ADDRESS: lambda: keys.forge(claims, jku=address, x5u=address),
        Misdeed.KEY_ENCLOSED: lambda: keys.forge(claims, jwk=keys.forged.as_dict(private=False)),
    }
    return signers.get(fake.misdeed, lambda: keys.sign(claims))()
