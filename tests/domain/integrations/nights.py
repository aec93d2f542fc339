"""A plain model of nights: day by day, with a debt where a blackout has left one out."""

from collections.abc import Sequence
from datetime import date, datetime

from domain.integrations.schedule import Rhythm


def modelled(given: Rhythm, days: Sequence[date]) -> list[datetime]:
    """Day by day: what is missed inside a blackout is owed, and paid in the first night after."""
    nights, owes = [], False
    for day in days:
        is_counted = day >= given.first_on and (day - given.first_on).days % given.every_days == 0
        night = given.night(day)
        touched = (day, night.astimezone(given.zone).date())
        if any(first <= one <= last for first, last in given.blackouts for one in touched):
            owes = owes or is_counted
        else:
            if is_counted or owes:
                nights.append(night)
            owes = False
    return nights
