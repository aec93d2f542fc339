"""Mail addresses, as far as one can tell without sending a mail."""

import re
from typing import Final

from domain.errors import InvalidInput

LONGEST: Final = 254
# What a mail server takes, more or less; whether somebody reads it there is shown by a mail alone.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)


def check_email(field: str, email: str) -> str:
    """As it is stored. Raises InvalidInput, without showing the address."""
    email = email.strip()
    if len(email) > LONGEST or not _ADDRESS.fullmatch(email):
        raise InvalidInput(field, "This is no mail address, such as ada@example.org.")
    return email
