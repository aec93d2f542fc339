"""The whole application behind a real port, in this process and its event loop, with the fakes."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from api.app import create_app
from api.signing_in.site import Client, SignInSettings
from api.web_settings import WebSettings
from domain.people.models import SignInMethodName
from domain.resources import Resources
from tests.api.signing_in.flows.people import Provider
from tests.fakes.serving import listen, server_of, url_of


@asynccontextmanager
async def homerow_with(
    resources: Resources, providers: Mapping[str, Provider]
) -> AsyncGenerator[str]:
    """The application's address. The fakes are known to it by another site's name."""
    with listen() as listener:
        # From now on whoever connects waits until the server has started.
        listener.listen()
        url = url_of(listener)
        for method, provider in providers.items():
            provider.fake.register(f"{url}/sign-in/{method}/callback")
        server = server_of(create_app(resources, settings_of(url, providers)))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield url
        finally:
            server.should_exit = True
            await running


def settings_of(url: str, providers: Mapping[str, Provider]) -> SignInSettings:
    places = {method: elsewhere(provider.served.url) for method, provider in providers.items()}
    applications = {method: provider.fake.application for method, provider in providers.items()}
    return SignInSettings(
        web=WebSettings(public_url=url),
        clients={
            SignInMethodName(method.upper()): Client(known.client_id, known.client_secret)
            for method, known in applications.items()
        },
        clever_url=places["clever"],
        clever_api_url=places["clever"],
        classlink_url=places["classlink"],
        classlink_info_url=places["classlink"],
        google_url=places["google"],
        microsoft_url=places["microsoft"],
    )


def elsewhere(url: str) -> str:
    """The same server by a name that makes it another site than the application's address."""
    return url.replace("127.0.0.1", "localhost")
