"""Short texts that administrators give: trimmed, each once, bounded."""

from collections.abc import Sequence
from typing import Final

from domain.errors import InvalidInput

LENGTH: Final = 255


def check_texts(field: str, given: Sequence[str], *, most: int) -> list[str]:
    """In the order given. Raises InvalidInput for none, too many, and what nobody could match."""
    texts = list(dict.fromkeys(text.strip() for text in given))
    if not 1 <= len(texts) <= most:
        wanted = "one value" if most == 1 else f"1 to {most} values"
        raise InvalidInput(field, f"Give {wanted}.")
    for text in texts:
        if not (0 < len(text) <= LENGTH and text.isprintable()):
            raise InvalidInput(field, f"A value is one line of 1 to {LENGTH} characters.")
    return texts
