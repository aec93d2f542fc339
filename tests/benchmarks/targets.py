"""The providers that are pulled from: how each is reached, told from one program to the next."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from domain.providers.hosts import Hosts
from domain.roster.source import Provider
from tests.sources import HOSTS

_PATHS = {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}


class Way(StrEnum):
    """How a roster is pulled."""

    CLEVER = "Clever"
    ONEROSTER_1_2 = "OneRoster 1.2"
    ONEROSTER_1_1 = "OneRoster 1.1"

    @property
    def fake(self) -> str:
        """The fake that speaks it, by its name."""
        return "clever" if self is Way.CLEVER else "oneroster"


@dataclass(frozen=True, slots=True)
class Target:
    """A provider as its integration says how to reach it. `url` is where the fake listens."""

    way: Way
    url: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str]

    @classmethod
    def of(cls, way: Way, told: Mapping[str, str]) -> "Target":
        """`told` is the line of JSON of `answering`."""
        if way is Way.CLEVER:
            settings = {"district_id": told["district_id"]}
        else:
            version = way.removeprefix("OneRoster ")
            base_url = told["url"] + _PATHS[version]
            settings = {"base_url": base_url, "version": version, "auth": "BEARER"}
        return cls(way, told["url"], settings, {"token": told["token"]})

    @classmethod
    def parse(cls, text: str) -> "Target":
        told = json.loads(text)
        return cls(Way(told["way"]), told["url"], told["settings"], told["credentials"])

    @property
    def text(self) -> str:
        """What `parse` takes."""
        return json.dumps(asdict(self))

    @property
    def provider(self) -> Provider:
        return Provider.CLEVER if self.way is Way.CLEVER else Provider.ONEROSTER

    @property
    def hosts(self) -> Hosts:
        return replace(HOSTS, clever_api_url=self.url)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.credentials['token']}"}
