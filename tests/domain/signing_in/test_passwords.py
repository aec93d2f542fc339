"""Which passwords are taken, and that hashing tells nothing."""

import unicodedata

import pytest

from domain.signing_in.passwords import hash_password, is_right, problem_of

pytestmark = pytest.mark.anyio

KNOWN = ("Mia Ames", "mia.ames@springfield.example")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "twelve signs",
        "ünïcödé ist gut",
        "x9! z" * 25,
    ],
)
def test_a_long_password_is_taken(password: str) -> None:
    assert problem_of(password, known=KNOWN) is None


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "A password has 12 to 128 characters."),
        ("elevensigns", "A password has 12 to 128 characters."),
        ("x1" * 65, "A password has 12 to 128 characters."),
        ("nul\x00 in the midst", "A password has no NUL in it."),
        ("aaaaaaaaaaaaaaaa", "This password is among those that are tried first."),
        ("Password12345678", "This password is among those that are tried first."),
        ("i am Ames, let me in", "A password has no name and no address of yours in it."),
        ("SPRINGFIELD.EXAMPLE!!", "A password has no name and no address of yours in it."),
    ],
)
def test_what_is_guessed_soon_is_not(password: str, problem: str) -> None:
    said = problem_of(password, known=KNOWN)
    assert said is not None
    assert said.startswith(problem)


async def test_a_hash_fits_its_password_alone() -> None:
    stored = await hash_password("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert stored != await hash_password("correct horse battery")
    assert await is_right("correct horse battery", stored)
    assert not await is_right("correct horse batterY", stored)
    assert not await is_right("correct horse battery" + "x" * 200, stored)


async def test_without_a_hash_no_password_is_right() -> None:
    assert not await is_right("nobody has this password", None)


async def test_the_same_signs_are_the_same_password() -> None:
    composed = unicodedata.normalize("NFC", "schöne grüße")
    assert await is_right(unicodedata.normalize("NFD", composed), await hash_password(composed))
