"""Versions below which Homerow must not go, each with its reason: declared, locked, installed."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
SPEED = "the versions that the speed was measured with"
BOUNDS = {
    "starlette": ("1.0.1", "CVE-2026-48710: the Host header poisons request.url.path"),
    "authlib": ("1.6.11", "GHSA-fg6f-75jq-6523: state not bound to the browser, account takeover"),
    "graphql-core": ("3.3.2", "limits of tokens and source, and hide_suggestions, are new in 3.3"),
    "strawberry-graphql": ("0.341.2", "the first one that was tried with graphql-core 3.3"),
    "joserfc": ("1.8.0", "the signatures of identity tokens and launch tokens"),
    "cryptography": ("50", "the sealing of credentials"),
    "sqlalchemy": ("2.1.9", SPEED),
    "asyncpg": ("0.32.0", SPEED),
    "orjson": ("3.13.0", SPEED),
    "uvicorn": ("0.54.0", SPEED),
    "uvloop": ("0.23.0", SPEED),
    "httptools": ("0.9.0", SPEED),
}
TRANSITIVE = {"argon2-cffi": ("25.1.0", "the hashes of passwords, by way of pwdlib[argon2]")}


def declared() -> dict[str, Version]:
    """The lowest version that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    return {
        canonicalize_name(requirement.name): max(
            Version(one.version)
            for one in requirement.specifier
            if one.operator in {">=", "==", "~="}
        )
        for requirement in requirements
        if any(one.operator in {">=", "==", "~="} for one in requirement.specifier)
    }


def locked() -> dict[str, Version]:
    pinned = re.findall(
        r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    return {canonicalize_name(name): Version(number) for name, number in pinned}


@pytest.mark.parametrize(("name", "bound"), [(name, bound) for name, (bound, _) in BOUNDS.items()])
def test_a_lower_bound_is_declared(name: str, bound: str) -> None:
    assert declared()[name] >= Version(bound), BOUNDS[name]


@pytest.mark.parametrize(
    ("name", "bound"), [(name, bound) for name, (bound, _) in (BOUNDS | TRANSITIVE).items()]
)
def test_a_lower_bound_holds_where_it_is_locked_and_installed(name: str, bound: str) -> None:
    assert locked()[name] >= Version(bound), (BOUNDS | TRANSITIVE)[name]
    assert Version(version(name)) >= Version(bound), (BOUNDS | TRANSITIVE)[name]
