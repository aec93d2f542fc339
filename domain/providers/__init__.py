"""The only place that knows all providers."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from domain.errors import InvalidInput
from domain.providers.oneroster_csv.source import OneRosterCsvSource
from domain.providers.vocabulary import DEFAULT_ROLE_MAP
from domain.roster.records import Role
from domain.roster.source import Provider, RosterSource


def open_source(
    provider: Provider,
    settings: Mapping[str, Any],
    *,
    today: date,
    role_map: Mapping[str, Role | None] = MappingProxyType({}),
) -> RosterSource:
    """The source of an integration. Opens nothing yet: that is what reading it does.

    `role_map` is what the tenant changed of the provider's own.
    """
    if provider is Provider.ONEROSTER_CSV:
        return OneRosterCsvSource(
            Path(settings["path"]), role_map={**DEFAULT_ROLE_MAP, **role_map}, today=today
        )
    raise InvalidInput("provider", f"{provider.value} cannot be connected yet.")
