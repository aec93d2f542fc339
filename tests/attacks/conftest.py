"""The application and two tenants, on a database of their own that is emptied after each test."""

from tests.api.graphql.conftest import app, world
from tests.emptied import database_name, emptied, resources, shared_database, standing, superuser

__all__ = [
    "app",
    "database_name",
    "emptied",
    "resources",
    "shared_database",
    "standing",
    "superuser",
    "world",
]
