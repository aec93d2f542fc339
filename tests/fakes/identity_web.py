"""The pages of the fake identity providers: signing in there, and being sent back with a code."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.identity import ANOTHER_ISSUER, Asked, IdentityFake, Misdeed, P, Refused
from tests.fakes.identity_tokens import ELSEWHERE

Endpoint = Callable[[Asked], Response]
Pages = Mapping[str, Endpoint]

_USUAL_PARAMETERS: Final = frozenset({"response_type", "client_id", "redirect_uri", "state"})
_PAGE: Final = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
    "<body><h1>{title}</h1>\n{body}\n</body></html>\n"
)
_PERSON: Final = (
    '<form method="post" action="/login"><input type="hidden" name="next" value="{next}">'
    '<input type="hidden" name="person" value="{subject}">'
    '<button type="submit">Sign in as {name}</button></form>'
)


def app_of(fake: IdentityFake[P], pages: Pages) -> Starlette:
    """The pages that every provider has, and the given ones; `app.state.fake` is the fake."""
    everywhere: Pages = {
        "/login": lambda asked: _login(fake, asked),
        "/logout": lambda asked: _logout(fake, asked),
        ELSEWHERE: lambda _: JSONResponse({"keys": [fake.keys.forged.as_dict(private=False)]}),
    }
    app = Starlette(
        routes=[
            Route(path, _respond(fake, endpoint), methods=["GET", "POST"])
            for path, endpoint in {**everywhere, **pages}.items()
        ]
    )
    app.state.fake = fake
    return app


def _respond(fake: IdentityFake[P], endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        body = (await request.body()).decode()
        try:
            asked = _asked(request, body)
            fake.requests.append(asked)
            return endpoint(asked)
        except Refused as refused:
            text = {"error": refused.error, "error_description": refused.description}
            return JSONResponse(text, refused.status)

    return respond


def _asked(request: Request, body: str) -> Asked:
    """Raises Refused for what is said twice."""
    kind = request.headers.get("content-type", "")
    query = parse_qsl(request.url.query, keep_blank_values=True)
    is_json = kind.startswith("application/json")
    fields = _fields_of_json(body) if is_json else parse_qsl(body, keep_blank_values=True)
    return Asked(
        request.method,
        str(request.base_url).rstrip("/"),
        request.url.path,
        {name: str(value) for name, value in request.path_params.items()},
        _once(query),
        _once(fields),
        dict(request.headers),
        request.cookies,
    )


def _fields_of_json(body: str) -> list[tuple[str, str]]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise Refused("invalid_request", "This is no JSON.") from error
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise Refused("invalid_request", "An object of texts is expected.")
    return list(found.items())


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Refused("invalid_request", "Something is said twice.")
    return values


def page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    """`body` is HTML."""
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), status)


def problem(text: str) -> HTMLResponse:
    """For whoever must not be sent back, since nobody knows who would get the answer."""
    return page("This application cannot be used", f"<p>{escape(text)}</p>", status=400)


def authorize(fake: IdentityFake[P], asked: Asked) -> Response:
    """To the login page, or straight back where the browser is signed in."""
    query = asked.query
    if query.get("client_id") != fake.application.client_id:
        return problem("The client_id is unknown.")
    if query.get("redirect_uri") not in fake.redirect_uris:
        return problem("The redirect_uri is not registered.")
    unknown = set(query) - _USUAL_PARAMETERS - fake.manners.authorize_parameters
    if unknown:
        return problem(f"Unknown parameters: {', '.join(sorted(unknown))}.")
    error = _error_of(fake, query)
    if error is not None:
        return send_back(fake, query["redirect_uri"], {"error": error, **_state(fake, query)})
    person = person_at(fake, asked)
    if person is None:
        return to_login(asked)
    answer = _answer(fake, person, query)
    return send_back(fake, query["redirect_uri"], {**answer, **_state(fake, query)})


def _error_of(fake: IdentityFake[P], query: Mapping[str, str]) -> str | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    if fake.manners.needs_scope and not query.get("scope"):
        return "invalid_scope"
    has_challenge = "code_challenge" in query
    if has_challenge != (query.get("code_challenge_method") == "S256"):
        return "invalid_request"
    return None


def _answer(fake: IdentityFake[P], person: P, query: Mapping[str, str]) -> dict[str, str]:
    if fake.misdeed is Misdeed.ACCESS_DENIED:
        return {"error": "access_denied", "error_description": "Somebody has said no."}
    scope = query.get("scope", "")
    code = fake.issue_code(
        person,
        redirect_uri=query["redirect_uri"],
        scope=scope,
        nonce=query.get("nonce"),
        code_challenge=query.get("code_challenge"),
    )
    return {"code": code, **fake.answer_extras(scope)}


def _state(fake: IdentityFake[P], query: Mapping[str, str]) -> dict[str, str]:
    if "state" not in query or fake.misdeed is Misdeed.STATE_DROPPED:
        return {}
    is_changed = fake.misdeed is Misdeed.STATE_CHANGED
    return {"state": query["state"][::-1] if is_changed else query["state"]}


def send_back(fake: IdentityFake[P], url: str, answer: Mapping[str, str]) -> Response:
    issuer = {"iss": ANOTHER_ISSUER} if fake.misdeed is Misdeed.ANSWER_OF_ANOTHER else {}
    joint = "&" if urlsplit(url).query else "?"
    return RedirectResponse(f"{url}{joint}{urlencode({**answer, **issuer})}", 302)


def _cookie(fake: IdentityFake[P]) -> str:
    return f"fake-{fake.name}-session"


def person_at(fake: IdentityFake[P], asked: Asked) -> P | None:
    """Who is signed in in the browser that asks."""
    return fake.person_at(asked.cookies.get(_cookie(fake)))


def to_login(asked: Asked) -> Response:
    """Where somebody signs in, and comes back to what was asked for."""
    here = f"{asked.path}?{urlencode(asked.query)}" if asked.query else asked.path
    return RedirectResponse(f"/login?next={quote(here, safe='')}", 302)


def _login(fake: IdentityFake[P], asked: Asked) -> Response:
    if asked.method == "GET":
        return _login_page(fake, asked.query.get("next", ""))
    subject, onward = asked.fields.get("person", ""), asked.fields.get("next", "")
    if subject not in {person.subject for person in fake.people} or onward.startswith("//"):
        return problem("There is nobody of this name.")
    response: Response = page("You are signed in", "<p>Nothing else was asked for.</p>")
    if onward.startswith("/"):
        response = RedirectResponse(onward, 303)
    session = fake.open_session(subject)
    response.set_cookie(_cookie(fake), session, path="/", httponly=True, samesite="lax")
    return response


def _login_page(fake: IdentityFake[P], onward: str) -> Response:
    forms = "\n".join(
        _PERSON.format(
            next=escape(onward), subject=escape(person.subject), name=escape(person.name)
        )
        for person in fake.people
    )
    return page(f"Sign in to {fake.name}", forms)


def _logout(fake: IdentityFake[P], asked: Asked) -> Response:
    fake.close_session(asked.cookies.get(_cookie(fake)))
    response = page("You are signed out", "")
    response.delete_cookie(_cookie(fake))
    return response


def portal(fake: IdentityFake[P], asked: Asked, tile: str) -> Response:
    """A page with the icon of the application; `tile` is where the icon leads."""
    person = person_at(fake, asked)
    if person is None:
        return to_login(asked)
    icon = f'<a href="{escape(tile)}">Homerow</a>'
    return page(f"Portal of {person.name}", f"<p>{icon}</p>")


def launch(
    fake: IdentityFake[P], asked: Asked, url: str, *, extras: Iterable[tuple[str, str]] = ()
) -> Response:
    """Straight to the application with a code for which it has not asked: no state, no nonce."""
    person = person_at(fake, asked)
    if person is None:
        return to_login(asked)
    code = fake.issue_code(person, scope="openid profile oneroster")
    return send_back(fake, url, {"code": code, **dict(extras)})


def bearer_of(asked: Asked) -> str:
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""
