"""What people are told when signing in with a provider does not come to an end."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """`{provider}` in the texts is the provider's name."""

    title: str
    text: str
    status: HTTPStatus
    may_try_again: bool = True


class Stopped(Exception):
    """The sign-in ends with a page; `slug` says on whose page it began."""

    def __init__(self, problem: Problem, *, slug: str | None = None) -> None:
        super().__init__(problem.title)
        self.problem = problem
        self.slug = slug


UNKNOWN_METHOD: Final = Problem(
    "There is no such way to sign in",
    "The address names a way to sign in that does not exist. Go back and choose one of those"
    " that are offered there.",
    HTTPStatus.NOT_FOUND,
    may_try_again=False,
)
NOT_SET_UP: Final = Problem(
    "{provider} is not set up here",
    "This site has not been connected with {provider}. Go back and choose another way to sign"
    " in, or tell your district's administrator.",
    HTTPStatus.NOT_FOUND,
    may_try_again=False,
)
BAD_RETURN: Final = Problem(
    "This link cannot be used",
    "The link says where to go after signing in, and that is no place that this site knows. Go"
    " back to where you found the link and tell those who look after it.",
    HTTPStatus.BAD_REQUEST,
    may_try_again=False,
)
REPEATED: Final = Problem(
    "This link cannot be used",
    "The address that {provider} sent you to says the same thing twice. Sign in again from the"
    " beginning.",
    HTTPStatus.BAD_REQUEST,
)
DENIED: Final = Problem(
    "{provider} has not signed you in",
    "You, or {provider} for you, said no to signing in here. Nothing has happened. You can sign"
    " in again whenever you like.",
    HTTPStatus.FORBIDDEN,
)
FAILED: Final = Problem(
    "{provider} did not answer as expected",
    "We could not find out from {provider} who you are. Try again in a minute. If it goes on,"
    " tell your district's administrator.",
    HTTPStatus.BAD_GATEWAY,
)
CIRCLE: Final = Problem(
    "Signing in went round in circles",
    "{provider} sent you back twice without what we had asked for. Close the other tabs in which"
    " you are signing in, and try again here. If it goes on, tell your district's administrator.",
    HTTPStatus.BAD_REQUEST,
)
NO_COOKIES: Final = Problem(
    "Your browser keeps no cookies for this site",
    "Signing in needs a cookie, so that nobody else can end what you have begun. Allow cookies"
    " for this site, and try again.",
    HTTPStatus.BAD_REQUEST,
)
UNAVAILABLE: Final = Problem(
    "Nobody can sign in at the moment",
    "A part of this site does not answer. Try again in a minute.",
    HTTPStatus.SERVICE_UNAVAILABLE,
)
