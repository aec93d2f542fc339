"""What a provider can do wrong while somebody signs in."""

from enum import StrEnum


class Fault(StrEnum):
    """Written to the log; people are told only that the provider did not answer as expected."""

    UNREACHABLE = "UNREACHABLE"
    TIMEOUT = "TIMEOUT"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    STATUS = "STATUS"
    REDIRECT = "REDIRECT"
    TOO_LARGE = "TOO_LARGE"
    NOT_JSON = "NOT_JSON"
    DISCOVERY = "DISCOVERY"
    ERROR_ANSWER = "ERROR_ANSWER"
    NO_CODE = "NO_CODE"
    ANSWER_ISSUER = "ANSWER_ISSUER"
    TOKEN_REFUSED = "TOKEN_REFUSED"  # noqa: S105 - the name of a fault
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105 - the name of a fault
    TOKEN_OF_ANOTHER_APP = "TOKEN_OF_ANOTHER_APP"  # noqa: S105 - the name of a fault
    PROFILE = "PROFILE"
    ID_TOKEN_MISSING = "ID_TOKEN_MISSING"  # noqa: S105 - the name of a fault
    ID_TOKEN_MALFORMED = "ID_TOKEN_MALFORMED"  # noqa: S105 - the name of a fault
    ID_TOKEN_ALGORITHM = "ID_TOKEN_ALGORITHM"  # noqa: S105 - the name of a fault
    ID_TOKEN_KEY = "ID_TOKEN_KEY"  # noqa: S105 - the name of a fault
    ID_TOKEN_SIGNATURE = "ID_TOKEN_SIGNATURE"  # noqa: S105 - the name of a fault
    ID_TOKEN_ISSUER = "ID_TOKEN_ISSUER"  # noqa: S105 - the name of a fault
    ID_TOKEN_AUDIENCE = "ID_TOKEN_AUDIENCE"  # noqa: S105 - the name of a fault
    ID_TOKEN_TIME = "ID_TOKEN_TIME"  # noqa: S105 - the name of a fault
    ID_TOKEN_NONCE = "ID_TOKEN_NONCE"  # noqa: S105 - the name of a fault
    ID_TOKEN_SUBJECT = "ID_TOKEN_SUBJECT"  # noqa: S105 - the name of a fault


class ProviderFailed(Exception):
    """`place` is a host and a path of the provider's. Nothing of what it said is in here."""

    def __init__(
        self, fault: Fault, *, place: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.place = place
        self.status = status


class CodeSpent(Exception):
    """The code has been exchanged before, or waited too long: a new one is needed."""


class NotOfDistrict(Exception):
    """Clever vouches for somebody whom a teacher has invited, not a district."""
