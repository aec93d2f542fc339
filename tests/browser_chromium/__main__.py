"""`make browser`: signing in with a real browser, which has to be on the machine already."""

import sys
from pathlib import Path

import pytest

from tests.browser_chromium.webdriver import MISSING, find_programs

FOLDER = Path(__file__).parent


def main() -> int:
    """3 where there is no browser; else what pytest ends with."""
    if find_programs() is None:
        sys.stderr.write(f"{MISSING}\n")
        return 3
    return int(pytest.main(["-q", "-o", "python_files=browse_*.py", *sys.argv[1:], str(FOLDER)]))


if __name__ == "__main__":
    sys.exit(main())
