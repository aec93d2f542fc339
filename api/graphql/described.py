"""Enumerations of the API with a sentence for every value."""

from enum import StrEnum

import strawberry
from strawberry.types.enum import has_enum_definition


def describe(
    enumeration: type[StrEnum], description: str, *, name: str | None = None, **of: str
) -> None:
    """Make a domain's enumeration known to the API. Every member needs its sentence."""
    strawberry.enum(enumeration, name=name, description=description)
    assert has_enum_definition(enumeration)
    for value in enumeration.__strawberry_definition__.values:
        value.description = of[value.name]
