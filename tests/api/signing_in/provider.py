"""A provider to sign in with, as small as can be: one server that is all four of them.

It does what it is asked, strictly, unless a test has it say something else. Nobody clicks:
`grant` does what a person would do on the provider's page.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.clock import utc_now

DISTRICT: Final = "5" * 24
CLEVER_ID: Final = "6" * 24
TENANT: Final = 4711
SOURCED_ID: Final = "mia-at-classlink"
DOMAIN: Final = "springfield.example"
TID: Final = "11111111-2222-3333-4444-555555555555"
Browser = httpx2.AsyncClient
METHODS: Final = ("clever", "classlink", "google", "microsoft")
WITH_DISCOVERY: Final = ("google", "microsoft")
SECRETS: Final = {method: f"secret-of-{method}" for method in METHODS}
CLIENTS: Final = {method: f"client-at-{method}" for method in METHODS}
TOKEN_PATHS: Final = {
    "clever": "/clever/oauth/tokens",
    "classlink": "/classlink/oauth2/v2/token",
    "google": "/google/token",
    "microsoft": "/microsoft/token",
}


@cache
def signing_key(kid: str = "k1") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@dataclass
class Provider:
    """`says` has the answers that a test puts in the place of the usual ones, by their paths.

    `claims` are put over those of the next id_tokens; None takes one away. `signs` makes another
    token of them.
    """

    url: str = ""
    says: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    signs: Any = None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def reset(self) -> None:
        for kept in (self.says, self.claims, self.asked, self.codes):
            kept.clear()
        self.signs = None

    def exchanges(self) -> int:
        return sum(path in TOKEN_PATHS.values() for path in self.asked)

    def grant(self, authorize_url: str, code: str | None = None) -> str:
        """The callback's address, as the provider sends the browser there."""
        parts = urlsplit(authorize_url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        code = code or f"code-{len(self.codes) + 1}"
        method = parts.path.split("/")[1]
        self.codes[code] = query | {"method": method}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENTS[method]
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"


def app_of(provider: Provider) -> Starlette:
    async def answer(request: Request) -> Response:
        path = request.url.path
        provider.asked.append(path)
        said = provider.says.get(path)
        if isinstance(said, Response):
            return said
        if path in TOKEN_PATHS.values():
            usual = _tokens(provider, request, dict(await request.form()))
        else:
            usual = _documents(provider)[path]
        return JSONResponse({**usual, **(said or {})}, 400 if "error" in usual else 200)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _documents(provider: Provider) -> dict[str, dict[str, Any]]:
    keys = {"keys": [signing_key().as_dict(private=False)]}
    found: dict[str, dict[str, Any]] = {
        "/clever/oauth/tokeninfo": {"client_id": CLIENTS["clever"], "scopes": []},
        "/clever/v3.0/me": {
            "type": "user",
            "data": {"id": CLEVER_ID, "district": DISTRICT, "authorized_by": "district"},
        },
        "/classlink/v2/my/info": {
            "UserId": 99,
            "TenantId": TENANT,
            "SourcedId": SOURCED_ID,
            "Email": "mia@springfield.example",
        },
    }
    for method in METHODS:
        base = f"{provider.url}/{method}"
        document = {
            "issuer": base if method != "microsoft" else f"{base}/{{tenantid}}/v2.0",
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": provider.url + TOKEN_PATHS[method],
            "jwks_uri": f"{base}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        place = "/organizations/v2.0" if method == "microsoft" else ""
        found[f"/{method}{place}/.well-known/openid-configuration"] = document
        found[f"/{method}/keys"] = keys
    return found


def _tokens(provider: Provider, request: Request, form: dict[str, Any]) -> dict[str, Any]:
    method = request.url.path.split("/")[1]
    granted = provider.codes.pop(str(form.get("code")), None)
    if not granted or granted["method"] != method or not _is_ours(method, request, form):
        return {"error": "invalid_grant"}
    if granted["redirect_uri"] != form["redirect_uri"] or not _has_proof(granted, form):
        return {"error": "invalid_grant"}
    tokens = {"access_token": f"il-{method}", "token_type": "Bearer", "expires_in": 3600}
    # Clever sends one only where its support has switched that on.
    if method != "clever" or provider.claims or provider.signs:
        tokens["id_token"] = id_token(provider, method, granted["nonce"])
    return tokens


def _is_ours(method: str, request: Request, form: dict[str, Any]) -> bool:
    if method == "clever":
        pair = f"{CLIENTS[method]}:{SECRETS[method]}".encode()
        return request.headers["authorization"] == f"Basic {base64.b64encode(pair).decode()}"
    return (form["client_id"], form["client_secret"]) == (CLIENTS[method], SECRETS[method])


def _has_proof(granted: dict[str, str], form: dict[str, Any]) -> bool:
    challenge = granted.get("code_challenge")
    if challenge is None:
        return "code_verifier" not in form
    made = hashlib.sha256(form["code_verifier"].encode()).digest()
    return challenge == base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def id_token(provider: Provider, method: str, nonce: str) -> str:
    own: dict[str, dict[str, Any]] = {
        "clever": {"sub": CLEVER_ID, "user_id": "of-former-times", "district": DISTRICT},
        "classlink": {"sub": "99"},
        "google": {
            "sub": "mia-at-google",
            "hd": DOMAIN,
            "email": f"mia@{DOMAIN}",
            "email_verified": True,
        },
        "microsoft": {
            "sub": "pairwise",
            "tid": TID,
            "oid": "mia-at-microsoft",
            "preferred_username": f"Mia@{DOMAIN}",
        },
    }
    base, moment = f"{provider.url}/{method}", int(utc_now().timestamp())
    claims: dict[str, Any] = {
        "iss": base if method != "microsoft" else f"{base}/{TID}/v2.0",
        "aud": CLIENTS[method],
        "iat": moment,
        "exp": moment + 3600,
        "nonce": nonce,
        **own[method],
        **provider.claims,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    if provider.signs:
        return str(provider.signs(claims))
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, signing_key())


async def leave(browser: Browser, path: str) -> str:
    """To the provider; the address there."""
    answer = await browser.get(path)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def started(browser: Browser, provider: Provider, method: str, **query: str) -> str:
    """The address of the callback, with which the provider sends the browser back."""
    wanted = httpx2.QueryParams({"tenant": "springfield", **query})
    return provider.grant(await leave(browser, f"/sign-in/{method}?{wanted}"))


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
