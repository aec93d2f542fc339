"""The pages with which a sign-in ends that has failed, and the ways on from there."""

from urllib.parse import quote, urlencode

from starlette.responses import Response

from api.signing_in.pages import ELSEWHERE, Link, message
from api.signing_in.sso.words import Stopped


def show_problem(stopped: Stopped, *, provider: str, method: str | None = None) -> Response:
    """With a `method` it can be tried again, from the page where it began."""
    problem, links = stopped.problem, []
    if method and problem.may_try_again:
        query = f"?{urlencode({'tenant': stopped.slug})}" if stopped.slug else ""
        links.append(Link(f"Try again with {provider}", f"/sign-in/{method}{query}"))
    if stopped.slug:
        links.append(Link("Choose another way to sign in", f"/t/{quote(stopped.slug, safe='')}"))
    else:
        links.append(ELSEWHERE)
    return message(
        problem.title.format(provider=provider),
        problem.text.format(provider=provider),
        *links,
        status=problem.status,
        is_alarm=True,
    )
