"""Looks at a site's settings before it is shown to the world."""

import asyncio

from api.cli.console import USAGE, CommandError
from api.logins import read_login
from api.safety import SiteFacts, Unsafe, unsafe_settings
from api.site import Site, open_site
from domain.database import DatabaseRole
from domain.settings import Environment, Settings


async def examine_safety(site: Site) -> list[Unsafe]:
    """Asks the database who we are to it, unless it is our own."""
    login = None if site.is_embedded else await read_login(site.login_url(DatabaseRole.API.value))
    return unsafe_settings(site.settings, SiteFacts(site.is_embedded, login))


def refuse_unsafe(settings: Settings) -> None:
    """Names all that is unsafe at once, and starts no server for it. Raises CommandError."""
    if settings.environment is Environment.LOCAL:
        return
    if settings.database_url is None and settings.redis_url is None:
        found = unsafe_settings(settings, SiteFacts(is_embedded=True))
    else:
        with open_site(settings) as site:
            found = asyncio.run(examine_safety(site))
    if found:
        lines = "".join(f"\n  {one}" for one in found)
        raise CommandError(f"These settings are not safe in production:{lines}", status=USAGE)
