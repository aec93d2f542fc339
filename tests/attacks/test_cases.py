"""Every case of the list is tried: here, or where the table says, or it says why it cannot be."""

import re
from pathlib import Path

import pytest

from tests.attacks.cases import CASES, NOT_YET
from tests.attacks.held_elsewhere import HELD_ELSEWHERE

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
LENGTHS = {"A": 15, "B": 8, "C": 10, "D": 6, "E": 9, "F": 11, "G": 7, "H": 6}


def names_in(file: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))


def tried_here() -> set[str]:
    names = {name for file in FOLDER.glob("test_*.py") for name in names_in(file)}
    found = (re.match(r"test_([a-h]\d+)_", name) for name in names)
    return {match[1].upper() for match in found if match}


def test_the_list_is_whole() -> None:
    expected = [
        f"{letter}{number}" for letter, last in LENGTHS.items() for number in range(1, last + 1)
    ]
    assert list(CASES) == expected


def test_every_case_is_tried_or_says_why_not() -> None:
    assert tried_here() | set(HELD_ELSEWHERE) | set(NOT_YET) == set(CASES)


def test_what_cannot_be_tried_yet_is_not_tried() -> None:
    assert not set(NOT_YET) & (tried_here() | set(HELD_ELSEWHERE))


@pytest.mark.parametrize("case", HELD_ELSEWHERE)
def test_a_case_is_held_where_the_table_says(case: str) -> None:
    for path, names in HELD_ELSEWHERE[case].items():
        assert not set(names) - names_in(ROOT / path)
