"""What a provider answered, and how a decode function says that it is not what it should be."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as a whole, unpacked. `url` is the one that was sent last, byte for byte."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    url: str


class BadPayload(Exception):
    """Not what it should be: worth another try, then CONN_BAD_PAYLOAD.

    The message is shown to administrators, in brackets: it says what was expected, and nothing
    of the body.
    """
