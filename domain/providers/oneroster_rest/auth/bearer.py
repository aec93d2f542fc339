"""A token that does not expire, given out by hand."""

from domain.providers.http.client import Authorizer, FixedHeaders


def bearer(token: str) -> Authorizer:
    return FixedHeaders({"Authorization": f"Bearer {token}"})
