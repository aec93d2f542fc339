"""The only place that knows all providers."""

from collections.abc import Mapping
from pathlib import Path

from domain.providers.classlink.source import ClassLinkSource
from domain.providers.clever.people import DEFAULT_ROLE_MAP as CLEVER_ROLE_MAP
from domain.providers.clever.source import CleverSource
from domain.providers.hosts import Hosts
from domain.providers.oneroster_csv.source import OneRosterCsvSource
from domain.providers.oneroster_rest.source import OneRosterSource
from domain.providers.vocabulary import DEFAULT_ROLE_MAP
from domain.roster.records import Role
from domain.roster.source import Provider, RosterSource, SourceConfig


def open_source(config: SourceConfig, hosts: Hosts) -> RosterSource:
    """The source of an integration. Opens nothing yet: that is what reading it does."""
    match config.provider:
        case Provider.CLEVER:
            return CleverSource(config, hosts)
        case Provider.CLASSLINK:
            return ClassLinkSource(config, hosts)
        case Provider.ONEROSTER:
            return OneRosterSource(config, hosts)
        case Provider.ONEROSTER_CSV:
            return OneRosterCsvSource(
                Path(config.settings["path"]),
                role_map={**DEFAULT_ROLE_MAP, **config.role_map},
                today=config.today,
                with_student_email=config.with_student_email,
                eligibility=config.eligibility,
            )


def default_role_map(provider: Provider) -> Mapping[str, Role | None]:
    """The provider's words for roles as ours; None is left out. A tenant may change them."""
    return CLEVER_ROLE_MAP if provider is Provider.CLEVER else DEFAULT_ROLE_MAP
