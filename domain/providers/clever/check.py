"""Whether an integration with Clever works, step by step and in plain sentences."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from domain.providers.clever.api import Api, Wanted
from domain.providers.clever.listings import read_list, read_optional_list
from domain.providers.clever.objects import District, Object
from domain.providers.clever.people import WORDS
from domain.providers.clever.tokens import read_scopes
from domain.providers.http.pagesize import PageSize
from domain.roster.source import CheckStep, SourceError
from domain.validation.codes import RULES, Code

REQUIRED_SCOPES: Final = frozenset({"read:sections", "read:students"})
_SECURE_SYNC: Final = (
    "Have Clever switch on Secure Sync for this application, and the district share its roster."
)
_NOUNS: Final = {
    "student": "students",
    "teacher": "teachers",
    "staff": "staff",
    "district_admin": "district admins",
    "contact": "contacts (who are left out)",
}
_NEEDED: Final = frozenset({"schools", "sections"})


async def check_steps(api: Api) -> AsyncGenerator[CheckStep]:
    """The steps up to the first that fails."""
    async with aclosing(_steps(api)) as steps:
        async for step in steps:
            yield step
            if not step.is_ok:
                return


async def _steps(api: Api) -> AsyncGenerator[CheckStep]:
    name = "credentials"
    try:
        districts = await api.districts()
        yield _credentials(api, await _scopes(api))
        name = "district"
        yield _step(name, _district_sentence(api.own(districts)))
        for name in ("schools", "terms", "courses"):
            yield await _collection(api, name)
        name = "users"
        yield await _users(api)
        name = "sections"
        yield await _collection(api, name)
    except SourceError as error:
        yield _step(name, str(error), RULES[error.code].remedy, is_ok=False)


def _step(name: str, message: str, advice: str | None = None, *, is_ok: bool = True) -> CheckStep:
    return CheckStep(name, is_ok, message, advice)


async def _scopes(api: Api) -> frozenset[str] | None:
    """None where Clever does not say it: then the lists themselves will."""
    if api.token.listed:
        return api.token.listed.scopes or None
    try:
        return await read_scopes(api.client, api.access, api.token)
    except SourceError:
        return None


def _credentials(api: Api, scopes: frozenset[str] | None) -> CheckStep:
    origin = "that it lists for this district" if api.token.listed else "that was entered"
    message = f"Clever takes the token {origin}."
    if scopes is None:
        return _step("credentials", f"{message} It does not say what the token may read.")
    message += f" It may read {', '.join(sorted(_scope_word(scope) for scope in scopes))}."
    missing = sorted(REQUIRED_SCOPES - scopes)
    if missing:
        message += f" Missing: {', '.join(missing)}."
    return _step("credentials", message, _SECURE_SYNC if missing else None, is_ok=not missing)


def _scope_word(scope: str) -> str:
    return scope.removeprefix("read:")


def _district_sentence(district: District) -> str:
    parts = [f"{district.name or 'The district'} ({district.id})"]
    parts.append(f"state {district.state}" if district.state else "no state given")
    if district.last_sync:
        parts.append(f"last synced to Clever {district.last_sync}")
    sentences = [f"{', '.join(parts)}."]
    if district.pause_start or district.pause_end:
        begin, end = district.pause_start or "now", district.pause_end or "further notice"
        sentences.append(
            f"Clever's syncs of this district pause from {begin} until {end}:"
            " the roster does not change meanwhile, and can be read."
        )
    if (district.state or "").casefold() == "error":
        sentences.append("Its last upload was not processed, so the roster is an older one.")
    if district.error:
        sentences.append(f"Clever says: {district.error}")
    return " ".join(sentences)


async def _collection(api: Api, name: str) -> CheckStep:
    if not await _has_any(api, Wanted(name)):
        advice = RULES[Code.CONN_EMPTY].remedy
        return _step(name, f"No {name} are shared.", advice, is_ok=name not in _NEEDED)
    count = await _count(api, name)
    shared = f"{name.capitalize()} are shared"
    return _step(name, f"{shared}." if count is None else f"{shared}: {count}.")


async def _users(api: Api) -> CheckStep:
    """By role; Clever counts them only together."""
    shared: list[str] = []
    missing: list[str] = []
    for word in WORDS:
        found = await _has_any(api, Wanted("users", word))
        (shared if found else missing).append(_NOUNS[word])
    sentences = []
    if shared:
        count = await _count(api, "users")
        total = "" if count is None else f" ({count} users in all)"
        sentences.append(f"Shared: {', '.join(shared)}{total}.")
    if missing:
        sentences.append(f"None of: {', '.join(missing)}.")
    is_ok = _NOUNS["student"] in shared
    advice = None if is_ok else RULES[Code.CONN_EMPTY].remedy
    return _step("users", " ".join(sentences), advice, is_ok=is_ok)


async def _has_any(api: Api, wanted: Wanted) -> bool:
    read = read_optional_list if wanted.role == WORDS[-1] else read_list
    parts = read(api, wanted, Object, after="", page_size=PageSize(1, smallest=1))
    async with aclosing(parts):
        async for part in parts:
            return bool(part.rows)
    return False


async def _count(api: Api, collection: str) -> int | None:
    """How many there are is worth knowing, and no reason to fail."""
    try:
        return await api.count(collection)
    except SourceError:
        return None
