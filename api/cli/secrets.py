"""`homerow secrets`: which keys seal what is stored, and the change from one key to the next."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import typer

from api.cli.console import FAILED, say, settings_for_a_person, tell
from api.site import Site, open_site, prepare
from domain.database import DatabaseRole
from domain.rotation import Survey, rotate_sealed, survey_sealed
from domain.secrets import KeyRing

commands = typer.Typer(help="Change the keys that seal what is stored.")


@commands.command(epilog="Example: homerow secrets rotate")
def rotate() -> None:
    """Seal everything with the first key of HOMEROW_SECRET_KEYS, whatever key it has now.

    First put the new key in front of the old one and start the processes anew; then rotate; then
    take the old key away, once `homerow secrets check` does not name it. It can be ended and run
    again at any time. It needs a login that may take the role homerow_owner. Ends with status 1
    if something does not open.
    """
    with open_site(settings_for_a_person()) as site:
        primary = site.keys().primary
        surveys = asyncio.run(_surveyed(site, reseals=True))
    for survey in surveys:
        already = survey.by_key[primary] - survey.resealed
        tell(
            f"{survey.name}: {survey.resealed} sealed anew, {already} had {primary!r} already,"
            f" {_unreadable(survey)}"
        )
    _end(surveys)


@commands.command(epilog="Example: homerow secrets check")
def check() -> None:
    """Say which keys are in use. Opens all that is sealed, and changes nothing.

    It needs a login that may take the role homerow_owner. Ends with status 1 if something does
    not open.
    """
    with open_site(settings_for_a_person()) as site:
        keys = site.keys()
        surveys = asyncio.run(_surveyed(site, reseals=False))
    for line in _uses(keys, surveys):
        tell(line)
    for survey in surveys:
        if survey.unreadable:
            tell(f"{survey.name}: {_unreadable(survey)}")
    _end(surveys)


async def _surveyed(site: Site, *, reseals: bool) -> list[Survey]:
    await prepare(site)
    async with site.resources(DatabaseRole.OWNER) as resources:
        walk = rotate_sealed if reseals else survey_sealed
        return await walk(resources.database, resources.keys)


def _uses(keys: KeyRing, surveys: Sequence[Survey]) -> list[str]:
    """A line for each key, in the order of the setting."""
    total: Counter[str] = Counter()
    for survey in surveys:
        total.update(survey.by_key)
    return [
        f"{key!r}: {total[key]} values" + _advice(key == keys.primary, is_used=total[key] > 0)
        for key in keys.keys
    ]


def _advice(is_primary: bool, *, is_used: bool) -> str:
    if is_primary:
        return "; it seals"
    return "; run `homerow secrets rotate`" if is_used else "; it can be taken away"


def _unreadable(survey: Survey) -> str:
    rows = "".join(f" ({row})" for row in survey.unreadable)
    return f"{len(survey.unreadable)} unreadable{rows}"


def _end(surveys: Sequence[Survey]) -> None:
    if any(survey.unreadable for survey in surveys):
        say(
            "What is unreadable was sealed with a key that is not in HOMEROW_SECRET_KEYS, or was"
            " moved or changed: put the key back, or enter the secret anew."
        )
        raise typer.Exit(FAILED)
