"""What may stand in a cell: each function reads one, or raises ValueError with a sentence."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Final

Read = Callable[[str], object]
"""Given what stands in the cell, without blanks around it, and never nothing."""

_SHOWN: Final = 60
_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_EMAIL: Final = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+")
_EMAIL_LENGTH: Final = 254
_YEARS: Final = range(1980, 2101)
_MOST_VALUES: Final = 100


def shown(text: str) -> str:
    """What stands in a cell, for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def text_of(most: int) -> Read:
    return partial(_text, most)


def _text(most: int, cell: str) -> str:
    if len(cell) > most:
        raise ValueError(f"This is longer than {most} characters.")
    if _CONTROL.search(cell):
        raise ValueError("There are characters here that cannot be shown, such as line breaks.")
    return cell


def email(cell: str) -> str:
    text = _text(_EMAIL_LENGTH, cell)
    if not _EMAIL.fullmatch(text):
        raise ValueError(f"{shown(cell)} is not an email address such as ann.fox@example.org.")
    return text


def number_of(least: int, most: int) -> Read:
    return partial(_number, least, most)


def _number(least: int, most: int, cell: str) -> int:
    try:
        # Longer ones would be refused anyway, and take long to read.
        number = int(cell) if len(cell) <= len(str(most)) + 1 and cell.isascii() else None
    except ValueError:
        number = None
    if number is None or not least <= number <= most or "_" in cell:
        raise ValueError(f"{shown(cell)} is not a whole number from {least} to {most}.")
    return number


def word_of(words: Iterable[StrEnum]) -> Read:
    return partial(_word, tuple(words))


def _word(words: Sequence[str], cell: str) -> str:
    word = cell.upper().replace(" ", "_").replace("-", "_")
    if word not in words:
        raise ValueError(f"{shown(cell)} is none of: {', '.join(words)}.")
    return word


def truth(cell: str) -> bool:
    if cell.lower() not in _WORDS:
        raise ValueError(f"{shown(cell)} is neither yes nor no.")
    return _WORDS[cell.lower()]


def several_of(read: Read) -> Read:
    """Values with a semicolon between them, each once."""
    return partial(_several, read)


def _several(read: Read, cell: str) -> list[object]:
    parts = [part.strip() for part in cell.split(";")]
    values = list(dict.fromkeys(read(part) for part in parts if part))
    if len(values) > _MOST_VALUES:
        raise ValueError(f"There are more than {_MOST_VALUES} values here.")
    return values


def moment(cell: str) -> datetime:
    """A day or a moment; without a time zone it is taken as UTC."""
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(
            f"{shown(cell)} is not a date such as 2025-06-30 or 2025-06-30T14:05:00Z."
        ) from None
    if found.year not in _YEARS:
        raise ValueError(f"The year is not from {_YEARS[0]} to {_YEARS[-1]}.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
