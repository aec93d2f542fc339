"""The table of codes, and the page that is made from it."""

import pytest

from domain.validation.codes import RULES, Code
from domain.validation.page import page


def test_every_code_says_what_is_wrong_what_was_done_and_what_to_do() -> None:
    assert set(RULES) == set(Code)
    for code, rule in RULES.items():
        assert rule.title, code
        assert rule.effect.endswith("."), code
        assert rule.remedy.endswith("."), code


def test_the_page_of_codes_is_current(request: pytest.FixtureRequest) -> None:
    """Run `make docs` after a change of the table."""
    assert (request.config.rootpath / "docs" / "validation.md").read_text() == page()
