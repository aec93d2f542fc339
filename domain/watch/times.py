"""Times as mails say them: of the tenant's own clock, with its zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo


def words_of(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{words_of_day(local.date())} at {local:%H:%M} ({zone.key})"


def words_of_day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"
