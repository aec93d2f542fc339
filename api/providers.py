"""What both the API and the command line have to know of the providers."""

from collections.abc import Sequence

from domain.integrations.connections import Platform
from domain.integrations.models import SharingSubject
from domain.integrations.sharing import SharingRules
from domain.providers.hosts import Hosts
from domain.providers.vocabulary import normalise_grade


def platform_of(hosts: Hosts) -> Platform:
    return Platform(
        allow_private=hosts.allow_private,
        has_clever=bool(hosts.clever_client_id and hosts.clever_client_secret),
        has_classlink=bool(hosts.classlink_token),
    )


def sharing_rules_of(given: Sequence[tuple[SharingSubject, Sequence[str]]]) -> SharingRules:
    """Raises InvalidInput."""
    return SharingRules.of(given, normalise_grade=normalise_grade)
