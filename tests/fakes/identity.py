"""What the fakes of the four identity providers share: people, codes, tokens, and misdeeds.

A fake is told what to do by its methods, at any time while it is served. What it was asked is in
`requests`; what was told to go wrong is one `Misdeed` at a time.
"""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from tests.fakes.identity_keys import Keys

ANOTHER_APPLICATION: Final = "another-application"
ANOTHER_ISSUER: Final = "https://identity.example"


class Misdeed(StrEnum):
    """`amount` means what is said here."""

    # When the browser is sent back.
    STATE_DROPPED = "STATE_DROPPED"
    STATE_CHANGED = "STATE_CHANGED"
    ACCESS_DENIED = "ACCESS_DENIED"
    ANSWER_OF_ANOTHER = "ANSWER_OF_ANOTHER"  # `iss` (RFC 9207) is another provider's

    # In the claims of the id_token.
    OTHER_AUDIENCE = "OTHER_AUDIENCE"
    OTHER_PARTY = "OTHER_PARTY"  # azp
    OTHER_ISSUER = "OTHER_ISSUER"
    OTHER_NONCE = "OTHER_NONCE"
    NO_NONCE = "NO_NONCE"
    EXPIRED = "EXPIRED"  # amount: seconds ago
    ISSUED_IN_FUTURE = "ISSUED_IN_FUTURE"  # amount: seconds by which its clock is ahead
    NO_ID_TOKEN = "NO_ID_TOKEN"  # noqa: S105 - of a fake

    # In its signature.
    OTHER_KEY = "OTHER_KEY"  # under the name of the right one
    UNKNOWN_KEY_NAME = "UNKNOWN_KEY_NAME"
    ALGORITHM_NONE = "ALGORITHM_NONE"
    SIGNED_WITH_PUBLIC_KEY = "SIGNED_WITH_PUBLIC_KEY"  # HS256
    KEY_BY_ADDRESS = "KEY_BY_ADDRESS"  # jku and x5u say where another key is to be had
    KEY_ENCLOSED = "KEY_ENCLOSED"  # another key is in the header

    # Instead of the token endpoint's answer.
    TOKEN_FAILS = "TOKEN_FAILS"  # noqa: S105 - amount: the status
    TOKEN_SLOW = "TOKEN_SLOW"  # noqa: S105 - amount: seconds until the right answer is whole
    TOKEN_HTML = "TOKEN_HTML"  # noqa: S105 - amount: the status
    TOKEN_HUGE = "TOKEN_HUGE"  # noqa: S105 - amount: bytes
    TOKEN_REDIRECTS = "TOKEN_REDIRECTS"  # noqa: S105 - amount: the status; to ELSEWHERE

    # What is said of the person.
    TOKEN_OF_ANOTHER = "TOKEN_OF_ANOTHER"  # noqa: S105 - tokeninfo names another application
    AUTHORIZED_BY_TEACHER = "AUTHORIZED_BY_TEACHER"
    NO_SOURCED_ID = "NO_SOURCED_ID"
    NO_HOSTED_DOMAIN = "NO_HOSTED_DOMAIN"
    OTHER_HOSTED_DOMAIN = "OTHER_HOSTED_DOMAIN"
    ADDRESS_UNVERIFIED = "ADDRESS_UNVERIFIED"
    PERSONAL_ACCOUNT = "PERSONAL_ACCOUNT"
    GUEST = "GUEST"


IN_EVERY_ANSWER: Final = frozenset(
    {
        Misdeed.STATE_DROPPED,
        Misdeed.STATE_CHANGED,
        Misdeed.ACCESS_DENIED,
        Misdeed.ANSWER_OF_ANOTHER,
        Misdeed.TOKEN_FAILS,
        Misdeed.TOKEN_SLOW,
        Misdeed.TOKEN_HTML,
        Misdeed.TOKEN_HUGE,
        Misdeed.TOKEN_REDIRECTS,
    }
)
IN_ID_TOKENS: Final = frozenset(
    {
        Misdeed.OTHER_AUDIENCE,
        Misdeed.OTHER_PARTY,
        Misdeed.OTHER_ISSUER,
        Misdeed.OTHER_NONCE,
        Misdeed.NO_NONCE,
        Misdeed.EXPIRED,
        Misdeed.ISSUED_IN_FUTURE,
        Misdeed.NO_ID_TOKEN,
        Misdeed.OTHER_KEY,
        Misdeed.UNKNOWN_KEY_NAME,
        Misdeed.ALGORITHM_NONE,
        Misdeed.SIGNED_WITH_PUBLIC_KEY,
        Misdeed.KEY_BY_ADDRESS,
        Misdeed.KEY_ENCLOSED,
    }
)
AMOUNTS: Final[Mapping[Misdeed, float]] = {
    Misdeed.EXPIRED: 3600,
    Misdeed.ISSUED_IN_FUTURE: 3600,
    Misdeed.TOKEN_FAILS: 500,
    Misdeed.TOKEN_SLOW: 30,
    Misdeed.TOKEN_HTML: 200,
    Misdeed.TOKEN_HUGE: 8 << 20,
    Misdeed.TOKEN_REDIRECTS: 307,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account. `key` is whose account it is: a district, tenant or domain."""

    name: str
    subject: str
    key: str
    address: str = ""


P = TypeVar("P", bound=Person)


class Asked(NamedTuple):
    """A request as it came. `fields` are the body's, be it a form or JSON."""

    method: str
    base_url: str
    path: str
    places: Mapping[str, str]
    query: Mapping[str, str]
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]


class Refused(Exception):
    """A request that the provider does not take."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class Manners:
    """In what the providers differ: parameters beyond the usual ones, and how codes are taken."""

    authorize_parameters: frozenset[str]
    token_fields: frozenset[str]
    client_auth: frozenset[str]  # "basic", "post"
    code_seconds: int
    needs_scope: bool
    checks_verifier: bool
    token_may_be_short: bool = False  # grant_type and redirect_uri may be left out
    takes_json: bool = False
    token_type: str = "Bearer"  # noqa: S105 - a word


@dataclass(frozen=True, slots=True)
class Grant(Generic[P]):
    """What a code stands for, and later an access token."""

    person: P
    redirect_uri: str
    scope: frozenset[str]
    issued_at: float
    nonce: str | None = None
    code_challenge: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """What the provider knows of the only application that there is."""

    client_id: str = "fake-application"
    client_secret: str = field(default="fake-application-secret", repr=False)


class IdentityFake(Generic[P]):
    """`default` is who is signed in in every browser that has not signed in as somebody else."""

    name: ClassVar[str]
    manners: ClassVar[Manners]
    misdeeds: ClassVar[frozenset[Misdeed]] = IN_EVERY_ANSWER | IN_ID_TOKENS
    changes: ClassVar[Mapping[Misdeed, Mapping[str, Any]]] = {}
    """What a misdeed changes of the person."""

    def __init__(
        self,
        people: Sequence[P],
        *,
        application: Application | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.people = list(people)
        self.application = application or Application()
        self.redirect_uris: list[str] = []
        self.clock = clock
        self.default: P | None = None
        self.requests: list[Asked] = []
        self.codes: list[str] = []
        self.keys = Keys(self.name)
        self.misdeed: Misdeed | None = None
        self.amount = 0.0
        self._unused: dict[str, Grant[P]] = {}
        self._sessions: dict[str, P] = {}
        self._access: dict[str, Grant[P]] = {}

    def register(self, *redirect_uris: str) -> None:
        """The first of them is where portals send people."""
        self.redirect_uris = list(redirect_uris)

    def signed_in_as(self, person: P | None) -> None:
        self.default = person

    def misbehave(self, misdeed: Misdeed, *, amount: float | None = None) -> None:
        """From now on, and only this one."""
        if misdeed not in self.misdeeds:
            raise ValueError(f"{self.name} cannot do {misdeed}.")
        self.misdeed = misdeed
        self.amount = AMOUNTS.get(misdeed, 0.0) if amount is None else amount

    def behave(self) -> None:
        self.misdeed = None

    def reset(self) -> None:
        """As if it were new, but for the people, the application and its redirect URIs."""
        self.behave()
        self.default = None
        self.keys = Keys(self.name)
        for memory in (self._unused, self._sessions, self._access):
            memory.clear()
        self.requests.clear()
        self.codes.clear()

    def asked(self, path: str) -> list[Asked]:
        """The requests to a path, the oldest first."""
        return [request for request in self.requests if request.path == path]

    def exchanged(self) -> list[str]:
        """The codes that somebody tried to exchange, whether it worked or not."""
        return [request.fields["code"] for request in self.requests if "code" in request.fields]

    # What the endpoints do.

    def open_session(self, subject: str) -> str:
        """The value of the cookie of a browser in which somebody has signed in."""
        session = secrets.token_urlsafe(16)
        self._sessions[session] = next(one for one in self.people if one.subject == subject)
        return session

    def close_session(self, session: str | None) -> None:
        self._sessions.pop(session or "", None)

    def person_at(self, session: str | None) -> P | None:
        return self._sessions.get(session or "", self.default)

    def issue_code(
        self,
        person: P,
        *,
        redirect_uri: str | None = None,
        scope: str = "",
        nonce: str | None = None,
        code_challenge: str | None = None,
    ) -> str:
        """A code for somebody, as a portal or another browser gets it."""
        code = secrets.token_urlsafe(24)
        self.codes.append(code)
        self._unused[code] = Grant(
            person,
            redirect_uri or self.redirect_uris[0],
            frozenset(scope.split()),
            self.clock(),
            nonce,
            code_challenge,
        )
        return code

    def take_code(self, fields: Mapping[str, str]) -> Grant[P]:
        """Once. Raises Refused; the code is used up then as well."""
        grant = self._unused.pop(fields.get("code", ""), None)
        if grant is None:
            raise Refused("invalid_grant", "The code is unknown or has been used.")
        if self.clock() - grant.issued_at > self.manners.code_seconds:
            raise Refused("invalid_grant", "The code has expired.")
        may_lack = self.manners.token_may_be_short and "redirect_uri" not in fields
        if not may_lack and fields.get("redirect_uri") != grant.redirect_uri:
            raise Refused("invalid_grant", "The code is for another redirect_uri.")
        if self.manners.checks_verifier:
            _check_verifier(grant.code_challenge, fields.get("code_verifier"))
        return grant

    def forget_codes(self) -> None:
        """Those that are not yet exchanged: from now on they are as if they had been."""
        self._unused.clear()

    def issue_access(self, grant: Grant[P]) -> str:
        token = f"il{secrets.token_hex(20)}"
        self._access[token] = grant
        return token

    def grant_of(self, access_token: str) -> Grant[P]:
        """The person as the misdeed has it. Raises Refused."""
        grant = self._access.get(access_token)
        if grant is None:
            raise Refused("invalid_token", "The access token is unknown.", status=401)
        return self.as_told(grant)

    def as_told(self, grant: Grant[P]) -> Grant[P]:
        changes = self.changes.get(self.misdeed, {}) if self.misdeed else {}
        return replace(grant, person=replace(grant.person, **changes))

    def issuer_of(self, base_url: str, person: P) -> str:
        return base_url

    def other_issuer(self, base_url: str) -> str:
        return ANOTHER_ISSUER

    def has_id_token(self, grant: Grant[P]) -> bool:
        return "openid" in grant.scope

    def claims_of(self, grant: Grant[P], access_token: str) -> dict[str, Any]:
        """Beyond iss, aud, iat, exp and nonce; may say other times."""
        raise NotImplementedError

    def answer_extras(self, grant_scope: str) -> dict[str, str]:
        """What comes back with a code, beyond the code and the state."""
        return {}


def _check_verifier(challenge: str | None, verifier: str | None) -> None:
    if challenge is None and verifier is None:
        return
    if challenge is None or verifier is None or challenge_of(verifier) != challenge:
        raise Refused("invalid_grant", "The code_verifier is not that of the code_challenge.")


def challenge_of(verifier: str) -> str:
    """S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
