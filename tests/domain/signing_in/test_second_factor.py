"""Codes of an authenticator: good for a minute and a half, and once."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from domain.signing_in.second_factor import new_secret, step_of, uri_of

NOW = datetime(2026, 9, 1, 12, 0, 15, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - of nobody
STEP = int(NOW.timestamp()) // 30


@pytest.mark.parametrize(("seconds", "is_good"), [(0, True), (30, True), (-30, True), (60, False)])
def test_a_code_is_good_around_its_time(seconds: int, is_good: bool) -> None:
    code = pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=seconds))
    assert (step_of(SECRET, code, now=NOW) == STEP + seconds // 30) is is_good


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "000 00"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert step_of(SECRET, code, now=NOW) is None


def test_blanks_in_a_code_do_not_matter() -> None:
    code = pyotp.TOTP(SECRET).at(NOW)
    assert step_of(SECRET, f" {code[:3]} {code[3:]} ", now=NOW) == STEP


def test_every_secret_is_its_own_and_authenticators_can_open_it() -> None:
    assert new_secret() != new_secret()
    assert uri_of(SECRET, name="ada@example.org") == (
        f"otpauth://totp/Homerow:ada%40example.org?secret={SECRET}&issuer=Homerow"
    )
