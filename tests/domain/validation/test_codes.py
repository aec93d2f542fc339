"""The page that is made from the table of codes."""

import pytest

from domain.validation.page import page


def test_the_page_of_codes_is_current(request: pytest.FixtureRequest) -> None:
    """Run `make docs` after a change of the table."""
    assert (request.config.rootpath / "docs" / "validation.md").read_text() == page()
