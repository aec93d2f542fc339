"""How long a provider asks to wait."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from domain.clock import utc_now

_SECONDS: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_FOREVER: Final = 1e9


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of the Retry-After header, written as a number or as a date; None without one."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _FOREVER)
    until = _parse_http_date(text)
    if until is None:
        return None
    # By the provider's own clock where it tells it: ours may go otherwise.
    now = _parse_http_date(headers.get("date", "")) or utc_now()
    return max(0.0, (until - now).total_seconds())


def _parse_http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
